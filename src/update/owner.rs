//! The owner's key pair: the private half signs on the owner's computer, the public half is enrolled on the lock.
//!
//! Every signature is over a sentence that says what it is for, followed by the bytes: a signature of a package
//! is never one of a command.

use core::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a public key (RFC 8032, section 5.1.5).
pub const PUBLIC_BYTES: usize = 32;
/// Bytes of a signature (RFC 8032, section 5.1.6).
pub const SIGNATURE_BYTES: usize = 64;

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A model package.
    Package,
    /// A command to one lock.
    Command,
    /// A backup of people.
    Backup,
}

impl Purpose {
    fn sentence(self) -> &'static [u8] {
        match self {
            Self::Package => b"facelatch model package, version 1\n",
            Self::Command => b"facelatch command to a lock, version 1\n",
            Self::Backup => b"facelatch backup of people, version 1\n",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OwnerKeyError {
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// The text is no private key.
    #[error("this is no Ed25519 private key in PKCS#8 PEM form")]
    Format,
}

/// The owner's private key. Wiped from memory when dropped; never printed.
pub struct OwnerKey(SigningKey);

impl OwnerKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// When there is none.
    pub fn generate() -> Result<Self, OwnerKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| OwnerKeyError::Random)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a known seed, for tests.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a private key in PKCS#8 PEM form, as `openssl genpkey -algorithm ed25519` writes it too.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_pem(text: &str) -> Result<Self, OwnerKeyError> {
        SigningKey::from_pkcs8_pem(text).map(Self).map_err(|_| OwnerKeyError::Format)
    }

    /// The private key in PKCS#8 PEM form.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.0.to_pkcs8_pem(LineEnding::LF).expect("a key always has a PEM form")
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> OwnerId {
        OwnerId(self.0.verifying_key().to_bytes())
    }

    pub(super) fn signing(&self) -> &SigningKey {
        &self.0
    }

    /// Signs `bytes` for `purpose`.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, bytes: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&[purpose.sentence(), bytes].concat()).to_bytes()
    }
}

/// The owner's public key: what a lock remembers of its owner.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerId(pub [u8; PUBLIC_BYTES]);

impl OwnerId {
    /// Whether the owner signed `bytes` for `purpose`. Keys and signatures that are not canonical count as wrong.
    #[must_use]
    pub fn has_signed(&self, purpose: Purpose, bytes: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let message = [purpose.sentence(), bytes].concat();
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(&message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for OwnerId {
    /// The first 8 bytes of the key's SHA-256 as hexadecimal digits: enough to tell owners apart by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sha256::digest(self.0)[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_bytes_its_purpose_and_its_key_only() {
        let (anna, ben) = (OwnerKey::from_seed(&[1; 32]), OwnerKey::from_seed(&[2; 32]));
        let signature = anna.sign(Purpose::Package, b"models");
        assert!(anna.public().has_signed(Purpose::Package, b"models", &signature));
        assert!(!anna.public().has_signed(Purpose::Package, b"model", &signature));
        assert!(!anna.public().has_signed(Purpose::Command, b"models", &signature));
        assert!(!ben.public().has_signed(Purpose::Package, b"models", &signature));
        assert!(!OwnerId([0; 32]).has_signed(Purpose::Package, b"models", &[0; 64]));
    }

    #[test]
    fn a_key_survives_its_file_and_other_text_is_refused() {
        let key = OwnerKey::from_seed(&[7; 32]);
        let again = OwnerKey::from_pem(&key.to_pem()).expect("reads");
        assert_eq!(again.public(), key.public());
        assert_eq!(OwnerKey::from_pem("ssh-ed25519 AAAA").err(), Some(OwnerKeyError::Format));
        assert_ne!(
            OwnerKey::generate().expect("random").public(),
            OwnerKey::generate().expect("random").public()
        );
    }
}
