//! The rooms joined: one frame to evidence, evidence to the strike.

pub mod clock;
pub mod device;
pub mod errand;
pub mod eyes;
pub mod failures;
pub mod journal;
pub mod judge;
pub mod latency;
pub mod link;
pub mod monitor;
mod motion;
pub mod port;
pub mod ready;
pub mod service;
pub mod shutter;
pub mod start;
pub mod storage;
pub mod supervisor;
pub mod upgrade;
pub mod vision;
pub mod week;

#[cfg(feature = "device")]
pub mod linux;

#[cfg(feature = "sim")]
pub mod live;
#[cfg(feature = "sim")]
pub mod report;
#[cfg(feature = "sim")]
pub mod scene;
#[cfg(feature = "sim")]
pub mod sheet;
#[cfg(feature = "sim")]
pub mod sim;
