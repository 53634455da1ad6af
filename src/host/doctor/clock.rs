//! The clock: what the log's times are worth.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Site;
use super::finding::Finding;

const PART: &str = "clock";
/// 2026-01-01 00:00 UTC: a clock before this program existed was never set.
const OLDEST: Duration = Duration::from_secs(1_767_225_600);
/// systemd-timesyncd touches it when it first hears a time server.
///
/// # Source
/// systemd-timesyncd.service(8).
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// Looks at the clock, which shows `now`.
pub(super) fn look(site: &Site<'_>, now: SystemTime) -> Finding {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let battery = site.machine.names("/sys/class/rtc", "rtc").into_iter().next();
    let synchronised = site.machine.has(SYNCHRONISED);
    if since < OLDEST {
        let found = format!("the clock was never set: it shows {} seconds after 1970", since.as_secs());
        return Finding::wrong(
            PART,
            found,
            "sudo date -s \"2026-12-31 23:59\" with the right time, or: sudo timedatectl set-ntp true",
        );
    }
    match battery {
        Some(clock) => {
            let name = site.machine.text(&format!("/sys/class/rtc/{clock}/name")).unwrap_or_default();
            let by = if synchronised { ", synchronised by network" } else { "" };
            Finding::fine(PART, format!("set, and kept by {name} ({clock}) without power{by}"))
        }
        None if synchronised => Finding::note(
            PART,
            "synchronised by network, but there is no battery clock: after a power cut without network the log's times are wrong",
            "add one, such as a DS3231 (Raspberry Pi: dtoverlay=i2c-rtc,ds3231)",
        ),
        None => Finding::note(
            PART,
            "set, but there is neither a battery clock nor a time server: after a power cut the log's times are wrong",
            "add a battery clock, such as a DS3231 (Raspberry Pi: dtoverlay=i2c-rtc,ds3231), or: sudo timedatectl set-ntp true",
        ),
    }
}
