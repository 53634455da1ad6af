//! The state machine: one event in, the next state and its wishes out.

use core::time::Duration;

use heapless::Vec;

use super::enrol::{EnrolFailure, EnrolPolicy, EnrolStage, Progress};
use super::evidence::{Agreement, Evidence, Face, Obstacle, PersonId, Sighting};
use super::lockout::{Lockout, LockoutPolicy};
use super::signal::Signal;

/// Everything about the lock that a board decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorPolicy {
    /// How long the strike is driven for one opening.
    pub pulse: Duration,
    /// When frames agree; a frame older than its gap is no evidence, and evidence begins anew.
    pub agreement: Agreement,
    /// How long a face must be away before it is looked at anew, after an opening or an enrolment.
    pub settle: Duration,
    /// Judged frames without agreement after which a face counts as a failure.
    pub frames_to_refuse: u32,
    /// How long a result is shown.
    pub show_result: Duration,
    /// A press at least this long asks for a deletion instead of an enrolment.
    pub long_press: Duration,
    /// The door may stand open this long before it is an alarm.
    pub held_open: Duration,
    /// How enrolment runs.
    pub enrol: EnrolPolicy,
    /// Delay after failures.
    pub lockout: LockoutPolicy,
}

/// What can break and keep the door from opening for faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// No frames.
    Camera = 1,
    /// The gallery cannot be read.
    Storage = 2,
    /// The networks do not run.
    Model = 4,
    /// A pin does not answer.
    Pins = 8,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time passed.
    Tick,
    /// A frame was judged.
    Seen(Sighting),
    /// The enrol button went down or up.
    Button(bool),
    /// The exit button went down or up.
    Exit(bool),
    /// The door was opened or closed.
    DoorOpen(bool),
    /// The case was opened or closed.
    Tamper(bool),
    /// The owner, who proved to be it, opens the door.
    OwnerUnlock,
    /// The owner lets the next face be enrolled.
    OwnerEnrol,
    /// Something broke or is well again.
    Fault(Fault, bool),
    /// How many people are enrolled, and whether there is room for another.
    Gallery {
        /// People enrolled.
        people: usize,
        /// Whether there is no room.
        full: bool,
    },
    /// The person could not be stored.
    EnrolStorageFailed,
}

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A living face that nobody enrolled has.
    Unknown,
    /// A picture of a face.
    NotAlive,
}

/// Something to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Drive the strike or release it.
    Strike(bool),
    /// The door was opened for a person.
    Opened(PersonId),
    /// Somebody was not let in.
    Refused(Refusal),
    /// An enrolment begins: forget templates of an earlier one.
    EnrolBegin,
    /// Take the template of the frame that was just judged.
    EnrolTake,
    /// Store the person of the templates taken.
    EnrolCommit,
    /// Forget the templates taken.
    EnrolAbort(EnrolFailure),
    /// Delete a person.
    Delete(PersonId),
    /// Keep this over a restart.
    Keep(Lockout),
    /// The door was opened without leave.
    ForcedOpen,
    /// The door stands open for too long.
    HeldOpen,
    /// The case was opened.
    Tampered,
}

/// What one event asks for, in order.
pub type Actions = Vec<Action, 8>;

/// What the lock is about.
#[derive(Debug, Clone, PartialEq)]
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
        /// What is shown meanwhile, and until when.
        shown: Option<(Signal, Duration)>,
        /// When a face was last in view.
        face_at: Duration,
    },
    /// A person is being enrolled.
    Enrolling {
        /// How far it is.
        stage: EnrolStage,
        /// When its patience ends.
        until: Duration,
    },
    /// A person is being deleted.
    Deleting {
        /// What the frames say so far.
        evidence: Evidence,
        /// Who is to be deleted, once an administrator and then that person were recognised.
        chosen: Option<PersonId>,
        /// Whether an administrator was recognised.
        authorised: bool,
        /// When its patience ends.
        until: Duration,
    },
}

/// The lock's whole state.
#[derive(Debug, Clone, PartialEq)]
pub struct Door {
    policy: DoorPolicy,
    mode: Mode,
    evidence: Evidence,
    /// The track that was already counted as a failure, with the reason.
    refused: Option<(u32, Refusal, Duration)>,
    obstacle: Option<Obstacle>,
    strike: Option<Strike>,
    lockout: Lockout,
    locked_out_until: Duration,
    faults: u8,
    people: usize,
    full: bool,
    button_since: Option<Duration>,
    door_open_since: Option<Duration>,
    alarm: bool,
    held_open_told: bool,
    tampered: bool,
}

/// A driven strike. However often it is asked for, it never outlasts one pulse without a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Strike {
    until: Duration,
}

impl Door {
    /// A locked door after a start at `now`, with the failures that were kept.
    #[must_use]
    pub fn new(policy: DoorPolicy, kept: Lockout, now: Duration) -> Self {
        let remaining = kept.remaining.min(policy.lockout.longest_delay);
        let kept = Lockout { remaining, ..kept };
        Self {
            policy,
            mode: Mode::Idle,
            evidence: Evidence::default(),
            refused: None,
            obstacle: None,
            strike: None,
            lockout: kept,
            locked_out_until: now + kept.remaining,
            faults: 0,
            people: 0,
            full: false,
            button_since: None,
            door_open_since: None,
            alarm: false,
            held_open_told: false,
            tampered: false,
        }
    }

    /// Takes an event that happened at `now`, which never runs backwards. Returns what is to be done.
    pub fn step(&mut self, event: &Event, now: Duration) -> Actions {
        let mut actions = Actions::new();
        self.pass_time(now, &mut actions);
        match event {
            Event::Tick => {}
            Event::Seen(sighting) => self.see(sighting, now, &mut actions),
            Event::Button(down) => self.press(*down, now, &mut actions),
            Event::Exit(true) | Event::OwnerUnlock => {
                if *event == Event::OwnerUnlock {
                    self.leave_procedure(EnrolFailure::Cancelled, &mut actions);
                    self.mode = Mode::Unlocked { person: None };
                }
                self.drive(now, &mut actions);
            }
            Event::Exit(false) => {}
            Event::DoorOpen(open) => self.swing(*open, now, &mut actions),
            Event::Tamper(open) => self.tamper(*open, &mut actions),
            Event::OwnerEnrol => self.begin_enrolment(EnrolStage::take(None), now, &mut actions),
            Event::Fault(fault, broken) => self.set_fault(*fault, *broken, &mut actions),
            Event::Gallery { people, full } => (self.people, self.full) = (*people, *full),
            Event::EnrolStorageFailed => self.settle(Signal::Failed(EnrolFailure::Storage), now),
        }
        actions
    }

    /// Whether the strike is driven.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        self.strike.is_some()
    }

    /// When the strike that is driven will be released.
    #[must_use]
    pub fn driven_until(&self) -> Option<Duration> {
        self.strike.map(|strike| strike.until)
    }

    /// What the lock is about.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// How long nobody is let in from `now` on; zero when faces are welcome.
    #[must_use]
    pub fn locked_out_for(&self, now: Duration) -> Duration {
        self.locked_out_until.saturating_sub(now)
    }

    /// Frames that agree, and frames counted, for the face in view.
    #[must_use]
    pub fn votes(&self) -> (usize, usize) {
        self.evidence.votes()
    }

    /// What lights and buzzer say at `now`.
    #[must_use]
    pub fn signal(&self, now: Duration) -> Signal {
        if self.alarm || self.tampered {
            return Signal::Alarm;
        }
        match &self.mode {
            Mode::Unlocked { .. } => Signal::Welcome,
            Mode::Settling { shown: Some((signal, until)), .. } if now < *until => *signal,
            Mode::Enrolling { stage: EnrolStage::Authorise { .. }, .. } => Signal::ShowAdministrator,
            Mode::Enrolling { stage: EnrolStage::Take { obstacle, taken, .. }, .. } => match obstacle {
                Some(obstacle) => Signal::Hindered(*obstacle),
                None if *taken > 0 => Signal::HoldStill,
                None => Signal::Look,
            },
            Mode::Deleting { authorised: false, .. } => Signal::ShowAdministrator,
            Mode::Deleting { chosen: Some(_), .. } => Signal::Confirm,
            Mode::Deleting { .. } => Signal::Look,
            Mode::Idle | Mode::Settling { .. } => self.idle_signal(now),
        }
    }

    fn idle_signal(&self, now: Duration) -> Signal {
        let shown = self.policy.show_result;
        match (self.refused, self.obstacle) {
            _ if self.faults != 0 => Signal::Fault,
            _ if now < self.locked_out_until => Signal::LockedOut,
            (Some((_, _, at)), _) if now < at + shown => Signal::Refused,
            (_, Some(obstacle)) => Signal::Hindered(obstacle),
            _ if self.evidence.judged() > 0 => Signal::Looking,
            _ => Signal::Rest,
        }
    }

    fn pass_time(&mut self, now: Duration, actions: &mut Actions) {
        if self.strike.is_some_and(|strike| now >= strike.until) {
            self.release(now, actions);
        }
        match &self.mode {
            Mode::Enrolling { stage, until } if now >= *until => {
                let failure = stage.timed_out();
                self.leave_procedure(failure, actions);
                self.settle(Signal::Failed(failure), now);
            }
            Mode::Deleting { until, .. } if now >= *until => {
                self.settle(Signal::Failed(EnrolFailure::NotAuthorised), now);
            }
            Mode::Settling { face_at, .. } if now >= *face_at + self.policy.settle => self.rest(),
            _ => {}
        }
        let too_long = |since: Duration| now >= since + self.policy.held_open;
        if self.door_open_since.is_some_and(too_long) && !self.held_open_told {
            self.held_open_told = true;
            self.alarm = true;
            push(actions, Action::HeldOpen);
        }
    }

    fn drive(&mut self, now: Duration, actions: &mut Actions) {
        if self.strike.is_none() {
            self.strike = Some(Strike { until: now + self.policy.pulse });
            push(actions, Action::Strike(true));
        }
    }

    fn release(&mut self, now: Duration, actions: &mut Actions) {
        self.strike = None;
        push(actions, Action::Strike(false));
        if matches!(self.mode, Mode::Unlocked { .. }) {
            self.mode = Mode::Settling { shown: None, face_at: now };
        }
    }

    fn rest(&mut self) {
        self.mode = Mode::Idle;
        self.evidence.clear();
        self.obstacle = None;
    }

    fn settle(&mut self, signal: Signal, now: Duration) {
        self.evidence.clear();
        self.mode = Mode::Settling { shown: Some((signal, now + self.policy.show_result)), face_at: now };
    }

    fn leave_procedure(&mut self, failure: EnrolFailure, actions: &mut Actions) {
        if matches!(self.mode, Mode::Enrolling { .. }) {
            push(actions, Action::EnrolAbort(failure));
        }
    }

    fn see(&mut self, sighting: &Sighting, now: Duration, actions: &mut Actions) {
        let gap = self.policy.agreement.gap;
        let stale = |face: &Face| face.captured_at > now || now - face.captured_at > gap;
        if sighting.face().is_some_and(stale) {
            self.evidence.clear();
            return;
        }
        match &mut self.mode {
            Mode::Idle => self.look(sighting, now, actions),
            Mode::Unlocked { .. } => {}
            Mode::Settling { face_at, .. } => {
                if sighting.face().is_some() {
                    *face_at = now;
                }
            }
            Mode::Enrolling { .. } => self.enrol(sighting, now, actions),
            Mode::Deleting { .. } => self.choose(sighting, now),
        }
    }

    fn look(&mut self, sighting: &Sighting, now: Duration, actions: &mut Actions) {
        let Some(face) = sighting.face() else {
            self.evidence.clear();
            self.obstacle = None;
            return;
        };
        self.obstacle = face.obstacle;
        let Agreement { needed, counted, gap } = self.policy.agreement;
        self.evidence.add(face, counted, gap);
        if self.faults != 0 || now < self.locked_out_until {
            return;
        }
        if let Some(person) = self.evidence.agreed(needed) {
            self.open_for(person, now, actions);
        } else if self.evidence.judged() >= self.policy.frames_to_refuse {
            self.refuse(face, now, actions);
        }
    }

    fn open_for(&mut self, person: PersonId, now: Duration, actions: &mut Actions) {
        self.mode = Mode::Unlocked { person: Some(person) };
        self.refused = None;
        self.evidence.clear();
        push(actions, Action::Opened(person));
        self.drive(now, actions);
        if self.lockout != Lockout::default() {
            self.lockout = Lockout::default();
            push(actions, Action::Keep(self.lockout));
        }
    }

    fn refuse(&mut self, face: &Face, now: Duration, actions: &mut Actions) {
        if self.people == 0 || self.refused.is_some_and(|(track, _, _)| track == face.track) {
            return;
        }
        let reason =
            if face.obstacle == Some(Obstacle::NotAlive) { Refusal::NotAlive } else { Refusal::Unknown };
        if face.obstacle.is_some() && reason == Refusal::Unknown {
            return;
        }
        self.refused = Some((face.track, reason, now));
        self.lockout = self.lockout.failed(&self.policy.lockout);
        self.locked_out_until = self.locked_out_until.max(now + self.lockout.remaining);
        push(actions, Action::Refused(reason));
        push(actions, Action::Keep(self.lockout));
    }

    fn press(&mut self, down: bool, now: Duration, actions: &mut Actions) {
        if down {
            self.button_since.get_or_insert(now);
            return;
        }
        let Some(since) = self.button_since.take() else { return };
        if now < self.locked_out_until && matches!(self.mode, Mode::Idle | Mode::Settling { .. }) {
            return;
        }
        let long = now.saturating_sub(since) >= self.policy.long_press;
        match &self.mode {
            Mode::Idle | Mode::Settling { .. } | Mode::Unlocked { .. } if long => self.begin_deletion(now),
            Mode::Idle | Mode::Settling { .. } | Mode::Unlocked { .. } => {
                self.begin_enrolment(EnrolStage::begin(self.people), now, actions);
            }
            Mode::Enrolling { .. } => {
                self.leave_procedure(EnrolFailure::Cancelled, actions);
                self.settle(Signal::Failed(EnrolFailure::Cancelled), now);
            }
            Mode::Deleting { chosen: Some(person), .. } if !long => {
                push(actions, Action::Delete(*person));
                self.settle(Signal::Done, now);
            }
            Mode::Deleting { .. } => self.settle(Signal::Failed(EnrolFailure::Cancelled), now),
        }
    }

    fn begin_enrolment(&mut self, stage: EnrolStage, now: Duration, actions: &mut Actions) {
        if self.faults != 0 {
            return;
        }
        if self.full {
            self.settle(Signal::Failed(EnrolFailure::Full), now);
            return;
        }
        push(actions, Action::EnrolBegin);
        self.evidence.clear();
        self.obstacle = None;
        self.mode = Mode::Enrolling { stage, until: now + self.policy.enrol.patience };
    }

    fn enrol(&mut self, sighting: &Sighting, now: Duration, actions: &mut Actions) {
        let Mode::Enrolling { stage, until } = &mut self.mode else { return };
        let progress = stage.see(sighting, &self.policy.enrol, &self.policy.agreement);
        let judged = stage.judged();
        match progress {
            Progress::Waiting if judged >= self.policy.frames_to_refuse => {
                if let Some(face) = sighting.face() {
                    self.refuse(face, now, actions);
                }
                if now < self.locked_out_until {
                    self.leave_procedure(EnrolFailure::NotAuthorised, actions);
                    self.settle(Signal::Failed(EnrolFailure::NotAuthorised), now);
                }
            }
            Progress::Waiting => {}
            Progress::Authorised(person) => {
                *stage = EnrolStage::take(Some(person));
                *until = now + self.policy.enrol.patience;
            }
            Progress::Take => push(actions, Action::EnrolTake),
            Progress::TakeLast => {
                push(actions, Action::EnrolTake);
                push(actions, Action::EnrolCommit);
                self.settle(Signal::Done, now);
            }
            Progress::Failed(failure) => {
                self.leave_procedure(failure, actions);
                self.settle(Signal::Failed(failure), now);
            }
        }
    }

    fn begin_deletion(&mut self, now: Duration) {
        if self.people > 0 && self.faults == 0 {
            let until = now + self.policy.enrol.patience;
            let evidence = Evidence::default();
            self.mode = Mode::Deleting { evidence, chosen: None, authorised: false, until };
        }
    }

    fn choose(&mut self, sighting: &Sighting, now: Duration) {
        let Mode::Deleting { evidence, chosen, authorised, until } = &mut self.mode else { return };
        let Sighting::One(face) = sighting else {
            evidence.clear();
            return;
        };
        let Agreement { needed, counted, gap } = self.policy.agreement;
        let counts = |(_, administers): &(PersonId, bool)| *authorised || *administers;
        evidence.add(&Face { person: face.person.filter(counts), ..*face }, counted, gap);
        let Some(person) = evidence.agreed(needed) else { return };
        if *authorised {
            *chosen = Some(person);
        } else {
            *authorised = true;
            evidence.clear();
        }
        *until = now + self.policy.enrol.patience;
    }

    fn swing(&mut self, open: bool, now: Duration, actions: &mut Actions) {
        if !open {
            (self.door_open_since, self.alarm, self.held_open_told) = (None, false, false);
            return;
        }
        let with_leave =
            self.strike.is_some() || matches!(self.mode, Mode::Unlocked { .. } | Mode::Settling { .. });
        if self.door_open_since.is_none() && !with_leave {
            self.alarm = true;
            push(actions, Action::ForcedOpen);
        }
        self.door_open_since.get_or_insert(now);
    }

    fn tamper(&mut self, open: bool, actions: &mut Actions) {
        if open && !self.tampered {
            push(actions, Action::Tampered);
        }
        self.tampered = open;
    }

    fn set_fault(&mut self, fault: Fault, broken: bool, actions: &mut Actions) {
        if !broken {
            self.faults &= !(fault as u8);
            return;
        }
        self.faults |= fault as u8;
        self.evidence.clear();
        self.leave_procedure(EnrolFailure::Cancelled, actions);
        if matches!(self.mode, Mode::Enrolling { .. } | Mode::Deleting { .. }) {
            self.rest();
        }
    }
}

fn push(actions: &mut Actions, action: Action) {
    actions.push(action).expect("no event asks for more than eight things");
}
