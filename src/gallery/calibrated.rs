//! A threshold that the owner's calibration found for this lock, kept beside the people.
//!
//! ```text
//! Threshold | 0   version 1 | postcard of (embedding id, threshold)
//! ```
//!
//! It can make the door stricter than the released table and the board file do, never laxer: whoever writes it
//! cannot open the door with it.

use core::fmt::Debug;

use embedded_storage_async::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

use crate::face::template::FARTHEST;
use crate::flash::{Map, MapError, Namespace};

const VERSION: u8 = 1;

/// A calibrated threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// The embedder for which it was found.
    pub embedding_id: u32,
    /// Greatest squared distance, `0.0..=4.0`.
    pub threshold: f32,
}

impl Calibrated {
    /// What is kept in `map`.
    ///
    /// # Errors
    /// When the storage fails or the record is damaged.
    pub fn read<F: NorFlash<Error: Debug>>(map: &mut Map<F>) -> Result<Option<Self>, MapError> {
        let Some(record) = map.get(Namespace::Threshold.key(0))? else { return Ok(None) };
        let damaged = || MapError::Damaged { reason: "the calibrated threshold".to_owned() };
        let Some((&VERSION, body)) = record.split_first() else { return Err(damaged()) };
        let kept: Self = postcard::from_bytes(body).map_err(|_| damaged())?;
        if (0.0..=FARTHEST).contains(&kept.threshold) { Ok(Some(kept)) } else { Err(damaged()) }
    }

    /// Keeps it in `map`.
    ///
    /// # Errors
    /// When the storage fails; then what was kept before is kept still.
    pub fn write<F: NorFlash<Error: Debug>>(&self, map: &mut Map<F>) -> Result<(), MapError> {
        let mut record = vec![VERSION];
        record.extend(postcard::to_allocvec(self).expect("these types are always serialisable"));
        map.set(Namespace::Threshold.key(0), &record)
    }

    /// The threshold of an embedder whose release and board file have `released`, with what is kept in `map`.
    ///
    /// # Errors
    /// As [`Calibrated::read`].
    pub fn threshold_in<F: NorFlash<Error: Debug>>(
        map: &mut Map<F>,
        embedding_id: u32,
        released: f32,
    ) -> Result<f32, MapError> {
        Ok(Self::read(map)?.map_or(released, |kept| kept.stricter(embedding_id, released)))
    }

    /// The lesser threshold for the same embedder; that of another says nothing.
    fn stricter(&self, embedding_id: u32, released: f32) -> f32 {
        if self.embedding_id == embedding_id { self.threshold.min(released) } else { released }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::FileFlash;

    #[test]
    fn a_threshold_outlives_the_program_and_a_damaged_one_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash");
        let open = || Map::new(FileFlash::open(&path, 65536).expect("flash"), 0..65536).expect("map");
        assert_eq!(Calibrated::read(&mut open()).expect("read"), None);
        let calibrated = Calibrated { embedding_id: 3, threshold: 0.97 };
        calibrated.write(&mut open()).expect("written");
        assert_eq!(Calibrated::read(&mut open()).expect("read"), Some(calibrated));
        for damaged in [&[][..], &[2, 3, 0, 0, 0, 0], &[1, 3], &[1, 3, 0, 0, 192, 127]] {
            open().set(Namespace::Threshold.key(0), damaged).expect("stored");
            assert!(Calibrated::read(&mut open()).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn it_makes_the_door_stricter_only_and_for_its_embedder_only() {
        let calibrated = Calibrated { embedding_id: 3, threshold: 0.97 };
        assert_eq!(calibrated.stricter(3, 1.1), 0.97);
        assert_eq!(calibrated.stricter(3, 0.9), 0.9);
        assert_eq!(calibrated.stricter(4, 1.1), 1.1);
    }
}
