//! Storage that a power cut cannot spoil.
//!
//! ```text
//! records (encrypted) -> map (sequential-storage: power-safe, wear-levelling) -> NOR flash port -> file, or simulated
//! ```
//!
//! It does not know what is stored: keys are numbers, values are bytes.

pub mod audit;
pub mod file;
pub mod key;
pub mod map;
pub mod sim;

pub use audit::{AuditLog, Entry, Event, Gap};
pub use file::{FileFlash, FileFlashError};
pub use key::{DeviceKey, KeyError};
pub use map::{Map, MapError, Namespace};
pub use sim::{SimFlash, SimFlashError};
