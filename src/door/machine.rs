//! The state machine: one event in, the next state and its wishes out.

use core::time::Duration;

use super::button::Button;
use super::contacts::{ContactPolicy, Contacts};
use super::countdown::Countdown;
use super::delete::DeleteStage;
use super::enrol::{EnrolFailure, EnrolPolicy, EnrolStage};
use super::event::{Action, Actions, Event, Fault, push};
use super::evidence::{Agreement, Obstacle, PersonId};
use super::lockout::{Lockout, LockoutPolicy};
use super::proof::Proof;
use super::signal::Signal;
use super::strike::{Asking, Strike, StrikePolicy};

/// Everything about the lock that a board decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorPolicy {
    /// How long the strike is driven.
    pub strike: StrikePolicy,
    /// When frames agree; a frame older than its gap is no evidence, and evidence begins anew.
    pub agreement: Agreement,
    /// How long a face must be away before it is looked at anew, after an opening or an enrolment.
    pub settle: Duration,
    /// How long a PIN is awaited.
    pub pin_patience: Duration,
    /// A face that stays is one more failure each time that this has passed.
    pub retry: Duration,
    /// How long a result is shown.
    pub show_result: Duration,
    /// A press at least this long asks for a deletion instead of an enrolment.
    pub long_press: Duration,
    /// Times of the door's contact.
    pub contacts: ContactPolicy,
    /// How enrolment runs.
    pub enrol: EnrolPolicy,
    /// Delay after failures.
    pub lockout: LockoutPolicy,
}

/// What the lock is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Locked, looking for somebody.
    Idle,
    /// The strike was driven for a person.
    Unlocked {
        /// For whom; the owner from afar is nobody.
        person: Option<PersonId>,
    },
    /// Something is over; the face in view must leave before anything begins anew.
    Settling {
        /// What is shown meanwhile, and for how long.
        shown: Option<(Signal, Countdown)>,
        /// For how long nobody must be in view.
        away: Countdown,
    },
    /// A person is being enrolled.
    Enrolling {
        /// How far it is.
        stage: EnrolStage,
        /// Rest of its patience.
        patience: Countdown,
    },
    /// A person is being deleted.
    Deleting {
        /// How far it is.
        stage: DeleteStage,
        /// Rest of its patience.
        patience: Countdown,
    },
}

/// All that the lock remembers. There is no clock in it: states which behave alike are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) mode: Mode,
    /// What proves whose face is before a door at rest.
    pub(super) proof: Proof,
    /// What is in the way of that face.
    pub(super) obstacle: Option<Obstacle>,
    /// The track that was counted as a failure, and after which time it is one again.
    pub(super) failed: Option<(u32, Countdown)>,
    /// For how long the last refusal is shown.
    pub(super) refusal_shown: Countdown,
    pub(super) strike: Strike,
    pub(super) contacts: Contacts,
    pub(super) lockout: Lockout,
    pub(super) faults: u8,
    pub(super) people: usize,
    pub(super) full: bool,
    pub(super) button: Button,
}

/// The lock.
#[derive(Debug, Clone)]
pub struct Door {
    pub(super) policy: DoorPolicy,
    pub(super) state: State,
    /// When the last event happened.
    pub(super) now: Duration,
}

impl Door {
    /// A locked door after a start at `now`, with the failures that were kept.
    #[must_use]
    pub fn new(policy: DoorPolicy, kept: Lockout, now: Duration) -> Self {
        let remaining = kept.remaining.min(policy.lockout.longest_delay);
        let state = State {
            mode: Mode::Idle,
            proof: Proof::default(),
            obstacle: None,
            failed: None,
            refusal_shown: Countdown::default(),
            strike: Strike::default(),
            contacts: Contacts::default(),
            lockout: Lockout { remaining, ..kept },
            faults: 0,
            people: 0,
            full: false,
            button: Button::default(),
        };
        Self { policy, state, now }
    }

    /// Takes an event that happened at `now`, which never runs backwards. Returns what is to be done.
    pub fn step(&mut self, event: &Event, now: Duration) -> Actions {
        let mut actions = Actions::new();
        let was_driven = self.is_driven();
        self.pass(now.saturating_sub(self.now), &mut actions);
        self.now = self.now.max(now);
        self.take(event, &mut actions);
        if self.is_driven() != was_driven {
            push(&mut actions, Action::Strike(!was_driven));
        }
        actions
    }

    /// Whether the strike is driven.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        self.state.strike.is_driven()
    }

    /// When the strike will be released, or driven again, unless something happens before.
    #[must_use]
    pub fn strike_changes_at(&self) -> Option<Duration> {
        self.state.strike.changes_after().map(|time| self.now + time)
    }

    /// What the lock is about.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.state.mode
    }

    /// All that it remembers.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How long nobody is let in from the last event on; zero when faces are welcome.
    #[must_use]
    pub fn locked_out_for(&self) -> Duration {
        self.state.lockout.remaining
    }

    /// Frames that agree, and frames counted, for the face in view.
    #[must_use]
    pub fn votes(&self) -> (usize, usize) {
        self.state.proof.evidence.votes()
    }

    /// What lights and buzzer say after the last event.
    #[must_use]
    pub fn signal(&self) -> Signal {
        if self.state.contacts.is_alarm() {
            return Signal::Alarm;
        }
        match &self.state.mode {
            Mode::Unlocked { .. } => Signal::Welcome,
            Mode::Settling { shown: Some((signal, left)), .. } if !left.is_over() => *signal,
            Mode::Enrolling { .. } | Mode::Deleting { .. } if self.asks_pin_of().is_some() => {
                Signal::EnterPin
            }
            Mode::Enrolling { stage, .. } => stage.signal(),
            Mode::Deleting { stage, .. } => stage.signal(),
            Mode::Idle | Mode::Settling { .. } => self.idle_signal(),
        }
    }

    fn idle_signal(&self) -> Signal {
        let State { faults, refusal_shown, obstacle, proof, .. } = &self.state;
        match obstacle {
            _ if *faults != 0 => Signal::Fault,
            _ if self.is_locked_out() => Signal::LockedOut,
            _ if !refusal_shown.is_over() => Signal::Refused,
            _ if proof.asks_pin_of().is_some() => Signal::EnterPin,
            Some(obstacle) => Signal::Hindered(*obstacle),
            None if proof.evidence.is_judged() => Signal::Looking,
            None => Signal::Rest,
        }
    }

    /// Whether a press of the enrol button is under way, for whatever it is.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.state.button.is_pressed()
    }

    /// Whose PIN is awaited.
    #[must_use]
    pub fn asks_pin_of(&self) -> Option<PersonId> {
        self.proof().and_then(Proof::asks_pin_of)
    }

    /// What has to prove who is in view, in the mode that it is in.
    fn proof(&self) -> Option<&Proof> {
        match &self.state.mode {
            Mode::Idle => Some(&self.state.proof),
            Mode::Enrolling { stage: EnrolStage::Authorise { proof }, .. }
            | Mode::Deleting { stage: DeleteStage::Authorise { proof }, .. } => Some(proof),
            _ => None,
        }
    }

    /// As [`Door::proof`].
    pub(super) fn proof_mut(&mut self) -> Option<&mut Proof> {
        match &mut self.state.mode {
            Mode::Idle => Some(&mut self.state.proof),
            Mode::Enrolling { stage: EnrolStage::Authorise { proof }, .. }
            | Mode::Deleting { stage: DeleteStage::Authorise { proof }, .. } => Some(proof),
            _ => None,
        }
    }

    pub(super) fn is_locked_out(&self) -> bool {
        !self.locked_out_for().is_zero()
    }

    fn take(&mut self, event: &Event, actions: &mut Actions) {
        let driven = self.is_driven();
        match event {
            Event::Tick | Event::Exit(false) => {}
            Event::Seen(sighting) => self.see(sighting, actions),
            Event::Button(down) => self.press(*down, actions),
            Event::ButtonLost => self.state.button = Button::default(),
            Event::PressTaken => self.state.button.take(),
            Event::Exit(true) => self.state.strike.ask(Asking::Exit, &self.policy.strike),
            Event::OwnerUnlock => {
                self.leave_procedure(EnrolFailure::Cancelled, actions);
                self.unlock(None);
            }
            Event::DoorOpen(open) => {
                let alarm = self.state.contacts.swing(*open, driven, &self.policy.contacts);
                alarm.into_iter().for_each(|alarm| push(actions, alarm));
                if *open { self.state.strike.open() } else { self.state.strike.close() }
            }
            Event::Tamper(open) => {
                let alarm = self.state.contacts.tamper(*open);
                alarm.into_iter().for_each(|alarm| push(actions, alarm));
            }
            Event::Pin { person, right } => self.enter_pin(*person, *right, actions),
            Event::OwnerEnrol => self.begin_enrolment(EnrolStage::take(None), actions),
            Event::Fault(fault, broken) => self.set_fault(*fault, *broken, actions),
            Event::Gallery { people, full } => {
                (self.state.people, self.state.full) = (*people, *full);
            }
            Event::NotDone(failure) => {
                if matches!(self.state.mode, Mode::Settling { .. }) {
                    self.settle(Some(Signal::Failed(*failure)));
                }
            }
        }
        if matches!(self.state.mode, Mode::Unlocked { .. }) && self.state.strike.changes_after().is_none() {
            self.settle(None);
        }
    }

    fn pass(&mut self, time: Duration, actions: &mut Actions) {
        let (policy, was_driven) = (self.policy, self.is_driven());
        let state = &mut self.state;
        state.proof.pass(time, policy.agreement.gap);
        state.refusal_shown.pass(time);
        if state.failed.as_mut().is_some_and(|(_, left)| left.pass(time)) {
            state.failed = None;
        }
        state.button.pass(time, policy.long_press);
        if state.lockout.pass(time) {
            push(actions, Action::Keep(state.lockout));
        }
        state.strike.pass(time, &policy.strike);
        let alarm = state.contacts.pass(time, was_driven, &policy.contacts);
        alarm.into_iter().for_each(|alarm| push(actions, alarm));
        self.pass_mode(time, actions);
    }

    fn pass_mode(&mut self, time: Duration, actions: &mut Actions) {
        let gap = self.policy.agreement.gap;
        match &mut self.state.mode {
            Mode::Idle | Mode::Unlocked { .. } => {}
            Mode::Settling { shown, away } => {
                if let Some((_, left)) = shown {
                    left.pass(time);
                }
                if away.pass(time) {
                    self.rest();
                }
            }
            Mode::Enrolling { stage, patience } => {
                stage.pass(time, gap);
                if patience.pass(time) {
                    let failure = stage.timed_out();
                    self.fail_procedure(failure, actions);
                }
            }
            Mode::Deleting { stage, patience } => {
                stage.pass(time, gap);
                if patience.pass(time) {
                    self.fail_procedure(EnrolFailure::NotAuthorised, actions);
                }
            }
        }
    }

    pub(super) fn unlock(&mut self, person: Option<PersonId>) {
        self.state.mode = Mode::Unlocked { person };
        self.state.contacts.calm();
        self.state.strike.ask(Asking::Entry, &self.policy.strike);
    }

    fn rest(&mut self) {
        self.state.mode = Mode::Idle;
        self.forget_face();
    }

    pub(super) fn forget_face(&mut self) {
        self.state.proof = Proof::default();
        self.state.obstacle = None;
    }

    pub(super) fn settle(&mut self, signal: Option<Signal>) {
        self.forget_face();
        let shown = signal.map(|signal| (signal, Countdown::new(self.policy.show_result)));
        self.state.mode = Mode::Settling { shown, away: Countdown::new(self.policy.settle) };
    }

    fn set_fault(&mut self, fault: Fault, broken: bool, actions: &mut Actions) {
        if !broken {
            self.state.faults &= !(fault as u8);
            return;
        }
        self.state.faults |= fault as u8;
        self.state.proof = Proof::default();
        self.leave_procedure(EnrolFailure::Cancelled, actions);
        if matches!(self.state.mode, Mode::Enrolling { .. } | Mode::Deleting { .. }) {
            self.rest();
        }
    }
}
