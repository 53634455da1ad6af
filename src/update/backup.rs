//! People outside of the lock, in a file of the owner's computer: sealed for the owner's key and signed with it.
//!
//! ```text
//! byte 0..3      "FLB"
//! byte 3         format version, 1
//! byte 4..36     public key of the owner
//! byte 36..100   Ed25519 signature over bytes 0..36 and all behind byte 100
//! byte 100..     postcard of the people, sealed for the owner (see [`super::sealed`])
//! ```
//!
//! Only the owner's private key opens it, and only that key can have made it. Knows nothing of people: each is bytes.

use thiserror::Error;
use zeroize::Zeroizing;

use super::owner::{OwnerId, OwnerKey, PUBLIC_BYTES, Purpose, SIGNATURE_BYTES};
use super::sealed::{self, SealError};

/// The format version that is written; older ones are read.
pub const FORMAT_VERSION: u8 = 1;

const MAGIC: &[u8; 3] = b"FLB";
const SIGNED_HEADER: usize = 4 + PUBLIC_BYTES;
const HEADER_BYTES: usize = SIGNED_HEADER + SIGNATURE_BYTES;

/// Why a file is no backup that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BackupError {
    /// It is some other file.
    #[error("this is no facelatch backup of people")]
    Foreign,
    /// It was made by a newer program.
    #[error("the backup has format {found}, known up to {FORMAT_VERSION}: update facelatch first")]
    Format {
        /// Its format version.
        found: u8,
    },
    /// It is another owner's.
    #[error("the backup is of the owner with key {owner}, but this key is {key}")]
    OtherOwner {
        /// Whose it is.
        owner: OwnerId,
        /// The key at hand.
        key: OwnerId,
    },
    /// It is cut off or was changed.
    #[error("the backup is damaged: cut off, or changed after it was made")]
    Damaged,
    /// It cannot be sealed or opened.
    #[error(transparent)]
    Sealed(#[from] SealError),
}

/// The file of a backup of `people`.
///
/// # Errors
/// When there is no randomness.
pub fn write(people: &[Zeroizing<Vec<u8>>], key: &OwnerKey) -> Result<Vec<u8>, BackupError> {
    let plain: Vec<&[u8]> = people.iter().map(|person| person.as_slice()).collect();
    let content = Zeroizing::new(postcard::to_allocvec(&plain).expect("these types are always serialisable"));
    let owner = key.public();
    let header = [MAGIC.as_slice(), &[FORMAT_VERSION], &owner.0].concat();
    let sealed = sealed::seal(&owner, &content)?;
    let signature = key.sign(Purpose::Backup, &[&header[..], &sealed].concat());
    Ok([&header[..], &signature, &sealed].concat())
}

/// The people of a backup.
///
/// # Errors
/// When it is something else, another owner's, or damaged.
pub fn read(file: &[u8], key: &OwnerKey) -> Result<Zeroizing<Vec<Vec<u8>>>, BackupError> {
    let [b'F', b'L', b'B', version, ..] = file else { return Err(BackupError::Foreign) };
    if *version != FORMAT_VERSION {
        return Err(BackupError::Format { found: *version });
    }
    let (header, sealed) = file.split_first_chunk::<HEADER_BYTES>().ok_or(BackupError::Damaged)?;
    let (header, signature) = header.split_at(SIGNED_HEADER);
    let owner = OwnerId(core::array::from_fn(|i| header[4 + i]));
    if owner != key.public() {
        return Err(BackupError::OtherOwner { owner, key: key.public() });
    }
    let signature = core::array::from_fn(|i| signature[i]);
    if !owner.has_signed(Purpose::Backup, &[header, sealed].concat(), &signature) {
        return Err(BackupError::Damaged);
    }
    let content = sealed::open(key, sealed)?;
    postcard::from_bytes(&content).map(Zeroizing::new).map_err(|_| BackupError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_opens_for_its_owner_whole_and_unchanged_and_shows_nothing() {
        let (anna, ben) = (OwnerKey::from_seed(&[1; 32]), OwnerKey::from_seed(&[2; 32]));
        let people = [Zeroizing::new(b"the first person".to_vec()), Zeroizing::new(b"another".to_vec())];
        let file = write(&people, &anna).expect("written");
        assert_eq!(*read(&file, &anna).expect("opens"), people.map(|person| person.to_vec()));
        assert!(!file.windows(5).any(|window| window == b"first"));
        let expected = BackupError::OtherOwner { owner: anna.public(), key: ben.public() };
        assert_eq!(read(&file, &ben), Err(expected));
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0x20;
            assert!(read(&changed, &anna).is_err(), "byte {at}");
            assert!(read(&file[..at], &anna).is_err(), "cut at {at}");
        }
        assert_eq!(read(&[&file[..], b"x"].concat(), &anna), Err(BackupError::Damaged));
    }

    #[test]
    fn whoever_knows_the_public_key_alone_makes_no_backup() {
        let (anna, thief) = (OwnerKey::from_seed(&[1; 32]), OwnerKey::from_seed(&[2; 32]));
        let mut file = write(&[Zeroizing::new(b"the thief".to_vec())], &thief).expect("written");
        file[4..36].copy_from_slice(&anna.public().0);
        assert_eq!(read(&file, &anna), Err(BackupError::Damaged));
        assert_eq!(read(b"FLM", &anna), Err(BackupError::Foreign));
        assert_eq!(read(b"FLB\x02", &anna), Err(BackupError::Format { found: 2 }));
    }
}
