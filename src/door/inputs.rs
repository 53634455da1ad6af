//! What comes in from the door: buttons and contacts.

use core::time::Duration;
use std::os::fd::BorrowedFd;

use super::event::Event;

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
    /// What it is to the door when it becomes active or inactive.
    #[must_use]
    pub fn event(self, active: bool) -> Event {
        match self {
            Self::EnrolButton => Event::Button(active),
            Self::ExitButton => Event::Exit(active),
            Self::DoorSensor => Event::DoorOpen(active),
            Self::Tamper => Event::Tamper(active),
        }
    }
}

/// File handles that become readable when an input changes.
pub type Handles<'a> = heapless::Vec<BorrowedFd<'a>, 4>;

/// The inputs of a board, without their bounces.
///
/// Contract: [`Inputs::next`] never waits. Each change is returned once, in the order in which it happened for
/// each input; an input that is active at the start is a change. Whatever is lost on the way (a full queue, a
/// driver that went away and came back), the last change of an input tells its present level within a second.
pub trait Inputs {
    /// The next change, and whether the input is active.
    fn next(&mut self, now: Duration) -> Option<(Input, bool)>;
    /// What to wait for.
    fn handles(&self) -> Handles<'_>;
    /// Whether an input does not answer; it is tried again with every [`Inputs::next`] after a second.
    fn is_broken(&self) -> bool;
}
