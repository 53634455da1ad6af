//! The lock: what may happen at the door, and when.
//!
//! Pure: no clock, no files, no pins. Time comes in with every event, wishes go out as [`Action`]s, and what
//! the lights show follows from the state. It knows people by number only. The state holds no clock but what is
//! left of each time ([`countdown`]), so there are finitely many states: `tests/door` visits them all.
//!
//! ```text
//!            short press                      k of n frames agree
//!   Enrolling <----------- Idle ----------------------------------> Unlocked
//!      |  done, failed      ^ ^                                        | pulse over
//!      '------> Settling ---' '--- the face has left --- Settling <----'
//!                 Idle --long press--> Deleting        any --exit button--> strike for one pulse
//! ```
//!
//! All evidence is joined by "and"; a frame that is too old opens nothing; a fault or a lockout leaves the
//! exit button alone.

mod button;
pub mod contacts;
pub mod countdown;
pub mod delete;
pub mod enrol;
pub mod event;
pub mod evidence;
#[cfg(feature = "device")]
pub mod gpio;
pub mod inputs;
pub mod keypad;
pub mod lights;
pub mod lines;
pub mod lockout;
pub mod machine;
pub mod panel;
pub mod pins;
mod procedure;
pub mod proof;
mod recognition;
pub mod renewed;
pub mod signal;
pub mod strike;

pub use contacts::ContactPolicy;
pub use delete::DeleteStage;
pub use enrol::{EnrolFailure, EnrolPolicy, EnrolStage};
pub use event::{Action, Actions, Event, Fault, Refusal};
pub use evidence::{Agreement, Face, Obstacle, PersonId, Sighting};
pub use lockout::{Lockout, LockoutPolicy};
pub use machine::{Door, DoorPolicy, Mode, State};
pub use proof::{Known, Proof};
pub use signal::Signal;
pub use strike::StrikePolicy;
