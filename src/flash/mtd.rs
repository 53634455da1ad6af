//! NOR flash behind Linux's memory technology devices, `/dev/mtdN`.
//!
//! ```text
//! MEMGETINFO -> type, size, erase and write size    read, write: pread, pwrite    MEMERASE: whole blocks
//! ```
//!
//! The driver in the kernel waits for the chip: what a write or an erase returned from is on it. If the power fails
//! during one, the bytes of that write or the blocks of that erase may be anything and all others are as before.
//! A chip whose words cannot be written twice (with on-chip error correction) is refused: deleting somebody clears
//! words that are written already.
//!
//! # Source
//! Linux, `include/uapi/mtd/mtd-abi.h`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use rustix::ioctl::{Getter, Opcode, Setter, ioctl, opcode};
use thiserror::Error;

use super::file::{Bounds, WRITE_SIZE};

/// `struct mtd_info_user`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Info {
    kind: u8,
    flags: u32,
    size: u32,
    erase_size: u32,
    write_size: u32,
    out_of_band_size: u32,
    padding: u64,
}

/// `struct erase_info_user`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Erase {
    start: u32,
    length: u32,
}

const MEMGETINFO: Opcode = opcode::read::<Info>(b'M', 1);
const MEMERASE: Opcode = opcode::write::<Erase>(b'M', 2);
const MTD_NORFLASH: u8 = 3;
const MTD_WRITEABLE: u32 = 0x400;
const MTD_BIT_WRITEABLE: u32 = 0x800;

/// What can go wrong with the device.
#[derive(Debug, Error)]
pub enum MtdError {
    /// The system refused.
    #[error("{}: {action} failed", path.display())]
    Io {
        /// The device.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The chip is not as the board file says.
    #[error("{}: {reason}; it was left as it is. Correct [flash] in the board file", path.display())]
    Unfit {
        /// The device.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another program has it.
    #[error("{} is in use by another program, which must end first", path.display())]
    InUse {
        /// The device.
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

impl NorFlashError for MtdError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Address { .. } => NorFlashErrorKind::OutOfBounds,
            Self::Io { .. } | Self::Unfit { .. } | Self::InUse { .. } => NorFlashErrorKind::Other,
        }
    }
}

/// A NOR chip whose blocks of `ERASE_SIZE` bytes are erased together. The chip's own blocks may be smaller.
#[derive(Debug)]
pub struct MtdFlash<const ERASE_SIZE: usize> {
    device: File,
    path: PathBuf,
    size: u32,
}

impl<const ERASE_SIZE: usize> MtdFlash<ERASE_SIZE> {
    /// The first `size` bytes of the chip at `path`. Changes nothing on it.
    ///
    /// # Errors
    /// When it is no NOR chip, is smaller, has other blocks or words, is in use, or the system refuses.
    pub fn open(path: &Path, size: u32) -> Result<Self, MtdError> {
        let io = |action| move |source| MtdError::Io { path: path.to_owned(), action, source };
        let device = OpenOptions::new().read(true).write(true).open(path).map_err(io("opening"))?;
        match device.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(MtdError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("locking")(source)),
            Ok(()) => {}
        }
        // SAFETY: MEMGETINFO writes one `struct mtd_info_user`, which `Info` lays out.
        let info = unsafe { ioctl(&device, Getter::<MEMGETINFO, Info>::new()) };
        let info = info.map_err(|error| io("asking what chip it is")(error.into()))?;
        if let Some(reason) = misfit(&info, size, ERASE_SIZE) {
            return Err(MtdError::Unfit { path: path.to_owned(), reason });
        }
        Ok(Self { device, path: path.to_owned(), size })
    }

    fn check(&self, offset: u32, len: usize, unit: usize) -> Result<u64, MtdError> {
        Bounds { size: self.size, unit }
            .contain(offset, len)
            .then_some(u64::from(offset))
            .ok_or(MtdError::Address { offset, len })
    }

    fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> MtdError + '_ {
        move |source| MtdError::Io { path: self.path.clone(), action, source }
    }
}

/// Why a chip is not what is wanted.
fn misfit(info: &Info, size: u32, erase_size: usize) -> Option<String> {
    if info.kind != MTD_NORFLASH {
        return Some(format!("it is of type {}; expected {MTD_NORFLASH}, a NOR flash", info.kind));
    }
    if info.flags & MTD_WRITEABLE == 0 {
        return Some("it is write-protected".to_owned());
    }
    if info.flags & MTD_BIT_WRITEABLE == 0 || !WRITE_SIZE.is_multiple_of(info.write_size.max(1) as usize) {
        return Some(format!(
            "its words of {} bytes cannot be written twice; expected words of at most {WRITE_SIZE} bytes without error correction",
            info.write_size
        ));
    }
    if info.erase_size == 0 || !erase_size.is_multiple_of(info.erase_size as usize) {
        return Some(format!(
            "its blocks have {} bytes; flash.erase_size says {erase_size}",
            info.erase_size
        ));
    }
    (info.size < size).then(|| format!("it has {} bytes; flash.size says {size}", info.size))
}

impl<const ERASE_SIZE: usize> ErrorType for MtdFlash<ERASE_SIZE> {
    type Error = MtdError;
}

impl<const ERASE_SIZE: usize> ReadNorFlash for MtdFlash<ERASE_SIZE> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), MtdError> {
        let at = self.check(offset, bytes.len(), 1)?;
        self.device.read_exact_at(bytes, at).map_err(self.io("reading"))
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl<const ERASE_SIZE: usize> NorFlash for MtdFlash<ERASE_SIZE> {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), MtdError> {
        let length = to.saturating_sub(from);
        self.check(from, length as usize, ERASE_SIZE)?;
        let erase = Erase { start: from, length };
        // SAFETY: MEMERASE reads one `struct erase_info_user`, which `Erase` lays out.
        let done = unsafe { ioctl(&self.device, Setter::<MEMERASE, Erase>::new(erase)) };
        done.map_err(|error| self.io("erasing")(error.into()))
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MtdError> {
        let at = self.check(offset, bytes.len(), WRITE_SIZE)?;
        self.device.write_all_at(bytes, at).map_err(self.io("writing"))
    }
}

impl<const ERASE_SIZE: usize> MultiwriteNorFlash for MtdFlash<ERASE_SIZE> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip() -> Info {
        let flags = MTD_WRITEABLE | MTD_BIT_WRITEABLE;
        let (size, erase_size, write_size) = (0x100_0000, 4096, 1);
        Info { kind: MTD_NORFLASH, flags, size, erase_size, write_size, out_of_band_size: 0, padding: 0 }
    }

    #[test]
    fn the_requests_are_those_of_the_kernel() {
        assert_eq!((size_of::<Info>(), size_of::<Erase>()), (32, 8));
        assert_eq!((MEMGETINFO, MEMERASE), (0x8020_4D01, 0x4008_4D02));
    }

    #[test]
    fn a_chip_that_is_not_as_the_board_says_is_refused_with_the_reason() {
        let reason = |chip: Info| misfit(&chip, 0x80_0000, 4096);
        assert_eq!(reason(chip()), None);
        assert!(reason(Info { kind: 4, ..chip() }).is_some_and(|r| r.contains("NOR flash")));
        assert!(reason(Info { flags: MTD_BIT_WRITEABLE, ..chip() }).is_some_and(|r| r.contains("protected")));
        assert!(reason(Info { flags: MTD_WRITEABLE, ..chip() }).is_some_and(|r| r.contains("twice")));
        assert!(reason(Info { write_size: 8, ..chip() }).is_some_and(|r| r.contains("8 bytes")));
        assert!(reason(Info { erase_size: 65536, ..chip() }).is_some_and(|r| r.contains("65536")));
        assert!(reason(Info { size: 0x10_0000, ..chip() }).is_some_and(|r| r.contains("1048576")));
    }

    #[test]
    fn a_file_that_is_no_device_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        std::fs::write(&path, [7; 8192]).expect("written");
        let error = MtdFlash::<4096>::open(&path, 4096).expect_err("no device").to_string();
        assert!(error.contains("asking what chip it is"), "{error}");
        assert_eq!(std::fs::read(&path).expect("still there"), [7; 8192]);
    }
}
