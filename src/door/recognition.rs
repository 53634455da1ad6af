//! From frames to an opening or a failure.

use core::time::Duration;

use super::countdown::Countdown;
use super::event::{Action, Actions, Frame, Refusal, push};
use super::evidence::{Face, Obstacle, PersonId, Sighting};
use super::lockout::Lockout;
use super::machine::{Door, Mode};

impl Door {
    /// Takes a frame. One that is too old, or from the future, is as none and ends what came before it.
    pub(super) fn see(&mut self, sighting: &Sighting, actions: &mut Actions) {
        let age = sighting.face().map_or(Some(Duration::ZERO), |face| self.age(face));
        let Some(age) = age else {
            self.state.evidence.clear();
            return;
        };
        match &mut self.state.mode {
            Mode::Idle => self.look((sighting, age), actions),
            Mode::Unlocked { .. } => {}
            Mode::Settling { away, .. } => {
                if sighting.face().is_some() {
                    *away = Countdown::new(self.policy.settle);
                }
            }
            Mode::Enrolling { .. } => self.enrol((sighting, age), actions),
            Mode::Deleting { .. } => self.choose((sighting, age), actions),
        }
    }

    /// How long ago a face was seen, if that is no longer than frames may be apart.
    fn age(&self, face: &Face) -> Option<Duration> {
        self.now.checked_sub(face.captured_at).filter(|age| *age <= self.policy.agreement.gap)
    }

    fn look(&mut self, (sighting, age): Frame<'_>, actions: &mut Actions) {
        let Some(face) = sighting.face() else {
            self.forget_face();
            return;
        };
        let agreement = &self.policy.agreement;
        self.state.obstacle = face.obstacle;
        self.state.evidence.add(face, age, agreement);
        if self.state.faults != 0 || self.is_locked_out() {
            return;
        }
        if let Some(person) = self.state.evidence.agreed(agreement) {
            self.open_for(person, actions);
        } else if self.state.evidence.is_failure(agreement) && self.refuse(face, actions) {
            self.state.evidence.begin_another_try();
        }
    }

    fn open_for(&mut self, person: PersonId, actions: &mut Actions) {
        self.forget_face();
        (self.state.failed, self.state.refusal_shown) = (None, Countdown::default());
        push(actions, Action::Opened(person));
        self.unlock(Some(person));
        if self.state.lockout != Lockout::default() {
            self.state.lockout = Lockout::default();
            push(actions, Action::Keep(self.state.lockout));
        }
    }

    /// Counts a face that was judged often enough as a failure, unless it was one a short while ago. Returns
    /// whether it was counted.
    pub(super) fn refuse(&mut self, face: &Face, actions: &mut Actions) -> bool {
        let lately = self.state.failed.is_some_and(|(track, _)| track == face.track);
        let reason = match face.obstacle {
            None => Refusal::Unknown,
            Some(Obstacle::NotAlive) => Refusal::NotAlive,
            Some(_) => return false,
        };
        if self.state.people == 0 || lately {
            return false;
        }
        self.state.failed = Some((face.track, Countdown::new(self.policy.retry)));
        self.state.refusal_shown = Countdown::new(self.policy.show_result);
        self.state.lockout = self.state.lockout.failed(&self.policy.lockout);
        push(actions, Action::Refused(reason));
        push(actions, Action::Keep(self.state.lockout));
        true
    }
}
