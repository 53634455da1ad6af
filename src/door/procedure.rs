//! What the button begins: enrolment and deletion.

use super::countdown::Countdown;
use super::delete::DeleteStage;
use super::enrol::{EnrolFailure, EnrolStage, Progress};
use super::event::{Action, Actions, Frame, push};
use super::evidence::Evidence;
use super::machine::{Door, Mode};
use super::signal::Signal;

impl Door {
    pub(super) fn press(&mut self, down: bool, actions: &mut Actions) {
        if down {
            self.state.pressed_for.get_or_insert_default();
            return;
        }
        let Some(held) = self.state.pressed_for.take() else { return };
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

    pub(super) fn enrol(&mut self, frame: Frame<'_>, actions: &mut Actions) {
        let again = self.patience();
        let Mode::Enrolling { stage, patience } = &mut self.state.mode else { return };
        match stage.see(frame, &self.policy.enrol, &self.policy.agreement) {
            Progress::Waiting => self.count_failure(frame, actions),
            Progress::Authorised => *patience = again,
            Progress::Take => push(actions, Action::EnrolTake),
            Progress::TakeLast => {
                push(actions, Action::EnrolTake);
                push(actions, Action::EnrolCommit);
                self.settle(Some(Signal::Done));
            }
            Progress::Failed(failure) => self.fail_procedure(failure, actions),
        }
    }

    pub(super) fn choose(&mut self, frame: Frame<'_>, actions: &mut Actions) {
        let again = self.patience();
        let Mode::Deleting { stage, patience } = &mut self.state.mode else { return };
        if stage.see(frame, &self.policy.agreement, self.policy.settle) {
            *patience = again;
        } else {
            self.count_failure(frame, actions);
        }
    }

    /// Whoever wants to authorise and may not fails like whoever wants to come in.
    fn count_failure(&mut self, (sighting, _): Frame<'_>, actions: &mut Actions) {
        let agreement = self.policy.agreement;
        let failed = |evidence: &mut Evidence| evidence.is_failure(&agreement);
        let (Some(face), true) = (sighting.face(), self.authorising().is_some_and(failed)) else { return };
        if self.refuse(face, actions)
            && let Some(evidence) = self.authorising()
        {
            evidence.begin_another_try();
        }
        if self.is_locked_out() {
            self.fail_procedure(EnrolFailure::NotAuthorised, actions);
        }
    }

    fn authorising(&mut self) -> Option<&mut Evidence> {
        match &mut self.state.mode {
            Mode::Enrolling { stage, .. } => stage.authorising(),
            Mode::Deleting { stage, .. } => stage.authorising(),
            _ => None,
        }
    }
}
