//! What only the owner may read, sealed for the owner's key: pictures and people that leave the lock over the cable.
//!
//! ```text
//! version 1 | ephemeral public key, 32 bytes | ChaCha20-Poly1305 of the content, tag last
//! key = SHA-256(sentence | shared secret | ephemeral public key | owner's public key), used once, with a nonce of zeros
//! ```
//!
//! # Source
//! A one-way Diffie-Hellman as in RFC 9180 (HPKE), base mode, on the Montgomery form of the owner's Ed25519 key
//! (RFC 7748, section 4.1).

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::owner::{OwnerId, OwnerKey, PUBLIC_BYTES};

const VERSION: u8 = 1;
const SENTENCE: &[u8] = b"facelatch sealed for the owner, version 1\n";
/// Bytes that are added to the content.
pub const OVERHEAD: usize = 1 + PUBLIC_BYTES + 16;

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// The owner's key is no point of the curve.
    #[error("the owner's key cannot be used to seal anything")]
    Key,
    /// It was sealed for another key, damaged, or is of a newer version.
    #[error("it is damaged, or sealed for another key than the owner's")]
    Foreign,
}

/// Seals `content` for the owner.
///
/// # Errors
/// When there is no randomness, or the key is none.
pub fn seal(owner: &OwnerId, content: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| SealError::Random)?;
    let once = SigningKey::from_bytes(&seed);
    let their = VerifyingKey::from_bytes(&owner.0).map_err(|_| SealError::Key)?;
    let ours = once.verifying_key().to_bytes();
    let cipher = cipher(&their, &once, &ours, &owner.0);
    let sealed = cipher.encrypt(&Nonce::default(), content).map_err(|_| SealError::Key)?;
    Ok([&[VERSION][..], &ours, &sealed].concat())
}

/// What [`seal`] sealed for the owner of `key`.
///
/// # Errors
/// When it is anything else.
pub fn open(key: &OwnerKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (&VERSION, rest) = sealed.split_first().ok_or(SealError::Foreign)? else {
        return Err(SealError::Foreign);
    };
    let (their, body) = rest.split_first_chunk::<PUBLIC_BYTES>().ok_or(SealError::Foreign)?;
    let point = VerifyingKey::from_bytes(their).map_err(|_| SealError::Foreign)?;
    let cipher = cipher(&point, key.signing(), their, &key.public().0);
    cipher.decrypt(&Nonce::default(), body).map(Zeroizing::new).map_err(|_| SealError::Foreign)
}

fn cipher(
    their: &VerifyingKey,
    own: &SigningKey,
    once: &[u8; PUBLIC_BYTES],
    owner: &[u8; PUBLIC_BYTES],
) -> ChaCha20Poly1305 {
    let scalar = Zeroizing::new(own.to_scalar_bytes());
    let shared = Zeroizing::new(their.to_montgomery().mul_clamped(*scalar).to_bytes());
    let digest = Sha256::new()
        .chain_update(SENTENCE)
        .chain_update(shared.as_slice())
        .chain_update(once)
        .chain_update(owner)
        .finalize();
    let key = Zeroizing::new(core::array::from_fn::<u8, 32, _>(|i| digest[i]));
    ChaCha20Poly1305::new(&Key::from(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_opens_it_and_only_as_it_was_sealed() {
        let (anna, ben) = (OwnerKey::from_seed(&[1; 32]), OwnerKey::from_seed(&[2; 32]));
        let sealed = seal(&anna.public(), b"a picture").expect("sealed");
        assert_eq!(sealed.len(), b"a picture".len() + OVERHEAD);
        assert_eq!(open(&anna, &sealed).expect("opens").as_slice(), b"a picture");
        assert_eq!(open(&ben, &sealed).err(), Some(SealError::Foreign));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&anna, &changed).is_err(), "byte {at}");
            assert!(open(&anna, &sealed[..at]).is_err(), "cut at {at}");
        }
        assert_ne!(seal(&anna.public(), b"a picture").expect("sealed"), sealed);
    }
}
