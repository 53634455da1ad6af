//! NOR flash in a preallocated file, or in a raw partition of a disk.
//!
//! ```text
//! byte 0..8     "FACELTCH"
//! byte 8        format version, 1
//! byte 9..4096  0xFF
//! byte 4096..   the flash; erased bytes are 0xFF
//! ```
//!
//! A file of another size or without that head is somebody else's: it is refused and left as it is. So is a
//! partition, unless every byte that it is to give is 0x00 or 0xFF: a blank one is made a flash, head last. One
//! program at a time may have it open.
//!
//! What a write returned from is on the medium (`fdatasync`); if the power fails during a write, the bytes
//! of that write may be anything and all others are as before.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use thiserror::Error;

/// Bytes that are erased together.
pub const ERASE_SIZE: usize = 4096;
/// Bytes that are written together.
pub const WRITE_SIZE: usize = 4;
/// Bytes of the file before the flash.
pub const HEAD: u64 = ERASE_SIZE as u64;
const MAGIC: &[u8; 9] = b"FACELTCH\x01";

/// What can go wrong with the file.
#[derive(Debug, Error)]
pub enum FileFlashError {
    /// The system refused.
    #[error("{}: {action} failed; check that the disk is there, has room and may be written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The file is no flash of ours.
    #[error("{}: {reason}; it was left as it is. Move it away to begin with an empty flash", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another program has it.
    #[error("{} is in use by another program, which must end first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// An address that is not there: a bug in the caller.
    #[error("{} bytes at {offset:#x} are outside of the flash or not aligned", len)]
    Address {
        /// First byte.
        offset: u32,
        /// Bytes.
        len: usize,
    },
}

impl NorFlashError for FileFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Address { .. } => NorFlashErrorKind::OutOfBounds,
            Self::Io { .. } | Self::Foreign { .. } | Self::InUse { .. } => NorFlashErrorKind::Other,
        }
    }
}

/// What addresses there are.
pub(super) struct Bounds {
    pub size: u32,
    /// Of what offsets and lengths are multiples.
    pub unit: usize,
}

impl Bounds {
    pub(super) fn contain(&self, offset: u32, len: usize) -> bool {
        let aligned = (offset as usize).is_multiple_of(self.unit) && len.is_multiple_of(self.unit);
        aligned && offset as usize + len <= self.size as usize
    }
}

/// The flash in the file.
#[derive(Debug)]
pub struct FileFlash {
    file: File,
    path: PathBuf,
    size: u32,
}

impl FileFlash {
    /// Opens the flash in `path`, or makes an empty one of `size` bytes if there is no such file.
    ///
    /// # Errors
    /// When the file is of another size, not a flash of ours or in use, or the system refuses.
    pub fn open(path: &Path, size: u32) -> Result<Self, FileFlashError> {
        if !path.exists() {
            create(path, size)?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).open(path).map_err(io_error(path, "opening"))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(FileFlashError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io_error(path, "locking")(source)),
            Ok(()) => {}
        }
        let found = file.seek(SeekFrom::End(0)).map_err(io_error(path, "reading its size"))?;
        let kind = file.metadata().map_err(io_error(path, "reading its kind"))?.file_type();
        let expected = u64::from(size) + HEAD;
        let foreign = |reason| Err(FileFlashError::Foreign { path: path.to_owned(), reason });
        if found != expected && !(kind.is_block_device() && found > expected) {
            return foreign(format!("it has {found} bytes instead of {expected}"));
        }
        let flash = Self { file, path: path.to_owned(), size };
        let mut head = [0; MAGIC.len()];
        flash.file.read_exact_at(&mut head, 0).map_err(io_error(path, "reading"))?;
        if head == *MAGIC {
            return Ok(flash);
        }
        if kind.is_block_device() && flash.is_blank()? {
            flash.prepare()?;
            return Ok(flash);
        }
        foreign("its first bytes are not those of a facelatch flash".to_owned())
    }

    /// Whether nobody ever stored anything here, or the preparation of a flash was cut.
    fn is_blank(&self) -> Result<bool, FileFlashError> {
        let mut page = [0; ERASE_SIZE];
        for at in (0..HEAD + u64::from(self.size)).step_by(ERASE_SIZE) {
            self.file.read_exact_at(&mut page, at).map_err(io_error(&self.path, "reading"))?;
            if page.iter().any(|byte| !matches!(byte, 0x00 | 0xFF)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn prepare(&self) -> Result<(), FileFlashError> {
        let page = [0xFF; ERASE_SIZE];
        for at in (0..HEAD + u64::from(self.size)).step_by(ERASE_SIZE) {
            self.file.write_all_at(&page, at).map_err(io_error(&self.path, "writing"))?;
        }
        self.file.sync_data().map_err(io_error(&self.path, "bringing it to the disk"))?;
        self.put(MAGIC, 0)
    }

    fn check(&self, offset: u32, len: usize, unit: usize) -> Result<u64, FileFlashError> {
        let inside = Bounds { size: self.size, unit }.contain(offset, len);
        inside.then_some(HEAD + u64::from(offset)).ok_or(FileFlashError::Address { offset, len })
    }

    fn put(&self, bytes: &[u8], at: u64) -> Result<(), FileFlashError> {
        self.file.write_all_at(bytes, at).map_err(io_error(&self.path, "writing"))?;
        self.file.sync_data().map_err(io_error(&self.path, "bringing it to the disk"))
    }
}

fn io_error<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> FileFlashError + 'a {
    move |source| FileFlashError::Io { path: path.to_owned(), action, source }
}

/// Makes the file under another name first: a cut leaves either no flash or a whole one.
fn create(path: &Path, size: u32) -> Result<(), FileFlashError> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft).map_err(io_error(&draft, "creating"))?;
    let mut page = [0xFF; ERASE_SIZE];
    page[..MAGIC.len()].copy_from_slice(MAGIC);
    file.write_all(&page).map_err(io_error(&draft, "writing"))?;
    page.fill(0xFF);
    for _ in 0..size as usize / ERASE_SIZE {
        file.write_all(&page).map_err(io_error(&draft, "writing"))?;
    }
    file.sync_all().map_err(io_error(&draft, "bringing it to the disk"))?;
    std::fs::rename(&draft, path).map_err(io_error(path, "naming"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error(folder, "bringing the folder to the disk"))
}

impl ErrorType for FileFlash {
    type Error = FileFlashError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FileFlashError> {
        let at = self.check(offset, bytes.len(), 1)?;
        self.file.read_exact_at(bytes, at).map_err(io_error(&self.path, "reading"))
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FileFlashError> {
        let len = to.saturating_sub(from) as usize;
        let at = self.check(from, len, ERASE_SIZE)?;
        self.put(&vec![0xFF; len], at)
    }

    /// Bits only clear, as on a chip: the bytes become what they were AND `bytes`.
    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FileFlashError> {
        let at = self.check(offset, bytes.len(), WRITE_SIZE)?;
        let mut merged = vec![0; bytes.len()];
        self.file.read_exact_at(&mut merged, at).map_err(io_error(&self.path, "reading"))?;
        merged.iter_mut().zip(bytes).for_each(|(old, new)| *old &= new);
        self.put(&merged, at)
    }
}

impl MultiwriteNorFlash for FileFlash {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash");
        for content in [b"holiday pictures".to_vec(), vec![0; 8192 + 4096]] {
            std::fs::write(&path, &content).expect("written");
            let error = FileFlash::open(&path, 8192).expect_err("no flash of ours").to_string();
            assert!(error.contains("left as it is") && error.contains("flash"), "{error}");
            assert_eq!(std::fs::read(&path).expect("still there"), content);
        }
    }

    #[test]
    fn a_flash_that_is_open_cannot_be_opened_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash");
        let flash = FileFlash::open(&path, 8192).expect("made");
        let error = FileFlash::open(&path, 8192).expect_err("in use").to_string();
        assert!(error.contains("another program"), "{error}");
        drop(flash);
        FileFlash::open(&path, 8192).expect("free again");
    }

    #[test]
    fn only_a_blank_partition_is_made_a_flash() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("partition");
        for (byte, blank) in [(0x00, true), (0xFF, true), (0x07, false)] {
            let mut content = vec![0; 3 * 4096];
            content[9000] = byte;
            std::fs::write(&path, &content).expect("written");
            let file = OpenOptions::new().read(true).write(true).open(&path).expect("opened");
            let partition = FileFlash { file, path: path.clone(), size: 8192 };
            assert_eq!(partition.is_blank().expect("read"), blank, "{byte:#x}");
        }
        let file = OpenOptions::new().read(true).write(true).open(&path).expect("opened");
        FileFlash { file, path: path.clone(), size: 8192 }.prepare().expect("prepared");
        assert_eq!(FileFlash::open(&path, 8192).expect("a flash").capacity(), 8192);
    }

    #[test]
    fn a_new_flash_is_erased_and_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash");
        drop(FileFlash::open(&path, 8192).expect("made"));
        let again = FileFlash::open(&path, 8192).expect("opened");
        assert_eq!(again.capacity(), 8192);
        assert!(std::fs::read(&path).expect("there")[4096..].iter().all(|byte| *byte == 0xFF));
    }
}
