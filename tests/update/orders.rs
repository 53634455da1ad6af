//! Who may order what: the owner's signature, the button, numbers that are used once.

use facelatch::update::client::{Client, ClientError, PATIENCE};
use facelatch::update::link::Link;
use facelatch::update::message::{Answer, Command, Order, Request, ToHost, ToLock, WireError, WireSignature};
use facelatch::update::owner::{OwnerKey, Purpose};
use std::time::Duration;

use crate::key;
use crate::line::{Faults, framed};
use crate::lock::MemoryLock;

fn with_client<T>(lock: &mut MemoryLock, work: impl FnOnce(&mut Client<'_>) -> T) -> T {
    let mut line = lock.line(1, Faults::default(), 115_200);
    work(&mut Client::connect(&mut line, 115_200, PATIENCE).expect("connects"))
}

fn rename() -> Command {
    Command::Rename { person: 1, name: "Zoe".to_owned() }
}

fn error_of<T: std::fmt::Debug>(result: Result<T, ClientError>) -> WireError {
    match result.expect_err("refused") {
        ClientError::Lock(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn an_owner_is_taken_only_with_the_button_and_only_once() {
    let (anna, ben) = (key(), OwnerKey::from_seed(&[2; 32]));
    let mut lock = MemoryLock::new(None);
    let own = |key: &OwnerKey| Request::Own { owner: key.public() };
    assert_eq!(error_of(with_client(&mut lock, |c| c.order(&anna, &rename()))), WireError::NoOwner);
    assert_eq!(error_of(with_client(&mut lock, |c| c.ask(&own(&anna)))), WireError::Button);
    lock.button = true;
    assert_eq!(with_client(&mut lock, |c| c.ask(&own(&anna))), Ok(Answer::Done));
    assert_eq!(with_client(&mut lock, |c| c.ask(&own(&anna))), Ok(Answer::Done));
    let taken = error_of(with_client(&mut lock, |c| c.ask(&own(&ben))));
    assert_eq!(taken, WireError::OtherOwner { owner: anna.public() });
    assert_eq!(with_client(&mut lock, |c| c.order(&anna, &rename())), Ok(Answer::Done));
    assert_eq!(lock.people[0], "Zoe");
}

#[test]
fn nobody_else_orders_and_everybody_may_read_the_status() {
    let mut lock = MemoryLock::new(Some(key().public()));
    let thief = OwnerKey::from_seed(&[9; 32]);
    assert_eq!(error_of(with_client(&mut lock, |c| c.order(&thief, &rename()))), WireError::Signature);
    assert_eq!(lock.people[0], "Anna");
    assert_eq!(with_client(&mut lock, |c| c.status()).expect("answers").people, 2);
}

#[test]
fn a_reset_needs_the_button_and_forgets_owner_and_people() {
    let mut lock = MemoryLock::new(Some(key().public()));
    assert_eq!(error_of(with_client(&mut lock, |c| c.ask(&Request::Reset))), WireError::Button);
    lock.button = true;
    assert_eq!(with_client(&mut lock, |c| c.ask(&Request::Reset)), Ok(Answer::Done));
    assert_eq!((lock.owner, lock.people.len()), (None, 0));
}

/// Sends messages to a link and gives back what it answers.
fn say(link: &mut Link, lock: &mut MemoryLock, at: u64, message: &ToLock<'_>) -> Vec<ToHost> {
    link.receive(&framed(&postcard::to_allocvec(message).unwrap()), Duration::from_secs(at), lock);
    let mut decoder = facelatch::update::frame::Decoder::default();
    let mut heard = Vec::new();
    for byte in link.output() {
        if let Some(facelatch::update::frame::Piece::Frame(payload)) = decoder.push(byte) {
            heard.push(postcard::from_bytes(payload).unwrap());
        }
    }
    heard
}

fn result(heard: &[ToHost]) -> &Result<Answer, WireError> {
    match heard {
        [ToHost::Answer { result, .. }] => result,
        other => panic!("{other:?}"),
    }
}

/// A session with a nonce at time 0, and the signed order that uses it.
fn prepared(lock: &mut MemoryLock) -> (Link, Vec<u8>, WireSignature) {
    let mut link = Link::new(115_200);
    say(&mut link, lock, 0, &ToLock::Hello { session: 5, protocol: 1 });
    let heard = say(&mut link, lock, 0, &ToLock::Ask { session: 5, number: 1, request: Request::Nonce });
    let Ok(Answer::Nonce(nonce)) = *result(&heard) else { panic!("{heard:?}") };
    let order = postcard::to_allocvec(&Order { device: *b"a device", nonce, command: rename() }).unwrap();
    let signature = key().sign(Purpose::Command, &order).into();
    (link, order, signature)
}

#[test]
fn an_order_that_was_overheard_does_nothing_when_it_is_sent_again() {
    let mut lock = MemoryLock::new(Some(key().public()));
    let (mut link, order, signature) = prepared(&mut lock);
    let send = |number| ToLock::Order { session: 5, number, order: &order, signature };
    assert_eq!(*result(&say(&mut link, &mut lock, 1, &send(2))), Ok(Answer::Done));
    lock.people[0] = "Anna".to_owned();
    assert_eq!(*result(&say(&mut link, &mut lock, 1, &send(2))), Ok(Answer::Done), "answered twice");
    assert_eq!(lock.people[0], "Anna", "but done once");
    assert_eq!(*result(&say(&mut link, &mut lock, 1, &send(3))), Err(WireError::Nonce));
    let mut other = Link::new(115_200);
    say(&mut other, &mut lock, 2, &ToLock::Hello { session: 5, protocol: 1 });
    assert_eq!(*result(&say(&mut other, &mut lock, 2, &send(2))), Err(WireError::Nonce));
}

#[test]
fn an_order_is_for_one_lock_and_for_half_a_minute() {
    let mut lock = MemoryLock::new(Some(key().public()));
    let (mut link, order, signature) = prepared(&mut lock);
    let late = ToLock::Order { session: 5, number: 2, order: &order, signature };
    assert_eq!(*result(&say(&mut link, &mut lock, 31, &late)), Err(WireError::Nonce));
    let (mut link, order, _) = prepared(&mut lock);
    let mut elsewhere: Order = postcard::from_bytes(&order).unwrap();
    elsewhere.device = *b"another.";
    let order = postcard::to_allocvec(&elsewhere).unwrap();
    let signature = key().sign(Purpose::Command, &order).into();
    let wrong = ToLock::Order { session: 5, number: 2, order: &order, signature };
    assert_eq!(*result(&say(&mut link, &mut lock, 1, &wrong)), Err(WireError::Nonce));
}

#[test]
fn a_lock_that_was_started_anew_says_so() {
    let mut lock = MemoryLock::new(None);
    let mut link = Link::new(115_200);
    let heard =
        say(&mut link, &mut lock, 0, &ToLock::Ask { session: 8, number: 1, request: Request::Status });
    assert_eq!(heard, [ToHost::NoSession { session: 8 }]);
    let heard = say(&mut link, &mut lock, 0, &ToLock::Data { transfer: 3, offset: 0, bytes: &[1; 9] });
    assert_eq!(heard, [ToHost::NoTransfer { transfer: 3 }]);
}

#[test]
fn a_picture_is_for_the_owner_alone() {
    let mut lock = MemoryLock::new(Some(key().public()));
    let thief = OwnerKey::from_seed(&[9; 32]);
    assert_eq!(error_of(with_client(&mut lock, |c| c.snapshot(&thief))), WireError::Signature);
    let picture = with_client(&mut lock, |c| c.snapshot(&key())).expect("a picture");
    assert_eq!(picture.as_slice(), [7; 5_000]);
    let part = |parcel| Request::Part { parcel, offset: 0 };
    assert_eq!(error_of(with_client(&mut lock, |c| c.ask(&part(2)))), WireError::NoParcel);
    let Ok(Answer::Part(stolen)) = with_client(&mut lock, |c| c.ask(&part(1))) else { panic!("a part") };
    assert!(!stolen.windows(8).any(|window| window == [7; 8]), "the picture is not sealed");
}

#[test]
fn anybody_may_see_what_happens_at_the_door() {
    let mut lock = MemoryLock::new(None);
    assert_eq!(with_client(&mut lock, |c| c.vitals()).expect("answers").frames, 7);
}
