//! Model packages: three networks and what they promise, signed by the owner.
//!
//! ```text
//! byte 0..3      "FLM"
//! byte 3         format version, 1
//! byte 4..8      bytes of the manifest, u32 little-endian
//! byte 8..40     public key of whoever signed
//! byte 40..104   Ed25519 signature over bytes 0..40 and the manifest
//! byte 104..     manifest (postcard)
//! then           the networks (ONNX), one behind the other in the manifest's order
//! ```
//!
//! The manifest holds the SHA-256 of each network, so the signature is over all of it. Nothing behind byte 104 is
//! interpreted before the signature was found good.

use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::owner::{OwnerId, OwnerKey, PUBLIC_BYTES, Purpose, SIGNATURE_BYTES};

/// The format version that is written; older ones are read.
pub const FORMAT_VERSION: u8 = 1;
/// Bytes before the manifest.
pub const HEADER_BYTES: usize = 8 + PUBLIC_BYTES + SIGNATURE_BYTES;
/// Longest manifest, in bytes. A choice: ten times the longest known.
pub const MAX_MANIFEST_BYTES: usize = 64 << 10;
/// Longest package, in bytes: what the largest model slot could hold.
pub const MAX_PACKAGE_BYTES: usize = 64 << 20;

const SIGNED_HEADER: usize = 8 + PUBLIC_BYTES;
const MAGIC: &[u8; 3] = b"FLM";

/// Which network of the three. New ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Model {
    /// Finds faces.
    Detector,
    /// Tells a living face from a picture of one.
    Liveness,
    /// Makes templates.
    Embedder,
}

impl Model {
    /// All of them, in the order in which they stand in a package.
    pub const ALL: [Self; 3] = [Self::Detector, Self::Liveness, Self::Embedder];

    /// Its name, also that of its files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Liveness => "liveness",
            Self::Embedder => "embedder",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a network answered to a test pattern where the package was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Golden {
    /// Seed of the pattern, see [`super::golden::pattern`].
    pub seed: u32,
    /// Digest of the answer, see [`super::golden::answer`].
    pub answer: [u8; 32],
}

/// One network of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub model: Model,
    /// Height, width and channels of its input.
    pub input: [u32; 3],
    /// How it is fed and read, and what its answers mean (TOML). For the embedder also the distances with
    /// the false accept rates measured at them.
    pub contract: String,
    /// Bytes of the ONNX file.
    pub bytes: u32,
    /// SHA-256 of the ONNX file.
    pub sha256: [u8; 32],
    /// What it must answer.
    pub goldens: Vec<Golden>,
}

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Counts up from 1: a lock takes none below the highest that it ever confirmed.
    pub version: u32,
    /// The number that the embedder's templates carry.
    pub embedding_id: u32,
    /// Oldest firmware that understands it: major, minor, patch.
    pub minimum_firmware: [u16; 3],
    /// Names of the boards that it is for; empty: for all.
    pub boards: Vec<String>,
    /// A line for people.
    pub note: String,
    /// Detector, liveness, embedder.
    pub parts: Vec<Part>,
}

impl Manifest {
    /// Bytes of all networks.
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.bytes)).sum()
    }
}

/// Why bytes are no package that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PackageError {
    /// It is some other file.
    #[error("this is no facelatch model package (.flm), or not all of it")]
    Foreign,
    /// It was made by a newer program.
    #[error("the package has format {found}, known up to {FORMAT_VERSION}: update facelatch first")]
    Format {
        /// Its format version.
        found: u8,
    },
    /// It ends too early.
    #[error("the package is cut off: {len} bytes of {needed}")]
    Truncated {
        /// Bytes there are.
        len: usize,
        /// Bytes there should be.
        needed: usize,
    },
    /// There are bytes behind its end, or it is larger than any.
    #[error("the package is too long: {len} bytes, expected {expected}")]
    TooLong {
        /// Bytes there are.
        len: usize,
        /// Bytes there may be.
        expected: usize,
    },
    /// Somebody else signed it.
    #[error("the package is signed by {signer}, but the owner's key is {owner}")]
    OtherOwner {
        /// Who signed.
        signer: OwnerId,
        /// Who should have.
        owner: OwnerId,
    },
    /// The signature is not for these bytes.
    #[error("the signature of the package is wrong: it was changed after it was signed")]
    Signature,
    /// The manifest cannot be understood.
    #[error("the manifest of the package: {reason}")]
    Manifest {
        /// What is wrong.
        reason: String,
    },
    /// A network is not the one that was signed.
    #[error("the {model} in the package is damaged: it has another SHA-256 than the manifest says")]
    Digest {
        /// Which.
        model: Model,
    },
}

/// The header of a package whose signature was checked, and the manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    /// What the package says of itself.
    pub manifest: Manifest,
    /// Where the networks begin, in bytes from the start.
    pub parts_at: usize,
}

impl Sealed {
    /// Bytes of the whole package.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.parts_at + self.manifest.part_bytes() as usize
    }
}

/// Who claims to have signed the package that begins with `bytes`, and how long header and manifest are.
/// Nothing of it is proven.
///
/// # Errors
/// When it does not begin as a package.
pub fn claims(bytes: &[u8]) -> Result<(OwnerId, usize), PackageError> {
    let known = bytes.len().min(3);
    if bytes.is_empty() || bytes[..known] != MAGIC[..known] {
        return Err(PackageError::Foreign);
    }
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(PackageError::Truncated { len: bytes.len(), needed: HEADER_BYTES });
    };
    if header[3] != FORMAT_VERSION {
        return Err(PackageError::Format { found: header[3] });
    }
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    if length > MAX_MANIFEST_BYTES {
        return Err(PackageError::TooLong { len: length, expected: MAX_MANIFEST_BYTES });
    }
    let mut signer = [0; PUBLIC_BYTES];
    signer.copy_from_slice(&header[8..SIGNED_HEADER]);
    Ok((OwnerId(signer), HEADER_BYTES + length))
}

/// Checks that `owner` signed the package that begins with `bytes`, and only then reads its manifest. The
/// networks behind it may be missing yet.
///
/// # Errors
/// When it is no package, is cut off within the manifest, was signed by somebody else or changed afterwards, or
/// its manifest makes no sense.
pub fn unseal(bytes: &[u8], owner: &OwnerId) -> Result<Sealed, PackageError> {
    let (signer, parts_at) = claims(bytes)?;
    if signer != *owner {
        return Err(PackageError::OtherOwner { signer, owner: *owner });
    }
    let manifest = bytes
        .get(HEADER_BYTES..parts_at)
        .ok_or(PackageError::Truncated { len: bytes.len(), needed: parts_at })?;
    let mut signature = [0; SIGNATURE_BYTES];
    signature.copy_from_slice(&bytes[SIGNED_HEADER..HEADER_BYTES]);
    let signed = [&bytes[..SIGNED_HEADER], manifest].concat();
    if !owner.has_signed(Purpose::Package, &signed, &signature) {
        return Err(PackageError::Signature);
    }
    Ok(Sealed { manifest: read_manifest(manifest)?, parts_at })
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest, PackageError> {
    let wrong = |reason: String| PackageError::Manifest { reason };
    let (manifest, rest): (Manifest, _) =
        postcard::take_from_bytes(bytes).map_err(|error| wrong(error.to_string()))?;
    if !rest.is_empty() {
        return Err(wrong(format!("{} bytes behind its end", rest.len())));
    }
    if manifest.version == 0 {
        return Err(wrong("versions count from 1".to_owned()));
    }
    if !manifest.parts.iter().map(|part| part.model).eq(Model::ALL) {
        return Err(wrong("expected detector, liveness and embedder, in this order".to_owned()));
    }
    if let Some(part) = manifest.parts.iter().find(|part| part.goldens.is_empty()) {
        return Err(wrong(format!("the {} has no golden answers", part.model)));
    }
    if manifest.part_bytes() > MAX_PACKAGE_BYTES as u64 {
        return Err(wrong(format!("{} bytes of networks", manifest.part_bytes())));
    }
    Ok(manifest)
}

/// A whole package that its owner signed, every network as it was signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Package<'a> {
    /// What it says of itself.
    pub manifest: Manifest,
    bytes: &'a [u8],
    parts_at: usize,
}

impl<'a> Package<'a> {
    /// Checks all of `bytes`: signature, manifest, length, digests, in this order.
    ///
    /// # Errors
    /// When anything is not as the owner signed it; the error says what.
    pub fn open(bytes: &'a [u8], owner: &OwnerId) -> Result<Self, PackageError> {
        let sealed = unseal(bytes, owner)?;
        let (len, expected) = (bytes.len(), sealed.total_bytes());
        if len < expected {
            return Err(PackageError::Truncated { len, needed: expected });
        }
        if len > expected {
            return Err(PackageError::TooLong { len, expected });
        }
        let package = Self { manifest: sealed.manifest, bytes, parts_at: sealed.parts_at };
        for (part, onnx) in package.parts() {
            if Sha256::digest(onnx)[..] != part.sha256 {
                return Err(PackageError::Digest { model: part.model });
            }
        }
        Ok(package)
    }

    /// The networks with their ONNX bytes.
    pub fn parts(&self) -> impl Iterator<Item = (&Part, &'a [u8])> {
        let mut rest = &self.bytes[self.parts_at..];
        self.manifest.parts.iter().map(move |part| {
            let (onnx, behind) = rest.split_at(part.bytes as usize);
            rest = behind;
            (part, onnx)
        })
    }
}

/// Makes a package of `manifest` and the ONNX files of its parts, signed by `key`.
///
/// # Errors
/// When the manifest does not fit the files or could not be read again.
pub fn seal(manifest: &Manifest, networks: &[&[u8]], key: &OwnerKey) -> Result<Vec<u8>, PackageError> {
    let body = postcard::to_allocvec(manifest).expect("these types are always serialisable");
    if body.len() > MAX_MANIFEST_BYTES {
        return Err(PackageError::TooLong { len: body.len(), expected: MAX_MANIFEST_BYTES });
    }
    let mut bytes = [MAGIC.as_slice(), &[FORMAT_VERSION], &(body.len() as u32).to_le_bytes()].concat();
    bytes.extend(key.public().0);
    let signature = key.sign(Purpose::Package, &[&bytes[..], &body].concat());
    bytes.extend(signature);
    bytes.extend(body);
    networks.iter().for_each(|network| bytes.extend(*network));
    Package::open(&bytes, &key.public())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest(networks: &[&[u8]; 3]) -> Manifest {
        let part = |(model, onnx): (Model, &&[u8])| Part {
            model,
            input: [112, 112, 3],
            contract: "embedding_id = 2".to_owned(),
            bytes: onnx.len() as u32,
            sha256: Sha256::digest(onnx).into(),
            goldens: vec![Golden { seed: 1, answer: [9; 32] }],
        };
        let parts = Model::ALL.into_iter().zip(networks).map(part).collect();
        let (boards, note) = (vec!["sim".to_owned()], "a test".to_owned());
        Manifest { version: 3, embedding_id: 2, minimum_firmware: [0, 1, 0], boards, note, parts }
    }

    fn sealed() -> (Vec<u8>, OwnerKey) {
        let key = OwnerKey::from_seed(&[1; 32]);
        let networks: [&[u8]; 3] = [b"detector", b"liveness!", b"the embedder"];
        (seal(&manifest(&networks), &networks, &key).expect("sealed"), key)
    }

    #[test]
    fn a_package_gives_back_what_was_packed() {
        let (bytes, key) = sealed();
        let package = Package::open(&bytes, &key.public()).expect("opens");
        let networks: Vec<_> = package.parts().map(|(part, onnx)| (part.model, onnx.to_vec())).collect();
        assert_eq!(networks[2], (Model::Embedder, b"the embedder".to_vec()));
        assert_eq!(package.manifest.version, 3);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let (bytes, key) = sealed();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(Package::open(&changed, &key.public()).is_err(), "byte {at}");
            assert!(Package::open(&bytes[..at], &key.public()).is_err(), "cut at {at}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(matches!(Package::open(&longer, &key.public()), Err(PackageError::TooLong { .. })));
    }

    #[test]
    fn the_signer_is_told_before_the_signature_is_looked_at() {
        let (bytes, key) = sealed();
        let other = OwnerKey::from_seed(&[2; 32]).public();
        let expected = PackageError::OtherOwner { signer: key.public(), owner: other };
        assert_eq!(Package::open(&bytes, &other), Err(expected));
    }

    #[test]
    fn other_files_and_newer_formats_are_told_apart() {
        let (mut bytes, key) = sealed();
        assert_eq!(Package::open(b"\x7fELF", &key.public()), Err(PackageError::Foreign));
        bytes[3] = 2;
        assert_eq!(Package::open(&bytes, &key.public()), Err(PackageError::Format { found: 2 }));
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_good_signature_give_an_error_or_a_manifest(
            body in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            let _ = read_manifest(&body);
        }
    }
}
