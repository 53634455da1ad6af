//! A process that writes a real file is killed again and again: nothing is lost.
//!
//! The process is this test's own program. It tells through a pipe what it begins and what is done, and is killed
//! either when it has written a given number of bytes, in the middle of whatever it writes then, or at whatever it
//! does when the given number of steps was heard of. What it said was done must be there; what it had begun may be.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use embedded_storage_async::nor_flash::{ErrorType, MultiwriteNorFlash, NorFlash, ReadNorFlash};
use facelatch::flash::file::{ERASE_SIZE, HEAD, WRITE_SIZE};
use facelatch::flash::{AuditLog, Event, FileFlash, FileFlashError, Map, Moment, Partition, Slots};
use facelatch::gallery::{CropStore, Enrolment, Gallery, Role};
use sha2::{Digest, Sha256};

use super::{ALL_PAGES, Random, crop, key, layout, template};

const FOLDER: &str = "FACELATCH_VICTIM";
const SEED: &str = "FACELATCH_VICTIM_SEED";
const BYTES: &str = "FACELATCH_VICTIM_BYTES";
/// Kills; more with `FACELATCH_KILLS=2000`.
fn kills() -> u64 {
    std::env::var("FACELATCH_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(300)
}

/// A file that stops in the middle of a write or an erase once so many bytes were written, and waits to be killed.
struct Doomed {
    flash: FileFlash,
    path: PathBuf,
    left: u64,
}

impl Doomed {
    fn open(folder: &Path, left: u64) -> Self {
        let path = folder.join("flash");
        let flash = FileFlash::open(&path, (ALL_PAGES * ERASE_SIZE) as u32).expect("opens");
        Self { flash, path, left }
    }

    /// Bytes of this change that still happen; when these are not all, nothing happens after them.
    fn spend(&mut self, len: usize) -> usize {
        tell("step");
        let now = self.left.min(len as u64);
        self.left -= now;
        now as usize
    }

    fn wait_to_be_killed() -> ! {
        tell("doomed");
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    }
}

impl ErrorType for Doomed {
    type Error = FileFlashError;
}

impl ReadNorFlash for Doomed {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FileFlashError> {
        self.flash.read(offset, bytes).await
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for Doomed {
    const WRITE_SIZE: usize = WRITE_SIZE;
    const ERASE_SIZE: usize = ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FileFlashError> {
        let len = (to - from) as usize;
        let now = self.spend(len);
        if now == len {
            return self.flash.erase(from, to).await;
        }
        let file = OpenOptions::new().write(true).open(&self.path).expect("the same file");
        file.write_all_at(&vec![0xFF; now], HEAD + u64::from(from)).expect("written");
        Self::wait_to_be_killed()
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FileFlashError> {
        let now = self.spend(bytes.len());
        if now == bytes.len() {
            return self.flash.write(offset, bytes).await;
        }
        self.flash.write(offset, &bytes[..now / WRITE_SIZE * WRITE_SIZE]).await?;
        Self::wait_to_be_killed()
    }
}

impl MultiwriteNorFlash for Doomed {}

fn tell(words: &str) {
    println!("> {words}");
    std::io::stdout().flush().expect("somebody listens");
}

/// A lock's storage on any flash.
struct Lock<F: NorFlash> {
    gallery: Gallery<Partition<F>>,
    log: AuditLog<Partition<F>>,
    slots: Slots<F>,
}

impl<F: NorFlash<Error: std::fmt::Debug>> Lock<F> {
    fn start(flash: F) -> Self {
        let parts = layout().divide(flash).expect("the layout fits");
        let map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).expect("whole pages");
        let gallery = Gallery::load(map, CropStore::new(parts.crops.clone()), key(1), 100).expect("loads");
        let log = AuditLog::open(parts.audit.clone(), 0..parts.audit.size()).expect("opens");
        let slots = Slots::open(&parts).expect("opens");
        Self { gallery, log, slots }
    }
}

/// What is known of somebody: name, first template.
type Known = (String, [i8; 128]);

/// What somebody is who was enrolled with this seed.
fn known(name: &str, seed: u8) -> Known {
    (name.to_owned(), template(seed).embedding)
}

fn package(version: u32) -> (Vec<u8>, [u8; 32]) {
    let bytes: Vec<u8> = (0..6_000_u32).map(|at| (at / 3) as u8 ^ version as u8).collect();
    let hash = Sha256::digest(&bytes);
    (bytes, std::array::from_fn(|at| hash[at]))
}

/// What the process does until it is killed; not a test of its own.
#[test]
#[ignore = "is started, and killed, by the test beside it"]
fn victim() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok()).expect("a number");
    let mut random = Random::new(number(SEED));
    let mut lock = Lock::start(Doomed::open(Path::new(&folder), number(BYTES)));
    for _ in 0..12 {
        let seed = random.below(200) as u8;
        let first = lock.gallery.people().first().map(|person| person.id);
        let mut new = 0;
        match (random.below(5), first) {
            (0, Some(id)) if lock.gallery.people().len() > 4 => {
                tell(&format!("begin delete {id}"));
                lock.gallery.delete(id).expect("deleted");
            }
            (1, Some(id)) => {
                tell(&format!("begin again {id} {seed}"));
                lock.gallery.enrol_again(id, &[template(seed)], &[crop(seed)]).expect("enrolled");
            }
            (2, _) => {
                let version = lock.slots.record().active.map_or(1, |image| image.version + 1);
                tell(&format!("begin update {version}"));
                update(&mut lock.slots, version);
            }
            _ if lock.gallery.people().len() < 8 => {
                tell(&format!("begin enrol {} {seed}", lock.log.next_number()));
                let (name, templates, crops) =
                    (lock.log.next_number().to_string(), [template(seed)], [crop(seed)]);
                let role = Role::Resident;
                let who = Enrolment { name: &name, role, templates: &templates, crops: &crops };
                new = lock.gallery.enrol(&who).expect("enrolled");
            }
            _ => tell("begin nothing"),
        }
        tell(&format!("done {new}"));
        lock.log.push(Moment::default(), Event::Started).expect("logged");
        tell(&format!("logged {}", lock.log.next_number()));
    }
}

fn update(slots: &mut Slots<Doomed>, version: u32) {
    if let Some(trial) = slots.record().trial {
        assert_eq!(trial.image.version, version);
    } else {
        let (bytes, hash) = package(version);
        let from = slots.begin(bytes.len() as u32, hash).expect("announced") as usize;
        slots.write(from as u32, &bytes[from..]).expect("stored");
        let image = slots.finish(version).expect("whole");
        slots.try_out(image).expect("on trial");
    }
    slots.confirm().expect("confirmed");
}

/// The number of somebody whose enrolment is not over: it will be the highest.
const UNKNOWN: u32 = u32::MAX;

/// What must be there.
#[derive(Default)]
struct Expected {
    people: BTreeMap<u32, Known>,
    begun: Option<String>,
    active: Option<u32>,
    logged: u32,
}

impl Expected {
    fn hear(&mut self, words: &str) {
        match words.split_once(' ') {
            Some(("begin", what)) => self.begun = Some(what.to_owned()),
            Some(("logged", next)) => self.logged = next.parse().expect("a number"),
            Some(("done", new)) => {
                self.complete();
                self.begun = None;
                if let Some(known) = self.people.remove(&UNKNOWN) {
                    self.people.insert(new.parse().expect("a number"), known);
                }
            }
            _ => {}
        }
    }

    /// What was begun has happened.
    fn complete(&mut self) {
        let Some(begun) = &self.begun else { return };
        let words: Vec<&str> = begun.split(' ').collect();
        let number = |at: usize| words[at].parse::<u32>().expect("a number");
        match words[0] {
            "delete" => drop(self.people.remove(&number(1))),
            "again" => {
                let name = self.people[&number(1)].0.clone();
                self.people.insert(number(1), known(&name, number(2) as u8));
            }
            "enrol" => {
                self.people.insert(UNKNOWN, known(words[1], number(2) as u8));
            }
            "update" => self.active = Some(number(1)),
            _ => {}
        }
    }

    /// Compares with what a lock has, and takes over which of two ways the last operation went.
    fn meet(&mut self, lock: &mut Lock<FileFlash>) {
        let ids: Vec<u32> = lock.gallery.people().iter().map(|person| person.id).collect();
        let mut found = BTreeMap::new();
        for id in ids {
            lock.gallery.crops(id).expect("pictures can be read, if there was room for them");
            let person = lock.gallery.person(id).expect("just listed");
            found.insert(id, (person.name.to_string(), person.templates[0].embedding));
        }
        assert!(lock.gallery.damaged().is_empty(), "nobody is half there");
        let values = |people: &BTreeMap<u32, Known>| people.values().cloned().collect::<Vec<_>>();
        let (before, active) = (values(&self.people), self.active);
        self.complete();
        let (found_people, found_active) = (values(&found), lock.slots.record().active);
        let begun = &self.begun;
        assert!(
            found_people == before || found_people == values(&self.people),
            "{begun:?}: {found_people:?}"
        );
        let version = found_active.map(|image| image.version);
        assert!(version == active || version == self.active, "{begun:?}: {version:?}");
        if let Some(image) = found_active {
            assert_eq!(lock.slots.read(&image).expect("whole"), package(image.version).0);
        }
        let (entries, gaps) = lock.log.entries().expect("read");
        assert!(gaps.is_empty() && lock.log.next_number() >= self.logged, "{gaps:?}, {entries:?}");
        (self.people, self.active, self.begun) = (found, version, None);
    }
}

/// Lets the process run until it is killed; whether it was in the middle of a write.
fn run_and_kill(folder: &Path, seed: u64, expected: &mut Expected) -> bool {
    let mut random = Random::new(seed);
    let at_bytes = random.below(2) == 0;
    let bytes = if at_bytes { 1 + random.below(16_000) } else { u64::MAX };
    let mut steps = if at_bytes { u64::MAX } else { 1 + random.below(150) };
    let mut process = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "kills::victim", "--ignored", "--nocapture", "--test-threads", "1"])
        .envs([(FOLDER, folder.as_os_str().to_owned()), (SEED, seed.to_string().into())])
        .env(BYTES, bytes.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut doomed = false;
    let told = BufReader::new(process.stdout.take().expect("a pipe"));
    for line in told.lines().map_while(Result::ok) {
        let Some(words) = line.split_once("> ").map(|(_, words)| words) else { continue };
        expected.hear(words);
        doomed |= words == "doomed";
        steps -= u64::from(words == "step");
        if doomed || steps == 0 {
            // What was told between the last step and the death is read on.
            process.kill().expect("killed");
            steps = u64::MAX;
        }
    }
    let status = process.wait().expect("ended");
    assert!(status.success() || status.code().is_none(), "it failed by itself: {status}");
    doomed
}

#[test]
fn a_process_that_is_killed_hundreds_of_times_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut expected = Expected::default();
    let (mut doomed, mut people) = (0, 0);
    for seed in 1..=kills() {
        doomed += u64::from(run_and_kill(folder.path(), seed, &mut expected));
        // A copy is looked at: the next process has to recover by itself.
        let copy = folder.path().join("copy");
        match fs::copy(folder.path().join("flash"), &copy) {
            Ok(_) => {
                let flash = FileFlash::open(&copy, (ALL_PAGES * ERASE_SIZE) as u32).expect("opens");
                expected.meet(&mut Lock::start(flash));
            }
            Err(_) => assert!(expected.people.is_empty() && expected.logged == 0),
        }
        people = people.max(expected.people.len());
    }
    println!(
        "killed: {} processes, {doomed} of them within a write or an erase, none lost anything; {} entries logged, \
         package {} active, {people} people at most",
        kills(),
        expected.logged,
        expected.active.unwrap_or(0)
    );
    assert!(doomed > kills() / 10 && expected.logged > 100 && people > 4);
}
