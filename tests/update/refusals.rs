//! Packages that a lock must not take: it says why, and its models and people are as before.

use std::time::Duration;

use facelatch::gallery::Pin;
use facelatch::update::acceptance::Refusal;
use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::message::{AccessEntry, Answer, Command, PinHash, Request, WireError};
use facelatch::update::owner::OwnerKey;
use facelatch::update::package::{Manifest, Package, claims, seal};

use crate::cuts::{Yes, owned, upload};
use crate::desk::{Desk, Running};
use crate::key;
use crate::line::{Faults, Line};
use crate::students::Student;

/// What the lock says to a package; its models and people must be as before.
fn answer(bytes: &[u8], version: u32) -> String {
    let mut desk = Desk::new(owned(Student::SmallA, 1, 0), Student::SmallA);
    let error = upload(&mut desk, bytes, version, &mut Yes::default()).expect_err("refused");
    assert_eq!((desk.restarts, desk.running().version()), (0, 0), "{error}");
    desk.running().expect_everybody(1, "after a refusal");
    let mut running = Running::start(desk.cut(), Student::SmallA, Duration::ZERO);
    assert_eq!(running.version(), 0);
    running.expect_everybody(1, "after a refusal and a start");
    error.to_string()
}

/// The package with another manifest, signed by the owner.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let (signer, _) = claims(bytes).unwrap();
    let package = Package::open(bytes, &signer).unwrap();
    let networks: Vec<&[u8]> = package.parts().map(|(_, onnx)| onnx).collect();
    let mut manifest = package.manifest.clone();
    change(&mut manifest);
    seal(&manifest, &networks, &key()).unwrap()
}

fn good() -> Vec<u8> {
    Student::SmallB.package(5, &["sim"], &key())
}

#[test]
fn a_forged_package_is_refused_by_its_signer_or_its_signature() {
    let thief = OwnerKey::from_seed(&[9; 32]);
    let said = answer(&Student::SmallB.package(5, &[], &thief), 5);
    assert!(said.contains("is signed by"), "{said}");
    let mut forged = good();
    let at = 60;
    forged[at] ^= 1;
    let said = answer(&forged, 5);
    assert!(said.contains("signature"), "{said}");
}

#[test]
fn a_damaged_network_is_refused_by_its_digest() {
    let mut damaged = good();
    *damaged.last_mut().unwrap() ^= 1;
    let said = answer(&damaged, 5);
    assert!(said.contains("SHA-256"), "{said}");
}

#[test]
fn a_truncated_or_longer_package_is_refused() {
    let bytes = good();
    let said = answer(&bytes[..bytes.len() - 100], 5);
    assert!(said.contains("cut off"), "{said}");
    let said = answer(&bytes[..50], 5);
    assert!(said.contains("cut off"), "{said}");
    let said = answer(&[&bytes[..], &[0; 10]].concat(), 5);
    assert!(said.contains("too long"), "{said}");
}

#[test]
fn a_package_for_another_board_or_newer_firmware_is_refused() {
    let said = answer(&Student::SmallB.package(5, &["raspberry-pi-4"], &key()), 5);
    assert!(said.contains("raspberry-pi-4"), "{said}");
    let said = answer(&changed(&good(), |manifest| manifest.minimum_firmware = [99, 0, 0]), 5);
    assert!(said.contains("99.0.0"), "{said}");
}

#[test]
fn a_network_that_computes_something_else_is_refused_by_name() {
    let wrong = changed(&good(), |manifest| manifest.parts[2].goldens[1].answer[0] ^= 1);
    let said = answer(&wrong, 5);
    assert!(said.contains("embedder computes other answers"), "{said}");
}

#[test]
fn a_package_that_is_not_the_announced_one_is_refused() {
    let said = answer(&good(), 6);
    assert!(said.contains("announced"), "{said}");
}

#[test]
fn a_package_that_never_fits_is_refused_before_a_byte_is_sent() {
    let mut desk = Desk::new(owned(Student::SmallA, 1, 0), Student::SmallA);
    let error = upload(&mut desk, &vec![0; 200_000], 5, &mut Yes::default()).expect_err("refused");
    assert!(matches!(error, ClientError::Lock(WireError::TooLarge { bytes: 200_000, .. })), "{error}");
}

#[test]
fn an_older_package_is_refused_before_a_byte_is_sent_and_the_same_one_is_skipped() {
    let mut desk = Desk::new(owned(Student::SmallA, 1, 0), Student::SmallA);
    upload(&mut desk, &good(), 5, &mut Yes::default()).unwrap();
    let older = Student::SmallA.package(4, &[], &key());
    let error = upload(&mut desk, &older, 4, &mut Yes::default()).expect_err("refused");
    let expected = Refusal::Downgrade { version: 4, floor: 5 }.to_string();
    assert!(error.to_string().contains(&expected), "{error}");
    let again = upload(&mut desk, &good(), 5, &mut Yes::default());
    assert_eq!(again, Ok(facelatch::update::upload::Uploaded::Already));
}

#[test]
fn the_owner_asks_for_pins_and_hours_and_what_cannot_be_is_refused() {
    let mut desk = Desk::new(owned(Student::SmallA, 2, 0), Student::SmallA);
    let mut line = Line::new(desk.lines(), Faults::default(), 115_200, &mut desk);
    let mut client = Client::connect(&mut line, 115_200, PATIENCE).unwrap();
    let Pin { salt, hash } = Pin::new("2580").unwrap();
    let mut order = |command| client.order(&key(), &command);
    let hours = |text: &str| Command::SetHours { person: 1, hours: Some(text.to_owned()) };
    order(Command::SetPin { person: 1, pin: Some(PinHash { salt, hash }) }).unwrap();
    order(hours("mon-wed 08:00-18:00")).unwrap();
    let refused = order(hours("whenever")).expect_err("no hours").to_string();
    assert!(refused.contains("\"whenever\" is no time of the week"), "{refused}");
    let nobody = order(Command::SetPin { person: 9, pin: None });
    assert_eq!(nobody, Err(ClientError::Lock(WireError::Nobody { person: 9 })));
    let Ok(Answer::Access(asked)) = order(Command::Access { from: 0 }) else { panic!("access") };
    let expected = AccessEntry { person: 1, pin: true, hours: Some("mon-wed 08:00-18:00".to_owned()) };
    assert_eq!(asked, [expected, AccessEntry { person: 2, pin: false, hours: None }]);

    let early = client.ask(&Request::Keys { keys: "2580#".to_owned() }).expect_err("no face").to_string();
    assert!(early.contains("no PIN is awaited"), "{early}");
    let letter = client.ask(&Request::Keys { keys: "25a#".to_owned() }).expect_err("no key").to_string();
    assert!(letter.contains("keys are 0 to 9"), "{letter}");
    let person = desk.running().device.gallery().people()[0].clone();
    assert!(person.access.pin.is_some_and(|pin| pin.is("2580")));
}

#[test]
fn the_owner_lists_renames_and_deletes_people_and_sets_the_clock() {
    let mut desk = Desk::new(owned(Student::SmallA, 2, 0), Student::SmallA);
    let mut line = Line::new(desk.lines(), Faults::default(), 115_200, &mut desk);
    let mut client = Client::connect(&mut line, 115_200, PATIENCE).unwrap();
    let mut order = |command| client.order(&key(), &command);
    order(Command::Rename { person: 2, name: "Zoe".to_owned() }).unwrap();
    order(Command::Delete { person: 1 }).unwrap();
    order(Command::SetTime { unix_ms: 1_800_000_000_000 }).unwrap();
    let Ok(Answer::People(people)) = order(Command::People { from: 0 }) else { panic!("people") };
    assert_eq!(people.iter().map(|p| (p.person, p.name.as_str())).collect::<Vec<_>>(), [(2, "Zoe")]);
    let nobody = order(Command::Delete { person: 1 });
    assert_eq!(nobody, Err(ClientError::Lock(WireError::Nobody { person: 1 })));
    let vitals = client.vitals().unwrap();
    assert!(vitals.unix_ms.unwrap() >= 1_800_000_000_000);
    assert!(vitals.flash.iter().all(|part| !part.retired));
}
