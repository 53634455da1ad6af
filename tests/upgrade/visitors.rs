//! Unknown visitors, as the owner fetches and destroys them over the cable.

use std::time::Duration;

use facelatch::door::Event;
use facelatch::flash::Moment;
use facelatch::gallery::Visit;
use facelatch::gallery::visitors::decode;
use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::message::{Answer, Command, Request, WireError, capability};
use facelatch::update::owner::OwnerKey;

use crate::cuts::owned;
use crate::desk::{Desk, Running};
use crate::packages::{Student, owner};

/// Enough that they need several parts of a parcel.
const VISITS: u32 = 30;

/// A lock with an owner that keeps `most` visitors, and has met [`VISITS`] people, of whom it shall know no better.
fn visited(most: usize) -> Desk {
    let mut running = Running::start(owned(1, 0), Student::A, Duration::ZERO);
    running.device.gallery_mut().keep_visitors(most).unwrap();
    for person in 0..VISITS {
        let (template, at) = (running.probe(person), Moment { uptime_ms: person.into(), unix_ms: None });
        let kept = running.device.gallery_mut().keep_visit(person, at, &template).unwrap();
        assert_eq!(kept, most > 0);
    }
    Desk::new(running)
}

fn order(desk: &mut Desk, key: &OwnerKey, command: &Command) -> Result<Answer, ClientError> {
    Client::connect(desk, 921_600, PATIENCE).unwrap().order(key, command)
}

fn fetch(desk: &mut Desk) -> Result<Vec<Visit>, ClientError> {
    let content = Client::connect(desk, 921_600, PATIENCE).unwrap().parcel(&owner(), &Command::Visitors)?;
    Ok(decode(&content).unwrap())
}

#[test]
fn the_owner_alone_fetches_and_destroys_them() {
    let mut desk = visited(100);
    assert_ne!(
        Client::connect(&mut desk, 921_600, PATIENCE).unwrap().about().capabilities & capability::VISITORS,
        0
    );
    let thief = OwnerKey::from_seed(&[9; 32]);
    for command in [Command::Visitors, Command::ForgetVisitors] {
        assert_eq!(order(&mut desk, &thief, &command), Err(ClientError::Lock(WireError::Signature)));
    }
    let visits = fetch(&mut desk).unwrap();
    assert_eq!(visits.iter().map(|visit| visit.number).collect::<Vec<_>>(), (0..VISITS).collect::<Vec<_>>());
    assert_eq!(visits[7].template, desk.running().probe(7));
    assert_eq!(order(&mut desk, &owner(), &Command::ForgetVisitors), Ok(Answer::Done));
    assert!(fetch(&mut desk).unwrap().is_empty());
}

#[test]
fn a_lock_that_keeps_none_says_so() {
    let mut desk = visited(0);
    assert_eq!(fetch(&mut desk), Err(ClientError::Lock(WireError::NoVisitors)));
    assert_eq!(order(&mut desk, &owner(), &Command::ForgetVisitors), Ok(Answer::Done));
}

#[test]
fn a_reset_destroys_them() {
    let mut desk = visited(100);
    let now = desk.now;
    desk.running().device.happen(&Event::Button(true), now);
    let mut client = Client::connect(&mut desk, 921_600, PATIENCE).unwrap();
    assert_eq!(client.ask(&Request::Reset), Ok(Answer::Done));
    assert!(desk.running().device.gallery_mut().visits().unwrap().is_empty());
}
