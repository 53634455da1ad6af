//! What the two ends of the line say to each other, in postcard.
//!
//! ```text
//! computer                               lock
//! Hello{session}                    -->
//!                                   <--  Hello{what it is, what it can do}
//! Ask{number, Nonce}                -->
//!                                   <--  Answer{number, Nonce}
//! Order{number, nonce, command, signature} -->
//!                                   <--  Answer{number, ...}
//! Data{transfer, offset, bytes}     -->
//!                                   <--  Ack{transfer, durable, received, beyond, room}
//! ```
//!
//! Variants are numbered by their order: new ones are added at the end, none is ever moved, removed or given
//! another field (a test holds the numbers). Whoever does not know one answers [`WireError::Unknown`].

mod error;

pub use error::WireError;

use serde::{Deserialize, Serialize};

use super::owner::{OwnerId, SIGNATURE_BYTES};
use super::vitals::Vitals;

/// Version of the protocol. A lock and a computer that differ in it tell so and go no further.
pub const PROTOCOL: u8 = 1;
/// Bytes of a package in one data frame, but for its last.
pub const SEGMENT_BYTES: usize = 1024;
/// Bytes of the number that is used once.
pub const NONCE_BYTES: usize = 16;
/// Bytes of a parcel in one answer, but for its last.
pub const PART_BYTES: usize = 1024;
/// Longest text within a message, in bytes.
pub const MAX_TEXT: usize = 400;

/// What a lock can do. Bits that are not known are passed over.
pub mod capability {
    /// Takes model packages.
    pub const FLASH: u32 = 1;
    /// Lists, renames and deletes people.
    pub const GALLERY: u32 = 1 << 1;
    /// Tells its log.
    pub const LOG: u32 = 1 << 2;
    /// Has a clock that can be set.
    pub const CLOCK: u32 = 1 << 3;
    /// Can change the line's rate.
    pub const RATE: u32 = 1 << 4;
    /// Tells [`super::Request::Vitals`].
    pub const VITALS: u32 = 1 << 5;
    /// Gives pictures of its camera to its owner.
    pub const SNAPSHOT: u32 = 1 << 6;
    /// Keeps unknown visitors, which its board file must say.
    pub const VISITORS: u32 = 1 << 7;
    /// Asks people for a PIN, and lets them in at their hours only.
    pub const ACCESS: u32 = 1 << 8;
    /// Gives people to its owner, and takes them.
    pub const BACKUP: u32 = 1 << 9;
}

/// To the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLock<'a> {
    /// Begins a session, or finds out whether the lock still hears.
    Hello {
        /// Chosen at random by the computer.
        session: u32,
        /// The computer's [`PROTOCOL`].
        protocol: u8,
    },
    /// Something that anybody may ask.
    Ask {
        /// The session.
        session: u32,
        /// Counts up within the session; a repeated one gets the same answer again.
        number: u32,
        /// What is asked.
        request: Request,
    },
    /// Something that only the owner may order.
    Order {
        /// The session.
        session: u32,
        /// As in `Ask`.
        number: u32,
        /// The postcard form of an [`Order`].
        order: &'a [u8],
        /// The owner's signature of `order`.
        signature: WireSignature,
    },
    /// A piece of a package.
    Data {
        /// The transfer's number, from [`Answer::Begun`].
        transfer: u32,
        /// Of the first byte; a multiple of [`SEGMENT_BYTES`].
        offset: u32,
        /// [`SEGMENT_BYTES`], fewer only at the end.
        bytes: &'a [u8],
    },
}

/// To the computer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToHost {
    /// Answers a hello.
    Hello {
        /// The session.
        session: u32,
        /// The lock's [`PROTOCOL`].
        protocol: u8,
        /// What the lock is.
        about: About,
    },
    /// Answers `Ask` and `Order`.
    Answer {
        /// The session.
        session: u32,
        /// The number that is answered.
        number: u32,
        /// The answer.
        result: Result<Answer, WireError>,
    },
    /// How far a transfer is.
    Ack {
        /// The transfer.
        transfer: u32,
        /// Bytes from the start that a power cut cannot take away.
        durable: u32,
        /// Bytes from the start that are there without a gap.
        received: u32,
        /// Bit n: segment n behind the first missing one is there.
        beyond: u32,
        /// Bytes from the start for which there is room.
        room: u32,
    },
    /// The lock does not know this session (it was started anew): say hello.
    NoSession {
        /// The session that it does not know.
        session: u32,
    },
    /// The lock does not know this transfer: begin it again.
    NoTransfer {
        /// The transfer that it does not know.
        transfer: u32,
    },
}

/// What a lock is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Name of the board.
    pub board: String,
    /// Firmware: major, minor, patch.
    pub firmware: [u16; 3],
    /// Bits of [`capability`].
    pub capabilities: u32,
    /// A number that this lock drew when it was first started.
    pub device: [u8; 8],
    /// Whose packages and orders it takes; `None`: nobody's yet.
    pub owner: Option<OwnerId>,
    /// Longest package that fits, in bytes.
    pub slot_bytes: u32,
    /// Bytes beyond the first missing one that it has room for.
    pub window_bytes: u32,
    /// Fastest rate of the line, in bits a second.
    pub fastest_baud: u32,
}

/// What anybody may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// How the lock is.
    Status,
    /// A number for the next order.
    Nonce,
    /// Another rate of the line, from the frame after the answer on. Without a good frame within a second the
    /// lock goes back to the rate that its board file says.
    Rate {
        /// Bits a second.
        baud: u32,
    },
    /// Become the owner of a lock that has none. The lock's button must be held.
    Own {
        /// The owner's public key.
        owner: OwnerId,
    },
    /// Make the lock as new: no owner, nobody enrolled. The lock's button must be held.
    Reset,
    /// What happens at the door, and how the lock's parts are.
    Vitals,
    /// A part of a parcel, [`PART_BYTES`] of it unless fewer are left. Whoever asks needs the owner's key to open it.
    Part {
        /// The parcel, from [`Answer::Parcel`].
        parcel: u32,
        /// Its first byte.
        offset: u32,
    },
    /// Type on the lock's keypad, whether it has one or not: digits, `*` to forget them, `#` to enter them.
    Keys {
        /// What to type.
        keys: String,
    },
    /// The key for which whoever is to come into the lock is sealed.
    Sealing,
    /// A piece of a person for [`Command::Import`], sealed for that key. It does nothing by itself.
    Put {
        /// Of its first byte; 0 begins anew, else the end of the piece before.
        offset: u32,
        /// At most [`PART_BYTES`].
        bytes: Vec<u8>,
    },
}

/// What the owner signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which lock it is for.
    pub device: [u8; 8],
    /// The number that the lock gave for it.
    pub nonce: [u8; NONCE_BYTES],
    /// What to do.
    pub command: Command,
}

/// What only the owner may order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Begin or go on with the transfer of a package.
    Begin {
        /// SHA-256 of all its bytes.
        package: [u8; 32],
        /// Its bytes.
        bytes: u32,
        /// Its version.
        version: u32,
        /// Its embedder.
        embedding_id: u32,
    },
    /// All was sent: check it and try it.
    Finish {
        /// The transfer.
        transfer: u32,
    },
    /// Who is enrolled, from this number on.
    People {
        /// Lowest number.
        from: u32,
    },
    /// Give a person another name.
    Rename {
        /// The person's number.
        person: u32,
        /// The name.
        name: String,
    },
    /// Delete a person.
    Delete {
        /// The person's number.
        person: u32,
    },
    /// The log, from this entry on.
    Log {
        /// Lowest number.
        from: u32,
    },
    /// Set the clock.
    SetTime {
        /// Milliseconds since 1970-01-01 00:00 UTC.
        unix_ms: u64,
    },
    /// The newest frame of the camera, as a parcel: a JPEG. Busy until there is one.
    Snapshot,
    /// The unknown visitors that are kept, as a parcel.
    Visitors,
    /// Destroy all unknown visitors that are kept.
    ForgetVisitors,
    /// What is asked of people besides their faces, from this number on.
    Access {
        /// Lowest number.
        from: u32,
    },
    /// Ask a person for a PIN, or no more.
    SetPin {
        /// The person's number.
        person: u32,
        /// The PIN; `None`: the face is enough.
        pin: Option<PinHash>,
    },
    /// Let a person in at some hours only, or always.
    SetHours {
        /// The person's number.
        person: u32,
        /// The hours, such as `mon-fri 08:00-18:30; sat 10:00-14:00`; `None`: always.
        hours: Option<String>,
    },
    /// A person with templates and pictures, as a parcel.
    Export {
        /// The person's number.
        person: u32,
    },
    /// Enrol the person of the pieces that were put.
    Import {
        /// SHA-256 of all their bytes.
        sha256: [u8; 32],
    },
}

/// A PIN without its digits: salt, and PBKDF2 with HMAC-SHA-256 of 4,096 rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinHash {
    /// The salt.
    pub salt: [u8; 16],
    /// The first block.
    pub hash: [u8; 32],
}

/// A good answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// How the lock is.
    Status(Status),
    /// A number for the next order.
    Nonce([u8; NONCE_BYTES]),
    /// The transfer may go on.
    Begun {
        /// Its number.
        transfer: u32,
        /// Bytes from the start that the lock has already.
        durable: u32,
        /// People who would have to enrol again, since no pictures of them are kept.
        enrol_again: u32,
    },
    /// The lock has this package already; it is the active one.
    Active,
    /// People, by number. Not all may fit: ask on from behind the last, until none comes.
    People(Vec<PersonEntry>),
    /// Entries of the log, by number. Not all may fit: ask on from behind the last, until none comes.
    Log(Vec<LogEntry>),
    /// What happens at the door, and how the lock's parts are.
    Vitals(Vitals),
    /// Something that is longer than a frame and sealed for the owner (see [`super::sealed`]), to be fetched by
    /// [`Request::Part`] until the next parcel is ordered.
    Parcel {
        /// Its number.
        parcel: u32,
        /// Its bytes.
        bytes: u32,
    },
    /// A part of a parcel.
    Part(Vec<u8>),
    /// What is asked of people, by number. Not all may fit: ask on from behind the last, until none comes.
    Access(Vec<AccessEntry>),
    /// The key for which whoever is to come into the lock is sealed, drawn at each start.
    Sealing(OwnerId),
    /// A person is enrolled.
    Imported {
        /// The person's number.
        person: u32,
    },
}

/// How the lock is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the active package; 0: the models that came with the firmware.
    pub version: u32,
    /// The active embedder.
    pub embedding_id: u32,
    /// Lowest version that is taken.
    pub floor: u32,
    /// Whether the active package is on trial.
    pub on_trial: bool,
    /// People who are enrolled.
    pub people: u32,
    /// Of these, people who have to enrol again before the active embedder knows them.
    pub enrol_again: u32,
    /// Seconds since the lock was started.
    pub up_seconds: u32,
    /// What became of the last update since the lock has power.
    pub update: Stage,
}

/// How far an update is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// There is none.
    None,
    /// A package comes in.
    Receiving {
        /// Bytes that are durable.
        durable: u32,
        /// Bytes in all.
        bytes: u32,
    },
    /// Signature, digests and golden answers are checked.
    Checking,
    /// Templates are computed anew.
    Embedding {
        /// People who are done.
        done: u32,
        /// People in all.
        people: u32,
    },
    /// The new models are on trial.
    Trial,
    /// The new models are active for good.
    Confirmed,
    /// The package was refused; the old models are active.
    Refused {
        /// Why.
        reason: String,
    },
    /// The new models failed on trial; the old ones are active.
    RolledBack {
        /// Why.
        reason: String,
    },
}

/// A person as the owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonEntry {
    /// The number.
    pub person: u32,
    /// The name.
    pub name: String,
    /// Lets others be enrolled.
    pub administrator: bool,
    /// Templates of the active embedder.
    pub templates: u8,
    /// Whether pictures are kept for the next embedder.
    pub pictures: bool,
}

/// What is asked of a person besides the face.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessEntry {
    /// The number.
    pub person: u32,
    /// Whether a PIN is asked for.
    pub pin: bool,
    /// The hours, as [`Command::SetHours`] gives them; `None`: always.
    pub hours: Option<String>,
}

/// An entry of the log with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The postcard form of the entry.
    pub body: Vec<u8>,
    /// Link of the entry before.
    pub before: [u8; 16],
    /// Its own link.
    pub link: [u8; 16],
}

/// A signature in the form that serde knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireSignature([u8; 32], [u8; 32]);

impl From<[u8; SIGNATURE_BYTES]> for WireSignature {
    fn from(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Self(core::array::from_fn(|i| bytes[i]), core::array::from_fn(|i| bytes[32 + i]))
    }
}

impl From<WireSignature> for [u8; SIGNATURE_BYTES] {
    fn from(WireSignature(first, second): WireSignature) -> Self {
        core::array::from_fn(|i| if i < 32 { first[i] } else { second[i - 32] })
    }
}

/// As much of `text` as a message may carry, cut between characters.
#[must_use]
pub fn short(text: &str) -> String {
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}
