//! Enrolment, deletion and the button, to a witness.

use std::time::Duration;

use facelatch::door::{Action, Door, DoorPolicy, Event, Known, Mode, PersonId};

use super::failures::Second;
use super::frames::Frames;
use super::{Rule, broken};

/// Enrolment and deletion.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Procedure {
    pub(super) press: Press,
    pub(super) runs: bool,
    /// Whether an administrator gave leave.
    pub(super) authorised: bool,
    /// Whether the owner gave leave to enrol.
    pub(super) owner: bool,
    /// The administrator who gave it, until nobody was in view for as long as a face must be away.
    pub(super) giver: Option<(PersonId, Duration)>,
    /// Who was shown for a deletion since.
    pub(super) shown: Option<PersonId>,
}

impl Procedure {
    pub(super) fn pass(&mut self, time: Duration, policy: &DoorPolicy) {
        self.giver = self.giver.map(|(person, empty_for)| (person, empty_for + time));
        self.giver = self.giver.filter(|(_, empty_for)| *empty_for < policy.settle);
    }

    pub(super) fn somebody_in_view(&mut self) {
        if let Some((_, empty_for)) = &mut self.giver {
            *empty_for = Duration::ZERO;
        }
    }

    pub(super) fn act(&self, action: Action, first: bool, pressed: bool) -> Rule {
        match action {
            Action::EnrolTake | Action::EnrolCommit if !self.authorised && !self.owner && !first => {
                broken("somebody enrols without leave")
            }
            Action::Delete(person) if !self.authorised || self.shown != Some(person) || !pressed => {
                broken(format!("{person:?} is deleted without leave"))
            }
            _ => Ok(()),
        }
    }

    /// Who has leave in the procedure that runs. `agreed`: the person on whom a frame that says something new agrees
    /// with those before it; a PIN gives no leave by itself. Frames from before the procedure are no evidence in it.
    pub(super) fn follow(
        &mut self,
        begins: Begins,
        agreed: Option<Known>,
        (frames, second): (&mut Frames, &mut Second),
        door: &Door,
    ) -> Rule {
        let runs = matches!(door.mode(), Mode::Enrolling { .. } | Mode::Deleting { .. });
        let Begins { pressed, ordered } = begins;
        if runs && !self.runs && !pressed && !ordered {
            return broken("a procedure begins without a press of the button");
        }
        if runs && (pressed || ordered) {
            (*frames, *second) = (Frames::default(), Second::default());
            *self = Self { runs, press: self.press, owner: ordered, ..Self::default() };
        }
        match door.mode() {
            _ if runs && !self.authorised => {
                if let Some(known) = agreed.filter(|known| known.administers && second.suffices(*known)) {
                    (self.authorised, self.giver) = (true, Some((known.id, Duration::ZERO)));
                    (*frames, *second) = (Frames::default(), Second::default());
                }
            }
            Mode::Deleting { .. } => {
                let giver = self.giver.map(|(person, _)| person);
                let shown = agreed.map(|known| known.id).filter(|person| Some(*person) != giver);
                self.shown = shown.or(self.shown);
            }
            Mode::Enrolling { .. } => {}
            mode => {
                *self = Self { press: self.press, ..Self::default() };
                if *mode != Mode::Idle {
                    (*frames, *second) = (Frames::default(), Second::default());
                }
            }
        }
        Ok(())
    }
}

/// What may begin a procedure: the end of a press, or the owner's order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begins {
    pub(super) pressed: bool,
    pub(super) ordered: bool,
}

/// The enrol button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Press {
    /// Whether it was up when it was last heard of.
    pub(super) up: bool,
    /// Whether it went down after that, and for nothing else.
    pub(super) down: bool,
}

impl Press {
    /// Whether a press ends with the event of which the beginning was seen.
    pub(super) fn hear(&mut self, event: &Event) -> bool {
        let before = *self;
        match event {
            Event::Button(true) => *self = Self { up: false, down: before.down || before.up },
            Event::Button(false) => *self = Self { up: true, down: false },
            Event::ButtonLost => *self = Self::default(),
            Event::PressTaken => self.down = false,
            _ => return false,
        }
        before.down && self.up
    }
}
