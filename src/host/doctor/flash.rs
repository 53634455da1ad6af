//! Where the lock keeps people, log and models.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::Site;
use super::finding::Finding;
use crate::board::schema::{Flash, FlashKind};
use crate::flash::file::HEAD;

const PART: &str = "flash";

/// Looks at the flash and, where the system tells, at its wear.
pub(super) fn look(site: &Site<'_>) -> Vec<Finding> {
    let flash = &site.board.flash;
    match flash.kind {
        FlashKind::Mtd => vec![chip(site, flash)],
        FlashKind::File => {
            let folder = Path::new(&*flash.path).parent().unwrap_or(Path::new("/"));
            let folder = folder.to_string_lossy();
            let found = match site.machine.metadata(&flash.path) {
                Some(file) => existing(site, flash, &file),
                None => planned(site, flash, &folder),
            };
            std::iter::once(found).chain(wear(site, &folder)).collect()
        }
    }
}

fn existing(site: &Site<'_>, flash: &Flash, file: &Metadata) -> Finding {
    let path = &*flash.path;
    let bytes = if file.file_type().is_block_device() { partition_bytes(site, path) } else { file.len() };
    if !site.user.may_use(file) {
        let found = format!("{path} may not be used by {}", site.user.name);
        return Finding::wrong(PART, found, format!("sudo chown {} {path}", site.user.name));
    }
    let needed = bytes_of(flash);
    let fits = if file.is_file() { bytes == needed } else { bytes >= needed };
    if fits {
        return Finding::fine(PART, format!("{path}, {}", map_of(flash)));
    }
    Finding::wrong(
        PART,
        format!("{path} has {bytes} bytes, but the board file asks for {needed}"),
        "set flash.path or flash.size in the board file; to begin anew without anybody enrolled, move the file away",
    )
}

fn planned(site: &Site<'_>, flash: &Flash, folder: &str) -> Finding {
    let (path, user) = (&*flash.path, &site.user.name);
    let Some(inside) = site.machine.metadata(folder) else {
        return Finding::wrong(
            PART,
            format!("there is no folder {folder} for {path}"),
            format!("sudo install -d -o {user} -m 700 {folder} (the Debian package does it)"),
        );
    };
    if !site.user.may_use(&inside) {
        let found = format!("{folder} may not be written by {user}");
        return Finding::wrong(PART, found, format!("sudo chown {user} {folder}"));
    }
    let free = rustix::fs::statvfs(site.machine.place(folder)).map_or(0, |all| all.f_bavail * all.f_frsize);
    if free < bytes_of(flash) {
        let found = format!("{} MiB are free for {path}, which needs {}", free >> 20, flash.size >> 20);
        return Finding::wrong(PART, found, "free some, or take a larger card");
    }
    Finding::fine(PART, format!("{path} will be made at the first start; {}", map_of(flash)))
}

/// Bytes of a file or a partition that holds the flash.
fn bytes_of(flash: &Flash) -> u64 {
    HEAD + u64::from(flash.size)
}

/// What the map has room for.
fn map_of(flash: &Flash) -> String {
    let kib = |bytes: u32| bytes / 1024;
    format!(
        "{} KiB: people {}, pictures {}, log {}, models twice {}",
        kib(flash.size),
        kib(flash.gallery.size),
        kib(flash.crops.size),
        kib(flash.audit.size),
        kib(flash.slot_a.size),
    )
}

/// Linux tells sizes of block devices in sectors of 512 bytes, whatever the device has.
fn partition_bytes(site: &Site<'_>, path: &str) -> u64 {
    let node = site.machine.target(path).unwrap_or_default();
    512 * site.machine.number(&format!("/sys/class/block/{node}/size")).unwrap_or(0)
}

/// A flash chip of its own.
///
/// # Source
/// Linux, `Documentation/ABI/testing/sysfs-class-mtd`.
fn chip(site: &Site<'_>, flash: &Flash) -> Finding {
    let path = &*flash.path;
    let Some(file) = site.machine.metadata(path) else {
        let partitions = site.machine.text("/proc/mtd").unwrap_or_default();
        let partitions: Vec<&str> = partitions.lines().skip(1).collect();
        let found = match partitions.as_slice() {
            [] => format!("there is no {path}, nor any other flash chip"),
            some => format!("there is no {path}, but {}", some.join("; ")),
        };
        let remedy =
            "load the chip's driver (its node in the device tree), or set flash.path in the board file";
        return Finding::wrong(PART, found, remedy);
    };
    let node = site.machine.target(path).unwrap_or_default();
    let told = |key: &str| site.machine.text(&format!("/sys/class/mtd/{node}/{key}"));
    let number = |key: &str| told(key).and_then(|text| text.parse::<u64>().ok());
    let misfit = match (told("type").as_deref(), number("size"), number("erasesize")) {
        (Some(kind), _, _) if kind != "nor" => Some(format!("{path} is {kind}, but the lock needs NOR")),
        (_, Some(size), _) if size < u64::from(flash.size) => {
            Some(format!("{path} has {size} bytes, but the board file says {}", flash.size))
        }
        (_, _, Some(block)) if block == 0 || !u64::from(flash.erase_size).is_multiple_of(block) => {
            Some(format!("{path} erases {block} bytes at once, of which {} is no multiple", flash.erase_size))
        }
        _ => None,
    };
    if let Some(found) = misfit {
        return Finding::wrong(PART, found, "correct [flash] in the board file, or choose another partition");
    }
    if !site.user.may_use(&file) {
        let found = format!("{path} may not be used by {}", site.user.name);
        return Finding::wrong(PART, found, site.user.remedy(&file, site.machine));
    }
    let name = told("name").unwrap_or_default();
    Finding::fine(PART, format!("{path} (\"{name}\", NOR), {}", map_of(flash)))
}

/// What the card under a folder tells of its wear: eMMC does, SD cards do not.
///
/// # Source
/// JEDEC JESD84-B51, `DEVICE_LIFE_TIME_EST_TYP_A` and `_B`: in steps of ten per cent of the device's life, of which
/// 11 means that it is over.
fn wear(site: &Site<'_>, folder: &str) -> Option<Finding> {
    const OVER: u8 = 11;
    const NEAR: u8 = 9;
    let device = site.machine.metadata(folder)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let block = format!("/sys/dev/block/{major}:{minor}");
    let told = ["/device/life_time", "/../device/life_time"];
    let text = told.iter().find_map(|tail| site.machine.text(&format!("{block}{tail}")))?;
    let steps =
        text.split_whitespace().filter_map(|word| u8::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    let used = steps.max()?;
    let found = format!("about {} % of the card's life is used", 10 * u32::from(used.min(OVER - 1)));
    Some(match used {
        OVER.. => {
            Finding::wrong("wear", "the card's life is over", "copy the state folder, and change the card")
        }
        NEAR.. => Finding::note("wear", found, "change the card soon"),
        _ => Finding::fine("wear", found),
    })
}
