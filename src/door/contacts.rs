//! The door's contact and the case's: what is an alarm.

use core::time::Duration;

use super::countdown::Countdown;
use super::event::Action;

/// See [`ContactPolicy::grace`]: whoever has pulled when the strike lets go. A choice.
pub const GRACE: Duration = Duration::from_millis(1000);
/// See [`ContactPolicy::alarm`]. A choice: long enough to be noticed in the house.
pub const ALARM: Duration = Duration::from_secs(180);

/// Times of the door's contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContactPolicy {
    /// A door that opens within this time after the strike was released was opened with leave.
    pub grace: Duration,
    /// The door may stand open this long before it is an alarm.
    pub held_open: Duration,
    /// A door that was forced is an alarm for this long, even when it is closed again.
    pub alarm: Duration,
}

/// What the contacts say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Contacts {
    /// Of an open door: for how long it may stay so.
    open: Option<Countdown>,
    /// For how long the door may still be opened.
    leave: Countdown,
    /// For how long the alarm of a forced door lasts.
    forced: Countdown,
    tampered: bool,
}

impl Contacts {
    pub(super) fn is_alarm(&self) -> bool {
        self.tampered || !self.forced.is_over() || self.open.is_some_and(Countdown::is_over)
    }

    /// `time` passes while the strike is driven or not.
    pub(super) fn pass(&mut self, time: Duration, driven: bool, policy: &ContactPolicy) -> Option<Action> {
        self.leave.pass(time);
        if driven {
            self.leave = Countdown::new(policy.grace);
        }
        self.forced.pass(time);
        self.open.as_mut().is_some_and(|open| open.pass(time)).then_some(Action::HeldOpen)
    }

    /// Whoever was let in by face or by the owner ends the alarm of a forced door.
    pub(super) fn calm(&mut self) {
        self.forced = Countdown::default();
    }

    /// The door was opened or closed.
    pub(super) fn swing(&mut self, open: bool, driven: bool, policy: &ContactPolicy) -> Option<Action> {
        if !open {
            self.open = None;
            return None;
        }
        let opens = self.open.is_none();
        self.open.get_or_insert(Countdown::new(policy.held_open));
        if !opens || driven || !self.leave.is_over() {
            return None;
        }
        self.forced = Countdown::new(policy.alarm);
        Some(Action::ForcedOpen)
    }

    /// The case was opened or closed.
    pub(super) fn tamper(&mut self, open: bool) -> Option<Action> {
        let opens = open && !self.tampered;
        self.tampered = open;
        opens.then_some(Action::Tampered)
    }
}
