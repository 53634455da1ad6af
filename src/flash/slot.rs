//! One slot: a package that arrives in pieces, goes on after a power cut, and is verified by reading it back.
//!
//! ```text
//! block 0   0..7    "FLMSLOT"
//!           7       version 1
//!           8..12   length of the package, u32 little-endian
//!           12..44  SHA-256 of the package
//!           44..48  first bytes of SHA-256 of bytes 0..44
//!           64..    a word for each unit of the package: erased, or zero once it is written
//! block 1.. the package
//! ```
//!
//! A unit is one block, or as many as it takes for the words to have room. The words make a transfer go on where
//! it was: what they say is in the flash. Knows neither what a package is nor which slot is used.

use core::fmt::Debug;

use embedded_storage_async::nor_flash::NorFlash;
use sha2::{Digest, Sha256};

use super::ready;

const MAGIC: &[u8; 8] = b"FLMSLOT\x01";
const HEAD: usize = 48;
const WORDS: usize = 64;

/// SHA-256 of a package.
pub type Hash = [u8; 32];

/// What is in a slot or on its way there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub len: u32,
    pub sha256: Hash,
}

pub(super) struct SlotFlash<F> {
    flash: F,
}

impl<F: NorFlash<Error: Debug>> SlotFlash<F> {
    pub(super) fn new(flash: F) -> Self {
        Self { flash }
    }

    /// Bytes of the longest package: all but the first block.
    pub(super) fn capacity(&self) -> u32 {
        self.flash.capacity().saturating_sub(F::ERASE_SIZE) as u32
    }

    /// Bytes that are stored together.
    pub(super) fn unit(&self) -> usize {
        let words = (F::ERASE_SIZE - WORDS) / F::WRITE_SIZE;
        F::ERASE_SIZE * (self.capacity() as usize / F::ERASE_SIZE).div_ceil(words).max(1)
    }

    /// What the head says; `None` when there is no whole one.
    pub(super) fn content(&mut self) -> Result<Option<Content>, F::Error> {
        let mut head = [0; HEAD];
        ready(self.flash.read(0, &mut head))?;
        let len = u32::from_le_bytes(core::array::from_fn(|i| head[8 + i]));
        let sha256 = core::array::from_fn(|i| head[12 + i]);
        let content = Content { len, sha256 };
        Ok((head == head_of(&content) && len <= self.capacity()).then_some(content))
    }

    /// Empties the slot and says what comes.
    pub(super) fn announce(&mut self, content: &Content) -> Result<(), F::Error> {
        ready(self.flash.erase(0, F::ERASE_SIZE as u32))?;
        self.put(0, &head_of(content))
    }

    /// Bytes of a package of `len` that are in the flash for certain: whole units from its beginning.
    pub(super) fn durable(&mut self, len: u32) -> Result<u32, F::Error> {
        let unit = self.unit();
        let mut words = vec![0; (len as usize).div_ceil(unit) * F::WRITE_SIZE];
        ready(self.flash.read(WORDS as u32, &mut words))?;
        let done = words.chunks(F::WRITE_SIZE).take_while(|word| word.iter().all(|byte| *byte == 0)).count();
        Ok(((done * unit) as u32).min(len))
    }

    /// Stores the unit of the package that begins at `offset`; only the last one may be shorter.
    pub(super) fn store(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let at = F::ERASE_SIZE as u32 + offset;
        let end = at + bytes.len().next_multiple_of(F::ERASE_SIZE) as u32;
        ready(self.flash.erase(at, end))?;
        self.put(at, bytes)?;
        let word = WORDS + offset as usize / self.unit() * F::WRITE_SIZE;
        self.put(word as u32, &vec![0; F::WRITE_SIZE])
    }

    /// The package, if it is the one that `content` says.
    pub(super) fn read(&mut self, content: &Content) -> Result<Option<Vec<u8>>, F::Error> {
        let mut package = vec![0; content.len as usize];
        ready(self.flash.read(F::ERASE_SIZE as u32, &mut package))?;
        let whole = Sha256::digest(&package)[..] == content.sha256;
        Ok(whole.then_some(package))
    }

    /// Makes the slot hold nothing.
    pub(super) fn clear(&mut self) -> Result<(), F::Error> {
        ready(self.flash.erase(0, F::ERASE_SIZE as u32))
    }

    fn put(&mut self, at: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(F::WRITE_SIZE), 0xFF);
        ready(self.flash.write(at, &padded))
    }
}

fn head_of(content: &Content) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&content.len.to_le_bytes());
    head[12..44].copy_from_slice(&content.sha256);
    let check = Sha256::digest(&head[..44]);
    head[44..].copy_from_slice(&check[..4]);
    head
}
