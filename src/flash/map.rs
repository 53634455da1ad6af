//! Records by number, on `sequential-storage`: power-safe and wear-levelling.
//!
//! A region that is damaged is not repaired at the price of a record: it is read as far as it goes and not written.
//!
//! Knows neither what records mean nor that they are sealed. Futures of
//! this room's ports are ready at once, so they are run where they are called.

use core::fmt::Debug;
use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::Error as StorageError;
use sequential_storage::cache::page_pointers::HeapPagePointers;
use sequential_storage::cache::page_states::HeapPageStates;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};
use thiserror::Error;

use super::ready;
use super::survey::{Finding, items_of, survey};

/// The longest record, in bytes: with its head it must fit into one erase block.
pub const MAX_RECORD: usize = 3072;

/// The shortest part of a secret that [`Map::destroy`] finds: by chance 8 random bytes stand nowhere else.
pub const TRACE: usize = 8;

/// What a key's highest byte says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Namespace {
    /// People.
    Person = 1,
    /// The door's failures.
    Lockout = 2,
    /// Keys of people, sealed by the device's key.
    PersonKey = 3,
    /// Templates of people for an embedder that is not in use yet.
    Staged = 4,
    /// Pictures of people; they lie beside the map, this is what their seal is bound to.
    Crops = 5,
    /// The threshold of a calibration.
    Threshold = 6,
    /// Which lock this is, and whose.
    Identity = 7,
    /// Unknown visitors.
    Visitor = 8,
    /// The key of them all, sealed by the device's key.
    VisitorKey = 9,
}

impl Namespace {
    /// The map's key of `number`, of which 24 bits count.
    #[must_use]
    pub fn key(self, number: u32) -> u32 {
        u32::from(self as u8) << 24 | number & 0x00FF_FFFF
    }

    /// The number of a key of this namespace.
    #[must_use]
    pub fn number(self, key: u32) -> Option<u32> {
        (key >> 24 == u32::from(self as u8)).then_some(key & 0x00FF_FFFF)
    }
}

/// Why a record could not be read or written.
#[derive(Debug, Clone, Error)]
pub enum MapError {
    /// There is no room now.
    #[error("the storage is full: delete somebody first")]
    Full,
    /// It would never fit.
    #[error("a record of {len} bytes is longer than {MAX_RECORD}")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// What is stored cannot be understood.
    #[error("the storage is damaged: {reason}")]
    Damaged {
        /// What was found.
        reason: String,
    },
    /// The port failed.
    #[error("the storage does not answer: {reason}")]
    Hardware {
        /// The port's word.
        reason: String,
    },
}

/// Records by their keys.
pub(super) type Records = BTreeMap<u32, Vec<u8>>;

/// A map from numbers to records in one region of a flash.
pub struct Map<F: NorFlash> {
    storage: Storage<F>,
    buffer: Vec<u8>,
    /// Why the region is not written, and what could be read of it.
    damage: Option<(String, Records)>,
}

type Storage<F> = MapStorage<u32, F, Cache<HeapPageStates, HeapPagePointers, Uncached, u32>>;

impl<F: NorFlash<Error: Debug>> Map<F> {
    /// The map in `region` of `flash`, in bytes. A region that is damaged opens too: [`Map::damage`] tells.
    ///
    /// # Errors
    /// When the region is not made of at least two whole erase blocks, or the flash does not answer.
    pub fn new(mut flash: F, region: Range<u32>) -> Result<Self, MapError> {
        config::<F>(region.clone())?;
        let mut image = vec![0; region.len()];
        ready(flash.read(region.start, &mut image)).map_err(from_port)?;
        let damage = match survey::<F>(image) {
            Finding::Sound { erase: None } => None,
            Finding::Sound { erase: Some(page) } => {
                let at = region.start + (page * F::ERASE_SIZE) as u32;
                ready(flash.erase(at, at + F::ERASE_SIZE as u32)).map_err(from_port)?;
                None
            }
            Finding::Damaged { reason, records } => Some((reason, records)),
        };
        let storage = storage(flash, region)?;
        Ok(Self { storage, buffer: vec![0; MAX_RECORD + 64], damage })
    }

    /// Why the region is read as far as it goes and not written; `None` when it is sound.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_ref().map(|(reason, _)| reason.as_str())
    }

    /// The record of `key`, if there is one.
    ///
    /// # Errors
    /// When the storage is damaged or does not answer.
    pub fn get(&mut self, key: u32) -> Result<Option<Vec<u8>>, MapError> {
        let Self { storage, buffer, damage } = self;
        if let Some((_, records)) = damage {
            return Ok(records.get(&key).cloned());
        }
        let found = ready(storage.fetch_item::<&[u8]>(buffer, &key)).map_err(from_storage)?;
        Ok(found.map(<[u8]>::to_vec))
    }

    /// Stores a record in place of the one that `key` had. After a power cut it is the old or the new.
    ///
    /// # Errors
    /// When there is no room, or the storage is damaged or does not answer.
    pub fn set(&mut self, key: u32, record: &[u8]) -> Result<(), MapError> {
        if record.len() > MAX_RECORD {
            return Err(MapError::TooLong { len: record.len() });
        }
        self.must_be_sound()?;
        let Self { storage, buffer, .. } = self;
        ready(storage.store_item::<&[u8]>(buffer, &key, &record)).map_err(from_storage)
    }

    /// All records, each key once with its newest, in order of their keys.
    ///
    /// # Errors
    /// When the storage is damaged or does not answer.
    pub fn all(&mut self) -> Result<Vec<(u32, Vec<u8>)>, MapError> {
        let records = match &self.damage {
            Some((_, records)) => records.clone(),
            None => newest_of(&mut self.storage).map_err(from_storage)?,
        };
        Ok(records.into_iter().collect())
    }

    fn must_be_sound(&self) -> Result<(), MapError> {
        match &self.damage {
            None => Ok(()),
            Some((reason, _)) => Err(MapError::Damaged { reason: format!("{reason}; nothing is written") }),
        }
    }

    /// Every whole record that the region holds, outdated ones too.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub fn copies(&mut self) -> Result<Vec<(u32, Vec<u8>)>, MapError> {
        Ok(self.image()?.chunks(F::ERASE_SIZE).flat_map(items_of::<F>).collect())
    }

    fn image(&mut self) -> Result<Vec<u8>, MapError> {
        let region = self.storage.flash_range();
        let mut image = vec![0; region.len()];
        ready(self.storage.flash().read(region.start, &mut image)).map_err(from_port)?;
        Ok(image)
    }

    /// Overwrites with zeros what the region holds of `secrets`, be it current, outdated or a torn part, down
    /// to [`TRACE`] bytes. Of a record only what no other shares may be given, such as a sealed one. The chip
    /// must allow clearing bits of a word that is already written.
    ///
    /// # Errors
    /// When the port fails; then call it again later.
    pub fn destroy(&mut self, secrets: &[&[u8]]) -> Result<(), MapError> {
        self.must_be_sound()?;
        let traces: HashSet<&[u8]> = secrets.iter().flat_map(|secret| secret.windows(TRACE)).collect();
        let start = self.storage.flash_range().start;
        let image = self.image()?;
        let flash = self.storage.flash();
        let mut clear = BTreeSet::new();
        for (at, window) in image.windows(TRACE).enumerate() {
            if traces.contains(window) {
                clear.extend(at / F::WRITE_SIZE..(at + TRACE).div_ceil(F::WRITE_SIZE));
            }
        }
        let mut word = vec![0; F::WRITE_SIZE];
        for at in clear.into_iter().map(|unit| unit * F::WRITE_SIZE) {
            word.copy_from_slice(&image[at..at + F::WRITE_SIZE]);
            blot(&mut word, &image, at, &traces);
            ready(flash.write(start + at as u32, &word)).map_err(from_port)?;
        }
        Ok(())
    }

    /// The flash, after the map is done with it.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.storage.destroy().0
    }
}

fn config<F: NorFlash>(region: Range<u32>) -> Result<MapConfig<F>, MapError> {
    MapConfig::try_new(region).map_err(|error| MapError::Damaged { reason: format!("the region: {error:?}") })
}

fn storage<F: NorFlash>(flash: F, region: Range<u32>) -> Result<Storage<F>, MapError> {
    let pages = region.len() / F::ERASE_SIZE;
    let cache = Cache::new(HeapPageStates::new(pages), HeapPagePointers::new(pages), Uncached);
    Ok(MapStorage::new(flash, config(region)?, cache))
}

/// The newest record of each key, after a repair if one is needed.
pub(super) fn newest<F: NorFlash<Error: Debug>>(flash: F, region: Range<u32>) -> Result<Records, MapError> {
    newest_of(&mut storage(flash, region)?).map_err(from_storage)
}

fn newest_of<F: NorFlash>(storage: &mut Storage<F>) -> Result<Records, StorageError<F::Error>> {
    let mut buffer = vec![0; MAX_RECORD + 64];
    // sequential-storage 8.0.2 ends an interrupted erase when one item is fetched, but not when all are.
    ready(storage.fetch_item::<&[u8]>(&mut buffer, &0))?;
    let mut records = Records::new();
    let mut items = ready(storage.fetch_all_items(&mut buffer))?;
    let mut value = vec![0; MAX_RECORD + 64];
    while let Some((key, record)) = ready(items.next::<&[u8]>(&mut value))? {
        records.insert(key, record.to_vec());
    }
    Ok(records)
}

/// Clears those bytes of the word at `at` that are part of a trace.
fn blot(word: &mut [u8], image: &[u8], at: usize, traces: &HashSet<&[u8]>) {
    for (i, byte) in word.iter_mut().enumerate() {
        let first = (at + i).saturating_sub(TRACE - 1);
        let last = (at + i).min(image.len() - TRACE);
        if (first..=last).any(|start| traces.contains(&image[start..start + TRACE])) {
            *byte = 0;
        }
    }
}

pub(crate) fn from_port<E: Debug>(error: E) -> MapError {
    MapError::Hardware { reason: format!("{error:?}") }
}

pub(super) fn from_storage<E: Debug>(error: StorageError<E>) -> MapError {
    match error {
        StorageError::FullStorage => MapError::Full,
        StorageError::Storage { value, .. } => MapError::Hardware { reason: format!("{value:?}") },
        other => MapError::Damaged { reason: format!("{other:?}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::FileFlash;

    #[test]
    fn records_outlive_the_program_and_an_empty_one_takes_the_place_of_the_old() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash");
        let open = || Map::new(FileFlash::open(&path, 65536).expect("flash"), 0..65536).expect("map");
        let mut map = open();
        for round in 0..400_u32 {
            map.set(round % 7, &vec![round as u8; 500]).expect("stored");
        }
        map.set(3, &[]).expect("stored");
        drop(map);
        let mut again = open();
        assert_eq!(again.get(6).expect("read"), Some(vec![398_u32 as u8; 500]));
        assert_eq!(again.get(3).expect("read"), Some(Vec::new()));
        assert_eq!(again.get(99).expect("read"), None);
        assert_eq!(again.all().expect("read").len(), 7);
    }

    #[test]
    fn a_record_that_never_fits_is_refused_with_its_length() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let flash = FileFlash::open(&folder.path().join("flash"), 8192).expect("flash");
        let mut map = Map::new(flash, 0..8192).expect("map");
        assert!(matches!(map.set(1, &vec![0; 4000]), Err(MapError::TooLong { len: 4000 })));
    }
}
