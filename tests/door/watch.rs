//! The rules of the lock, told anew: what a door may do, from what has happened and nothing else.

mod failures;
mod frames;
mod procedure;
mod strike;

use std::time::Duration;

use facelatch::door::{Action, Door, DoorPolicy, Event, Lockout, Refusal, Sighting};

use crate::explore::Model;
use failures::{Failures, Second};
use frames::{Frames, Seen};
use procedure::{Begins, Procedure};
use strike::{Contacts, Strike};

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
