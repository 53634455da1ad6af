//! The device's key, and sealing records with it.
//!
//! ```text
//! sealed record: version 1 | nonce, 24 bytes | XChaCha20 ciphertext | Poly1305 tag, 16 bytes
//! ```
//!
//! The record's key in the map and the version are authenticated: a record that was moved to another place
//! does not open.

use std::io;
use std::path::PathBuf;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use thiserror::Error;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Bytes that sealing adds.
pub const SEAL_OVERHEAD: usize = 1 + NONCE + TAG;

/// What can go wrong with the key or a sealed record.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The system refused.
    #[error("the device key {}: {source}", path.display())]
    Io {
        /// The key's file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The file is not a key, or others may read it.
    #[error("the device key {}: {reason}", path.display())]
    Unfit {
        /// The key's file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// The place cannot change its key.
    #[error("this board's key cannot be changed")]
    Fixed,
    /// There is no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// A record does not open: damaged, of another device, or of a newer version.
    #[error("a record does not open with this device's key: damaged, or of another device")]
    DoesNotOpen,
}

/// The key that seals what this device stores. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct DeviceKey(Zeroizing<[u8; 32]>);

impl DeviceKey {
    /// A key of known bytes, for tests and for keys that hardware holds.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// When there is none.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeyError::Random)?;
        Ok(Self(bytes))
    }

    /// Seals another key, to be stored under the map's key `place`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal_key(&self, place: u32, key: &Self) -> Result<Vec<u8>, KeyError> {
        self.seal(place, key.bytes())
    }

    /// Opens a key that [`DeviceKey::seal_key`] sealed.
    ///
    /// # Errors
    /// When it was not sealed for this place with this key.
    pub fn open_key(&self, place: u32, sealed: &[u8]) -> Result<Self, KeyError> {
        let bytes = self.open(place, sealed)?;
        Ok(Self::from_bytes(bytes.as_slice().try_into().map_err(|_| KeyError::DoesNotOpen)?))
    }

    /// The key itself, for whoever keeps it.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `record`, to be stored under the map's key `place`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, place: u32, record: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::Random)?;
        let payload = Payload { msg: record, aad: &place_bytes(place) };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| KeyError::Random)?;
        Ok([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// Opens a record that was stored under the map's key `place`.
    ///
    /// # Errors
    /// When it is not what [`DeviceKey::seal`] made for this place with this key.
    pub fn open(&self, place: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let Some((&[VERSION], rest)) = sealed.split_first_chunk::<1>() else {
            return Err(KeyError::DoesNotOpen);
        };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(KeyError::DoesNotOpen)?;
        let payload = Payload { msg: sealed, aad: &place_bytes(place) };
        let record =
            self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeyError::DoesNotOpen)?;
        Ok(Zeroizing::new(record))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.0))
    }
}

/// What is authenticated beside the record.
fn place_bytes(place: u32) -> [u8; 5] {
    let [a, b, c, d] = place.to_le_bytes();
    [VERSION, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_only_in_its_place_whole_and_with_its_key() {
        let key = DeviceKey::from_bytes([7; 32]);
        let sealed = key.seal(5, b"a template").expect("sealed");
        assert_eq!(sealed.len(), 10 + SEAL_OVERHEAD);
        assert_eq!(key.open(5, &sealed).expect("opens").as_slice(), b"a template");
        assert!(key.open(6, &sealed).is_err());
        assert!(DeviceKey::from_bytes([8; 32]).open(5, &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(key.open(5, &damaged).is_err(), "byte {at}");
            assert!(key.open(5, &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
