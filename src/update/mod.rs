//! New models over a serial line: packages, signatures, wire protocol.
//!
//! ```text
//! owner's computer: models -> package (signed) -> upload -> client -~ serial line ~- link -> slot -> acceptance :the lock
//! ```
//!
//! [`link`] is the lock's end of the line, [`client`] and [`upload`] the computer's; both are the same code on a
//! board, on a desk and in tests. Knows no faces, no people and no door: what the line serves lies behind
//! [`link::Lock`].

pub mod acceptance;
pub mod backup;
pub mod client;
pub mod frame;
pub mod golden;
pub mod link;
pub mod message;
pub mod owner;
pub mod package;
pub mod questions;
pub mod retries;
pub mod sealed;
#[cfg(feature = "serial")]
pub mod serial;
pub mod transfer;
pub mod upload;
pub mod vitals;
