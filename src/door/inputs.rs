//! What comes in from the door: buttons and contacts.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use super::event::Event;
use super::lines::INPUTS;

/// An input of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// The enrol button.
    EnrolButton,
    /// The exit button.
    ExitButton,
    /// The door's contact; active: open.
    DoorSensor,
    /// The case's contact; active: open.
    Tamper,
}

impl Input {
    /// What it is to the door when it becomes active or inactive, or is found so.
    #[must_use]
    pub fn event(self, active: bool) -> Event {
        match self {
            Self::EnrolButton => Event::Button(active),
            Self::ExitButton => Event::Exit(active),
            Self::DoorSensor => Event::DoorOpen(active),
            Self::Tamper => Event::Tamper(active),
        }
    }

    /// What it is to the door when nobody knows its level any more. The contacts stay as they were last seen.
    #[must_use]
    pub fn lost(self) -> Event {
        match self {
            Self::EnrolButton => Event::ButtonLost,
            Self::ExitButton | Self::DoorSensor | Self::Tamper => Event::Tick,
        }
    }
}

/// File handles that become readable when an input changes.
pub type Handles<'a> = heapless::Vec<BorrowedFd<'a>, INPUTS>;

/// The inputs of a board, without their bounces.
///
/// Contract: [`Inputs::next`] never waits. The level at the start is told, then each change once, in the order in
/// which it happened for each input. An input whose driver went away is told by [`Input::lost`], and its level when it
/// is back. Whatever else is lost on the way (a full queue), the last change of an input tells its present level within
/// a second. So an exit button that is held at the start, or when its line comes back, opens the door once: nothing may
/// keep people in. What an enrol button that is held does then is the door's affair.
pub trait Inputs {
    /// What happened next.
    fn next(&mut self, now: Duration) -> Option<Event>;
    /// What to wait for.
    fn handles(&self) -> Handles<'_>;
    /// Whether an input does not answer; it is tried again with every [`Inputs::next`] after a second.
    fn is_broken(&self) -> bool;
}
