//! Face-recognition door lock: the rooms that one frame passes through.
//!
//! A frame enters at [`camera`], becomes a 128-byte template in [`face`], is compared in
//! [`gallery`], and [`door`] decides. [`firmware`] joins the rooms into the device; [`host`] is the
//! owner's tool. Which room may name which is held by `tests/directions.rs`.

pub mod board;
pub mod camera;
pub mod door;
pub mod face;
pub mod firmware;
pub mod flash;
pub mod gallery;
#[cfg(feature = "cli")]
pub mod host;
pub mod inference;
pub mod kernels;
pub mod update;
