//! People who go from one lock to another in a file that only their owner opens.

use std::time::Duration;

use facelatch::host::backup::{export, import, read};
use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::message::{Answer, Command, Request, WireError};
use facelatch::update::owner::OwnerKey;
use facelatch::update::sealed;
use sha2::{Digest, Sha256};

use crate::cuts::owned;
use crate::desk::Desk;
use crate::key;
use crate::line::{FarEnd, Faults, Line};
use crate::students::Student;

fn with_client<T>(desk: &mut Desk, faults: Faults, work: impl FnOnce(&mut Client<'_>) -> T) -> T {
    let mut line = Line::new(desk.lines(), faults, 115_200, desk);
    work(&mut Client::connect(&mut line, 115_200, PATIENCE).unwrap())
}

fn clean<T>(desk: &mut Desk, work: impl FnOnce(&mut Client<'_>) -> T) -> T {
    with_client(desk, Faults::default(), work)
}

/// A lock of `student` with an owner, on which nobody is enrolled.
fn empty(student: Student) -> Desk {
    Desk::new(owned(student, 0, 0), student)
}

#[test]
fn everybody_is_recognised_by_the_lock_that_replaces_a_broken_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("family.flb");
    let mut old = Desk::new(owned(Student::SmallA, 2, 1), Student::SmallA);
    let lossy = Faults { lose: 50_000, flip: 20, ..Faults::default() };
    let report = with_client(&mut old, lossy, |client| export(client, &key(), &file)).unwrap();
    assert!(
        report.to_string().starts_with("2 people are in")
            && report.to_string().contains("without pictures: 1")
    );
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"person"), "names are not sealed");
    assert!(!bytes.windows(3).any(|window| window == [0xFF, 0xD8, 0xFF]), "pictures are not sealed");
    let again = clean(&mut old, |client| export(client, &key(), &file)).unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");

    let people = read(&file, &key()).unwrap();
    let mut new = empty(Student::SmallA);
    let report = with_client(&mut new, lossy, |client| import(client, &key(), &people)).unwrap();
    assert!(report.is_complete() && report.to_string().contains("2 imported"), "{report}");
    new.running().expect_everybody(2, "in the new lock");
    let report = clean(&mut new, |client| import(client, &key(), &people)).unwrap();
    assert!(report.is_complete() && report.to_string().contains("2 were enrolled already"), "{report}");
    assert_eq!(new.running().device.gallery().people().len(), 2);
}

#[test]
fn a_lock_with_another_embedder_computes_their_templates_after_a_start_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("family.flb");
    let mut old = Desk::new(owned(Student::SmallA, 3, 1), Student::SmallA);
    clean(&mut old, |client| export(client, &key(), &file)).unwrap();
    let people = read(&file, &key()).unwrap();
    let mut new = empty(Student::SmallB);
    let report = clean(&mut new, |client| import(client, &key(), &people)).unwrap();
    assert!(!report.is_complete(), "who has no pictures cannot come: {report}");
    assert!(report.to_string().contains("enrol this person again"), "{report}");
    let mut end = &mut new;
    let mut now = end.now();
    for _ in 0..200 {
        now += Duration::from_millis(100);
        end.work(now);
        if end.wants_restart() {
            end.restart(now);
        }
    }
    assert_eq!(new.restarts, 1);
    new.running().expect_everybody(2, "in the new lock");
    let status = clean(&mut new, |client| client.status()).unwrap();
    assert_eq!((status.people, status.enrol_again), (2, 0));
}

#[test]
fn nobody_else_takes_people_out_or_brings_them_in() {
    let thief = OwnerKey::from_seed(&[9; 32]);
    let mut lock = Desk::new(owned(Student::SmallA, 1, 0), Student::SmallA);
    let signature = Err(ClientError::Lock(WireError::Signature));
    assert_eq!(clean(&mut lock, |client| client.export(&thief, 1)).map(|_| ()), signature);
    let person = clean(&mut lock, |client| client.export(&key(), 1)).unwrap();
    let mut other = empty(Student::SmallA);
    assert_eq!(clean(&mut other, |client| client.import(&thief, &person)).map(|_| ()), signature);
    assert_eq!(clean(&mut other, |client| client.import(&key(), &person)), Ok(1));
}

#[test]
fn what_is_no_person_changes_nothing() {
    let mut lock = Desk::new(owned(Student::SmallA, 1, 0), Student::SmallA);
    let person = clean(&mut lock, |client| client.export(&key(), 1)).unwrap();
    let mut other = empty(Student::SmallA);
    let unreadable = Err(ClientError::Lock(WireError::Unreadable));
    for content in [&b""[..], b"no person", &person[..person.len() - 1], &[&[2], &person[1..]].concat()] {
        assert_eq!(clean(&mut other, |client| client.import(&key(), content)), unreadable);
    }
    let import = |sealed: &[u8]| Command::Import { sha256: Sha256::digest(sealed).into() };
    clean(&mut other, |client| {
        let order = |client: &mut Client<'_>, command| client.order(&key(), &command);
        let put = |client: &mut Client<'_>, offset, bytes: &[u8]| {
            client.ask(&Request::Put { offset, bytes: bytes.to_vec() })
        };
        let Ok(Answer::Sealing(lock)) = client.ask(&Request::Sealing) else { panic!("a key") };
        let sealed = sealed::seal(&lock, &person).unwrap();
        assert_eq!(
            order(client, import(&sealed)),
            Err(ClientError::Lock(WireError::Unreadable)),
            "nothing was put"
        );
        assert_eq!(put(client, 1024, &sealed[..9]), Err(ClientError::Lock(WireError::Unreadable)), "a gap");
        put(client, 0, &sealed[..9]).unwrap();
        assert_eq!(
            order(client, import(&sealed)),
            Err(ClientError::Lock(WireError::Unreadable)),
            "a part only"
        );
        for piece in 0..127 {
            put(client, piece * 1024, &[7; 1024]).unwrap();
        }
        put(client, 127 * 1024, &[7; 1024]).unwrap();
        let most = put(client, 128 * 1024, &[7]);
        assert_eq!(most, Err(ClientError::Lock(WireError::Unreadable)), "memory is bounded");
    });
    assert!(other.running().device.gallery().people().is_empty());
}
