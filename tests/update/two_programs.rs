//! The firmware and the owner's tool, two programs with a pseudo-terminal between them: the released package is flashed
//! to a lock with an earlier trained embedder while a film plays before the camera. Whoever was enrolled before is let in
//! afterwards, and a stranger is not.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::key;
use crate::students::Student;

/// Longest wait for anything. The film takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(120);

struct Firmware {
    child: Child,
    typed: ChildStdin,
    lines: Receiver<String>,
    told: Vec<String>,
}

impl Firmware {
    fn start(folder: &Path, models: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_facelatchd"))
            .args(["--link", "lock.tty", "--state", "state", "--frames", "film", "--models"])
            .arg(models)
            .env("RUST_LOG", "info")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
        let typed = child.stdin.take().unwrap();
        Self { child, typed, lines, told: Vec::new() }
    }

    fn press(&mut self) {
        self.typed.write_all(b"b\n").unwrap();
    }

    /// Waits for a line with these words that was not told before.
    fn wait_for(&mut self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("the firmware never says {words:?}:\n{}", self.told.join("\n"));
            };
            let found = line.contains(words);
            self.told.push(line.clone());
            if found {
                return line;
            }
        }
    }

    fn count(&mut self, words: &str) -> usize {
        self.told.extend(self.lines.try_iter());
        self.told.iter().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Firmware {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PRESS: [(u32, &str); 2] = [(2_500, "button_press"), (2_700, "button_release")];

/// The owner's part of the bundled scene, and a stranger: the doorway, an enrolment if the button is pressed, a homecoming, a
/// refusal.
fn film(folder: &Path, events: &[(u32, &str)]) {
    fs::create_dir(folder).unwrap();
    let scene = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/sim/scene.mjpeg");
    let bytes = fs::read(scene).unwrap();
    let starts: Vec<usize> =
        bytes.windows(3).enumerate().filter(|(_, at)| at == b"\xff\xd8\xff").map(|(at, _)| at).collect();
    assert_eq!(starts.len(), 450, "the scene has 450 frames");
    fs::write(folder.join("film.mjpeg"), &bytes[..starts[189]]).unwrap();
    let event = |(at, kind): &(u32, &str)| format!("[[event]]\nat_ms = {at}\nkind = \"{kind}\"\n");
    let events: String = events.iter().map(event).collect();
    fs::write(folder.join("scene.toml"), format!("frames = \"film.mjpeg\"\nfps = 10\n{events}")).unwrap();
}

struct Tool {
    folder: PathBuf,
}

impl Tool {
    /// A computer with the owner's key.
    fn new(folder: &Path) -> Self {
        let path = folder.join("owner.key");
        let mut file: File =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
        file.write_all(key().to_pem().as_bytes()).unwrap();
        Self { folder: folder.to_owned() }
    }

    /// Makes the owner's key that of the lock.
    fn own(&self, firmware: &mut Firmware) {
        firmware.press();
        let until = Instant::now() + PATIENCE;
        while !self.run(&[&["owner", "enrol"], &CABLE[..]].concat()).status.success() {
            assert!(Instant::now() < until, "the button is never held");
        }
        firmware.press();
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_facelatch"));
        command.args(arguments).current_dir(&self.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.start(arguments);
        // Whoever reads no input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}{complained}");
        said + &complained
    }
}

/// The tool's README shows these lines.
fn must_be_shown(told: &str) {
    let readme = include_str!("../../src/host/README.md");
    for line in told.lines() {
        assert!(readme.lines().any(|shown| shown == line), "src/host/README.md does not show {line:?}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The owner asks for a PIN as well as the face; it is typed at the computer.
fn asks_for_a_pin(firmware: &mut Firmware, tool: &Tool) {
    let with_cable = |arguments: &[&'static str]| [arguments, &CABLE[..]].concat();
    let bad = tool.run_with(&with_cable(&["people", "pin", "1"]), "12a4\n");
    assert_eq!((bad.status.code(), text(&bad.stderr).contains("4 to 8 digits")), (Some(2), true));
    let bad = tool.run(&with_cable(&["people", "hours", "1", "monday 8-18"]));
    assert_eq!((bad.status.code(), text(&bad.stderr).contains("mon-fri 08:00-18:30")), (Some(2), true));
    let set = tool.run_with(&with_cable(&["people", "pin", "1"]), "2580\n");
    assert!(set.status.success(), "{}", text(&set.stderr));
    tool.says(&with_cable(&["people", "hours", "1", "mon-sun 00:00-24:00"]));
    let people = tool.says(&with_cable(&["people", "list"]));
    assert!(people.contains("face and PIN") && people.contains("mon-sun 00:00-24:00"), "{people}");

    let opened = firmware.count("opened for person 1");
    let until = Instant::now() + PATIENCE;
    loop {
        let typed = tool.run_with(&["keypad", "--port", "lock.tty"], "2580\n");
        if typed.status.success() {
            break;
        }
        assert!(text(&typed.stderr).contains("no PIN is awaited"), "{}", text(&typed.stderr));
        assert!(Instant::now() < until, "no PIN is ever awaited");
    }
    firmware.wait_for("opened for person 1");
    assert_eq!(firmware.count("opened for person 1"), opened + 1, "opened without a PIN");
    assert!(!firmware.told.concat().contains("2580"), "digits are logged");
    tool.says(&with_cable(&["people", "pin", "1", "--clear"]));
    let log = tool.says(&with_cable(&["log"]));
    assert!(log.contains("PIN or hours changed"), "{log}");
}

const CABLE: [&str; 4] = ["--port", "lock.tty", "--key", "owner.key"];

#[test]
fn a_trained_embedder_follows_another_while_the_door_is_served_and_nobody_enrols_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    film(&path.join("film"), &PRESS);
    let tool = Tool::new(path);
    tool.says(&["pack", "--version", "3", "--out", "new.flm", "--key", "owner.key"]);

    let mut firmware = Firmware::start(path, Student::Earlier.folder());
    firmware.wait_for("enrolled person 1");
    firmware.wait_for("opened for person 1");
    let refused = tool.run(&[&["flash", "new.flm"], &CABLE[..]].concat());
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("facelatch owner enrol"), "{}", text(&refused.stderr));
    tool.own(&mut firmware);

    let opened = firmware.count("opened for person 1");
    let said = tool.says(&[&["flash", "new.flm"], &CABLE[..]].concat());
    assert!(said.contains("version 3 is active"), "{said}");
    let frames = firmware.wait_for("frames were looked at since it was announced");
    let count = frames.split_whitespace().rev().nth(8).and_then(|word| word.parse::<u32>().ok());
    assert!(count.is_some_and(|count| count > 10), "{frames}");
    firmware.wait_for("started anew");
    assert!(firmware.count("package 3 is confirmed") == 1, "{}", firmware.told.join("\n"));
    firmware.wait_for("opened for person 1");
    firmware.wait_for("refused: nobody enrolled has this face");
    let everybody = firmware.count("opened for person");
    assert_eq!(everybody, firmware.count("opened for person 1"), "{}", firmware.told.join("\n"));
    println!(
        "opened {opened} times before the update, {} times after it; the stranger was refused; {frames}; {said}",
        everybody - opened
    );

    let status = tool.says(&["status", "--port", "lock.tty", "--json"]);
    assert!(status.contains("\"version\":3") && status.contains("\"enrol_again\":0"), "{status}");
    let people = tool.says(&[&["people", "list"], &CABLE[..]].concat());
    must_be_shown(&people);
    let exported = tool.says(&[&["people", "export", "family.flb"], &CABLE[..]].concat());
    assert!(exported.contains("1 person is in family.flb"), "{exported}");
    let mode = fs::metadata(path.join("family.flb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let imported = tool.says(&[&["people", "import", "family.flb"], &CABLE[..]].concat());
    assert!(imported.contains("owner: enrolled already, person 1"), "{imported}");
    let log = tool.says(&[&["log"], &CABLE[..]].concat());
    for words in
        ["owner enrolled", "new models on trial", "new models confirmed", "none is missing or altered"]
    {
        assert!(log.contains(words), "{words}: {log}");
    }
    let erased = tool.says(&[&["visitors", "--erase", "--json"], &CABLE[..]].concat());
    assert_eq!(erased, "{\"result\":\"erased\"}\n");
    let again = tool.says(&[&["flash", "new.flm"], &CABLE[..]].concat());
    assert!(again.contains("skipped"), "{again}");
    asks_for_a_pin(&mut firmware, &tool);
    firmware.typed.write_all(b"q\n").unwrap();
    assert!(firmware.child.wait().unwrap().success());
}

#[test]
fn a_flash_goes_on_by_itself_after_the_lock_was_away_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    film(&path.join("film"), &[]);
    let tool = Tool::new(path);
    fs::write(path.join("new.flm"), Student::Released.package(3, &[], &key())).unwrap();
    let mut firmware = Firmware::start(path, Student::SmallA.folder());
    tool.own(&mut firmware);
    let flash = tool.start(&[&["flash", "new.flm"], &CABLE[..]].concat());
    let until = Instant::now() + PATIENCE;
    let written = || fs::read(path.join("state/flash")).unwrap().iter().filter(|byte| **byte != 0xFF).count();
    while written() < 400_000 {
        assert!(Instant::now() < until, "the package never arrives");
    }
    drop(firmware);
    let mut firmware = Firmware::start(path, Student::SmallA.folder());
    let output = flash.wait_with_output().unwrap();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("version 3 is active") && said.contains("taken up again"), "{said}");
    let (broke_off, others): (Vec<&str>, Vec<&str>) =
        complained.lines().partition(|line| line.starts_with("the line broke off (the serial port failed: "));
    assert!(!broke_off.is_empty(), "{complained}");
    must_be_shown(&others.join("\n"));
    assert_eq!(firmware.count("package 3 is confirmed"), 1, "{}", firmware.told.join("\n"));
    println!("{complained}{said}");
}
