//! Starts of a lock: whose boot record newer firmware wrote, and with the button held.

use std::time::Duration;

use facelatch::board::BOARD;
use facelatch::door::{Event, Face, Sighting};
use facelatch::flash::Map;
use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::message::{Answer, Request, Stage, WireError};

use crate::cuts::{Yes, owned, upload};
use crate::desk::{Desk, Running};
use crate::key;
use crate::line::{Faults, Line};
use crate::students::Student;

/// A desk whose lock was started with a boot record of version 9.
fn newer() -> Desk {
    let running = Running::start(owned(Student::SmallA, 2, 0), Student::SmallA, Duration::ZERO);
    let boot = running.parts.boot.clone();
    let size = boot.size();
    Map::new(boot, 0..size).unwrap().set(0, &[9, 1, 2, 3]).unwrap();
    Desk::new(running.cut(), Student::SmallA)
}

fn try_to_ask(desk: &mut Desk, request: &Request) -> Result<Answer, ClientError> {
    let mut line = Line::new(desk.lines(), Faults::default(), 115_200, desk);
    Client::connect(&mut line, 115_200, PATIENCE)?.ask(request)
}

fn ask(desk: &mut Desk, request: &Request) -> Answer {
    try_to_ask(desk, request).unwrap()
}

#[test]
fn it_serves_the_door_with_the_models_of_the_firmware_and_takes_no_package() {
    let mut desk = newer();
    desk.running().expect_everybody(2, "with a boot record of newer firmware");
    let Answer::Status(status) = ask(&mut desk, &Request::Status) else { panic!("a status") };
    assert_eq!(status.version, 0);
    let Stage::Refused { reason } = status.update else { panic!("{:?}", status.update) };
    assert!(reason.contains("version 9") && reason.contains("newer firmware"), "{reason}");
    let package = Student::SmallB.package(5, &[], &key());
    let error = upload(&mut desk, &package, 5, &mut Yes::default()).expect_err("refused");
    assert!(error.to_string().contains("version 9"), "{error}");
    let boot = desk.running().parts.boot.clone();
    let size = boot.size();
    assert_eq!(Map::new(boot, 0..size).unwrap().get(0).unwrap().as_deref(), Some(&[9, 1, 2, 3][..]));
}

#[test]
fn a_reset_makes_the_boot_record_as_new() {
    let mut desk = newer();
    desk.running().press();
    assert_eq!(ask(&mut desk, &Request::Reset), Answer::Done);
    assert_eq!(ask(&mut desk, &Request::Own { owner: key().public() }), Answer::Done);
    let package = Student::SmallB.package(5, &[], &key());
    upload(&mut desk, &package, 5, &mut Yes::default()).unwrap();
    assert_eq!(desk.running().version(), 5);
}

#[test]
fn a_button_that_is_held_while_the_lock_starts_gives_it_to_nobody() {
    let mut desk = Desk::new(owned(Student::SmallA, 2, 0), Student::SmallA);
    desk.running().device.happen(&Event::Button(true), Duration::ZERO);
    let refused = try_to_ask(&mut desk, &Request::Reset);
    assert_eq!(refused, Err(ClientError::Lock(WireError::Button)));
    desk.running().expect_everybody(2, "after the refusal");
    desk.running().press();
    assert_eq!(ask(&mut desk, &Request::Reset), Answer::Done);
}

#[test]
fn a_delay_that_ends_while_the_owner_changes_something_is_not_served_again() {
    let mut running = Running::start(owned(Student::SmallA, 2, 0), Student::SmallA, Duration::ZERO);
    let mut now = Duration::ZERO;
    for track in 0..BOARD.lockout.failures {
        for _ in 0..BOARD.recognition.frames_to_refuse {
            now += Duration::from_millis(100);
            let face = Face { track, captured_at: now, obstacle: None, person: None, same_as_pending: false };
            running.device.happen(&Event::Seen(Sighting::One(face)), now);
        }
    }
    let delay = running.device.door().locked_out_for();
    assert_eq!(delay, Duration::from_millis(BOARD.lockout.first_delay_ms));
    running.device.gallery_changed(now + delay);
    let again = Running::start(running.cut(), Student::SmallA, Duration::ZERO);
    assert_eq!(again.device.door().locked_out_for(), Duration::ZERO);
}
