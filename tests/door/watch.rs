//! The rules of the lock, told anew: what a door may do, from what has happened and nothing else.

use std::time::Duration;

use facelatch::door::evidence::MAX_WINDOW;
use facelatch::door::strike::PAUSE;
use facelatch::door::{
    Action, Door, DoorPolicy, Event, Face, Known, Lockout, Mode, Obstacle, PersonId, Refusal, Sighting,
    Signal,
};

use crate::explore::Model;

/// A rule that an event must keep.
type Rule = Result<(), String>;

fn broken<T>(rule: impl Into<String>) -> Result<T, String> {
    Err(rule.into())
}

/// What a witness of everything remembers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Watch {
    frames: Frames,
    strike: Strike,
    contacts: Contacts,
    failures: Failures,
    procedure: Procedure,
    second: Second,
    /// What does not work: one bit each.
    faults: u8,
}

impl Watch {
    /// What is in flash.
    pub fn kept(&self) -> Lockout {
        self.failures.kept
    }

    /// After a power cut: the delay may begin anew, it is never shorter; one that was served is over.
    pub fn restart(&mut self, door: &Door) -> Rule {
        let before = std::mem::take(self).failures;
        let failures = Failures { lockout: before.kept, kept: before.kept, ..Failures::default() };
        *self = Self { failures, ..Self::default() };
        if door.locked_out_for() < before.lockout.remaining {
            return broken(format!("a restart makes {:?} of {:?}", door.locked_out_for(), before.lockout));
        }
        if before.lockout.remaining.is_zero() && !door.locked_out_for().is_zero() {
            return broken("a delay that was served is served again");
        }
        if door.is_driven() { broken("a restart opens") } else { Ok(()) }
    }

    /// What an event did `time` after the one before it, against the rules.
    pub fn check(
        &mut self,
        Model { policy, people, .. }: &Model,
        time: Duration,
        (event, now): (&Event, Duration),
        actions: &[Action],
        door: &Door,
    ) -> Rule {
        self.frames.pass(policy, time);
        self.strike.pass(time, policy);
        self.contacts.pass(time, self.strike.driven.is_some(), policy);
        self.failures.lockout.remaining = self.failures.lockout.remaining.saturating_sub(time);
        self.failures.pass(time, policy);
        self.procedure.pass(time, policy);
        self.second.pass(time, policy);
        let newer = self.happen(policy, (event, now));
        let pressed = self.procedure.press.hear(event);
        let driven = self.strike.driven.is_some() || actions.contains(&Action::Strike(true));
        self.contacts.check(event, actions, driven, policy, door)?;
        for action in actions {
            self.act(policy, *action)?;
            self.procedure.act(*action, *people == 0, pressed)?;
        }
        self.strike.check(door, policy)?;
        if door.locked_out_for() < self.failures.lockout.remaining {
            return broken(format!("a delay of {:?} was shortened", self.failures.lockout));
        }
        let refused = actions.iter().any(|action| matches!(action, Action::Refused(_)));
        let excused = refused || self.faults != 0 || *people == 0 || self.second.is_asked(event);
        self.failures.check(event, excused, policy, door)?;
        self.second.check(event, refused || self.faults != 0, door)?;
        let agreed = self.frames.agreed(policy).filter(|_| newer);
        let begins = Begins { pressed, ordered: *event == Event::OwnerEnrol };
        self.procedure.follow(begins, agreed, (&mut self.frames, &mut self.second), door)
    }

    /// Takes an event; returns whether it is a frame that says something new.
    fn happen(&mut self, policy: &DoorPolicy, (event, now): (&Event, Duration)) -> bool {
        match event {
            Event::Seen(Sighting::Several { .. }) if self.procedure.runs => {
                self.frames = Frames::default();
                self.procedure.somebody_in_view();
            }
            Event::Seen(sighting) => {
                let seen = self.frames.see(policy, sighting, now);
                self.failures.see(policy, seen);
                if seen != Seen::Nothing {
                    self.procedure.somebody_in_view();
                }
                return matches!(seen, Seen::Face { .. });
            }
            Event::Pin { person, right } if self.failures.lockout.remaining.is_zero() => {
                self.second.enter(*person, *right);
            }
            Event::Fault(fault, false) => self.faults &= !(*fault as u8),
            Event::Fault(fault, true) => {
                self.faults |= *fault as u8;
                (self.frames, self.failures.judged) = (Frames::default(), 0);
                self.second = Second::default();
            }
            Event::Exit(true) | Event::OwnerUnlock => self.strike.ask(*event == Event::Exit(true), policy),
            _ => {}
        }
        false
    }

    fn act(&mut self, policy: &DoorPolicy, action: Action) -> Rule {
        match action {
            Action::Strike(driven) => self.strike.tell(driven)?,
            Action::Opened(person) => {
                let agreed = self.frames.agreed(policy).filter(|known| known.id == person);
                if !agreed.is_some_and(|known| self.second.suffices(known)) {
                    return broken(format!(
                        "opened for {person:?} on {:?} and {:?}",
                        self.frames, self.second
                    ));
                }
                self.second = Second::default();
                if !self.failures.lockout.remaining.is_zero() {
                    return broken(format!("opened during {:?}", self.failures.lockout));
                }
                if self.faults != 0 {
                    return broken(format!("opened with the faults {:#b}", self.faults));
                }
                self.strike.ask(false, policy);
                self.contacts.forced = Duration::ZERO;
                self.failures = Failures { kept: self.failures.kept, ..Failures::default() };
                self.frames = Frames::default();
            }
            Action::Refused(Refusal::OutOfHours(_)) => {}
            Action::Refused(Refusal::WrongPin(_)) => {
                self.failures.lockout = self.failures.lockout.failed(&policy.lockout);
                self.failures.judged = 0;
                (self.frames, self.second) = (Frames::default(), Second::default());
            }
            Action::Refused(_) => self.failures.refuse(policy, &self.frames),
            Action::AskPin(person) => {
                let track = self.frames.0.last().map_or(0, |frame| frame.track);
                self.second = Second { asked: Some((person, track, Duration::ZERO)), ..Second::default() };
            }
            Action::Keep(lockout) => self.failures.kept = lockout,
            _ => {}
        }
        Ok(())
    }
}

/// One frame, as a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Witness {
    track: u32,
    person: Option<Known>,
    age: Duration,
}

/// What a frame adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// No face, or too old.
    Nothing,
    /// Not newer than the last.
    Again,
    /// A face: whether it is the first of its track, and whether it was good enough to be judged.
    Face { first: bool, judged: bool },
}

/// The last frames with a face, newest last, as many as are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Frames(heapless::Vec<Witness, MAX_WINDOW>);

impl Frames {
    fn pass(&mut self, policy: &DoorPolicy, time: Duration) {
        self.0.iter_mut().for_each(|frame| frame.age += time);
        if self.0.last().is_some_and(|last| last.age > 2 * policy.agreement.gap) {
            self.0.clear();
        }
    }

    fn see(&mut self, policy: &DoorPolicy, sighting: &Sighting, now: Duration) -> Seen {
        let gap = policy.agreement.gap;
        let fresh = |face: &Face| now.checked_sub(face.captured_at).filter(|age| *age <= gap);
        let Some((face, age)) = sighting.face().and_then(|face| Some((face, fresh(face)?))) else {
            self.0.clear();
            return Seen::Nothing;
        };
        let Face { track, obstacle, person, .. } = *face;
        if let Some(last) = self.0.last() {
            if last.track == track && last.age <= age {
                return Seen::Again;
            }
            if last.track != track || last.age - age > gap {
                self.0.clear();
            }
        }
        let first = self.0.is_empty();
        if self.0.len() >= policy.agreement.counted {
            self.0.remove(0);
        }
        let _ = self.0.push(Witness { track, person: person.filter(|_| obstacle.is_none()), age });
        Seen::Face { first, judged: matches!(obstacle, None | Some(Obstacle::NotAlive)) }
    }

    /// Whether the frames agree on somebody: enough of them, the newest and fresh one among them, nobody else.
    fn agreed(&self, policy: &DoorPolicy) -> Option<Known> {
        let newest = self.0.last().filter(|newest| newest.age <= policy.agreement.gap)?;
        let mut people = self.0.iter().filter_map(|frame| frame.person);
        let enough = people.clone().count() >= policy.agreement.needed;
        newest.person.filter(|person| enough && people.all(|other| other.id == person.id))
    }
}

/// The strike, as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Strike {
    /// While it is driven: for how long since its last long pause, and how long since it was last asked
    /// for or began.
    driven: Option<(Duration, Duration)>,
    /// While it is released: for how long it was driven before, and since when it is released.
    cooling: Option<(Duration, Duration)>,
    /// How long ago somebody asked for it, counted no further than matters.
    asked: Option<Duration>,
    /// After the exit button: for how long it must still be driven, and by when.
    due: Option<(Duration, Duration)>,
}

impl Strike {
    fn pass(&mut self, time: Duration, policy: &DoorPolicy) {
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

    fn ask(&mut self, exit: bool, policy: &DoorPolicy) {
        self.asked = Some(Duration::ZERO);
        if let Some((_, pulse)) = &mut self.driven {
            *pulse = Duration::ZERO;
        }
        if exit {
            self.due = Some((policy.strike.pulse, policy.strike.limit + PAUSE + policy.strike.pulse));
        }
    }

    fn tell(&mut self, driven: bool) -> Rule {
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

    fn check(&self, door: &Door, policy: &DoorPolicy) -> Rule {
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
struct Contacts {
    /// For how long the door is open, counted no further than matters.
    open: Option<Duration>,
    /// How long ago the strike was driven, counted no further than matters.
    driven: Option<Duration>,
    /// For how long the alarm of a forced door must last.
    forced: Duration,
    case_open: bool,
}

impl Contacts {
    fn pass(&mut self, time: Duration, driven: bool, policy: &DoorPolicy) {
        self.open = self.open.map(|open| (open + time).min(policy.contacts.held_open));
        let since = if driven { Some(Duration::ZERO) } else { self.driven.map(|since| since + time) };
        self.driven = since.filter(|since| *since < policy.contacts.grace);
        self.forced = self.forced.saturating_sub(time);
    }

    fn check(
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

/// The PIN, where one is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Second {
    /// Who was asked, by which track, and how long ago, while it matters.
    asked: Option<(PersonId, u32, Duration)>,
    /// Whose PIN was right since.
    right: Option<PersonId>,
    /// Whether the PIN of the event is a wrong one of whoever was asked.
    wrong: bool,
}

impl Second {
    fn pass(&mut self, time: Duration, policy: &DoorPolicy) {
        self.asked = self.asked.map(|(of, track, ago)| (of, track, ago + time));
        self.asked = self.asked.filter(|(_, _, ago)| *ago < policy.pin_patience);
        self.right = self.right.filter(|right| self.asked.is_some_and(|(of, ..)| of == *right));
        self.wrong = false;
    }

    fn enter(&mut self, person: PersonId, right: bool) {
        let asked = self.asked.is_some_and(|(of, ..)| of == person) && self.right.is_none();
        self.right = if asked && right { Some(person) } else { self.right };
        self.wrong = asked && !right;
    }

    /// Whether the event is a frame of a face that was asked: it looks at the keys.
    fn is_asked(&self, event: &Event) -> bool {
        let Event::Seen(Sighting::One(face)) = event else { return false };
        self.asked.is_some_and(|(_, track, _)| track == face.track)
    }

    /// Whether a face on which frames agree is enough.
    fn suffices(&self, known: Known) -> bool {
        known.in_hours && (!known.needs_pin || self.right == Some(known.id))
    }

    /// A wrong PIN is a failure, except while nobody could come in anyway.
    fn check(&mut self, event: &Event, excused: bool, door: &Door) -> Rule {
        let wrong = std::mem::take(&mut self.wrong) && matches!(event, Event::Pin { .. });
        if wrong && !excused && door.locked_out_for().is_zero() {
            return broken("a wrong PIN was not counted");
        }
        Ok(())
    }
}

/// Failures to be recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Failures {
    /// Failures, and the rest of the delay that they cost at least.
    lockout: Lockout,
    /// What is in flash.
    kept: Lockout,
    /// Frames of the face in view that were judged since it last failed, counted no further than matters.
    judged: u32,
    /// Which track failed, and how long ago.
    last: Option<(u32, Duration)>,
    /// Whether the event is a frame that was judged.
    fresh: bool,
}

impl Failures {
    fn pass(&mut self, time: Duration, policy: &DoorPolicy) {
        self.last = self.last.map(|(track, ago)| (track, ago + time)).filter(|(_, ago)| *ago < policy.retry);
    }

    fn see(&mut self, policy: &DoorPolicy, seen: Seen) {
        let most = policy.agreement.refused_after;
        self.fresh = matches!(seen, Seen::Face { judged: true, .. });
        self.judged = match seen {
            Seen::Nothing => 0,
            Seen::Again => self.judged,
            Seen::Face { first: true, judged } => u32::from(judged),
            Seen::Face { first: false, judged } => most.min(self.judged + u32::from(judged)),
        };
    }

    fn refuse(&mut self, policy: &DoorPolicy, frames: &Frames) {
        self.lockout = self.lockout.failed(&policy.lockout);
        self.judged = 0;
        self.last = frames.0.last().map(|frame| (frame.track, Duration::ZERO));
    }

    /// Whoever was judged so often and is not let in has failed, once in each time that the policy gives.
    fn check(&mut self, event: &Event, excused: bool, policy: &DoorPolicy, door: &Door) -> Rule {
        if *door.mode() != Mode::Idle {
            self.judged = 0;
        }
        let Event::Seen(Sighting::One(face)) = event else { return Ok(()) };
        let lately = self.last.is_some_and(|(track, _)| track == face.track);
        let counts = self.judged >= policy.agreement.refused_after && self.lockout.remaining.is_zero();
        let fresh = std::mem::take(&mut self.fresh);
        if counts && fresh && !lately && !excused { broken("a failure was not counted") } else { Ok(()) }
    }
}

/// Enrolment and deletion.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Procedure {
    press: Press,
    runs: bool,
    /// Whether an administrator gave leave.
    authorised: bool,
    /// Whether the owner gave leave to enrol.
    owner: bool,
    /// The administrator who gave it, until nobody was in view for as long as a face must be away.
    giver: Option<(PersonId, Duration)>,
    /// Who was shown for a deletion since.
    shown: Option<PersonId>,
}

impl Procedure {
    fn pass(&mut self, time: Duration, policy: &DoorPolicy) {
        self.giver = self.giver.map(|(person, empty_for)| (person, empty_for + time));
        self.giver = self.giver.filter(|(_, empty_for)| *empty_for < policy.settle);
    }

    fn somebody_in_view(&mut self) {
        if let Some((_, empty_for)) = &mut self.giver {
            *empty_for = Duration::ZERO;
        }
    }

    fn act(&self, action: Action, first: bool, pressed: bool) -> Rule {
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
    fn follow(
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
struct Begins {
    pressed: bool,
    ordered: bool,
}

/// The enrol button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Press {
    /// Whether it was up when it was last heard of.
    up: bool,
    /// Whether it went down after that, and for nothing else.
    down: bool,
}

impl Press {
    /// Whether a press ends with the event of which the beginning was seen.
    fn hear(&mut self, event: &Event) -> bool {
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
