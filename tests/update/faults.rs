//! Uploads over lines that lose, flip, repeat, delay and cut, and what they take on good ones.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use facelatch::update::client::{Client, ClientError, PATIENCE, Wire};
use facelatch::update::package::unseal;
use facelatch::update::retries::Retries;
use facelatch::update::upload::{Upload, Uploaded};
use sha2::{Digest, Sha256};

use crate::cuts::owned;
use crate::desk::{Desk, Running};
use crate::line::{Dice, FarEnd, Faults, Line};
use crate::lock::MemoryLock;
use crate::students::Student;
use crate::{Notes, key, package, upload};

/// The faults of a seed: each kind is there or not, from rare to unbearable.
fn faults_of(seed: u64) -> Faults {
    let mut dice = Dice::new(seed);
    let mut chance =
        |most: u64| if dice.below(2) == 0 { 0 } else { dice.below(dice.clone().below(most) + 1) };
    Faults {
        lose: chance(300_000) as u32,
        flip: chance(600) as u32,
        repeat: chance(300_000) as u32,
        late: Duration::from_millis(chance(400)),
        tear: chance(100_000) as u32,
        outage_in: chance(2_000),
        restart_in: if chance(3) == 0 { 0 } else { 50 + chance(2_000) },
        console: chance(300_000) as u32,
        pulled_after: None,
        pulled_at: (chance(8) == 1).then(|| Duration::from_millis(chance(40_000))),
        best_baud: (chance(4) == 1).then_some(460_800),
    }
}

/// An upload that is taken up again as `facelatch flash` does it.
fn insist<E: FarEnd>(line: &mut Line<E>, upload: &Upload<'_>) -> Result<Uploaded, ClientError> {
    let (mut retries, mut notes) = (Retries::default(), Notes::default());
    loop {
        let sent = Client::connect(line, 115_200, PATIENCE)
            .and_then(|mut client| upload.run(&mut client, &mut notes));
        let error = match sent {
            Err(error) if error.is_of_the_line() => error,
            other => return other,
        };
        let Some(pause) = retries.again(notes.durable) else { return Err(error) };
        let until = line.now + pause;
        while line.receive(&mut [0; 64], until)? > 0 {}
    }
}

fn run(seed: u64) -> (Result<Uploaded, ClientError>, MemoryLock, Vec<u8>, Duration) {
    let key = key();
    let mut lock = MemoryLock::new(Some(key.public()));
    lock.unit = if seed.is_multiple_of(4) { 64 << 10 } else { 4096 };
    let bytes = package(20_000 + Dice::new(seed).below(80_000) as usize, seed);
    let mut line = lock.line(seed, faults_of(seed), 115_200);
    let result = insist(&mut line, &upload(&bytes, &key));
    let took = line.now;
    (result, lock, bytes, took)
}

/// Which seeds to run: `FACELATCH_LINE_SEEDS`, a number or a range such as `17..18`, or else so many.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let text = std::env::var("FACELATCH_LINE_SEEDS").unwrap_or_else(|_| usual.to_string());
    match text.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}

/// How seeds ended.
#[derive(Default)]
struct Tally {
    complete: u32,
    stopped: u32,
    /// Of these, cables that were pulled for good.
    pulled: u32,
    /// By the first word of the error.
    reasons: BTreeMap<String, u32>,
}

impl Tally {
    /// Whether it is complete. What a bad line ends with must be clear.
    fn note(&mut self, seed: u64, result: &Result<Uploaded, ClientError>) -> bool {
        let Err(error) = result else {
            self.complete += 1;
            return true;
        };
        // A lock that is started anew thrice while a package is on trial takes it back.
        let of_the_lock = matches!(error, ClientError::Lock(_) | ClientError::RolledBack { .. });
        assert!(error.is_of_the_line() || of_the_lock, "seed {seed}: {error}");
        let word = format!("{error:?}").split([' ', '(']).next().unwrap_or_default().to_owned();
        *self.reasons.entry(word).or_default() += 1;
        self.stopped += 1;
        self.pulled += u32::from(faults_of(seed).pulled_at.is_some());
        false
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { complete, stopped, pulled, reasons } = self;
        write!(
            f,
            "{complete} complete, {stopped} stopped with an error {reasons:?}, of these {pulled} with the cable pulled for good"
        )
    }
}

#[test]
fn every_seed_of_line_faults_ends_with_the_old_or_the_new_package_and_says_which() {
    let (mut tally, mut longest) = (Tally::default(), Duration::ZERO);
    for seed in seeds(200) {
        let (result, lock, bytes, took) = run(seed);
        let new: [u8; 32] = Sha256::digest(&bytes).into();
        assert!(lock.active == [0; 32] || lock.active == new, "seed {seed}: wrong bytes are active");
        if tally.note(seed, &result) {
            assert_eq!(lock.active, new, "seed {seed}: complete, but not active");
        }
        longest = longest.max(took);
    }
    println!("{tally}; the longest took {} s of line time", longest.as_secs());
    assert!(tally.complete > tally.stopped, "{tally}");
}

/// The whole device at the other end of the line, between two small embedders; with `FACELATCH_LINE_PACKAGE=release` from an
/// earlier trained embedder to the released networks.
#[test]
fn every_seed_of_line_faults_leaves_the_device_with_the_old_or_the_new_models_and_its_people() {
    let trained = std::env::var("FACELATCH_LINE_PACKAGE").is_ok_and(|package| package == "release");
    let (old, new) =
        if trained { (Student::Earlier, Student::Released) } else { (Student::SmallA, Student::SmallB) };
    let (flash, bytes, key) = (owned(old, 1, 0), new.package(5, &["sim"], &key()), key());
    let manifest = unseal(&bytes, &key.public()).unwrap().manifest;
    let upload = Upload { package: &bytes, version: 5, embedding_id: manifest.embedding_id, key: &key };
    let mut tally = Tally::default();
    for seed in seeds(20) {
        let mut desk = Desk::new(flash.clone(), old);
        let mut line = Line::new(seed, faults_of(seed), 115_200, &mut desk);
        let result = insist(&mut line, &upload);
        let mut after = Running::start(desk.cut(), old, Duration::ZERO);
        let version = after.version();
        if tally.note(seed, &result) {
            assert_eq!(version, 5, "seed {seed}: complete, but not active");
        }
        assert!(version == 0 || version == 5, "seed {seed}: version {version}");
        after.settle(Duration::ZERO);
        after.expect_everybody(1, &format!("seed {seed}"));
        if seed % 50 == 49 {
            println!("up to seed {seed}: {tally}");
        }
    }
    println!("{} bytes to the whole device: {tally}", bytes.len());
    assert!(tally.complete > tally.stopped, "{tally}");
}

/// Share of the line's rate that a transfer of 1.3 MB reaches, and segments sent again.
fn share_of_rate(faults: Faults, baud: u32) -> (f64, u64) {
    let key = key();
    let mut lock = MemoryLock::new(Some(key.public()));
    let bytes = package(1_300_000, 1);
    let mut line = lock.line(7, faults, baud);
    let mut client = Client::connect(&mut line, baud, PATIENCE).expect("connects");
    let mut first_and_last = (Duration::ZERO, Duration::ZERO);
    let mut notes = Notes::default();
    let uploaded = upload(&bytes, &key).run(&mut client, &mut notes).expect("uploads");
    drop(client);
    first_and_last.1 = line.now;
    let Uploaded::Confirmed { repeated } = uploaded else { panic!("{uploaded:?}") };
    // Checking takes 2 s and the start after it 1.5 s; with greeting, asking and polling all that is not transfer
    // is counted against the transfer here.
    let took = (first_and_last.1 - first_and_last.0 - Duration::from_millis(3_500)).as_secs_f64();
    (bytes.len() as f64 * 10.0 / f64::from(baud) / took, repeated)
}

#[test]
fn a_clean_line_is_used_to_nine_tenths_and_a_lossy_one_to_most_of_that() {
    let (clean, repeated) = share_of_rate(Faults::default(), 921_600);
    let (lossy, again) = share_of_rate(Faults { lose: 10_000, ..Faults::default() }, 921_600);
    println!(
        "share of 921,600 baud: clean {:.1} %, 1 % of frames lost {:.1} %, {again} segments sent again",
        100.0 * clean,
        100.0 * lossy
    );
    assert!(clean >= 0.9, "{clean}");
    assert_eq!(repeated, 0);
    assert!(lossy >= 0.8, "{lossy}");
}

#[test]
fn a_rate_that_the_line_cannot_carry_is_given_up() {
    let key = key();
    let mut lock = MemoryLock::new(Some(key.public()));
    let bytes = package(100_000, 3);
    let faults = Faults { best_baud: Some(230_400), ..Faults::default() };
    let mut line = lock.line(1, faults, 115_200);
    let mut client = Client::connect(&mut line, 115_200, PATIENCE).expect("connects");
    upload(&bytes, &key).run(&mut client, &mut Notes::default()).expect("uploads");
    assert_eq!(client.baud(), 115_200, "the lock was started anew at its first rate");
}

#[test]
fn a_transfer_that_was_cut_goes_on_where_it_was() {
    let key = key();
    let mut lock = MemoryLock::new(Some(key.public()));
    let bytes = package(200_000, 4);
    let faults = Faults { pulled_at: Some(Duration::from_secs(15)), ..Faults::default() };
    let mut line = lock.line(1, Faults { best_baud: Some(115_200), ..faults }, 115_200);
    let error = Client::connect(&mut line, 115_200, PATIENCE)
        .and_then(|mut client| upload(&bytes, &key).run(&mut client, &mut Notes::default()))
        .expect_err("the cable was pulled");
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    let stored = lock.stored;
    assert!(stored > 2, "{stored}");
    let mut line = lock.line(2, Faults::default(), 115_200);
    let mut client = Client::connect(&mut line, 115_200, PATIENCE).expect("connects");
    upload(&bytes, &key).run(&mut client, &mut Notes::default()).expect("uploads");
    drop(client);
    assert_eq!(lock.stored as usize, bytes.len().div_ceil(4096), "no block was stored twice");
}

#[test]
fn a_flash_of_large_blocks_is_filled_as_well() {
    let key = key();
    let mut lock = MemoryLock::new(Some(key.public()));
    lock.unit = 128 << 10;
    let bytes = package(300_000, 8);
    let mut line = lock.line(1, Faults { lose: 20_000, ..Faults::default() }, 921_600);
    let mut client = Client::connect(&mut line, 921_600, PATIENCE).expect("connects");
    upload(&bytes, &key).run(&mut client, &mut Notes::default()).expect("uploads");
    drop(client);
    assert_eq!(lock.slot, bytes);
}

#[test]
fn a_flash_that_takes_long_for_a_block_is_waited_for_at_the_fast_rate() {
    let key = key();
    let mut lock = MemoryLock::new(Some(key.public()));
    lock.block_time = Duration::from_secs(5);
    let bytes = package(30_000, 9);
    let mut line = lock.line(1, Faults::default(), 115_200);
    let mut client = Client::connect(&mut line, 115_200, PATIENCE).expect("connects");
    let mut notes = Notes::default();
    let uploaded = upload(&bytes, &key).run(&mut client, &mut notes);
    assert_eq!(uploaded, Ok(Uploaded::Confirmed { repeated: 0 }));
    assert_eq!(notes.slowest, 921_600, "the rate was given up");
    drop(client);
    assert_eq!(lock.stored as usize, bytes.len().div_ceil(4096), "a block was stored twice");
}

#[test]
fn a_package_that_is_active_is_not_sent_again() {
    let key = key();
    let mut lock = MemoryLock::new(Some(key.public()));
    let bytes = package(50_000, 5);
    lock.active = Sha256::digest(&bytes).into();
    let mut line = lock.line(1, Faults::default(), 115_200);
    let mut client = Client::connect(&mut line, 115_200, PATIENCE).expect("connects");
    assert_eq!(upload(&bytes, &key).run(&mut client, &mut Notes::default()), Ok(Uploaded::Already));
    assert_eq!(lock.stored, 0);
}

#[test]
fn whoever_would_have_to_enrol_again_is_asked_about_before_anything_is_sent() {
    let key = key();
    let mut lock = MemoryLock::new(Some(key.public()));
    lock.enrol_again = 3;
    let bytes = package(50_000, 6);
    let mut line = lock.line(1, Faults::default(), 115_200);
    let mut client = Client::connect(&mut line, 115_200, PATIENCE).expect("connects");
    let mut notes = Notes { says_no: true, ..Notes::default() };
    let result = upload(&bytes, &key).run(&mut client, &mut notes);
    assert_eq!((result, notes.asked), (Err(ClientError::Cancelled), Some(3)));
    assert_eq!(lock.stored, 0);
}

#[test]
fn nothing_at_the_other_end_is_an_error_within_its_patience() {
    let mut lock = MemoryLock::new(None);
    let faults = Faults { pulled_at: Some(Duration::ZERO), ..Faults::default() };
    let mut line = lock.line(1, faults, 115_200);
    let error = Client::connect(&mut line, 115_200, Duration::from_secs(5)).err().expect("nobody there");
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    assert!(line.now < Duration::from_secs(9));
}
