//! The camera: there, allowed, and delivering.

use super::finding::Finding;
use super::{Drivers, Site};

const PART: &str = "camera";
const CLASS: &str = "/sys/class/video4linux";

/// Looks at the board's camera.
pub(super) fn look(site: &Site<'_>, drivers: &dyn Drivers) -> Finding {
    let (machine, device) = (site.machine, &*site.board.camera.device);
    let Some(file) = machine.metadata(device) else { return missing(site) };
    if !site.user.may_use(&file) {
        let found = format!("{device} may not be used by {}", site.user.name);
        return Finding::wrong(PART, found, site.user.remedy(&file, machine));
    }
    let name = machine
        .target(device)
        .and_then(|node| machine.text(&format!("{CLASS}/{node}/name")))
        .map_or_else(|| device.to_owned(), |name| format!("{device} ({name})"));
    match drivers.frame(site.board) {
        None => Finding::fine(PART, format!("{name} is there")),
        Some(Ok(frame)) => Finding::fine(PART, format!("{name} delivers {frame}")),
        Some(Err(reason)) => Finding::wrong(
            PART,
            format!("{name} delivers nothing: {reason}"),
            "if the lock runs, it has the camera: sudo systemctl stop facelatchd, and look again; else try another cable and port",
        ),
    }
}

fn missing(site: &Site<'_>) -> Finding {
    let device = &*site.board.camera.device;
    let mut others = site.machine.names(CLASS, "video");
    others.retain(|node| *device != format!("/dev/{node}"));
    if others.is_empty() {
        return Finding::wrong(
            PART,
            format!("there is no {device}, nor any other camera"),
            "plug a USB camera in and look again; if it does not show: sudo modprobe uvcvideo, then sudo dmesg | tail",
        );
    }
    let named = others.iter().map(|node| {
        let name = site.machine.text(&format!("{CLASS}/{node}/name")).unwrap_or_default();
        format!("/dev/{node} ({name})")
    });
    let found = format!("there is no {device}, but {}", named.collect::<Vec<_>>().join(", "));
    Finding::wrong(PART, found, "set camera.device in the board file to the one that you mean")
}
