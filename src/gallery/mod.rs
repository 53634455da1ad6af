//! The people who are enrolled, and how a probe is compared with them.
//!
//! Templates live in memory; each person is one sealed record in flash. Knows no pictures and no door.

pub mod far;
pub mod matching;
pub mod people;

pub use far::{FarTable, FarTableError, Rate};
pub use matching::{Match, MatchPolicy};
pub use people::{Gallery, GalleryError, Person, Role, TEMPLATES_PER_PERSON};
