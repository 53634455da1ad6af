//! One flash, divided among those who each have a part of it.
//!
//! ```text
//! flash   | gallery | crops | audit | slot a | slot b | boot |
//! ```
//!
//! Each part is a flash of its own that begins at 0: who holds one can neither read nor harm another. What is
//! written or erased is read back. A part that fails once is written no more until the next start: what is in
//! it stays, and can be read.

use core::fmt::Debug;
use core::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use thiserror::Error;

use super::ready;

/// Where everything lies, in bytes of the flash. The crops' part may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Who is enrolled, and the door's failures.
    pub gallery: Range<u32>,
    /// Pictures of enrolments.
    pub crops: Range<u32>,
    /// What happened.
    pub audit: Range<u32>,
    /// One model package.
    pub slot_a: Range<u32>,
    /// The other.
    pub slot_b: Range<u32>,
    /// Which of them is used.
    pub boot: Range<u32>,
}

/// A part that cannot be where the layout says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the flash has no room for {name}: bytes {:#x} to {:#x} of {capacity:#x}, in blocks of {block}; correct the board file",
    range.start, range.end
)]
pub struct LayoutError {
    /// Which part.
    pub name: &'static str,
    /// Where it should be.
    pub range: Range<u32>,
    /// Bytes of the flash.
    pub capacity: usize,
    /// Bytes that are erased together.
    pub block: usize,
}

/// The parts of a divided flash.
pub struct Partitions<F> {
    /// Who is enrolled, and the door's failures.
    pub gallery: Partition<F>,
    /// Pictures of enrolments; may have no bytes.
    pub crops: Partition<F>,
    /// What happened.
    pub audit: Partition<F>,
    /// One model package.
    pub slot_a: Partition<F>,
    /// The other.
    pub slot_b: Partition<F>,
    /// Which of them is used.
    pub boot: Partition<F>,
}

impl<F> Clone for Partitions<F> {
    /// The same parts of the same flash.
    fn clone(&self) -> Self {
        let Self { gallery, crops, audit, slot_a, slot_b, boot } = self;
        Self {
            gallery: gallery.clone(),
            crops: crops.clone(),
            audit: audit.clone(),
            slot_a: slot_a.clone(),
            slot_b: slot_b.clone(),
            boot: boot.clone(),
        }
    }
}

impl Layout {
    /// Divides `flash`.
    ///
    /// # Errors
    /// When a part does not lie within the flash or is not made of whole erase blocks.
    pub fn divide<F: NorFlash>(&self, flash: F) -> Result<Partitions<F>, LayoutError> {
        let flash = Arc::new(Mutex::new(flash));
        let part = |name, range: &Range<u32>| Partition::new(&flash, name, range.clone());
        Ok(Partitions {
            gallery: part("gallery", &self.gallery)?,
            crops: part("crops", &self.crops)?,
            audit: part("audit", &self.audit)?,
            slot_a: part("slot_a", &self.slot_a)?,
            slot_b: part("slot_b", &self.slot_b)?,
            boot: part("boot", &self.boot)?,
        })
    }
}

/// How a part of a flash refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PartitionError<E> {
    /// An address that is not in the part: a bug in the caller.
    #[error("{len} bytes at {offset:#x} are outside of this part of the flash, which has {size:#x}")]
    Outside {
        /// First byte.
        offset: u32,
        /// Bytes.
        len: usize,
        /// Bytes of the part.
        size: u32,
    },
    /// The flash itself.
    #[error(transparent)]
    Flash(E),
    /// What was written or erased does not read back.
    #[error("the flash does not keep what is written at {address:#x}: it is worn out or broken")]
    Worn {
        /// First byte, counted from the beginning of the flash.
        address: u32,
    },
    /// It failed before.
    #[error("this part of the flash failed before and is not written any more")]
    Retired,
}

impl<E: NorFlashError> NorFlashError for PartitionError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Outside { .. } => NorFlashErrorKind::OutOfBounds,
            Self::Flash(error) => error.kind(),
            Self::Worn { .. } | Self::Retired => NorFlashErrorKind::Other,
        }
    }
}

/// A part of a flash, which is itself a flash. Clones are the same part.
#[derive(Debug)]
pub struct Partition<F> {
    flash: Arc<Mutex<F>>,
    range: Range<u32>,
    /// Why it is not written any more.
    failure: Arc<Mutex<Option<String>>>,
    erased: Arc<AtomicU32>,
}

impl<F> Clone for Partition<F> {
    fn clone(&self) -> Self {
        let Self { flash, range, failure, erased } = self;
        Self { flash: flash.clone(), range: range.clone(), failure: failure.clone(), erased: erased.clone() }
    }
}

impl<F: NorFlash> Partition<F> {
    fn new(flash: &Arc<Mutex<F>>, name: &'static str, range: Range<u32>) -> Result<Self, LayoutError> {
        let capacity = flash.lock().unwrap_or_else(PoisonError::into_inner).capacity();
        let whole = |address: u32| (address as usize).is_multiple_of(F::ERASE_SIZE);
        let fits = range.start <= range.end && range.end as usize <= capacity;
        if !fits || !whole(range.start) || !whole(range.end) {
            return Err(LayoutError { name, range, capacity, block: F::ERASE_SIZE });
        }
        Ok(Self { flash: flash.clone(), range, failure: Arc::default(), erased: Arc::default() })
    }

    /// Bytes of the part.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.range.end - self.range.start
    }

    /// Why this part is not written any more; `None` while it works.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Blocks that were erased since the start.
    #[must_use]
    pub fn erased_blocks(&self) -> u32 {
        self.erased.load(Ordering::Relaxed)
    }

    /// Uses the whole flash, as a test does that cuts its power.
    pub fn with_flash<T>(&self, use_it: impl FnOnce(&mut F) -> T) -> T {
        use_it(&mut self.flash.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a change and reads it back; after a failure no other one is made.
    fn change(
        &self,
        address: u32,
        len: usize,
        change: impl FnOnce(&mut F) -> Result<(), F::Error>,
        is_right: impl FnOnce(&[u8]) -> bool,
    ) -> Result<(), PartitionError<F::Error>> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_some() {
            return Err(PartitionError::Retired);
        }
        let changed = self.with_flash(|flash| {
            change(flash).map_err(PartitionError::Flash)?;
            let mut back = vec![0; len];
            ready(flash.read(address, &mut back)).map_err(PartitionError::Flash)?;
            if is_right(&back) { Ok(()) } else { Err(PartitionError::Worn { address }) }
        });
        if let Err(error) = &changed {
            *failure = Some(format!("{error:?}"));
        }
        changed
    }

    fn at(&self, offset: u32, len: usize) -> Result<u32, PartitionError<F::Error>> {
        let size = self.size();
        if offset as usize + len > size as usize {
            return Err(PartitionError::Outside { offset, len, size });
        }
        Ok(self.range.start + offset)
    }
}

impl<F: NorFlash> ErrorType for Partition<F> {
    type Error = PartitionError<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for Partition<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let at = self.at(offset, bytes.len())?;
        self.with_flash(|flash| ready(flash.read(at, bytes))).map_err(PartitionError::Flash)
    }

    fn capacity(&self) -> usize {
        self.size() as usize
    }
}

impl<F: NorFlash> NorFlash for Partition<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let len = to.saturating_sub(from);
        let at = self.at(from, len as usize)?;
        self.erased.fetch_add(len / F::ERASE_SIZE as u32, Ordering::Relaxed);
        let blank = |back: &[u8]| back.iter().all(|byte| *byte == 0xFF);
        self.change(at, len as usize, |flash| ready(flash.erase(at, at + len)), blank)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let at = self.at(offset, bytes.len())?;
        self.change(at, bytes.len(), |flash| ready(flash.write(at, bytes)), |back| back == bytes)
    }
}

impl<F: MultiwriteNorFlash> MultiwriteNorFlash for Partition<F> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::{SimFlash, ready};

    fn layout() -> Layout {
        Layout {
            gallery: 0..0x2000,
            crops: 0x2000..0x2000,
            audit: 0x2000..0x4000,
            slot_a: 0x4000..0x6000,
            slot_b: 0x6000..0x8000,
            boot: 0x8000..0xA000,
        }
    }

    #[test]
    fn a_part_begins_at_zero_and_ends_where_the_next_one_begins() {
        let Partitions { mut audit, mut gallery, crops, .. } =
            layout().divide(SimFlash::new(10)).expect("divided");
        ready(audit.write(4, b"text")).expect("written");
        assert_eq!(audit.with_flash(|flash| flash.image()[0x2004..0x2008].to_vec()), b"text");
        let outside = ready(gallery.write(0x1FFC, b"too long"));
        assert!(matches!(outside, Err(PartitionError::Outside { size: 0x2000, .. })), "{outside:?}");
        assert!(ready(gallery.erase(0x2000, 0x3000)).is_err());
        assert_eq!(crops.size(), 0);
    }

    #[test]
    fn a_part_that_does_not_fit_is_named() {
        let error = layout().divide(SimFlash::new(9)).err().expect("too small").to_string();
        assert!(error.contains("boot") && error.contains("board file"), "{error}");
        let crooked = Layout { audit: 0x2000..0x3800, ..layout() };
        assert_eq!(crooked.divide(SimFlash::new(10)).err().expect("crooked").name, "audit");
    }
}
