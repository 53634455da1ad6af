//! The rooms joined: one frame to evidence, evidence to the strike.

pub mod device;
pub mod pipeline;

#[cfg(feature = "sim")]
pub mod canvas;
#[cfg(feature = "sim")]
pub mod report;
#[cfg(feature = "sim")]
pub mod scene;
#[cfg(feature = "sim")]
pub mod sheet;
#[cfg(feature = "sim")]
pub mod sim;
