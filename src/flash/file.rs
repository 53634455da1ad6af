//! NOR flash in a preallocated file.
//!
//! ```text
//! byte 0..8     "FACELTCH"
//! byte 8        format version, 1
//! byte 9..4096  0xFF
//! byte 4096..   the flash; erased bytes are 0xFF
//! ```
//!
//! A file of another size or without that head is somebody else's: it is refused and left as it is.
//! What a write returned from is on the medium (`fdatasync`); if the power fails during a write, the bytes
//! of that write may be anything and all others are as before.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use thiserror::Error;

/// Bytes that are erased together.
pub const ERASE_SIZE: usize = 4096;
/// Bytes that are written together.
pub const WRITE_SIZE: usize = 4;
const HEAD: u64 = ERASE_SIZE as u64;
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
            Self::Io { .. } | Self::Foreign { .. } => NorFlashErrorKind::Other,
        }
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
    /// When the file is of another size or not a flash of ours, or the system refuses.
    pub fn open(path: &Path, size: u32) -> Result<Self, FileFlashError> {
        if !path.exists() {
            create(path, size)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error(path, "opening"))?;
        let found = file.metadata().map_err(io_error(path, "reading its size"))?.len();
        let expected = u64::from(size) + HEAD;
        if found != expected {
            let reason = format!("it has {found} bytes instead of {expected}");
            return Err(FileFlashError::Foreign { path: path.to_owned(), reason });
        }
        let mut head = [0; MAGIC.len()];
        file.read_exact_at(&mut head, 0).map_err(io_error(path, "reading"))?;
        if head != *MAGIC {
            let reason = "its first bytes are not those of a facelatch flash".to_owned();
            return Err(FileFlashError::Foreign { path: path.to_owned(), reason });
        }
        Ok(Self { file, path: path.to_owned(), size })
    }

    fn check(&self, offset: u32, len: usize, unit: usize) -> Result<u64, FileFlashError> {
        let end = offset as usize + len;
        let aligned = (offset as usize).is_multiple_of(unit) && len.is_multiple_of(unit);
        if end > self.size as usize || !aligned {
            return Err(FileFlashError::Address { offset, len });
        }
        Ok(HEAD + u64::from(offset))
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
        let at = self.check(from, (to - from) as usize, ERASE_SIZE)?;
        self.put(&vec![0xFF; (to - from) as usize], at)
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
    fn a_new_flash_is_erased_and_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash");
        drop(FileFlash::open(&path, 8192).expect("made"));
        let again = FileFlash::open(&path, 8192).expect("opened");
        assert_eq!(again.capacity(), 8192);
        assert!(std::fs::read(&path).expect("there")[4096..].iter().all(|byte| *byte == 0xFF));
    }
}
