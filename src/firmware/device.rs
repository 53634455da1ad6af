//! The rooms joined into the device: frames and hands in, strike, lights and records out.
//!
//! ```text
//! frame --eyes--> view --judge--> judgement --door--> actions --> strike, lights, gallery
//!                        hand, time ---------^
//! ```
//!
//! Time comes in with every call: the same code runs on a board and in a film.

mod residents;

use core::fmt::Debug;
use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;

use super::clock::monotonic;
use super::eyes::{FrameError, View};
use super::failures;
use super::journal::Journal;
use super::judge::{Judge, Judgement};
use super::latency::{Latencies, Passage};
use super::monitor::Monitor;
use crate::door::contacts::{ALARM, GRACE};
use crate::door::keypad::{Key, Typed};
use crate::door::panel::Panel;
use crate::door::proof::PIN_PATIENCE;
use crate::door::{
    Action, Agreement, ContactPolicy, Door, DoorPolicy, EnrolFailure, EnrolPolicy, Event, Fault, Lockout,
    LockoutPolicy, Mode, PersonId, Refusal, Signal, StrikePolicy,
};
use crate::face::template::Template;
use crate::flash::{Event as Logged, MapError, Reason};
use crate::gallery::{Crop, Gallery, TEMPLATES_PER_PERSON};

/// Something worth telling. Names are what the owner gave; no template, no picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// The message of lights and buzzer changed.
    Shows(Signal),
    /// The strike was driven or released.
    Strike(bool),
    /// The door was opened for somebody.
    Opened {
        /// Number of the person.
        person: u32,
        /// Name of the person.
        name: String,
    },
    /// What it took from the frame that opened to the strike.
    Took(Passage),
    /// Somebody was not let in.
    Refused(Refusal),
    /// Somebody was enrolled.
    Enrolled {
        /// Number of the person.
        person: u32,
        /// Name of the person.
        name: String,
    },
    /// Nobody was enrolled.
    NotEnrolled(EnrolFailure),
    /// Somebody was deleted.
    Deleted {
        /// Number of the person.
        person: u32,
    },
    /// The door or the case reports.
    Alarm(&'static str),
    /// Something failed; the door is locked, the exit button works.
    Failed(String),
}

/// Where notes go.
pub type Notes = Vec<Note>;

/// What a device keeps while the power is off.
pub struct Kept<F: NorFlash> {
    /// Who is enrolled.
    pub gallery: Gallery<F>,
    /// What happened.
    pub journal: Journal<F>,
}

/// The whole device but for its camera, its eyes and its clock.
pub struct Device<F: NorFlash, P: Panel> {
    judge: Judge,
    gallery: Gallery<F>,
    journal: Journal<F>,
    door: Door,
    panel: P,
    pending: heapless::Vec<Template, TEMPLATES_PER_PERSON>,
    pending_crops: heapless::Vec<Crop, TEMPLATES_PER_PERSON>,
    last: Option<Judgement>,
    shown: Signal,
    notes: Notes,
    next_name: Option<String>,
    typed: Typed,
    latencies: Latencies,
    /// When the strike was last driven, by [`monotonic`].
    driven_at: Option<Duration>,
    monitor: Monitor,
    failed: u32,
    frames_needed: u8,
    models_fail: bool,
}

impl<F: NorFlash<Error: Debug>, P: Panel> Device<F, P> {
    /// A locked device. What was kept of failures before the restart counts on.
    ///
    /// # Errors
    /// When the failures cannot be read.
    pub fn new(
        judge: Judge,
        kept: Kept<F>,
        panel: P,
        policy: DoorPolicy,
        now: Duration,
    ) -> Result<Self, MapError> {
        let Kept { mut gallery, mut journal } = kept;
        let lockout = failures::read(gallery.map())?;
        let (failed, frames_needed) = (lockout.failures, policy.agreement.needed as u8);
        let door = Door::new(policy, lockout, now);
        let (pending, mut notes) = (heapless::Vec::new(), Vec::with_capacity(16));
        journal.note(Logged::Started, now);
        let complaints = complaints(&mut gallery, &journal);
        if !complaints.is_empty() {
            journal.note(Logged::Fault.because(Reason::Storage), now);
        }
        notes.extend(complaints.into_iter().map(Note::Failed));
        let mut device = Self {
            judge,
            gallery,
            journal,
            door,
            panel,
            pending,
            pending_crops: heapless::Vec::new(),
            last: None,
            shown: Signal::Rest,
            notes,
            next_name: None,
            typed: Typed::default(),
            latencies: Latencies::default(),
            driven_at: None,
            monitor: Monitor::default(),
            failed,
            frames_needed,
            models_fail: false,
        };
        device.tell_gallery(now);
        Ok(device)
    }

    /// Judges what was seen and acts on it.
    pub fn see(&mut self, view: View, now: Duration) {
        let (taken, seeing) = (monotonic(), view.times);
        if view.is_looked_at() {
            self.monitor.saw(&view.times);
        }
        let pending = self.is_enrolling().then_some(self.pending.as_slice());
        let judgement = self.judge.judge(view, &self.gallery, pending);
        let (event, face) = (Event::Seen(judgement.sighting), judgement.sighting.face().is_some());
        self.last = Some(judgement);
        self.driven_at = None;
        self.happen(&event, now);
        let passage = |end: Duration| Passage {
            seeing,
            wait: taken.saturating_sub(seeing.seen_at),
            decide: end.saturating_sub(taken),
        };
        if let Some(driven_at) = self.driven_at {
            let passage = passage(driven_at);
            self.latencies.opened(&passage);
            self.notes.push(Note::Took(passage));
        }
        if face {
            self.latencies.decided(&passage(monotonic()));
        }
    }

    /// Notes a frame that told nothing: a damaged one is nothing, a network that fails is a fault.
    pub fn stumble(&mut self, error: &FrameError, now: Duration) {
        self.notes.push(Note::Failed(error.to_string()));
        let event = match error {
            FrameError::Convert(_) => Event::Tick,
            FrameError::Analyze(_) => {
                self.models_fail = true;
                Event::Fault(Fault::Model, true)
            }
        };
        self.happen(&event, now);
    }

    /// Takes any other event.
    pub fn happen(&mut self, event: &Event, now: Duration) {
        let actions = self.door.step(event, now);
        self.journal.take(event, now);
        let nearest = self.last.as_ref().and_then(|judgement| judgement.nearest);
        for action in &actions {
            self.journal.act(*action, nearest, now);
            self.act(*action, now);
        }
        self.panel.watch(now);
        let signal = self.door.signal();
        if signal != self.shown {
            self.shown = signal;
            self.panel.show(signal.pattern(), now);
            self.notes.push(Note::Shows(signal));
            if signal == Signal::Failed(EnrolFailure::Full) {
                self.tell_full(now);
            }
        }
        if let Err(error) = self.journal.write_one() {
            self.notes.push(Note::Failed(format!("the log is not written any more: {error}")));
        }
    }

    /// Writes down what is not in the log yet, and that the device stops.
    pub fn stop(&mut self, now: Duration) {
        self.journal.note(Logged::Stopped, now);
        if let Err(error) = self.journal.write_all() {
            self.notes.push(Note::Failed(format!("the log is not written any more: {error}")));
        }
    }

    /// Takes a key of the keypad; nobody hears it unless a PIN is awaited.
    pub fn key(&mut self, key: Key, now: Duration) {
        let Some(person) = self.door.asks_pin_of() else { return };
        let Some(digits) = self.typed.take(key) else { return };
        let pin = self.gallery.person(person.0).and_then(|person| person.access.pin);
        let right = pin.is_some_and(|pin| pin.is(&digits));
        self.happen(&Event::Pin { person, right }, now);
    }

    /// The name of whoever is enrolled next; without it people are called by their order.
    pub fn name_next(&mut self, name: &str) {
        self.next_name = Some(name.to_owned());
    }

    /// Whether an enrolment is under way.
    #[must_use]
    pub fn is_enrolling(&self) -> bool {
        matches!(self.door.mode(), Mode::Enrolling { .. })
    }

    /// What is worth telling since the last call.
    pub fn notes(&mut self) -> impl Iterator<Item = Note> + '_ {
        self.notes.drain(..)
    }

    /// What the last frame came to.
    #[must_use]
    pub fn last(&self) -> Option<&Judgement> {
        self.last.as_ref()
    }

    /// What frames took lately.
    #[must_use]
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// The lock.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// The rules by which it recognises.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Who is enrolled.
    #[must_use]
    pub fn gallery(&self) -> &Gallery<F> {
        &self.gallery
    }

    /// What happened, to be read and to be added to.
    pub fn journal(&mut self) -> &mut Journal<F> {
        &mut self.journal
    }

    /// Who is enrolled, to be changed; then [`Device::gallery_changed`] tells the door.
    pub fn gallery_mut(&mut self) -> &mut Gallery<F> {
        &mut self.gallery
    }

    /// Somebody was deleted or renamed, but not at the door.
    pub fn gallery_changed(&mut self, now: Duration) {
        self.happen(&self.people_event(), now);
    }

    /// What happened lately.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failed
    }

    /// Frames that must agree on a person.
    #[must_use]
    pub fn frames_needed(&self) -> u8 {
        self.frames_needed
    }

    /// Whether somebody presses the enrol button, which was up before. Then this press is for whoever asks, and begins
    /// nothing at the door.
    pub fn take_press(&mut self, now: Duration) -> bool {
        self.happen(&Event::PressTaken, now);
        self.door.is_pressed()
    }

    /// Whether a network failed since the start.
    #[must_use]
    pub fn models_fail(&self) -> bool {
        self.models_fail
    }

    /// The strike and the lights.
    #[must_use]
    pub fn panel(&self) -> &P {
        &self.panel
    }

    /// When the strike changes by itself, unless something happens before.
    #[must_use]
    pub fn strike_changes_at(&self) -> Option<Duration> {
        self.door.strike_changes_at()
    }

    fn act(&mut self, action: Action, now: Duration) {
        self.monitor.acted(&action, self.last.as_ref(), now);
        match action {
            Action::Strike(driven) => {
                self.panel.strike(driven, now);
                self.driven_at = driven.then(monotonic).or(self.driven_at);
                self.notes.push(Note::Strike(driven));
            }
            Action::Opened(PersonId(person)) => {
                let name = self.name_of(person);
                self.notes.push(Note::Opened { person, name });
            }
            Action::Refused(reason) => {
                self.notes.push(Note::Refused(reason));
                self.keep_visit(reason, now);
            }
            Action::AskPin(_) => self.typed.forget(),
            Action::EnrolBegin => self.forget_pending(),
            Action::EnrolTake => self.take_template(),
            Action::EnrolCommit => self.enrol(now),
            Action::EnrolAbort(failure) => {
                self.forget_pending();
                self.notes.push(Note::NotEnrolled(failure));
            }
            Action::Delete(PersonId(person)) => self.delete(person, now),
            Action::Keep(lockout) => self.keep(lockout, now),
            Action::ForcedOpen => self.notes.push(Note::Alarm("the door was forced open")),
            Action::HeldOpen => self.notes.push(Note::Alarm("the door stands open")),
            Action::Tampered => self.notes.push(Note::Alarm("the case was opened")),
        }
    }

    fn name_of(&self, person: u32) -> String {
        self.gallery.person(person).map_or_else(String::new, |person| person.name.to_string())
    }

    fn keep(&mut self, lockout: Lockout, now: Duration) {
        self.failed = lockout.failures;
        if let Err(error) = failures::write(self.gallery.map(), &lockout) {
            self.journal.note(Logged::Fault.because(Reason::Storage), now);
            self.notes.push(Note::Failed(format!("the failures could not be kept: {error}")));
        }
    }
}

/// What of the storage is not as it should be.
fn complaints<F: NorFlash<Error: Debug>>(gallery: &mut Gallery<F>, journal: &Journal<F>) -> Vec<String> {
    let damage = gallery.map().damage().map(|reason| {
        format!("who is enrolled can be read only in part, and is not changed any more: {reason}")
    });
    let unfinished = gallery.unfinished().map(|error| format!("the storage cannot be written: {error}"));
    let log = journal.failure().map(|error| format!("the log cannot be read: {error}"));
    [damage, unfinished, log].into_iter().flatten().collect()
}

/// The door's rules as the board file has them.
#[must_use]
pub fn policy_of(board: &crate::board::Board) -> DoorPolicy {
    let crate::board::Board { lock, inputs, recognition, enrolment, lockout, .. } = board;
    let milliseconds = Duration::from_millis;
    DoorPolicy {
        strike: StrikePolicy { pulse: milliseconds(lock.pulse_ms), limit: milliseconds(lock.pulse_limit_ms) },
        agreement: Agreement {
            needed: recognition.frames_needed as usize,
            counted: recognition.frames_counted as usize,
            refused_after: recognition.frames_to_refuse,
            gap: milliseconds(recognition.newest_frame_max_age_ms),
        },
        settle: milliseconds(lock.settle_ms),
        pin_patience: PIN_PATIENCE,
        retry: milliseconds(lockout.retry_ms),
        show_result: milliseconds(enrolment.show_result_ms),
        long_press: milliseconds(inputs.long_press_ms),
        contacts: ContactPolicy { grace: GRACE, held_open: milliseconds(lock.held_open_ms), alarm: ALARM },
        enrol: EnrolPolicy {
            templates: enrolment.templates as u8,
            spacing: milliseconds(enrolment.spacing_ms),
            patience: milliseconds(enrolment.patience_ms),
        },
        lockout: LockoutPolicy {
            failures: lockout.failures,
            first_delay: milliseconds(lockout.first_delay_ms),
            longest_delay: milliseconds(lockout.longest_delay_ms),
        },
    }
}
