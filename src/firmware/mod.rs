//! The rooms joined: one frame to evidence, evidence to the strike.

pub mod clock;
pub mod device;
pub mod eyes;
pub mod failures;
pub mod journal;
pub mod judge;
pub mod latency;
pub mod link;
pub mod port;
pub mod service;
pub mod start;
pub mod storage;
pub mod supervisor;
pub mod vision;

#[cfg(feature = "device")]
pub mod linux;

#[cfg(feature = "sim")]
pub mod report;
#[cfg(feature = "sim")]
pub mod scene;
#[cfg(feature = "sim")]
pub mod sheet;
#[cfg(feature = "sim")]
pub mod sim;
