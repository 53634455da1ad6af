//! `facelatch watch` in a terminal: its lock falls silent, its cable is pulled, and both come back.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use facelatch::update::link::Link;
use facelatch::update::serial::Serial;
use rustix::fs::OFlags;
use rustix::termios::{Winsize, tcsetwinsize};

use crate::lock::MemoryLock;

const BAUD: u32 = 115_200;
/// Longest wait for anything on the screen.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// Starts a program without what it would inherit: the lock's end of the cable, which must go when the cable is pulled.
const BARE: &str =
    r#"for fd in /proc/$$/fd/*; do n=${fd##*/}; [ "$n" -le 2 ] || eval "exec $n>&-"; done; exec "$@""#;

const SPEAKS: u8 = 0;
const SILENT: u8 = 1;
const PULLED: u8 = 2;

/// A lock in a thread, at the other end of a pseudo-terminal.
struct Plugged {
    state: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

impl Plugged {
    fn at(link: &Path) -> Self {
        let mut port = Serial::pseudo_terminal(link).unwrap();
        let state = Arc::new(AtomicU8::new(SPEAKS));
        let theirs = state.clone();
        let serve = move || {
            let (mut lock, mut line, began) = (MemoryLock::new(None), Link::new(BAUD), Instant::now());
            let mut bytes = [0; 256];
            loop {
                match theirs.load(Ordering::Relaxed) {
                    PULLED => return,
                    SPEAKS => {
                        let count = port.read_now(&mut bytes).unwrap();
                        line.receive(&bytes[..count], began.elapsed(), &mut lock);
                        port.write_now(&line.output());
                    }
                    _ => {}
                }
                sleep(PAUSE);
            }
        };
        Self { state, thread: Some(spawn(serve)) }
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Relaxed);
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        self.set(PULLED);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A terminal of 100 columns and 30 rows, with the tool in it.
struct Screen {
    near: Serial,
    _far: File,
    shown: Vec<u8>,
    tool: Child,
}

impl Screen {
    fn start(folder: &Path) -> Self {
        let path = folder.join("screen");
        let near = Serial::pseudo_terminal(&path).unwrap();
        let flags = OFlags::NOCTTY.bits() as i32;
        let far = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path).unwrap();
        let size = Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&far, size).unwrap();
        let tool = Command::new("bash")
            .args(["-c", BARE, "bash", env!("CARGO_BIN_EXE_facelatch"), "watch", "--port", "lock.tty"])
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .stdin(far.try_clone().unwrap())
            .stdout(far.try_clone().unwrap())
            .stderr(far.try_clone().unwrap())
            .spawn()
            .unwrap();
        Self { near, _far: far, shown: Vec::new(), tool }
    }

    /// Waits until these words are drawn (where nothing was, or what is alike would be left out), and forgets what was
    /// drawn before.
    fn wait_for(&mut self, words: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut bytes = [0; 4096];
            let count = self.near.read_now(&mut bytes).unwrap();
            self.shown.extend(&bytes[..count]);
            if plain(&self.shown).contains(&words.replace(' ', "")) {
                return self.shown.clear();
            }
            assert!(Instant::now() < until, "{words:?} is never shown: {}", plain(&self.shown));
            if count == 0 {
                sleep(PAUSE);
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.tool.kill();
        let _ = self.tool.wait();
    }
}

/// What is drawn, without where and how (ECMA-48, section 5.4), and without blanks, which are not drawn where none
/// are needed.
fn plain(shown: &[u8]) -> String {
    let text = String::from_utf8_lossy(shown);
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    let drawn = parts.fold(first, |text, part| {
        let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |end| end + 1);
        text + &part[end..]
    });
    drawn.replace(' ', "")
}

#[test]
fn a_lock_that_is_lost_is_said_to_be_lost_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("lock.tty");
    let lock = Plugged::at(&link);
    let mut screen = Screen::start(folder.path());
    screen.wait_for("LOCKED");
    lock.set(SILENT);
    screen.wait_for("has it power?");
    lock.set(SPEAKS);
    screen.wait_for("LOCKED");
    drop(lock);
    screen.wait_for("below was before");
    let _again = Plugged::at(&link);
    screen.wait_for("LOCKED");
    screen.near.write_now(b"q");
    assert!(screen.tool.wait().unwrap().success());
}
