//! What a computer can ask of a lock, each with the type of its answer.

use zeroize::Zeroizing;

use super::client::{Client, ClientError, FIRST_PAUSE, PATIENCE};
use super::message::{Answer, Command, Request, Status, WireError};
use super::owner::OwnerKey;
use super::sealed;
use super::vitals::Vitals;

/// Longest parcel that is fetched, in bytes. A choice: ten times a picture of the largest camera.
pub const MAX_PARCEL_BYTES: u32 = 4 << 20;

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
