//! Why a lock did not do what it was asked, as it says so on the wire.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::update::owner::OwnerId;

/// Why the lock did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum WireError {
    /// The lock does not know the request.
    #[error("the lock does not know this command: update its firmware")]
    Unknown,
    /// The lock has no owner yet.
    #[error("the lock has no owner yet: hold its button and run: facelatch owner enrol")]
    NoOwner,
    /// The lock has another owner.
    #[error("the lock belongs to another key ({owner}): use that one with --key, or reset the lock")]
    OtherOwner {
        /// Whose it is.
        owner: OwnerId,
    },
    /// The signature of the order is wrong.
    #[error("the lock does not accept the signature of this command")]
    Signature,
    /// The order's number is not the one that the lock gave last.
    #[error("the command came too late or twice")]
    Nonce,
    /// The button is not held.
    #[error("hold the lock's button while the command runs; if it is held, let it go and press it again")]
    Button,
    /// The package does not fit.
    #[error("the package has {bytes} bytes, but only {most} fit into the lock")]
    TooLarge {
        /// Its bytes.
        bytes: u32,
        /// What fits.
        most: u32,
    },
    /// The package is not taken.
    #[error("the lock refuses the package: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The lock's storage failed.
    #[error("the lock's storage: {reason}")]
    Storage {
        /// Why.
        reason: String,
    },
    /// There is no such transfer.
    #[error("the lock knows no such transfer: it was started anew")]
    NoTransfer,
    /// Bytes are missing.
    #[error("the lock has only {durable} bytes of the package")]
    Incomplete {
        /// Bytes that are durable.
        durable: u32,
    },
    /// The lock is in the middle of something.
    #[error("the lock is busy: {reason}")]
    Busy {
        /// With what.
        reason: String,
    },
    /// Nobody has this number.
    #[error("nobody has the number {person}")]
    Nobody {
        /// The number.
        person: u32,
    },
    /// The rate is not possible.
    #[error("the line cannot run at {baud} bits a second")]
    Rate {
        /// The rate.
        baud: u32,
    },
    /// There is no such parcel.
    #[error("the lock does not have this any more: ask for it again")]
    NoParcel,
    /// Unknown visitors are not kept.
    #[error("the lock keeps no unknown visitors: its board file does not ask for it (log.visitors)")]
    NoVisitors,
    /// What was given is not possible.
    #[error("the lock does not take this: {reason}")]
    Invalid {
        /// Why.
        reason: String,
    },
    /// What was put is no person: it was damaged, or sealed for another start of the lock.
    #[error("the lock cannot read this person: run the same command again")]
    Unreadable,
    /// Who is to come is enrolled.
    #[error("this face is enrolled already, as person {person}")]
    Known {
        /// The person's number.
        person: u32,
    },
    /// Who is to come cannot be compared with anybody here.
    #[error(
        "the templates are of embedder {made}, the lock has {here} and no pictures or no place for them, from which it could compute others: enrol this person again"
    )]
    Incomparable {
        /// Embedder of the templates.
        made: u32,
        /// Embedder in use.
        here: u32,
    },
}

impl WireError {
    /// Whether the same again may succeed by itself.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::Nonce | Self::NoTransfer | Self::Incomplete { .. } | Self::Busy { .. })
    }
}
