//! A copy of a region in memory: what is done to it happens to nothing else.

use core::marker::PhantomData;

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// A region in memory, with the geometry of a chip `F`, that remembers what is erased.
pub(super) struct Rehearsal<F> {
    bytes: Vec<u8>,
    erased: Vec<usize>,
    chip: PhantomData<F>,
}

impl<F> Rehearsal<F> {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, erased: Vec::new(), chip: PhantomData }
    }

    /// Numbers of the pages that were erased.
    pub(super) fn erased(&self) -> &[usize] {
        &self.erased
    }
}

/// An address outside of the region, which would be a bug of `sequential-storage`.
#[derive(Debug)]
pub(super) struct Outside;

impl NorFlashError for Outside {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::OutOfBounds
    }
}

impl<F> ErrorType for Rehearsal<F> {
    type Error = Outside;
}

impl<F: NorFlash> ReadNorFlash for Rehearsal<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Outside> {
        let from = self.bytes.get(offset as usize..offset as usize + bytes.len()).ok_or(Outside)?;
        bytes.copy_from_slice(from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<F: NorFlash> NorFlash for Rehearsal<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Outside> {
        self.bytes.get_mut(from as usize..to as usize).ok_or(Outside)?.fill(0xFF);
        self.erased.extend((from as usize..to as usize).step_by(F::ERASE_SIZE).map(|at| at / F::ERASE_SIZE));
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Outside> {
        let to = self.bytes.get_mut(offset as usize..offset as usize + bytes.len()).ok_or(Outside)?;
        to.iter_mut().zip(bytes).for_each(|(old, new)| *old &= new);
        Ok(())
    }
}

impl<F: NorFlash> MultiwriteNorFlash for Rehearsal<F> {}
