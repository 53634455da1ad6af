//! What a computer can ask of a lock, each with the type of its answer.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::client::{Client, ClientError, FIRST_PAUSE, PATIENCE};
use super::message::{Answer, Command, PART_BYTES, Request, Status, WireError};
use super::owner::OwnerKey;
use super::sealed;
use super::vitals::Vitals;

/// Longest parcel that is fetched, in bytes. A choice: ten times a picture of the largest camera.
pub const MAX_PARCEL_BYTES: u32 = 4 << 20;
/// How often a person is put anew because the lock was started anew in between.
const PUT_ATTEMPTS: u32 = 3;

impl Client<'_> {
    /// How the lock is.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn status(&mut self) -> Result<Status, ClientError> {
        match self.ask(&Request::Status)? {
            Answer::Status(status) => Ok(status),
            _ => Err(ClientError::Answer),
        }
    }

    /// What happens at the door, and how the lock's parts are.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn vitals(&mut self) -> Result<Vitals, ClientError> {
        match self.ask(&Request::Vitals)? {
            Answer::Vitals(vitals) => Ok(vitals),
            _ => Err(ClientError::Answer),
        }
    }

    /// The newest frame of the lock's camera, a JPEG.
    ///
    /// # Errors
    /// As [`Client::order`]; when no frame comes for a while.
    pub fn snapshot(&mut self, key: &OwnerKey) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let until = self.wire.now() + PATIENCE;
        loop {
            match self.parcel(key, &Command::Snapshot) {
                Err(ClientError::Lock(WireError::Busy { .. })) if self.wire.now() < until => {
                    self.idle(FIRST_PAUSE)?;
                }
                other => return other,
            }
        }
    }

    /// A person with templates and pictures.
    ///
    /// # Errors
    /// As [`Client::parcel`].
    pub fn export(&mut self, key: &OwnerKey, person: u32) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        self.parcel(key, &Command::Export { person })
    }

    /// Enrols a person that [`Client::export`] gave; returns the number. It may have been done when an error is returned.
    ///
    /// # Errors
    /// As [`Client::order`].
    pub fn import(&mut self, key: &OwnerKey, person: &[u8]) -> Result<u32, ClientError> {
        let mut last = WireError::Unreadable;
        for _ in 0..PUT_ATTEMPTS {
            match self.put_and_import(key, person) {
                Err(ClientError::Lock(error @ WireError::Unreadable)) => last = error,
                other => return other,
            }
        }
        Err(last.into())
    }

    fn put_and_import(&mut self, key: &OwnerKey, person: &[u8]) -> Result<u32, ClientError> {
        let Answer::Sealing(lock) = self.ask(&Request::Sealing)? else { return Err(ClientError::Answer) };
        let sealed = sealed::seal(&lock, person)?;
        for (number, bytes) in sealed.chunks(PART_BYTES).enumerate() {
            let offset = (number * PART_BYTES) as u32;
            self.ask(&Request::Put { offset, bytes: bytes.to_vec() })?;
        }
        match self.order(key, &Command::Import { sha256: Sha256::digest(&sealed).into() })? {
            Answer::Imported { person } => Ok(person),
            _ => Err(ClientError::Answer),
        }
    }

    /// The content of the parcel that `command` orders.
    ///
    /// # Errors
    /// As [`Client::order`]; when it is sealed for another key.
    pub fn parcel(&mut self, key: &OwnerKey, command: &Command) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let Answer::Parcel { parcel, bytes } = self.order(key, command)? else {
            return Err(ClientError::Answer);
        };
        if bytes > MAX_PARCEL_BYTES {
            return Err(ClientError::Answer);
        }
        let mut sealed = Vec::new();
        while sealed.len() < bytes as usize {
            match self.ask(&Request::Part { parcel, offset: sealed.len() as u32 })? {
                Answer::Part(part) if !part.is_empty() => sealed.extend(part),
                _ => return Err(ClientError::Answer),
            }
        }
        Ok(sealed::open(key, &sealed)?)
    }
}
