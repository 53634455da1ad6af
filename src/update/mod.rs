//! New models over a serial line: packages, signatures, wire protocol.
//!
//! ```text
//! owner's computer: models -> package (signed) -> ... -> acceptance :the lock
//! ```

pub mod acceptance;
pub mod golden;
pub mod owner;
pub mod package;
