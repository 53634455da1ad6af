//! Strike, door and case, to a witness.

use std::time::Duration;

use facelatch::door::strike::PAUSE;
use facelatch::door::{Action, Door, DoorPolicy, Event, Signal};

use super::{Rule, broken};

/// The strike, as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Strike {
    /// While it is driven: for how long since its last long pause, and how long since it was last asked
    /// for or began.
    pub(super) driven: Option<(Duration, Duration)>,
    /// While it is released: for how long it was driven before, and since when it is released.
    pub(super) cooling: Option<(Duration, Duration)>,
    /// How long ago somebody asked for it, counted no further than matters.
    pub(super) asked: Option<Duration>,
    /// After the exit button: for how long it must still be driven, and by when.
    pub(super) due: Option<(Duration, Duration)>,
}

impl Strike {
    pub(super) fn pass(&mut self, time: Duration, policy: &DoorPolicy) {
        if let Some((all, pulse)) = &mut self.driven {
            (*all, *pulse) = (*all + time, *pulse + time);
        }
        self.cooling =
            self.cooling.map(|(all, since)| (all, since + time)).filter(|(_, since)| *since < PAUSE);
        let matters = policy.strike.limit + PAUSE;
        self.asked = self.asked.map(|asked| asked + time).filter(|asked| *asked <= matters);
        let driven = self.driven.map_or(Duration::ZERO, |_| time);
        self.due = self.due.map(|(rest, by)| (rest.saturating_sub(driven), by.saturating_sub(time)));
        self.due = self.due.filter(|(rest, _)| !rest.is_zero());
    }

    pub(super) fn ask(&mut self, exit: bool, policy: &DoorPolicy) {
        self.asked = Some(Duration::ZERO);
        if let Some((_, pulse)) = &mut self.driven {
            *pulse = Duration::ZERO;
        }
        if exit {
            self.due = Some((policy.strike.pulse, policy.strike.limit + PAUSE + policy.strike.pulse));
        }
    }

    pub(super) fn tell(&mut self, driven: bool) -> Rule {
        if driven == self.driven.is_some() {
            return broken("the strike is told what it was told before");
        }
        if !driven {
            self.cooling = self.driven.take().map(|(all, _)| (all, Duration::ZERO));
            return Ok(());
        }
        if self.asked.is_none() {
            return broken("nobody asked for the strike");
        }
        let before = self.cooling.take().map_or(Duration::ZERO, |(all, _)| all);
        self.driven = Some((before, Duration::ZERO));
        Ok(())
    }

    pub(super) fn check(&self, door: &Door, policy: &DoorPolicy) -> Rule {
        if self.driven.is_some() != door.is_driven() {
            return broken("the strike is not what it was told");
        }
        if self.driven.is_some_and(|(all, pulse)| all >= policy.strike.limit || pulse >= policy.strike.pulse)
        {
            return broken(format!("the strike is driven for {:?}", self.driven));
        }
        if self.due.is_some_and(|(_, by)| by.is_zero()) {
            return broken("the exit button did not drive the strike for a whole pulse");
        }
        Ok(())
    }
}

/// The contacts of door and case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Contacts {
    /// For how long the door is open, counted no further than matters.
    pub(super) open: Option<Duration>,
    /// How long ago the strike was driven, counted no further than matters.
    pub(super) driven: Option<Duration>,
    /// For how long the alarm of a forced door must last.
    pub(super) forced: Duration,
    pub(super) case_open: bool,
}

impl Contacts {
    pub(super) fn pass(&mut self, time: Duration, driven: bool, policy: &DoorPolicy) {
        self.open = self.open.map(|open| (open + time).min(policy.contacts.held_open));
        let since = if driven { Some(Duration::ZERO) } else { self.driven.map(|since| since + time) };
        self.driven = since.filter(|since| *since < policy.contacts.grace);
        self.forced = self.forced.saturating_sub(time);
    }

    pub(super) fn check(
        &mut self,
        event: &Event,
        actions: &[Action],
        driven: bool,
        policy: &DoorPolicy,
        door: &Door,
    ) -> Rule {
        let was_open = self.open.is_some();
        match event {
            Event::DoorOpen(true) => self.open = self.open.or(Some(Duration::ZERO)),
            Event::DoorOpen(false) => self.open = None,
            Event::Tamper(open) => self.case_open = *open,
            Event::OwnerUnlock => self.forced = Duration::ZERO,
            _ => {}
        }
        let forced = !was_open && self.open.is_some() && !driven && self.driven.is_none();
        if forced != actions.contains(&Action::ForcedOpen) {
            return broken(if forced {
                "a forced door is no alarm"
            } else {
                "an alarm without a forced door"
            });
        }
        if forced {
            self.forced = policy.contacts.alarm;
        }
        let opened = actions.iter().any(|action| matches!(action, Action::Opened(_)));
        let held = self.open.is_some_and(|open| open >= policy.contacts.held_open);
        let alarm = held || self.case_open || (!self.forced.is_zero() && !opened);
        if alarm != (door.signal() == Signal::Alarm) {
            return broken(format!("{:?} with {self:?}", door.signal()));
        }
        Ok(())
    }
}
