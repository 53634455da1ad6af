//! From frames to an opening or a failure.

use core::time::Duration;

use super::countdown::Countdown;
use super::event::{Action, Actions, Frame, Refusal, push};
use super::evidence::{Face, Obstacle, PersonId, Sighting};
use super::lockout::Lockout;
use super::machine::{Door, Mode};
use super::proof::Verdict;
use super::signal::Signal;

impl Door {
    /// Takes a frame. One that is too old, or from the future, is as none and ends what came before it.
    pub(super) fn see(&mut self, sighting: &Sighting, actions: &mut Actions) {
        let age = sighting.face().map_or(Some(Duration::ZERO), |face| self.age(face));
        let (sighting, age) = age.map_or((&Sighting::Nobody, Duration::ZERO), |age| (sighting, age));
        match &mut self.state.mode {
            Mode::Idle => self.look((sighting, age), actions),
            Mode::Unlocked { .. } => {}
            Mode::Settling { away, .. } => {
                if sighting.face().is_some() {
                    *away = Countdown::new(self.policy.settle);
                }
            }
            Mode::Enrolling { .. } | Mode::Deleting { .. } => self.proceed((sighting, age), actions),
        }
    }

    /// How long ago a face was seen, if that is no longer than frames may be apart.
    fn age(&self, face: &Face) -> Option<Duration> {
        self.now.checked_sub(face.captured_at).filter(|age| *age <= self.policy.agreement.gap)
    }

    fn look(&mut self, (sighting, age): Frame<'_>, actions: &mut Actions) {
        let Some(face) = sighting.face() else {
            self.state.proof.evidence.clear();
            self.state.obstacle = None;
            return;
        };
        let (agreement, patience) = (&self.policy.agreement, self.policy.pin_patience);
        let proof = &mut self.state.proof;
        self.state.obstacle = face.obstacle;
        let counted = proof.evidence.add(face, age, agreement);
        if !counted || self.state.faults != 0 || !self.state.lockout.remaining.is_zero() {
            return;
        }
        match proof.verdict(face, agreement, patience) {
            Verdict::Open => self.count_failure(face, actions),
            Verdict::AskPin(person) => push(actions, Action::AskPin(person)),
            Verdict::PinAwaited => {}
            Verdict::OutOfHours(person) => {
                push(actions, Action::Refused(Refusal::OutOfHours(person)));
                self.settle(Some(Signal::OutOfHours));
            }
            Verdict::Proven(person) => self.open_for(person, actions),
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

    /// Counts a face that was judged often enough as a failure, unless it was one a short while ago, or is expected to
    /// type a PIN.
    pub(super) fn count_failure(&mut self, face: &Face, actions: &mut Actions) {
        let reason = match face.obstacle {
            None => Refusal::Unknown,
            Some(Obstacle::NotAlive) => Refusal::NotAlive,
            Some(_) => return,
        };
        let lately = self.state.failed.is_some_and(|(track, _)| track == face.track);
        let (agreement, nobody) = (self.policy.agreement, self.state.people == 0);
        let Some(proof) = self.proof_mut() else { return };
        if nobody || lately || proof.has_asked(face) || !proof.evidence.is_failure(&agreement) {
            return;
        }
        proof.evidence.begin_another_try();
        self.state.failed = Some((face.track, Countdown::new(self.policy.retry)));
        self.fail(reason, actions);
    }

    fn fail(&mut self, reason: Refusal, actions: &mut Actions) {
        self.state.refusal_shown = Countdown::new(self.policy.show_result);
        self.state.lockout = self.state.lockout.failed(&self.policy.lockout);
        push(actions, Action::Refused(reason));
        push(actions, Action::Keep(self.state.lockout));
    }

    /// Takes a PIN, if it is that of the person who was asked and anybody may come in.
    pub(super) fn enter_pin(&mut self, person: PersonId, right: bool, actions: &mut Actions) {
        if self.asks_pin_of() != Some(person) || self.is_locked_out() {
            return;
        }
        if let Some(proof) = self.proof_mut() {
            proof.enter(right);
        }
        if !right {
            self.fail(Refusal::WrongPin(person), actions);
            self.end_when_locked_out(actions);
        }
    }
}
