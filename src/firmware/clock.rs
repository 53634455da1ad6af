//! The clock of the device: it never jumps.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since some moment before this program's start, the same for all its threads. It is the clock of V4L2
/// frames and of GPIO edges.
#[must_use]
pub fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
