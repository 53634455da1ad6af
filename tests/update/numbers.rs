//! The numbers on the wire: whoever moves one breaks every lock that is out there.

use facelatch::update::message::{Answer, Command, Request, Stage, ToHost, ToLock, WireError, WireSignature};
use facelatch::update::owner::OwnerId;
use serde::Serialize;

fn first<T: Serialize>(message: &T) -> u8 {
    postcard::to_allocvec(message).unwrap()[0]
}

#[test]
fn messages_keep_their_numbers() {
    let signature = WireSignature::from([0; 64]);
    let to_lock = [
        ToLock::Hello { session: 0, protocol: 1 },
        ToLock::Ask { session: 0, number: 0, request: Request::Status },
        ToLock::Order { session: 0, number: 0, order: &[], signature },
        ToLock::Data { transfer: 0, offset: 0, bytes: &[] },
    ];
    assert_eq!(to_lock.map(|message| first(&message)), [0, 1, 2, 3]);
    let ack = ToHost::Ack { transfer: 0, durable: 0, received: 0, beyond: 0, room: 0 };
    let answer = ToHost::Answer { session: 0, number: 0, result: Ok(Answer::Done) };
    let to_host = [answer, ack, ToHost::NoSession { session: 0 }, ToHost::NoTransfer { transfer: 0 }];
    assert_eq!(to_host.map(|message| first(&message)), [1, 2, 3, 4]);
}

#[test]
fn requests_and_orders_keep_their_numbers() {
    let owner = OwnerId([0; 32]);
    let requests = [
        Request::Status,
        Request::Nonce,
        Request::Rate { baud: 1 },
        Request::Own { owner },
        Request::Reset,
        Request::Vitals,
        Request::Part { parcel: 0, offset: 0 },
        Request::Keys { keys: String::new() },
        Request::Sealing,
        Request::Put { offset: 0, bytes: Vec::new() },
    ];
    assert_eq!(requests.map(|request| first(&request)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let orders = [
        Command::Begin { package: [0; 32], bytes: 0, version: 0, embedding_id: 0 },
        Command::Finish { transfer: 0 },
        Command::People { from: 0 },
        Command::Rename { person: 0, name: String::new() },
        Command::Delete { person: 0 },
        Command::Log { from: 0 },
        Command::SetTime { unix_ms: 0 },
        Command::Snapshot,
        Command::Visitors,
        Command::ForgetVisitors,
        Command::Access { from: 0 },
        Command::SetPin { person: 0, pin: None },
        Command::SetHours { person: 0, hours: None },
        Command::Export { person: 0 },
        Command::Import { sha256: [0; 32] },
    ];
    assert_eq!(orders.map(|order| first(&order)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
}

#[test]
fn answers_stages_and_errors_keep_their_numbers() {
    let answers = [
        Answer::Done,
        Answer::Active,
        Answer::People(Vec::new()),
        Answer::Log(Vec::new()),
        Answer::Parcel { parcel: 0, bytes: 0 },
        Answer::Part(Vec::new()),
        Answer::Access(Vec::new()),
        Answer::Sealing(OwnerId([0; 32])),
        Answer::Imported { person: 0 },
    ];
    assert_eq!(answers.map(|answer| first(&answer)), [0, 4, 5, 6, 8, 9, 10, 11, 12]);
    let reason = String::new;
    let stages = [
        Stage::None,
        Stage::Receiving { durable: 0, bytes: 0 },
        Stage::Checking,
        Stage::Embedding { done: 0, people: 0 },
        Stage::Trial,
        Stage::Confirmed,
        Stage::Refused { reason: reason() },
        Stage::RolledBack { reason: reason() },
    ];
    assert_eq!(stages.map(|stage| first(&stage)), [0, 1, 2, 3, 4, 5, 6, 7]);
    let errors = [
        WireError::Unknown,
        WireError::NoOwner,
        WireError::OtherOwner { owner: OwnerId([0; 32]) },
        WireError::Signature,
        WireError::Nonce,
        WireError::Button,
        WireError::TooLarge { bytes: 0, most: 0 },
        WireError::Refused { reason: reason() },
        WireError::Storage { reason: reason() },
        WireError::NoTransfer,
        WireError::Incomplete { durable: 0 },
        WireError::Busy { reason: reason() },
        WireError::Nobody { person: 0 },
        WireError::Rate { baud: 0 },
        WireError::NoParcel,
        WireError::NoVisitors,
        WireError::Invalid { reason: reason() },
        WireError::Unreadable,
        WireError::Known { person: 0 },
        WireError::Incomparable { made: 0, here: 0 },
    ];
    let numbers = errors.map(|error| first(&error));
    assert_eq!(numbers.to_vec(), (0..=19).collect::<Vec<u8>>());
}
