//! The clock of the device, which never jumps, and the calendar, which may be unknown.

use std::sync::{Mutex, PoisonError};
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

/// What the owner set since the start: time since 1970-01-01 00:00 UTC, and when it was right.
static SET: Mutex<Option<(Duration, Duration)>> = Mutex::new(None);

/// It is `time` since 1970-01-01 00:00 UTC. The system's own clock stays as it is.
pub fn set_calendar(time: Duration) {
    *SET.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, monotonic()));
}

/// Time since 1970-01-01 00:00 UTC; `None` when neither the owner nor the system set the clock since the power came,
/// as on a board without a battery.
#[must_use]
pub fn calendar() -> Option<Duration> {
    if let Some((time, at)) = *SET.lock().unwrap_or_else(PoisonError::into_inner) {
        return Some(time + monotonic().saturating_sub(at));
    }
    let time = clock_gettime(ClockId::Realtime);
    let now = Duration::new(time.tv_sec.try_into().ok()?, u32::try_from(time.tv_nsec).unwrap_or_default());
    (now >= NOT_SET).then_some(now)
}
