//! The clock of the device, which never jumps, and the calendar, which may be unknown.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
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

/// The calendar's time less [`monotonic`], since the owner set it. It outlives this program, but not a loss of power,
/// where the service manager gives a folder in memory (systemd's `RuntimeDirectory`).
static SET: LazyLock<Mutex<Option<Duration>>> =
    LazyLock::new(|| Mutex::new(kept_in().and_then(|file| kept(&file))));

fn kept_in() -> Option<PathBuf> {
    let folders = std::env::var_os("RUNTIME_DIRECTORY")?;
    Some(std::env::split_paths(&folders).next()?.join("calendar"))
}

fn kept(file: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(file).ok()?;
    text.trim().parse().ok().map(Duration::from_millis)
}

/// It is `time` since 1970-01-01 00:00 UTC. The system's own clock stays as it is.
pub fn set_calendar(time: Duration) {
    let before_start = time.saturating_sub(monotonic());
    *SET.lock().unwrap_or_else(PoisonError::into_inner) = Some(before_start);
    if let Some(file) = kept_in()
        && let Err(error) = std::fs::write(&file, before_start.as_millis().to_string())
    {
        log::warn!("the time is forgotten at the next start: {}: {error}", file.display());
    }
}

/// Time since 1970-01-01 00:00 UTC; `None` when neither the owner nor the system set the clock since the power came,
/// as on a board without a battery.
#[must_use]
pub fn calendar() -> Option<Duration> {
    if let Some(before_start) = *SET.lock().unwrap_or_else(PoisonError::into_inner) {
        return Some(before_start + monotonic());
    }
    let time = clock_gettime(ClockId::Realtime);
    let now = Duration::new(time.tv_sec.try_into().ok()?, u32::try_from(time.tv_nsec).unwrap_or_default());
    (now >= NOT_SET).then_some(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_was_kept_is_read_and_anything_else_is_no_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("calendar");
        assert_eq!(kept(&file), None);
        for (text, expected) in
            [("1800000000123\n", Some(Duration::from_millis(1_800_000_000_123))), ("soon", None)]
        {
            std::fs::write(&file, text).expect("written");
            assert_eq!(kept(&file), expected);
        }
    }
}
