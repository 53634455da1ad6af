//! The cable is pulled after every byte of an update, and plugged in again later.

use std::time::Duration;

use facelatch::flash::SimFlash;
use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::upload::{Upload, Uploaded};
use sha2::{Digest, Sha256};

use crate::cuts::owned;
use crate::desk::{Desk, Running};
use crate::line::{FarEnd, Faults, Line};
use crate::lock::MemoryLock;
use crate::students::Student;
use crate::{Notes, key, package, upload};

const BAUD: u32 = 115_200;

/// How the upload over `line` ended, and the bytes that were on it in both directions.
fn flash<E: FarEnd>(mut line: Line<E>, upload: &Upload<'_>) -> (Result<Uploaded, ClientError>, u64) {
    let result = Client::connect(&mut line, BAUD, PATIENCE)
        .and_then(|mut client| upload.run(&mut client, &mut Notes::default()));
    (result, line.carried)
}

fn pulled_after(bytes: u64) -> Faults {
    Faults { pulled_after: Some(bytes), ..Faults::default() }
}

#[test]
fn a_cable_that_is_pulled_after_any_byte_costs_nothing_but_the_time() {
    let (bytes, key) = (package(5_000, 11), key());
    let upload = upload(&bytes, &key);
    let new: [u8; 32] = Sha256::digest(&bytes).into();
    let lock = || MemoryLock::new(Some(key.public()));
    let (uploaded, total) = flash(lock().line(1, Faults::default(), BAUD), &upload);
    assert!(matches!(uploaded, Ok(Uploaded::Confirmed { .. })), "{uploaded:?}");
    for at in 0..total {
        let mut lock = lock();
        let (pulled, _) = flash(lock.line(1, pulled_after(at), BAUD), &upload);
        assert!(pulled.is_err(), "pulled after byte {at} of {total}, but: {pulled:?}");
        assert!(
            lock.active == [0; 32] || lock.active == new,
            "pulled after byte {at}: wrong bytes are active"
        );
        let (again, _) = flash(lock.line(1, Faults::default(), BAUD), &upload);
        assert!(again.is_ok(), "pulled after byte {at}, plugged in again: {again:?}");
        assert_eq!(lock.active, new, "pulled after byte {at}");
    }
    println!("{total} cables pulled, each after one more byte; every package arrived at the second attempt");
}

const OLD: Student = Student::SmallA;
const PEOPLE: u32 = 2;
/// Longer than what a device takes that goes on by itself, with the trial of the new models.
const AWHILE: Duration = Duration::from_secs(90);

/// After which bytes to pull the cable: some spread over the update. `FACELATCH_PULLS` names others: every so-many-th byte.
fn pulls(total: u64) -> Vec<u64> {
    let step = std::env::var("FACELATCH_PULLS").map_or(total / 40, |step| step.parse().expect("a number"));
    (0..total).step_by(step.max(1) as usize).collect()
}

/// The version in use after the cable was pulled and nobody came back, everybody being recognised meanwhile and after the
/// next start; and the version after another attempt.
fn pull(before: &SimFlash, at: u64, upload: &Upload<'_>) -> (u32, u32) {
    let mut desk = Desk::new(before.clone(), OLD);
    let (pulled, _) = flash(Line::new(1, pulled_after(at), BAUD, &mut desk), upload);
    assert!(pulled.is_err(), "pulled after byte {at}, but: {pulled:?}");
    desk.running().expect_everybody(PEOPLE, &format!("pulled after byte {at}"));
    desk.go_on(AWHILE);
    desk.running().expect_everybody(PEOPLE, &format!("awhile after byte {at}"));
    let left = Running::start(desk.running().flash(), OLD, Duration::ZERO).version();
    let (again, _) = flash(Line::new(2, Faults::default(), BAUD, &mut desk), upload);
    assert!(again.is_ok(), "pulled after byte {at}, plugged in again: {again:?}");
    let mut after = Running::start(desk.cut(), OLD, Duration::ZERO);
    after.settle(Duration::ZERO);
    after.expect_everybody(PEOPLE, &format!("pulled after byte {at}, flashed again"));
    (left, after.version())
}

#[test]
fn a_cable_that_is_pulled_from_the_whole_device_leaves_the_old_models_or_the_new_ones_and_everybody() {
    let (before, key) = (owned(OLD, PEOPLE, 0), key());
    let bytes = Student::SmallB.package(5, &["sim"], &key);
    let upload = Upload { package: &bytes, version: 5, embedding_id: 102, key: &key };
    let mut desk = Desk::new(before.clone(), OLD);
    let (uploaded, total) = flash(Line::new(1, Faults::default(), BAUD, &mut desk), &upload);
    assert!(matches!(uploaded, Ok(Uploaded::Confirmed { .. })), "{uploaded:?}");
    let (mut old, mut new) = (0, 0);
    let pulls = pulls(total);
    for (number, &at) in pulls.iter().enumerate() {
        match pull(&before, at, &upload) {
            (0, 5) => old += 1,
            (5, 5) => new += 1,
            versions => panic!("pulled after byte {at}: versions {versions:?}"),
        }
        if number % 1_000 == 999 {
            println!("{} of {} cables pulled", number + 1, pulls.len());
        }
    }
    println!(
        "{} cables pulled from the whole device, after one of {total} bytes each: {old} leave the old models, {new} the new \
         ones; every package arrived at the second attempt",
        pulls.len()
    );
    assert!(old > 0 && new > 0);
}
