//! Which lock this is, and whose. Kept beside the people.
//!
//! ```text
//! Identity | 0   version 1 | postcard of (device number, owner's public key if there is one)
//! ```

use core::fmt::Debug;

use embedded_storage_async::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};

use super::UpgradeError;
use crate::flash::{Map, MapError, Namespace};
use crate::update::owner::OwnerId;

const VERSION: u8 = 1;

/// Which lock, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Drawn at the first start: orders are for one lock.
    pub device: [u8; 8],
    /// Whose packages and orders it takes; `None`: nobody's yet.
    pub owner: Option<OwnerId>,
}

impl Identity {
    /// What is kept in `map`; a lock without one draws its number.
    ///
    /// # Errors
    /// When the storage fails or the record is damaged: a lock never falls to whoever comes next.
    pub fn load<F: NorFlash<Error: Debug>>(map: &mut Map<F>) -> Result<Self, UpgradeError> {
        let damaged = |reason: String| UpgradeError::Map(MapError::Damaged { reason });
        match map.get(Namespace::Identity.key(0))?.as_deref() {
            Some([VERSION, bytes @ ..]) => {
                postcard::from_bytes(bytes).map_err(|error| damaged(format!("the lock's identity: {error}")))
            }
            Some(_) => Err(damaged("the lock's identity is of another version".to_owned())),
            None => {
                let mut device = [0; 8];
                getrandom::fill(&mut device).map_err(|_| UpgradeError::Random)?;
                let identity = Self { device, owner: None };
                identity.store(map)?;
                Ok(identity)
            }
        }
    }

    /// Keeps it in `map`.
    ///
    /// # Errors
    /// When the storage fails; then what was kept before is kept still.
    pub fn store<F: NorFlash<Error: Debug>>(&self, map: &mut Map<F>) -> Result<(), MapError> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(self).expect("these types are always serialisable"));
        map.set(Namespace::Identity.key(0), &bytes)
    }
}
