//! The power is cut at every byte that an update writes or erases: the old or the new model is active afterwards,
//! and everybody is recognised by it.

use std::time::Duration;

use facelatch::flash::SimFlash;
use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::message::Stage;
use facelatch::update::upload::{Upload, Uploaded, Watch};

use crate::desk::{Desk, Running, enrolled};
use crate::packages::{Student, owner, package};

const PEOPLE: u32 = 2;
const BAUD: u32 = 921_600;

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

pub fn upload(
    desk: &mut Desk,
    bytes: &[u8],
    version: u32,
    follow: &mut Yes,
) -> Result<Uploaded, ClientError> {
    let key = owner();
    let upload = Upload { package: bytes, version, embedding_id: Student::B.embedding_id(), key: &key };
    upload.run(&mut Client::connect(desk, BAUD, PATIENCE)?, follow)
}

/// A lock with an owner and people, before its first update.
pub fn owned(people: u32, without_pictures: u32) -> SimFlash {
    let mut running = Running::start(enrolled(people, without_pictures), Student::A, Duration::ZERO);
    running.device.happen(&facelatch::door::Event::Button(true), Duration::ZERO);
    let mut desk = Desk::new(running);
    let own = facelatch::update::message::Request::Own { owner: owner().public() };
    Client::connect(&mut desk, BAUD, PATIENCE).unwrap().ask(&own).unwrap();
    desk.running.unwrap().cut()
}

fn version_after(flash: SimFlash, when: &str) -> u32 {
    let mut running = Running::start(flash, Student::A, Duration::ZERO);
    running.settle(Duration::ZERO);
    running.expect_everybody(PEOPLE, when);
    running.version()
}

#[test]
fn people_who_were_enrolled_under_one_embedder_are_recognised_under_the_next() {
    let flash = owned(PEOPLE, 0);
    assert_eq!(version_after(flash.clone(), "before"), 0);
    let mut desk = Desk::new(Running::start(flash, Student::A, Duration::ZERO));
    let old = desk.running().probe(1);
    let mut follow = Yes::default();
    let uploaded = upload(&mut desk, &package(Student::B, 5, &["sim"], &owner()), 5, &mut follow);
    assert!(matches!(uploaded, Ok(Uploaded::Confirmed { .. })), "{uploaded:?}");
    assert_eq!((desk.restarts, follow.asked), (1, None));
    assert!(follow.stages.contains(&Stage::Trial) && follow.stages.contains(&Stage::Confirmed));
    desk.running().expect_everybody(PEOPLE, "after the update");
    let new = desk.running().probe(1);
    assert!(old.distance(&new) >= 4.0, "templates of the two embedders are not comparable");
    let flash = desk.running.unwrap().cut();
    assert_eq!(version_after(flash, "after the next start"), 5);
}

#[test]
fn whoever_has_no_pictures_is_told_before_the_transfer_and_nobody_else_suffers() {
    let mut desk = Desk::new(Running::start(owned(3, 1), Student::A, Duration::ZERO));
    let mut follow = Yes::default();
    upload(&mut desk, &package(Student::B, 5, &[], &owner()), 5, &mut follow).unwrap();
    assert_eq!(follow.asked, Some(1));
    desk.running().expect_everybody(2, "with pictures");
}

#[test]
fn a_cut_at_every_byte_of_an_update_ends_with_the_old_or_the_new_models_and_everybody_is_recognised() {
    let (flash, bytes) = (owned(PEOPLE, 0), package(Student::B, 5, &["sim"], &owner()));
    let before = flash.traffic().changed_bytes;
    let mut desk = Desk::new(Running::start(flash.clone(), Student::A, Duration::ZERO));
    upload(&mut desk, &bytes, 5, &mut Yes::default()).unwrap();
    let total = desk.running.unwrap().cut().traffic().changed_bytes - before;
    // The package's own bytes are alike: of them every 97th; of the records around them every 5th by default.
    let slot = 2 * bytes.len() as u64;
    let stride = std::env::var("FACELATCH_CUT_STRIDE").map_or(41, |text| text.parse().unwrap());
    let (mut cuts, mut old, mut new) = (0, 0, 0);
    let mut at = 1;
    while at < total {
        let mut flash = flash.clone();
        flash.cut_after(at);
        let mut desk = Desk::new(Running::start(flash, Student::A, Duration::ZERO));
        let result = upload(&mut desk, &bytes, 5, &mut Yes::default());
        assert!(desk.is_off, "byte {at} of {total}: {result:?}");
        match version_after(desk.running.unwrap().cut(), &format!("cut at byte {at} of {total}")) {
            0 => old += 1,
            5 => new += 1,
            other => panic!("cut at byte {at}: version {other}"),
        }
        cuts += 1;
        at += if at < slot { 11 * stride } else { stride };
    }
    println!("{cuts} cuts of {total} bytes: {old} end with the old models, {new} with the new ones");
    assert!(old > 0 && new > 0);
}
