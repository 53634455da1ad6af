//! The lock: what may happen at the door, and when.
//!
//! Pure: no clock, no files, no pins. Time comes in with every event, wishes go out as [`Action`]s, and what
//! the lights show follows from the state. It knows people by number only.
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

pub mod enrol;
pub mod evidence;
#[cfg(feature = "device")]
pub mod gpio;
pub mod inputs;
pub mod lights;
pub mod lockout;
pub mod machine;
pub mod panel;
pub mod pins;
pub mod signal;

pub use enrol::{EnrolFailure, EnrolStage};
pub use evidence::{Agreement, Face, Obstacle, PersonId, Sighting};
pub use lockout::{Lockout, LockoutPolicy};
pub use machine::{Action, Actions, Door, DoorPolicy, Event, Fault, Mode, Refusal};
pub use signal::Signal;
