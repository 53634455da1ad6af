//! One enrolled person, and the bytes that are kept of them.
//!
//! ```text
//! Person | n   version 3 | postcard of (name, role, templates, place of the crops, access), sealed by person n's key
//!              version 2 | postcard of (name, role, templates, place of the crops) : read, never written
//!              version 1 | postcard of (name, role, templates)                     : read, never written
//! Staged | n   version 1 | postcard of templates, sealed by person n's key
//! ```

use serde::{Deserialize, Serialize};

use super::access::Access;
use super::crops::CropPlace;
use crate::face::template::Template;
use crate::flash::{DeviceKey, KeyError, Namespace};

/// Templates that one person can have.
pub const TEMPLATES_PER_PERSON: usize = 5;
/// Longest name, in bytes.
pub const MAX_NAME: usize = 48;

const VERSION: u8 = 3;
const STAGED_VERSION: u8 = 1;

/// What a person may do beyond entering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Lets others be enrolled and deleted.
    Administrator,
    /// Enters.
    Resident,
}

/// A person's name, shortened to what fits.
pub type Name = heapless::String<MAX_NAME>;
/// A person's templates, all of one embedder.
pub type Templates = heapless::Vec<Template, TEMPLATES_PER_PERSON>;

/// One enrolled person.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Number, never used again while the record is kept.
    pub id: u32,
    /// What the owner calls this person.
    pub name: Name,
    /// What this person may do.
    pub role: Role,
    /// The face, at different moments.
    pub templates: Templates,
    /// Where the pictures of the enrolment are; `None`: none were kept.
    pub crops: Option<CropPlace>,
    /// What is asked for besides the face.
    pub access: Access,
}

#[derive(Serialize, Deserialize)]
struct Record {
    name: Name,
    role: Role,
    templates: Templates,
    crops: Option<CropPlace>,
    access: Access,
}

#[derive(Deserialize)]
struct RecordV2 {
    name: Name,
    role: Role,
    templates: Templates,
    crops: Option<CropPlace>,
}

#[derive(Deserialize)]
struct RecordV1 {
    name: Name,
    role: Role,
    templates: Templates,
}

impl Person {
    /// The sealed record.
    pub(super) fn seal(&self, key: &DeviceKey) -> Result<Vec<u8>, KeyError> {
        let Self { id, name, role, templates, crops, access } = self.clone();
        let record = Record { name, role, templates, crops, access };
        seal(key, Namespace::Person.key(id), VERSION, &record)
    }

    /// The person of a sealed record; `None` when it does not open or is of a newer version.
    pub(super) fn open(id: u32, key: &DeviceKey, sealed: &[u8]) -> Option<Self> {
        let bytes = key.open(Namespace::Person.key(id), sealed).ok()?;
        let access = Access::default();
        let Record { name, role, templates, crops, access } = match bytes.split_first()? {
            (&VERSION, record) => postcard::from_bytes(record).ok()?,
            (2, record) => {
                let RecordV2 { name, role, templates, crops } = postcard::from_bytes(record).ok()?;
                Record { name, role, templates, crops, access }
            }
            (1, record) => {
                let RecordV1 { name, role, templates } = postcard::from_bytes(record).ok()?;
                Record { name, role, templates, crops: None, access }
            }
            _ => return None,
        };
        Some(Self { id, name, role, templates, crops, access })
    }
}

/// Sealed templates of person `id` for an embedder that is not in use yet.
pub(super) fn seal_staged(id: u32, key: &DeviceKey, templates: &Templates) -> Result<Vec<u8>, KeyError> {
    seal(key, Namespace::Staged.key(id), STAGED_VERSION, templates)
}

/// What [`seal_staged`] sealed; `None` when it does not open.
pub(super) fn open_staged(id: u32, key: &DeviceKey, sealed: &[u8]) -> Option<Templates> {
    let bytes = key.open(Namespace::Staged.key(id), sealed).ok()?;
    let (&STAGED_VERSION, templates) = bytes.split_first()? else { return None };
    postcard::from_bytes(templates).ok()
}

fn seal<T: Serialize>(key: &DeviceKey, place: u32, version: u8, record: &T) -> Result<Vec<u8>, KeyError> {
    let mut bytes = zeroize::Zeroizing::new(vec![version]);
    bytes.extend(postcard::to_allocvec(record).expect("these types are always serialisable"));
    key.seal(place, &bytes)
}

/// As much of `name` as fits.
pub(super) fn shortened(name: &str) -> Name {
    let mut short = Name::new();
    for letter in name.chars() {
        if short.push(letter).is_err() {
            break;
        }
    }
    short
}
