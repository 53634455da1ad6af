//! NOR flash in memory that obeys a chip's rules and fails on demand.
//!
//! A write only clears bits, an erase sets whole pages; both go byte by byte and can be cut after any of them.
//! The byte at the cut is torn: half of its bits are changed. After a cut nothing answers until
//! [`SimFlash::power_up`].

use embedded_storage_async::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use thiserror::Error;

/// Bytes that are erased together: a serial NOR chip's sector.
pub const ERASE_SIZE: usize = 4096;
/// Bytes that are written together.
pub const WRITE_SIZE: usize = 4;

/// How the simulated chip refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SimFlashError {
    /// The power is cut.
    #[error("the power is cut")]
    Cut,
    /// The page is worn out: it neither writes nor erases any more.
    #[error("page {page} is worn out")]
    Worn {
        /// Its number.
        page: usize,
    },
    /// An address that is not there or not aligned: a bug in the caller.
    #[error("{len} bytes at {offset:#x} are outside of the flash or not aligned")]
    Address {
        /// First byte.
        offset: u32,
        /// Bytes.
        len: usize,
    },
}

impl NorFlashError for SimFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Address { .. } => NorFlashErrorKind::OutOfBounds,
            Self::Cut | Self::Worn { .. } => NorFlashErrorKind::Other,
        }
    }
}

/// What was asked of the chip since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Calls of `read`.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Calls of `write`.
    pub writes: u64,
    /// Pages erased.
    pub erases: u64,
    /// Bytes written or erased: the places where power can be cut.
    pub changed_bytes: u64,
}

/// A write or an erase that the chip did, or began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its first byte.
    pub offset: u32,
    /// What the chip holds there afterwards.
    pub bytes: Vec<u8>,
}

/// The simulated chip.
#[derive(Debug, Clone)]
pub struct SimFlash {
    bytes: Vec<u8>,
    erases: Vec<u32>,
    worn: Vec<usize>,
    bytes_to_cut: Option<u64>,
    traffic: Traffic,
    changes: Option<Vec<Change>>,
}

impl SimFlash {
    /// An erased chip of `pages` pages.
    #[must_use]
    pub fn new(pages: usize) -> Self {
        Self::from_image(vec![0xFF; pages * ERASE_SIZE])
    }

    /// A chip that holds `image`; bytes after its last whole page are left out.
    #[must_use]
    pub fn from_image(mut image: Vec<u8>) -> Self {
        let pages = image.len() / ERASE_SIZE;
        image.truncate(pages * ERASE_SIZE);
        let traffic = Traffic::default();
        let (erases, worn) = (vec![0; pages], Vec::new());
        Self { bytes: image, erases, worn, bytes_to_cut: None, traffic, changes: None }
    }

    /// What the chip holds.
    #[must_use]
    pub fn image(&self) -> &[u8] {
        &self.bytes
    }

    /// How often each page was erased.
    #[must_use]
    pub fn erase_counts(&self) -> &[u32] {
        &self.erases
    }

    /// What was asked of it.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Cuts the power after `bytes` more bytes were written or erased.
    pub fn cut_after(&mut self, bytes: u64) {
        self.bytes_to_cut = Some(bytes);
    }

    /// Whether the power is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.bytes_to_cut == Some(0)
    }

    /// Gives the power back.
    pub fn power_up(&mut self) {
        self.bytes_to_cut = None;
    }

    /// Remembers every write and erase from now on.
    pub fn record(&mut self) {
        self.changes = Some(Vec::new());
    }

    /// The writes and erases since [`SimFlash::record`], in their order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        self.changes.as_deref().unwrap_or_default()
    }

    /// Does `changes` until a power cut tears the byte that comes `bytes` bytes later, counted from 1; before the
    /// first one at 0. Then the power is back.
    pub fn cut_within(&mut self, changes: &[Change], bytes: u64) {
        self.cut_after(bytes);
        for Change { offset, bytes } in changes {
            let mut places = (*offset as usize..).zip(bytes);
            if places.try_for_each(|(at, byte)| self.change(at, *byte)).is_err() {
                break;
            }
        }
        self.power_up();
    }

    /// Wears out a page.
    pub fn wear_out(&mut self, page: usize) {
        self.worn.push(page);
    }

    /// Flips one bit, as radiation or age does.
    pub fn flip(&mut self, offset: usize, bit: u8) {
        self.bytes[offset] ^= 1 << bit;
    }

    fn check(&self, offset: u32, len: usize, unit: usize) -> Result<usize, SimFlashError> {
        let at = offset as usize;
        if !at.is_multiple_of(unit) || !len.is_multiple_of(unit) || at + len > self.bytes.len() {
            return Err(SimFlashError::Address { offset, len });
        }
        if self.bytes_to_cut == Some(0) {
            return Err(SimFlashError::Cut);
        }
        Ok(at)
    }

    fn check_worn(&self, at: usize, len: usize) -> Result<(), SimFlashError> {
        let pages = at / ERASE_SIZE..(at + len).div_ceil(ERASE_SIZE);
        match self.worn.iter().find(|page| pages.contains(page)) {
            Some(&page) => Err(SimFlashError::Worn { page }),
            None => Ok(()),
        }
    }

    /// Brings one byte to `value`, or tears it if the power ends there.
    fn change(&mut self, at: usize, value: u8) -> Result<(), SimFlashError> {
        match &mut self.bytes_to_cut {
            Some(0) => return Err(SimFlashError::Cut),
            Some(1) => {
                self.bytes_to_cut = Some(0);
                self.bytes[at] = self.bytes[at] & 0xAA | value & 0x55;
                return Err(SimFlashError::Cut);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.bytes[at] = value;
        self.traffic.changed_bytes += 1;
        Ok(())
    }
}

impl ErrorType for SimFlash {
    type Error = SimFlashError;
}

impl ReadNorFlash for SimFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimFlashError> {
        let at = self.check(offset, bytes.len(), 1)?;
        bytes.copy_from_slice(&self.bytes[at..at + bytes.len()]);
        self.traffic.reads += 1;
        self.traffic.read_bytes += bytes.len() as u64;
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for SimFlash {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), SimFlashError> {
        let len = to.checked_sub(from).ok_or(SimFlashError::Address { offset: from, len: 0 })? as usize;
        let at = self.check(from, len, ERASE_SIZE)?;
        self.check_worn(at, len)?;
        self.erases[at / ERASE_SIZE..(at + len) / ERASE_SIZE].iter_mut().for_each(|count| *count += 1);
        self.traffic.erases += (len / ERASE_SIZE) as u64;
        if let Some(changes) = &mut self.changes {
            changes.push(Change { offset: from, bytes: vec![0xFF; len] });
        }
        (at..at + len).try_for_each(|i| self.change(i, 0xFF))
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimFlashError> {
        let at = self.check(offset, bytes.len(), WRITE_SIZE)?;
        self.traffic.writes += 1;
        self.check_worn(at, bytes.len())?;
        if let Some(changes) = &mut self.changes {
            let held = self.bytes[at..].iter().zip(bytes).map(|(old, new)| old & new).collect();
            changes.push(Change { offset, bytes: held });
        }
        bytes.iter().enumerate().try_for_each(|(i, byte)| self.change(at + i, self.bytes[at + i] & byte))
    }
}

impl MultiwriteNorFlash for SimFlash {}
