//! Unknown visitors, as the owner fetches and destroys them over the cable.
use facelatch::flash::Moment;
use facelatch::gallery::Visit;
use facelatch::gallery::visitors::decode;
use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::message::{Answer, Command, Request, WireError, capability};
use facelatch::update::owner::OwnerKey;

use crate::cuts::owned;
use crate::desk::Desk;
use crate::key;
use crate::line::{Faults, Line};
use crate::students::Student;

/// Enough that they need several parts of a parcel.
const VISITS: u32 = 30;

/// A lock with an owner that keeps `most` visitors, and has met [`VISITS`] people, of whom it shall know no better.
fn visited(most: usize) -> Desk {
    let mut desk = Desk::new(owned(Student::SmallA, 1, 0), Student::SmallA);
    let running = desk.running();
    running.device.gallery_mut().keep_visitors(most).unwrap();
    for person in 0..VISITS {
        let (template, at) = (running.probe(person), Moment { uptime_ms: person.into(), unix_ms: None });
        let kept = running.device.gallery_mut().keep_visit(person, at, &template).unwrap();
        assert_eq!(kept, most > 0);
    }
    desk
}

fn with_client<T>(desk: &mut Desk, work: impl FnOnce(&mut Client<'_>) -> T) -> T {
    let mut line = Line::new(desk.lines(), Faults::default(), 115_200, desk);
    work(&mut Client::connect(&mut line, 115_200, PATIENCE).unwrap())
}

fn order(desk: &mut Desk, key: &OwnerKey, command: &Command) -> Result<Answer, ClientError> {
    with_client(desk, |client| client.order(key, command))
}

fn fetch(desk: &mut Desk) -> Result<Vec<Visit>, ClientError> {
    let content = with_client(desk, |client| client.parcel(&key(), &Command::Visitors))?;
    Ok(decode(&content).unwrap())
}

#[test]
fn the_owner_alone_fetches_and_destroys_them() {
    let mut desk = visited(100);
    let capabilities = with_client(&mut desk, |client| client.about().capabilities);
    assert_ne!(capabilities & capability::VISITORS, 0);
    let thief = OwnerKey::from_seed(&[9; 32]);
    for command in [Command::Visitors, Command::ForgetVisitors] {
        assert_eq!(order(&mut desk, &thief, &command), Err(ClientError::Lock(WireError::Signature)));
    }
    let visits = fetch(&mut desk).unwrap();
    assert_eq!(visits.iter().map(|visit| visit.number).collect::<Vec<_>>(), (0..VISITS).collect::<Vec<_>>());
    assert_eq!(visits[7].template, desk.running().probe(7));
    assert_eq!(order(&mut desk, &key(), &Command::ForgetVisitors), Ok(Answer::Done));
    assert!(fetch(&mut desk).unwrap().is_empty());
}

#[test]
fn a_lock_that_keeps_none_says_so() {
    let mut desk = visited(0);
    assert_eq!(fetch(&mut desk), Err(ClientError::Lock(WireError::NoVisitors)));
    assert_eq!(order(&mut desk, &key(), &Command::ForgetVisitors), Ok(Answer::Done));
}

#[test]
fn a_reset_destroys_them() {
    let mut desk = visited(100);
    desk.running().press();
    assert_eq!(with_client(&mut desk, |client| client.ask(&Request::Reset)), Ok(Answer::Done));
    assert!(desk.running().device.gallery_mut().visits().unwrap().is_empty());
}
