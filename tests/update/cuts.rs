//! The power is cut at every byte that an update writes or erases: the old or the new model is active afterwards,
//! and everybody is recognised by it.
//!
//! One update is recorded, and each cut is made on a copy of the flash as it was before: what a power cut leaves does not
//! depend on what the program would have done next.

use std::collections::BTreeSet;
use std::time::Duration;

use facelatch::flash::SimFlash;
use facelatch::flash::sim::Change;
use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::message::{Request, Stage};
use facelatch::update::upload::{Upload, Uploaded, Watch};

use crate::desk::{Desk, Running, enrolled};
use crate::key;
use crate::line::{Faults, Line};
use crate::students::Student;

const PEOPLE: u32 = 2;
const BAUD: u32 = 115_200;

/// Follows an upload and says yes.
#[derive(Default)]
pub struct Yes {
    pub asked: Option<u32>,
    pub stages: Vec<Stage>,
}

impl Watch for Yes {
    fn enrol_again(&mut self, people: u32) -> bool {
        self.asked = Some(people);
        true
    }
    fn sent(&mut self, _: u32, _: u32, _: u32) {}
    fn stage(&mut self, stage: &Stage) {
        self.stages.push(stage.clone());
    }
    fn console(&mut self, _: &str) {}
}

/// Flashes a package that says to have the embedder of small student B, over a line without faults.
pub fn upload(
    desk: &mut Desk,
    bytes: &[u8],
    version: u32,
    follow: &mut Yes,
) -> Result<Uploaded, ClientError> {
    let key = key();
    let upload = Upload { package: bytes, version, embedding_id: 102, key: &key };
    let mut line = Line::new(desk.lines(), Faults::default(), BAUD, desk);
    upload.run(&mut Client::connect(&mut line, BAUD, PATIENCE)?, follow)
}

/// A lock with an owner and people, before its first update.
pub fn owned(student: Student, people: u32, without_pictures: u32) -> SimFlash {
    let mut desk = Desk::new(enrolled(student, people, without_pictures), student);
    desk.running().press();
    let mut line = Line::new(1, Faults::default(), BAUD, &mut desk);
    let own = Request::Own { owner: key().public() };
    Client::connect(&mut line, BAUD, PATIENCE).unwrap().ask(&own).unwrap();
    drop(line);
    desk.cut()
}

fn version_after(flash: SimFlash, when: &str) -> u32 {
    let mut running = Running::start(flash, Student::SmallA, Duration::ZERO);
    running.settle(Duration::ZERO);
    running.expect_everybody(PEOPLE, when);
    running.version()
}

#[test]
fn people_who_were_enrolled_under_one_embedder_are_recognised_under_the_next() {
    let flash = owned(Student::SmallA, PEOPLE, 0);
    assert_eq!(version_after(flash.clone(), "before"), 0);
    let mut desk = Desk::new(flash, Student::SmallA);
    let old = desk.running().probe(1);
    let mut follow = Yes::default();
    let uploaded = upload(&mut desk, &Student::SmallB.package(5, &["sim"], &key()), 5, &mut follow);
    assert!(matches!(uploaded, Ok(Uploaded::Confirmed { .. })), "{uploaded:?}");
    assert_eq!((desk.restarts, follow.asked), (1, None));
    assert!(follow.stages.contains(&Stage::Trial) && follow.stages.contains(&Stage::Confirmed));
    desk.running().expect_everybody(PEOPLE, "after the update");
    let new = desk.running().probe(1);
    assert!(old.distance(&new) >= 4.0, "templates of the two embedders are not comparable");
    assert_eq!(version_after(desk.cut(), "after the next start"), 5);
}

#[test]
fn whoever_has_no_pictures_is_told_before_the_transfer_and_nobody_else_suffers() {
    let mut desk = Desk::new(owned(Student::SmallA, 3, 1), Student::SmallA);
    let mut follow = Yes::default();
    upload(&mut desk, &Student::SmallB.package(5, &[], &key()), 5, &mut follow).unwrap();
    assert_eq!(follow.asked, Some(1));
    desk.running().expect_everybody(2, "with pictures");
}

/// A cut that tears a byte, counted from the update's beginning, or one between two writes or erases, when so many are done.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Torn(u64),
    Between(usize),
}

/// Where to cut: by default between all writes and erases, around both ends of each, and in its middle.
/// `FACELATCH_CUTS` names others: `all`, or a range of bytes such as `0..1000`.
fn cuts(changes: &[Change]) -> Vec<Cut> {
    let between = (0..=changes.len()).map(Cut::Between);
    let total: u64 = changes.iter().map(|change| change.bytes.len() as u64).sum();
    match std::env::var("FACELATCH_CUTS").as_deref() {
        Ok("all") => between.chain((1..=total).map(Cut::Torn)).collect(),
        Ok(range) => {
            let (from, to) = range.split_once("..").expect("a range, such as 0..1000");
            (from.parse().unwrap()..to.parse().unwrap()).filter(|at| *at <= total).map(Cut::Torn).collect()
        }
        Err(_) => {
            let mut end = 0;
            let torn: BTreeSet<u64> = changes
                .iter()
                .flat_map(|change| {
                    let (start, len) = (end, change.bytes.len() as u64);
                    end += len;
                    [start + 1, start + 2, start + len / 2, end - 1, end]
                })
                .collect();
            between.chain(torn.into_iter().map(Cut::Torn)).collect()
        }
    }
}

#[test]
fn a_cut_at_every_byte_of_an_update_ends_with_the_old_or_the_new_models_and_everybody_is_recognised() {
    let (before, bytes) = (owned(Student::SmallA, PEOPLE, 0), Student::SmallB.package(5, &["sim"], &key()));
    let mut recorded = before.clone();
    recorded.record();
    let mut desk = Desk::new(recorded, Student::SmallA);
    upload(&mut desk, &bytes, 5, &mut Yes::default()).unwrap();
    let after = desk.cut();
    let (cuts, changes) = (cuts(after.changes()), after.changes());
    let (mut old, mut new, mut resumed) = (0, 0, 0);
    for (number, cut) in cuts.iter().enumerate() {
        let mut flash = before.clone();
        match *cut {
            Cut::Torn(byte) => flash.cut_within(changes, byte),
            Cut::Between(done) => flash.cut_within(&changes[..done], u64::MAX),
        }
        match version_after(flash.clone(), &format!("{cut:?}")) {
            0 => old += 1,
            5 => new += 1,
            other => panic!("{cut:?}: version {other}"),
        }
        if number % 16 == 0 {
            let mut desk = Desk::new(flash, Student::SmallA);
            let again = upload(&mut desk, &bytes, 5, &mut Yes::default());
            assert!(again.is_ok(), "{cut:?}, flashed again: {again:?}");
            assert_eq!(version_after(desk.cut(), &format!("{cut:?}, flashed again")), 5);
            resumed += 1;
        }
        if number % 5_000 == 4_999 {
            println!("{} of {} cuts, {cut:?}", number + 1, cuts.len());
        }
    }
    let total: usize = changes.iter().map(|change| change.bytes.len()).sum();
    println!(
        "{} cuts of {total} bytes in {} writes and erases: {old} end with the old models, {new} with the new ones; \
         {resumed} of them flashed again",
        cuts.len(),
        changes.len()
    );
    assert!(old > 0 && new > 0 || std::env::var_os("FACELATCH_CUTS").is_some());
}
