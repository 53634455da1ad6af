//! A board made of files, whole and with one thing wrong after another.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::{DoctorOptions, Drivers, Finding, Located, Machine, Verdict, examine};
use crate::board::Board;
use crate::host::ink::Ink;
use crate::host::models;

/// Lines as `gpio-line-names` has them: GPIO0 to GPIO27.
fn line_names() -> Vec<u8> {
    (0..28).flat_map(|number| format!("GPIO{number}\0").into_bytes()).collect()
}

/// A tree of files in which a Raspberry Pi 4 is as it should be.
struct Pi(TempDir);

impl Pi {
    fn new() -> Self {
        let pi = Self(tempfile::tempdir().expect("a folder"));
        let own = fs::metadata(pi.0.path()).expect("there");
        let (user, group) = (own.uid(), own.gid());
        for (path, text) in [
            ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
            ("proc/consoles", "tty1 -WU (EC p) 4:1\n"),
            ("proc/sys/kernel/panic", "1\n"),
            ("dev/video0", ""),
            ("dev/gpiochip0", ""),
            ("dev/ttyS0", ""),
            ("sys/class/video4linux/video0/name", "HD Webcam\n"),
            ("sys/class/rtc/rtc0/name", "ds3231\n"),
            ("sys/class/thermal/thermal_zone0/temp", "51000\n"),
            ("sys/class/watchdog/watchdog0/state", "active\n"),
            ("sys/class/watchdog/watchdog0/timeout", "15\n"),
            ("sys/class/watchdog/watchdog0/identity", "Broadcom BCM2835 Watchdog timer\n"),
            ("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n"),
            ("usr/lib/systemd/system/facelatchd.service", ""),
            ("var/lib/facelatch/device.key", ""),
        ] {
            pi.write(path, text.as_bytes());
        }
        pi.write(
            "etc/passwd",
            format!("root:x:0:0::/root:/bin/sh\nfacelatch:x:{user}:{group}::/:/bin/false\n").as_bytes(),
        );
        pi.write("etc/group", format!("video:x:{group}:\ngpio:x:4242:\n").as_bytes());
        pi.write("sys/bus/gpio/devices/gpiochip0/of_node/gpio-line-names", &line_names());
        symlink("ttyS0", pi.path("dev/serial0")).expect("linked");
        let wants = pi.path("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).expect("made");
        symlink("/usr/lib/systemd/system/facelatchd.service", wants.join("facelatchd.service"))
            .expect("linked");
        fs::set_permissions(pi.path("var/lib/facelatch"), Permissions::from_mode(0o700)).expect("set");
        pi
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).expect("removed");
    }

    /// A user of its own, in no group, for whom the files are somebody else's.
    fn as_stranger(&self) {
        self.write("etc/passwd", b"root:x:0:0::/root:/bin/sh\nfacelatch:x:64321:64321::/:/bin/false\n");
    }

    /// The board's file, or another of that name in the Pi's root.
    fn board(&self) -> PathBuf {
        let own = self.path("raspberry-pi-4.toml");
        if own.exists() {
            own
        } else {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/raspberry-pi-4.toml")
        }
    }

    fn examine_at(&self, drivers: &dyn Drivers, now: SystemTime) -> super::Report {
        self.examine_with(drivers, now, Path::new("no models: their answers take a second"))
    }

    fn examine_with(&self, drivers: &dyn Drivers, now: SystemTime, models: &Path) -> super::Report {
        let options = DoctorOptions {
            board: Some(self.board()),
            user: None,
            models: models.to_owned(),
            state: "/var/lib/facelatch".to_owned(),
            json: false,
        };
        examine(&options, &Machine::under(self.0.path()), drivers, now).expect("the board's file is good")
    }

    fn examine(&self) -> super::Report {
        self.examine_at(&Without, today())
    }

    /// What is found of `part`.
    fn found(&self, part: &str) -> Finding {
        found(&self.examine(), part)
    }
}

fn found(report: &super::Report, part: &str) -> Finding {
    report.findings.iter().find(|finding| finding.part == part).expect("the part is looked at").clone()
}

fn today() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

/// A program without a board's drivers.
struct Without;

impl Drivers for Without {}

/// Drivers that find every line at one place, and a camera that delivers nothing.
struct Taken;

impl Drivers for Taken {
    fn line(&self, name: &str) -> Option<Option<Located>> {
        let consumer = (name == "GPIO17").then(|| "w1".to_owned());
        Some((name != "GPIO22").then_some(Located { chip: "gpiochip0".to_owned(), offset: 1, consumer }))
    }

    fn frame(&self, _board: &Board) -> Option<Result<String, String>> {
        Some(Err("busy".to_owned()))
    }
}

#[test]
fn nothing_is_wrong_with_a_board_as_it_should_be() {
    let report = Pi::new().examine_with(&Without, today(), Path::new(models::released()));
    let others: Vec<&Finding> = report.findings.iter().filter(|f| f.verdict != Verdict::Fine).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(report.machine, "Raspberry Pi 4 Model B Rev 1.4");
    for part in
        ["camera", "pin strike", "pin buzzer", "serial", "flash", "clock", "watchdog", "models", "answers"]
    {
        assert!(report.findings.iter().any(|finding| finding.part == part), "{part} was not looked at");
    }
    assert!(report.in_words(Ink::Plain).ends_with("the lock can run here\n"));
}

#[test]
fn an_empty_machine_is_told_what_it_lacks_and_how_to_mend_it() {
    let pi = Pi(tempfile::tempdir().expect("a folder"));
    pi.write("proc/self/status", b"Uid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nGroups:\t\n");
    let report = pi.examine();
    for (part, words) in [
        ("camera", "there is no /dev/video0, nor any other camera"),
        ("pins", "no GPIO chip"),
        ("serial", "there is no /dev/serial0"),
        ("flash", "no folder /var/lib/facelatch"),
        ("watchdog", "no hardware watchdog"),
    ] {
        let finding = found(&report, part);
        assert_eq!(finding.verdict, Verdict::Wrong, "{finding:?}");
        assert!(finding.found.contains(words) && finding.remedy.is_some(), "{finding:?}");
    }
    assert!(found(&report, "pins").found.contains("strike (GPIO17), exit button (GPIO22)"));
    assert_eq!(report.user, "user 7");
    let text = report.in_words(Ink::Coloured);
    assert!(text.contains("\x1b[31mWRONG\x1b[0m") && text.contains("things are to be mended"), "{text}");
}

#[test]
fn another_camera_is_named() {
    let pi = Pi::new();
    pi.remove("dev/video0");
    pi.write("sys/class/video4linux/video2/name", b"Door Camera\n");
    let finding = pi.found("camera");
    assert!(finding.found.ends_with("there is no /dev/video0, but /dev/video2 (Door Camera)"), "{finding:?}");
    assert!(finding.remedy.is_some_and(|words| words.contains("camera.device")));
}

#[test]
fn who_may_not_use_a_device_is_told_which_group_may() {
    let pi = Pi::new();
    let group = fs::metadata(pi.path("dev/video0")).expect("there").gid();
    fs::set_permissions(pi.path("dev/video0"), Permissions::from_mode(0o660)).expect("set");
    pi.as_stranger();
    let finding = pi.found("camera");
    assert_eq!(finding.verdict, Verdict::Wrong);
    let remedy = finding.remedy.expect("what to do");
    let expected = if group == 0 { "udev rule" } else { "sudo usermod -aG video facelatch" };
    assert!(remedy.contains(expected), "{remedy}");
}

#[test]
fn the_lines_of_a_keypad_are_looked_for_like_all_others() {
    let pi = Pi::new();
    let keypad = r#"keypad = { rows = ["GPIO12", "GPIO16", "GPIO20", "KEYS"], columns = ["GPIO19", "GPIO26", "GPIO25"] }"#;
    let board = fs::read_to_string(pi.board()).expect("the board's file");
    pi.write(
        "raspberry-pi-4.toml",
        board.replace("[serial]", &format!("[access]\n{keypad}\n\n[serial]")).as_bytes(),
    );
    let report = pi.examine();
    let keypad: Vec<&Finding> =
        report.findings.iter().filter(|finding| finding.part == "pin keypad").collect();
    assert_eq!(keypad.iter().filter(|finding| finding.verdict == Verdict::Fine).count(), 6);
    let lost = keypad.iter().find(|finding| finding.verdict == Verdict::Wrong).expect("one is not there");
    assert!(lost.found.contains("no GPIO line is called \"KEYS\""), "{lost:?}");
    assert!(lost.remedy.as_ref().is_some_and(|words| words.contains("set access.keypad")), "{lost:?}");
}

#[test]
fn a_line_that_is_not_there_or_taken_is_told_with_its_key() {
    let pi = Pi::new();
    pi.write("sys/bus/gpio/devices/gpiochip0/of_node/gpio-line-names", b"GPIO0\0GPIO1\0");
    let lost = pi.found("pin exit button");
    assert!(lost.found.contains("no GPIO line is called \"GPIO22\""), "{lost:?}");
    assert!(lost.remedy.is_some_and(|words| words.contains("set inputs.exit_button")));
    let report = pi.examine_at(&Taken, today());
    assert!(found(&report, "pin strike").found.contains("in use by \"w1\""));
    assert_eq!(found(&report, "pin exit button").verdict, Verdict::Wrong);
    assert_eq!(found(&report, "pin enrol button").verdict, Verdict::Fine);
    assert!(found(&report, "camera").found.contains("delivers nothing: busy"));
    pi.remove("sys/bus/gpio/devices/gpiochip0/of_node/gpio-line-names");
    assert_eq!(pi.found("pin strike").verdict, Verdict::Note, "nobody can tell");
}

#[test]
fn a_console_on_the_owner_s_cable_is_told() {
    let pi = Pi::new();
    pi.write("proc/consoles", b"ttyS0 -W- (EC p a) 4:64\n");
    assert!(pi.found("serial").found.contains("the kernel's console"));
    pi.write("proc/consoles", b"");
    pi.write("etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", b"");
    assert!(pi.found("serial").found.contains("a login shell"));
}

#[test]
fn a_flash_file_of_another_size_and_one_that_is_not_there_yet_differ() {
    let pi = Pi::new();
    assert!(pi.found("flash").found.contains("will be made at the first start"));
    pi.write("var/lib/facelatch/flash", b"short");
    let finding = pi.found("flash");
    assert!(finding.found.contains("has 5 bytes, but the board file asks for 45092864"), "{finding:?}");
    pi.remove("var/lib/facelatch/flash");
    let path = pi.path("var/lib/facelatch/flash");
    drop(crate::flash::FileFlash::open(&path, 45_088_768).expect("made as the device makes it"));
    assert_eq!(pi.found("flash").verdict, Verdict::Fine);
}

#[test]
fn a_worn_card_is_told_where_it_can_be_read() {
    let pi = Pi::new();
    let device = fs::metadata(pi.path("var/lib/facelatch")).expect("there").dev();
    let block = format!("sys/dev/block/{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    for (told, verdict) in
        [("0x01 0x02", Verdict::Fine), ("0x09 0x01", Verdict::Note), ("0x0B 0x01", Verdict::Wrong)]
    {
        pi.write(&format!("{block}/device/life_time"), told.as_bytes());
        assert_eq!(pi.found("wear").verdict, verdict, "{told}");
    }
}

#[test]
fn a_clock_that_was_never_set_is_wrong_and_one_without_battery_worth_knowing() {
    let pi = Pi::new();
    let report = pi.examine_at(&Without, UNIX_EPOCH + Duration::from_secs(100));
    assert_eq!(found(&report, "clock").verdict, Verdict::Wrong);
    pi.remove("sys/class/rtc/rtc0/name");
    fs::remove_dir(pi.path("sys/class/rtc/rtc0")).expect("removed");
    assert!(pi.found("clock").found.contains("neither a battery clock nor a time server"));
    pi.write("run/systemd/timesync/synchronized", b"");
    assert!(pi.found("clock").found.starts_with("synchronised by network"));
}

#[test]
fn low_voltage_heat_and_a_sleeping_watchdog_are_told() {
    let pi = Pi::new();
    for (path, text, part, verdict) in [
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "0x50005", "power", Verdict::Wrong),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50000", "power", Verdict::Note),
        ("sys/class/thermal/thermal_zone0/temp", "84000", "heat", Verdict::Note),
        ("sys/class/watchdog/watchdog0/state", "inactive", "watchdog", Verdict::Wrong),
        ("proc/sys/kernel/panic", "0", "kernel panic", Verdict::Wrong),
    ] {
        pi.write(path, text.as_bytes());
        assert_eq!(pi.found(part).verdict, verdict, "{part}: {text}");
    }
    pi.remove("sys/devices/platform/soc/soc:firmware/get_throttled");
    pi.write("sys/class/hwmon/hwmon1/name", b"rpi_volt\n");
    pi.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", b"1\n");
    assert_eq!(pi.found("power").verdict, Verdict::Wrong);
}

#[test]
fn an_open_state_folder_is_wrong() {
    let pi = Pi::new();
    fs::set_permissions(pi.path("var/lib/facelatch"), Permissions::from_mode(0o755)).expect("set");
    assert!(pi.found("state").remedy.is_some_and(|words| words.contains("chmod 700")));
}

#[test]
fn an_embedder_that_answers_otherwise_than_where_it_was_trained_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(models::released()).expect("released") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|ending| ending == "toml" || ending == "onnx") {
            fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    let manifest = folder.path().join("embedder.toml");
    let text = fs::read_to_string(&manifest).expect("text");
    fs::write(&manifest, text.replacen("output = [", "output = [99, ", 1)).expect("written");
    let finding = found(&Pi::new().examine_with(&Without, today(), folder.path()), "answers");
    assert_eq!(finding.verdict, Verdict::Wrong);
    assert!(finding.found.contains("the embedder computes other numbers"), "{finding:?}");
}

/// Drivers that find the device's key, or do not.
struct Ring(Result<(), String>);

impl Drivers for Ring {
    fn key(&self, _board: &Board) -> Option<Result<(), String>> {
        Some(self.0.clone())
    }
}

#[test]
fn a_key_that_should_be_in_the_keyring_is_looked_for_by_its_user() {
    let pi = Pi::new();
    let file = pi.path("raspberry-pi-4.toml");
    let board = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/raspberry-pi-4.toml");
    let text = fs::read_to_string(board).expect("text");
    fs::write(&file, text.replacen("erase_size", "key = \"keyring\"\nerase_size", 1)).expect("written");
    let look = |drivers: &dyn Drivers| {
        let options = DoctorOptions {
            board: Some(file.clone()),
            user: None,
            models: "none".into(),
            state: "/var/lib/facelatch".to_owned(),
            json: false,
        };
        let machine = Machine::under(pi.0.path());
        found(&examine(&options, &machine, drivers, today()).expect("a good board"), "key")
    };
    let elsewhere = look(&Ring(Ok(())));
    assert!(elsewhere.remedy.is_some_and(|words| words == "sudo -u facelatch facelatch doctor"));
    let own = fs::metadata(pi.0.path()).expect("there").uid();
    pi.write("proc/self/status", format!("Uid:\t{own}\t{own}\t{own}\t{own}\n").as_bytes());
    pi.write("etc/passwd", format!("facelatch:x:{own}:{own}::/:/bin/false\n").as_bytes());
    assert_eq!(look(&Ring(Ok(()))).verdict, Verdict::Fine);
    let missing = look(&Ring(Err("there is no key".to_owned())));
    assert_eq!((missing.verdict, missing.found.as_str()), (Verdict::Wrong, "there is no key"));
    assert_eq!(look(&Without).verdict, Verdict::Note);
}
