//! The people who are enrolled, and how a probe is compared with them.
//!
//! Templates live in memory; each person is one sealed record in flash. Knows no camera and no door.

pub mod access;
pub mod calibrated;
#[cfg(feature = "cli")]
pub mod cluster;
pub mod crops;
pub mod exported;
pub mod far;
pub mod hours;
pub mod matching;
pub mod people;
pub mod person;
pub mod recognise;
mod staging;
#[cfg(test)]
pub(crate) mod towards;
pub mod visitors;

pub use access::{Access, Pin, PinError};
pub use calibrated::Calibrated;
pub use crops::{Crop, CropStore};
pub use exported::Exported;
pub use far::{FarTable, FarTableError, Rate};
pub use hours::{Hours, HoursError, WeekTime};
pub use matching::{Match, MatchPolicy};
pub use people::{Enrolment, Gallery, GalleryError, MAX_PEOPLE};
pub use person::{Person, Role, TEMPLATES_PER_PERSON};
pub use visitors::Visit;
