//! The system around the lock: its folder, its service, its power, and who resets it when it hangs.

use std::os::unix::fs::MetadataExt;

use super::finding::Finding;
use super::{Drivers, Site, User};
use crate::board::schema::KeyHome;

/// Warmer than this a Raspberry Pi slows down.
///
/// # Source
/// Raspberry Pi documentation, "Frequency management and thermal control": 80 to 85 degrees Celsius.
const WARM: u64 = 80_000;

/// Looks at all of it.
pub(super) fn look(site: &Site<'_>) -> Vec<Finding> {
    let found = [
        Some(state(site)),
        Some(service(site)),
        power(site),
        heat(site),
        Some(watchdog(site)),
        Some(panic(site)),
    ];
    found.into_iter().flatten().collect()
}

/// The folder with the device key: nobody else may read it.
fn state(site: &Site<'_>) -> Finding {
    const PART: &str = "state";
    let (folder, user) = (site.state, &site.user.name);
    let Some(found) = site.machine.metadata(folder) else {
        let made =
            format!("sudo install -d -o {user} -m 700 {folder} (the Debian package's service does it)");
        return Finding::wrong(PART, format!("there is no folder {folder} for the device key"), made);
    };
    if found.mode() & 0o077 != 0 {
        return Finding::wrong(
            PART,
            format!("others may look into {folder}"),
            format!("sudo chmod 700 {folder}"),
        );
    }
    if !site.user.may_use(&found) {
        return Finding::wrong(
            PART,
            format!("{folder} is not {user}'s"),
            format!("sudo chown -R {user} {folder}"),
        );
    }
    Finding::fine(PART, format!("{folder} is {user}'s alone"))
}

/// The device's key, where the board file has it in the kernel's keyring.
pub(super) fn key(site: &Site<'_>, drivers: &dyn Drivers) -> Option<Finding> {
    const PART: &str = "key";
    if site.board.flash.key != KeyHome::Keyring {
        return None;
    }
    let user = &site.user.name;
    if User::caller(site.machine).name != *user {
        let found = format!("is to be in the keyring of {user}, into which nobody else looks");
        return Some(Finding::note(PART, found, format!("sudo -u {user} facelatch doctor")));
    }
    Some(match drivers.key(site.board) {
        None => Finding::untold(
            PART,
            "whether it is in the keyring, this program does not tell: it is not the board's",
        ),
        Some(Ok(())) => Finding::fine(PART, format!("in the keyring of {user}")),
        Some(Err(reason)) => Finding::wrong(
            PART,
            reason,
            "put it there before the lock starts: boards/README.md, \"The device key\"",
        ),
    })
}

fn service(site: &Site<'_>) -> Finding {
    const PART: &str = "service";
    let folders = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let installed = folders.iter().any(|folder| site.machine.has(&format!("{folder}/facelatchd.service")));
    let wanted = site.machine.place("/etc/systemd/system/multi-user.target.wants/facelatchd.service");
    match (installed, wanted.symlink_metadata().is_ok()) {
        (false, _) => Finding::note(
            PART,
            "facelatchd is not installed: nobody starts it",
            "install the board's package: boards/README.md, \"Install\"",
        ),
        (true, false) => Finding::note(
            PART,
            "facelatchd is installed, but does not start with the board",
            "sudo systemctl enable --now facelatchd",
        ),
        (true, true) => Finding::fine(PART, "facelatchd starts with the board"),
    }
}

/// What a Raspberry Pi tells of its supply.
///
/// # Source
/// Raspberry Pi documentation, `vcgencmd get_throttled`; Linux, `drivers/hwmon/raspberrypi-hwmon.c`.
fn power(site: &Site<'_>) -> Option<Finding> {
    const PART: &str = "power";
    const NOW: u64 = 1;
    const SINCE_START: u64 = 1 << 16;
    let firmware = site.machine.text("/sys/devices/platform/soc/soc:firmware/get_throttled");
    let bits = firmware.and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    let alarm = || {
        let monitors = site.machine.names("/sys/class/hwmon", "hwmon");
        let monitor = monitors.into_iter().map(|name| format!("/sys/class/hwmon/{name}"));
        let mut voltage =
            monitor.filter(|path| site.machine.text(&format!("{path}/name")).as_deref() == Some("rpi_volt"));
        site.machine.number(&format!("{}/in0_lcrit_alarm", voltage.next()?))
    };
    let remedy = "use the board's own supply (5.1 V, 3 A or more) and a short, thick cable; feed the strike from another one";
    let bits = bits.or_else(alarm)?;
    Some(match () {
        () if bits & NOW != 0 => Finding::wrong(PART, "the supply's voltage is too low", remedy),
        () if bits & SINCE_START != 0 => {
            Finding::note(PART, "the supply's voltage was too low since the board was started", remedy)
        }
        () => Finding::fine(PART, "the supply's voltage is high enough"),
    })
}

fn heat(site: &Site<'_>) -> Option<Finding> {
    const PART: &str = "heat";
    let zones = site.machine.names("/sys/class/thermal", "thermal_zone");
    let warmest = zones
        .iter()
        .filter_map(|zone| site.machine.number(&format!("/sys/class/thermal/{zone}/temp")))
        .max()?;
    let found = format!("{} degrees Celsius", warmest / 1000);
    Some(if warmest > WARM {
        Finding::note(
            PART,
            format!("{found}: the CPU slows down"),
            "put a heat sink on it, or more air around it",
        )
    } else {
        Finding::fine(PART, found)
    })
}

/// The hardware that resets a board whose kernel hangs.
///
/// # Source
/// Linux, `Documentation/ABI/testing/sysfs-class-watchdog`.
fn watchdog(site: &Site<'_>) -> Finding {
    const PART: &str = "watchdog";
    let Some(dog) = site.machine.names("/sys/class/watchdog", "watchdog").into_iter().next() else {
        return Finding::wrong(
            PART,
            "there is no hardware watchdog: a kernel that hangs while the strike is driven keeps it driven",
            "Raspberry Pi: dtparam=watchdog=on in /boot/firmware/config.txt, then restart; without one put a monostable before the strike (boards/README.md)",
        );
    };
    let told = |key: &str| site.machine.text(&format!("/sys/class/watchdog/{dog}/{key}"));
    let name = told("identity").unwrap_or_else(|| dog.clone());
    match (told("state").as_deref(), told("timeout")) {
        (Some("active"), Some(seconds)) => {
            Finding::fine(PART, format!("{name} resets the board after {seconds} s"))
        }
        (Some("inactive"), _) => Finding::wrong(
            PART,
            format!("{name} is there, but nobody uses it"),
            "sudo cp boards/systemd/watchdog.conf /etc/systemd/system.conf.d/50-facelatch.conf, then: sudo systemctl daemon-reexec",
        ),
        _ => Finding::untold(PART, format!("{name} is there; whether it is used, this kernel does not tell")),
    }
}

fn panic(site: &Site<'_>) -> Finding {
    const PART: &str = "kernel panic";
    match site.machine.text("/proc/sys/kernel/panic").as_deref() {
        Some("0") => Finding::wrong(
            PART,
            "a kernel that panics while the strike is driven keeps it driven",
            "sudo cp boards/systemd/panic.sysctl /etc/sysctl.d/50-facelatch.conf, then: sudo sysctl --system",
        ),
        Some(seconds) => Finding::fine(PART, format!("starts the board again after {seconds} s")),
        None => Finding::untold(PART, "what a kernel panic does, this system does not tell"),
    }
}
