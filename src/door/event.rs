//! What happens at a door, and what is to be done about it.

use core::time::Duration;

use heapless::Vec;

use super::enrol::EnrolFailure;
use super::evidence::{PersonId, Sighting};
use super::lockout::Lockout;

/// What can break and keep the door from opening for faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// No frames.
    Camera = 1,
    /// The gallery cannot be read.
    Storage = 2,
    /// The networks do not run.
    Model = 4,
    /// A pin does not answer.
    Pins = 8,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time passed.
    Tick,
    /// A frame was judged.
    Seen(Sighting),
    /// The enrol button went down or up, or is so since the start or since its line is back.
    Button(bool),
    /// The line of the enrol button went away: nobody knows what became of a press.
    ButtonLost,
    /// The press of the enrol button that is under way is for something else: its end begins nothing.
    PressTaken,
    /// The exit button went down or up.
    Exit(bool),
    /// The door was opened or closed.
    DoorOpen(bool),
    /// The case was opened or closed.
    Tamper(bool),
    /// A PIN was entered that is this person's, or is not.
    Pin {
        /// Whom [`Action::AskPin`] asked.
        person: PersonId,
        /// Whether it is that person's.
        right: bool,
    },
    /// The owner, who proved to be it, opens the door.
    OwnerUnlock,
    /// The owner lets the next face be enrolled.
    OwnerEnrol,
    /// Something broke or is well again.
    Fault(Fault, bool),
    /// How many people are enrolled, and whether there is room for another.
    Gallery {
        /// People enrolled.
        people: usize,
        /// Whether there is no room.
        full: bool,
    },
    /// What [`Action::EnrolCommit`] or [`Action::Delete`] asked for could not be done.
    NotDone(EnrolFailure),
}

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A living face that nobody enrolled has.
    Unknown,
    /// A picture of a face.
    NotAlive,
    /// Whoever has this person's face entered a wrong PIN.
    WrongPin(PersonId),
    /// This person may not come at this time. It is no failure.
    OutOfHours(PersonId),
}

impl Refusal {
    /// Whose face it was, where the frames agreed on that.
    #[must_use]
    pub fn person(self) -> Option<PersonId> {
        match self {
            Self::Unknown | Self::NotAlive => None,
            Self::WrongPin(person) | Self::OutOfHours(person) => Some(person),
        }
    }

    /// It in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Unknown => "nobody enrolled has this face",
            Self::NotAlive => "not a living face",
            Self::WrongPin(_) => "wrong PIN",
            Self::OutOfHours(_) => "not at this time",
        }
    }
}

/// Something to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Drive the strike or release it.
    Strike(bool),
    /// The door was opened for a person.
    Opened(PersonId),
    /// Somebody was not let in.
    Refused(Refusal),
    /// A person's PIN is needed: tell by [`Event::Pin`] whether it is right.
    AskPin(PersonId),
    /// An enrolment begins: forget templates of an earlier one.
    EnrolBegin,
    /// Take the template of the frame that was just judged.
    EnrolTake,
    /// Store the person of the templates taken.
    EnrolCommit,
    /// Forget the templates taken.
    EnrolAbort(EnrolFailure),
    /// Delete a person.
    Delete(PersonId),
    /// Keep this over a restart.
    Keep(Lockout),
    /// The door was opened without leave.
    ForcedOpen,
    /// The door stands open for too long.
    HeldOpen,
    /// The case was opened.
    Tampered,
}

/// What one event asks for, in order.
pub type Actions = Vec<Action, 8>;

pub(super) fn push(actions: &mut Actions, action: Action) {
    actions.push(action).expect("no event asks for more than eight things");
}

/// A frame's sighting and how long ago it was taken.
pub(super) type Frame<'a> = (&'a Sighting, Duration);
