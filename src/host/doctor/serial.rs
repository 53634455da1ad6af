//! The owner's cable.

use super::Site;
use super::finding::Finding;

const PART: &str = "serial";

/// Looks at the port of the owner's cable.
pub(super) fn look(site: &Site<'_>) -> Finding {
    let (machine, device) = (site.machine, &*site.board.serial.device);
    if device.is_empty() {
        return Finding::note(
            PART,
            "the board file names no port: models and people can only be changed on the board",
            "set serial.device in the board file",
        );
    }
    let Some(file) = machine.metadata(device) else {
        return Finding::wrong(
            PART,
            format!("there is no {device}"),
            "Raspberry Pi: sudo raspi-config, Interface Options, Serial Port: no login shell, hardware yes; then restart. Other boards: see their page in boards/",
        );
    };
    let node = machine.target(device).unwrap_or_default();
    if let Some(console) = console_on(site, &node) {
        return Finding::wrong(
            PART,
            format!("{device} is taken by {console}"),
            format!(
                "remove console={node} (or console=serial0) from the kernel's command line, run: sudo systemctl disable --now serial-getty@{node}, and restart"
            ),
        );
    }
    if !site.user.may_use(&file) {
        let found = format!("{device} may not be used by {}", site.user.name);
        return Finding::wrong(PART, found, site.user.remedy(&file, machine));
    }
    Finding::fine(PART, format!("{device} ({node}), {} bits a second", site.board.serial.baud))
}

/// What else speaks on the port: the kernel, or a login.
fn console_on(site: &Site<'_>, node: &str) -> Option<&'static str> {
    let consoles = site.machine.text("/proc/consoles").unwrap_or_default();
    if consoles.lines().any(|line| line.split_whitespace().next() == Some(node)) {
        return Some("the kernel's console");
    }
    let login = format!("/etc/systemd/system/getty.target.wants/serial-getty@{node}.service");
    site.machine.place(&login).symlink_metadata().is_ok().then_some("a login shell")
}
