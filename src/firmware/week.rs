//! The local time of the week, for people who may come at some hours only.

use core::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::gallery::WeekTime;

/// The board's time zone is none.
#[derive(Debug, Error)]
#[error("access.time_zone is \"{zone}\"; expected a POSIX time zone such as \"CET-1CEST,M3.5.0,M10.5.0/3\"")]
pub struct ZoneError {
    /// The board's word.
    zone: String,
    #[source]
    source: jiff::Error,
}

/// A calendar in a time zone.
#[derive(Clone)]
pub struct WeekClock {
    zone: TimeZone,
    calendar: fn() -> Option<Duration>,
}

impl fmt::Debug for WeekClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeekClock").field(&self.zone).finish()
    }
}

impl WeekClock {
    /// `zone`: a POSIX time zone, with its rule for summer time; no file is read. `calendar` gives the time since
    /// 1970-01-01 00:00 UTC, or nothing while it is unknown.
    ///
    /// # Errors
    /// When `zone` is none.
    pub fn new(zone: &str, calendar: fn() -> Option<Duration>) -> Result<Self, ZoneError> {
        let parsed = TimeZone::posix(zone);
        let zone = parsed.map_err(|source| ZoneError { zone: zone.to_owned(), source })?;
        Ok(Self { zone, calendar })
    }

    /// The local time of the week; `None` while the time is unknown.
    #[must_use]
    pub fn now(&self) -> Option<WeekTime> {
        let seconds = i64::try_from((self.calendar)()?.as_secs()).ok()?;
        let local = self.zone.to_datetime(Timestamp::from_second(seconds).ok()?);
        let day = local.weekday().to_monday_zero_offset().unsigned_abs();
        let minute = 60 * i16::from(local.hour()) + i16::from(local.minute());
        Some(WeekTime { day, minute: minute.unsigned_abs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(zone: &str, calendar: fn() -> Option<Duration>) -> Option<WeekTime> {
        WeekClock::new(zone, calendar).expect("a zone").now()
    }

    #[test]
    fn summer_time_begins_and_ends_by_the_zone_s_own_rule() {
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        // Sunday, 2026-03-29, 00:59:59 and 01:00 UTC: two o'clock is three o'clock.
        let before = local(berlin, || Some(Duration::from_secs(1_774_745_999)));
        let after = local(berlin, || Some(Duration::from_secs(1_774_746_000)));
        assert_eq!(before, Some(WeekTime { day: 6, minute: 119 }));
        assert_eq!(after, Some(WeekTime { day: 6, minute: 180 }));
        assert_eq!(local("UTC0", || Some(Duration::ZERO)), Some(WeekTime { day: 3, minute: 0 }));
    }

    #[test]
    fn nobody_knows_the_time_of_a_clock_that_was_never_set() {
        assert_eq!(local("UTC0", || None), None);
    }

    #[test]
    fn what_is_no_zone_is_told_with_an_example() {
        let error = WeekClock::new("Europe/Berlin", || None).expect_err("no POSIX zone");
        assert!(error.to_string().contains("CET-1CEST"), "{error}");
    }
}
