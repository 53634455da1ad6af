//! People who go out of the lock and come into it, sealed, over the owner's cable.
//!
//! ```text
//! out:  order Export -> parcel, sealed for the owner
//! in:   ask Sealing -> a key that this start drew; ask Put (pieces of what was sealed for it); order Import (its SHA-256)
//! ```
//!
//! What was put by anybody does nothing; the owner's signature under its hash does.

use core::fmt::Debug;

use embedded_storage_async::nor_flash::NorFlash;
use sha2::{Digest, Sha256};

use super::served::{Served, person_error, storage};
use crate::door::panel::Panel;
use crate::flash::Event;
use crate::gallery::{Exported, GalleryError};
use crate::update::message::{Answer, WireError};
use crate::update::owner::{OwnerId, OwnerKey};
use crate::update::sealed;

/// Longest that one person can be. A choice: thrice what five pictures of the best quality take.
const MOST: usize = 128 << 10;

/// A person on the way into the lock.
#[derive(Default)]
pub(super) struct Arrival {
    key: Option<OwnerKey>,
    sealed: Vec<u8>,
}

impl Arrival {
    /// The key that whoever comes is to be sealed for.
    pub(super) fn sealing(&mut self) -> Result<OwnerId, WireError> {
        if let Some(key) = &self.key {
            return Ok(key.public());
        }
        let key = OwnerKey::generate().map_err(storage)?;
        Ok(self.key.insert(key).public())
    }

    /// Takes the next piece; one at 0 begins anew.
    pub(super) fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), WireError> {
        if offset == 0 {
            self.sealed.clear();
        }
        if offset as usize != self.sealed.len() || self.sealed.len() + bytes.len() > MOST {
            return Err(WireError::Unreadable);
        }
        self.sealed.extend_from_slice(bytes);
        Ok(())
    }

    /// The person whose sealed form has this hash; it is forgotten.
    fn open(&mut self, sha256: [u8; 32]) -> Result<Exported, WireError> {
        let sealed = core::mem::take(&mut self.sealed);
        let key = self.key.as_ref().filter(|_| Sha256::digest(&sealed)[..] == sha256);
        let content = key.and_then(|key| sealed::open(key, &sealed).ok());
        content.and_then(|content| Exported::decode(&content)).ok_or(WireError::Unreadable)
    }
}

impl<F: NorFlash<Error: Debug> + Send + 'static, P: Panel> Served<'_, F, P> {
    pub(super) fn export(&mut self, person: u32) -> Result<Answer, WireError> {
        let exported = self.device.gallery_mut().export(person);
        let exported = exported.map_err(|error| person_error(person, &error))?;
        let parcel = self.parcel(&exported.encode())?;
        self.note(Event::Exported.of(person));
        Ok(parcel)
    }

    pub(super) fn import(&mut self, sha256: [u8; 32]) -> Result<Answer, WireError> {
        let exported = self.keeper.arrival.open(sha256)?;
        let (embedding_id, threshold) = (self.keeper.embedding_id, self.device.judge().policy().threshold);
        let imported = self.device.gallery_mut().import(&exported, embedding_id, threshold);
        self.device.gallery_changed(self.now);
        let person = imported.map_err(|error| match error {
            GalleryError::Known { id } => WireError::Known { person: id },
            GalleryError::Incomparable { made, here } => WireError::Incomparable { made, here },
            error => storage(error),
        })?;
        if exported.embedding_id() != embedding_id {
            self.keeper.catch_up_later(self.now);
        }
        self.note(Event::Imported.of(person));
        Ok(Answer::Imported { person })
    }
}
