//! The aligned pictures of enrolments, kept so that a new embedder needs no new enrolment.
//!
//! ```text
//! crops' part of the flash: cells of 32 KiB (or one erase block, if that is more), one for a person
//! cell:     sealed by the person's key: version 1 | postcard of [(quality u8, JPEG of 112x112)], at most 5
//! ```
//!
//! A person's record says which cell is theirs and how long its content is. A cell that no record names is
//! nobody's: it was being written or given up when the power was cut, and is emptied at the next start. While there are
//! records that do not open, it may be theirs, and is left as it is.
//! Cells are written first block first and emptied last block first, so that the first block tells.

use core::fmt::{self, Debug};
use core::ops::Range;
use std::borrow::Cow;

use embedded_storage_async::nor_flash::NorFlash;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat};
use serde::{Deserialize, Serialize};

use crate::face::align::{CROP_BYTES, CROP_SIDE};
use crate::flash::map::from_port;
use crate::flash::{MapError, ready};

const VERSION: u8 = 1;

/// Bytes of a person's cell. A choice: five aligned faces as JPEG of quality 90 or better.
const CELL: usize = 32 * 1024;

/// JPEG qualities, of which the first is taken whose pictures fit into a cell.
const QUALITIES: [u8; 6] = [95, 92, 88, 80, 70, 50];

/// An aligned face, `[112, 112, 3]` u8 RGB, row-major.
#[derive(Clone, PartialEq, Eq)]
pub struct Crop {
    /// How good the picture is, 0 (unusable) to 255.
    pub quality: u8,
    /// The picture.
    pub pixels: Box<[u8; CROP_BYTES]>,
}

impl Debug for Crop {
    /// Without the picture: it is biometric data and must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crop").field("quality", &self.quality).finish_non_exhaustive()
    }
}

/// Where a person's crops are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropPlace {
    cell: u16,
    len: u32,
}

impl CropPlace {
    /// Bytes of the content, sealed.
    pub(super) fn bytes(self) -> usize {
        self.len as usize
    }
}

/// Crops as bytes, at the best quality of which at most `room` bytes come out; the last ones are left out when
/// not even the least quality does.
pub(super) fn encode(crops: &[Crop], room: usize) -> Vec<u8> {
    let mut taken = crops;
    loop {
        for quality in QUALITIES {
            let pictures: Vec<(u8, Vec<u8>)> =
                taken.iter().map(|crop| (crop.quality, jpeg(crop, quality))).collect();
            let mut bytes = vec![VERSION];
            bytes.extend(postcard::to_allocvec(&pictures).expect("these types are always serialisable"));
            if bytes.len() <= room || taken.is_empty() {
                return bytes;
            }
        }
        taken = &taken[..taken.len() - 1];
    }
}

/// The crops in bytes that [`encode`] made; `None` when they are of a newer version or not pictures.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Crop>> {
    let (&VERSION, pictures) = bytes.split_first()? else { return None };
    let pictures: Vec<(u8, Vec<u8>)> = postcard::from_bytes(pictures).ok()?;
    let crop = |(quality, bytes): (u8, Vec<u8>)| {
        let picture = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).ok()?.into_rgb8();
        Some(Crop { quality, pixels: picture.into_raw().into_boxed_slice().try_into().ok()? })
    };
    pictures.into_iter().map(crop).collect()
}

/// Pictures that [`encode`] made for more room than `room`, made to fit. `None` when they are no pictures.
pub(super) fn fitted(pictures: &[u8], room: usize) -> Option<Cow<'_, [u8]>> {
    if pictures.len() <= room {
        return Some(Cow::Borrowed(pictures));
    }
    Some(Cow::Owned(encode(&decode(pictures)?, room)))
}

fn jpeg(crop: &Crop, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(crop.pixels.as_slice(), CROP_SIDE as u32, CROP_SIDE as u32, ExtendedColorType::Rgb8)
        .expect("a crop has the size that is given, and memory takes all bytes");
    bytes
}

/// The cells, and which of them are taken.
pub struct CropStore<F> {
    flash: F,
    taken: Vec<bool>,
}

impl<F: NorFlash<Error: Debug>> CropStore<F> {
    /// All of `flash` as cells; a part of less than two cells holds no crops.
    #[must_use]
    pub fn new(flash: F) -> Self {
        let cells = (flash.capacity() / Self::CELL).min(usize::from(u16::MAX));
        Self { flash, taken: vec![false; cells] }
    }

    /// People whose crops fit. One cell more stays free, so that a person's crops can be replaced.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.taken.len().saturating_sub(1)
    }

    /// People whose crops still fit.
    #[must_use]
    pub fn left(&self) -> usize {
        self.free_cells().saturating_sub(1)
    }

    pub(super) fn free_cells(&self) -> usize {
        self.taken.iter().filter(|taken| !**taken).count()
    }

    const CELL: usize = CELL.next_multiple_of(F::ERASE_SIZE);

    /// Bytes that fit into a cell.
    pub(super) const ROOM: usize = Self::CELL;

    /// Takes note of the cells that people have. The others are emptied; if all people are not `known`, those that are
    /// not empty count as taken.
    pub(super) fn settle(
        &mut self,
        places: impl Iterator<Item = CropPlace>,
        known: bool,
    ) -> Result<(), MapError> {
        self.taken.fill(false);
        for place in places {
            if let Some(taken) = self.taken.get_mut(usize::from(place.cell)) {
                *taken = true;
            }
        }
        for cell in (0..self.taken.len()).filter(|&cell| !self.taken[cell]).collect::<Vec<_>>() {
            let is_blank = self.is_blank(self.blocks(cell).start)?;
            if !known {
                self.taken[cell] = !is_blank;
            } else if !is_blank {
                self.erase(cell)?;
            }
        }
        Ok(())
    }

    /// Stores the bytes in a free cell; `None` when there is none.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<Option<CropPlace>, MapError> {
        let Some(cell) = self.taken.iter().position(|taken| !taken) else { return Ok(None) };
        let start = self.blocks(cell).start;
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(F::WRITE_SIZE), 0xFF);
        self.taken[cell] = true;
        ready(self.flash.write(start, &padded)).map_err(from_port)?;
        let mut back = vec![0; padded.len()];
        ready(self.flash.read(start, &mut back)).map_err(from_port)?;
        if back != padded {
            return Err(MapError::Hardware { reason: format!("{start:#x} does not keep what is written") });
        }
        Ok(Some(CropPlace { cell: cell as u16, len: bytes.len() as u32 }))
    }

    /// What was stored.
    pub(super) fn get(&mut self, place: CropPlace) -> Result<Vec<u8>, MapError> {
        let damaged = || MapError::Damaged { reason: format!("there is no place for crops {place:?}") };
        if usize::from(place.cell) >= self.taken.len() || place.len as usize > Self::CELL {
            return Err(damaged());
        }
        let mut bytes = vec![0; place.len as usize];
        ready(self.flash.read(self.blocks(place.cell.into()).start, &mut bytes)).map_err(from_port)?;
        Ok(bytes)
    }

    /// Empties a place.
    pub(super) fn free(&mut self, place: CropPlace) -> Result<(), MapError> {
        match usize::from(place.cell) {
            cell if cell < self.taken.len() => self.erase(cell),
            _ => Ok(()),
        }
    }

    /// The flash, after the crops are done with it.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn blocks(&self, cell: usize) -> Range<u32> {
        (cell * Self::CELL) as u32..((cell + 1) * Self::CELL) as u32
    }

    fn is_blank(&mut self, block: u32) -> Result<bool, MapError> {
        let mut bytes = vec![0; F::ERASE_SIZE];
        ready(self.flash.read(block, &mut bytes)).map_err(from_port)?;
        Ok(bytes.iter().all(|byte| *byte == 0xFF))
    }

    fn erase(&mut self, cell: usize) -> Result<(), MapError> {
        for block in self.blocks(cell).step_by(F::ERASE_SIZE).collect::<Vec<_>>().into_iter().rev() {
            if !self.is_blank(block)? {
                ready(self.flash.erase(block, block + F::ERASE_SIZE as u32)).map_err(from_port)?;
            }
        }
        self.taken[cell] = false;
        Ok(())
    }
}
