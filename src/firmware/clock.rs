//! The clock of the device, which never jumps, and the calendar, which may be unknown.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since some moment before this program's start, the same for all its threads. It is the clock of V4L2
/// frames and of GPIO edges.
#[must_use]
pub fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A clock that says less was never set. 2026-01-01 00:00 UTC, before which no device with this firmware ran.
const NOT_SET: Duration = Duration::from_secs(1_767_225_600);

/// Time since 1970-01-01 00:00 UTC; `None` when nobody set the system's clock since the power came, as on a board
/// without a battery.
#[must_use]
pub fn calendar() -> Option<Duration> {
    let time = clock_gettime(ClockId::Realtime);
    let now = Duration::new(time.tv_sec.try_into().ok()?, u32::try_from(time.tv_nsec).unwrap_or_default());
    (now >= NOT_SET).then_some(now)
}
