//! What the button begins: enrolment and deletion.

use super::countdown::Countdown;
use super::delete::DeleteStage;
use super::enrol::{EnrolFailure, EnrolStage, Progress};
use super::event::{Action, Actions, Frame, push};
use super::evidence::Sighting;
use super::machine::{Door, Mode};
use super::proof::Verdict;
use super::signal::Signal;

impl Door {
    pub(super) fn press(&mut self, down: bool, actions: &mut Actions) {
        let Some(held) = self.state.button.turn(down) else { return };
        let long = held >= self.policy.long_press;
        match &self.state.mode {
            Mode::Idle | Mode::Settling { .. } if self.is_locked_out() => {}
            Mode::Idle | Mode::Settling { .. } | Mode::Unlocked { .. } if long => self.begin_deletion(),
            Mode::Idle | Mode::Settling { .. } | Mode::Unlocked { .. } => {
                self.begin_enrolment(EnrolStage::begin(self.state.people), actions);
            }
            Mode::Enrolling { .. } => self.fail_procedure(EnrolFailure::Cancelled, actions),
            Mode::Deleting { stage, .. } => match stage.chosen().filter(|_| !long) {
                Some(person) => {
                    push(actions, Action::Delete(person));
                    self.settle(Some(Signal::Done));
                }
                None => self.fail_procedure(EnrolFailure::Cancelled, actions),
            },
        }
    }

    pub(super) fn begin_enrolment(&mut self, stage: EnrolStage, actions: &mut Actions) {
        if self.state.faults != 0 {
            return;
        }
        if self.state.full {
            self.settle(Some(Signal::Failed(EnrolFailure::Full)));
            return;
        }
        push(actions, Action::EnrolBegin);
        self.forget_face();
        self.state.mode = Mode::Enrolling { stage, patience: self.patience() };
    }

    fn begin_deletion(&mut self) {
        if self.state.people > 0 && self.state.faults == 0 {
            self.forget_face();
            self.state.mode = Mode::Deleting { stage: DeleteStage::begin(), patience: self.patience() };
        }
    }

    fn patience(&self) -> Countdown {
        Countdown::new(self.policy.enrol.patience)
    }

    pub(super) fn leave_procedure(&mut self, failure: EnrolFailure, actions: &mut Actions) {
        if matches!(self.state.mode, Mode::Enrolling { .. }) {
            push(actions, Action::EnrolAbort(failure));
        }
    }

    pub(super) fn fail_procedure(&mut self, failure: EnrolFailure, actions: &mut Actions) {
        self.leave_procedure(failure, actions);
        self.settle(Some(Signal::Failed(failure)));
    }

    /// Takes a frame on the way to an enrolment or a deletion.
    pub(super) fn proceed(&mut self, frame: Frame<'_>, actions: &mut Actions) {
        if self.proof_mut().is_some() {
            return self.authorise(frame, actions);
        }
        let again = self.patience();
        match &mut self.state.mode {
            Mode::Enrolling { stage, .. } => match stage.see(frame, &self.policy.enrol) {
                Progress::Waiting => {}
                Progress::Take => push(actions, Action::EnrolTake),
                Progress::TakeLast => {
                    push(actions, Action::EnrolTake);
                    push(actions, Action::EnrolCommit);
                    self.settle(Some(Signal::Done));
                }
                Progress::Failed(failure) => self.fail_procedure(failure, actions),
            },
            Mode::Deleting { stage, patience } => {
                let recognised = stage.see(frame, &self.policy.agreement, self.policy.settle);
                *patience = if recognised { again } else { *patience };
            }
            _ => {}
        }
    }

    /// Takes a frame of whoever wants to give leave. Whoever may not fails like whoever wants to come in.
    fn authorise(&mut self, (sighting, age): Frame<'_>, actions: &mut Actions) {
        let (agreement, wait) = (self.policy.agreement, self.policy.pin_patience);
        let Some(proof) = self.proof_mut() else { return };
        let Sighting::One(face) = sighting else {
            proof.evidence.clear();
            return;
        };
        if !proof.evidence.add(face, age, &agreement) {
            return;
        }
        let administers = face.person.is_some_and(|known| known.administers);
        match if administers { proof.verdict(face, &agreement, wait) } else { Verdict::Open } {
            Verdict::Open => {
                self.count_failure(face, actions);
                self.end_when_locked_out(actions);
            }
            Verdict::AskPin(person) => {
                self.renew_patience();
                push(actions, Action::AskPin(person));
            }
            Verdict::PinAwaited | Verdict::OutOfHours(_) => {}
            Verdict::Proven(person) => {
                match &mut self.state.mode {
                    Mode::Enrolling { stage, .. } => *stage = EnrolStage::take(Some(person)),
                    Mode::Deleting { stage, .. } => *stage = DeleteStage::choose(person, self.policy.settle),
                    _ => {}
                }
                self.renew_patience();
            }
        }
    }

    fn renew_patience(&mut self) {
        let again = self.patience();
        if let Mode::Enrolling { patience, .. } | Mode::Deleting { patience, .. } = &mut self.state.mode {
            *patience = again;
        }
    }

    /// Nobody enrols or deletes while nobody is let in.
    pub(super) fn end_when_locked_out(&mut self, actions: &mut Actions) {
        let runs = matches!(self.state.mode, Mode::Enrolling { .. } | Mode::Deleting { .. });
        if runs && self.is_locked_out() {
            self.fail_procedure(EnrolFailure::NotAuthorised, actions);
        }
    }
}
