//! The flash that a board file names: a file, a raw partition or a chip.

use std::path::Path;

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use thiserror::Error;

use super::file::{FileFlash, FileFlashError, WRITE_SIZE};
use super::mtd::{MtdError, MtdFlash};

/// What the flash is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A file or a raw partition of a disk.
    File,
    /// A memory technology device.
    Mtd,
}

/// What can go wrong with it.
#[derive(Debug, Error)]
pub enum BoardFlashError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileFlashError),
    /// The chip.
    #[error(transparent)]
    Mtd(#[from] MtdError),
}

impl NorFlashError for BoardFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::File(error) => error.kind(),
            Self::Mtd(error) => error.kind(),
        }
    }
}

/// A flash whose blocks of `ERASE_SIZE` bytes, a multiple of 4,096, are erased together.
#[derive(Debug)]
pub enum BoardFlash<const ERASE_SIZE: usize> {
    /// A file or a raw partition of a disk.
    File(FileFlash),
    /// A chip.
    Mtd(MtdFlash<ERASE_SIZE>),
}

impl<const ERASE_SIZE: usize> BoardFlash<ERASE_SIZE> {
    /// Opens `size` bytes of the flash at `path`.
    ///
    /// # Errors
    /// As [`FileFlash::open`] and [`MtdFlash::open`].
    pub fn open(medium: Medium, path: &Path, size: u32) -> Result<Self, BoardFlashError> {
        Ok(match medium {
            Medium::File => Self::File(FileFlash::open(path, size)?),
            Medium::Mtd => Self::Mtd(MtdFlash::open(path, size)?),
        })
    }
}

impl<const ERASE_SIZE: usize> ErrorType for BoardFlash<ERASE_SIZE> {
    type Error = BoardFlashError;
}

impl<const ERASE_SIZE: usize> ReadNorFlash for BoardFlash<ERASE_SIZE> {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), BoardFlashError> {
        match self {
            Self::File(flash) => Ok(flash.read(offset, bytes).await?),
            Self::Mtd(flash) => Ok(flash.read(offset, bytes).await?),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::File(flash) => flash.capacity(),
            Self::Mtd(flash) => flash.capacity(),
        }
    }
}

impl<const ERASE_SIZE: usize> NorFlash for BoardFlash<ERASE_SIZE> {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), BoardFlashError> {
        match self {
            Self::File(flash) => Ok(flash.erase(from, to).await?),
            Self::Mtd(flash) => Ok(flash.erase(from, to).await?),
        }
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), BoardFlashError> {
        match self {
            Self::File(flash) => Ok(flash.write(offset, bytes).await?),
            Self::Mtd(flash) => Ok(flash.write(offset, bytes).await?),
        }
    }
}

impl<const ERASE_SIZE: usize> MultiwriteNorFlash for BoardFlash<ERASE_SIZE> {}
