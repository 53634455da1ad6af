//! PINs and failures, to a witness.

use std::time::Duration;

use facelatch::door::{Door, DoorPolicy, Event, Known, Lockout, Mode, PersonId, Sighting};

use super::frames::{Frames, Seen};
use super::{Rule, broken};

/// The PIN, where one is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Second {
    /// Who was asked, by which track, and how long ago, while it matters.
    pub(super) asked: Option<(PersonId, u32, Duration)>,
    /// Whose PIN was right since.
    pub(super) right: Option<PersonId>,
    /// Whether the PIN of the event is a wrong one of whoever was asked.
    pub(super) wrong: bool,
}

impl Second {
    pub(super) fn pass(&mut self, time: Duration, policy: &DoorPolicy) {
        self.asked = self.asked.map(|(of, track, ago)| (of, track, ago + time));
        self.asked = self.asked.filter(|(_, _, ago)| *ago < policy.pin_patience);
        self.right = self.right.filter(|right| self.asked.is_some_and(|(of, ..)| of == *right));
        self.wrong = false;
    }

    pub(super) fn enter(&mut self, person: PersonId, right: bool) {
        let asked = self.asked.is_some_and(|(of, ..)| of == person) && self.right.is_none();
        self.right = if asked && right { Some(person) } else { self.right };
        self.wrong = asked && !right;
    }

    /// Whether the event is a frame of a face that was asked: it looks at the keys.
    pub(super) fn is_asked(&self, event: &Event) -> bool {
        let Event::Seen(Sighting::One(face)) = event else { return false };
        self.asked.is_some_and(|(_, track, _)| track == face.track)
    }

    /// Whether a face on which frames agree is enough.
    pub(super) fn suffices(&self, known: Known) -> bool {
        known.in_hours && (!known.needs_pin || self.right == Some(known.id))
    }

    /// A wrong PIN is a failure, except while nobody could come in anyway.
    pub(super) fn check(&mut self, event: &Event, excused: bool, door: &Door) -> Rule {
        let wrong = std::mem::take(&mut self.wrong) && matches!(event, Event::Pin { .. });
        if wrong && !excused && door.locked_out_for().is_zero() {
            return broken("a wrong PIN was not counted");
        }
        Ok(())
    }
}

/// Failures to be recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Failures {
    /// Failures, and the rest of the delay that they cost at least.
    pub(super) lockout: Lockout,
    /// What is in flash.
    pub(super) kept: Lockout,
    /// Frames of the face in view that were judged since it last failed, counted no further than matters.
    pub(super) judged: u32,
    /// Which track failed, and how long ago.
    pub(super) last: Option<(u32, Duration)>,
    /// Whether the event is a frame that was judged.
    pub(super) fresh: bool,
}

impl Failures {
    pub(super) fn pass(&mut self, time: Duration, policy: &DoorPolicy) {
        self.last = self.last.map(|(track, ago)| (track, ago + time)).filter(|(_, ago)| *ago < policy.retry);
    }

    pub(super) fn see(&mut self, policy: &DoorPolicy, seen: Seen) {
        let most = policy.agreement.refused_after;
        self.fresh = matches!(seen, Seen::Face { judged: true, .. });
        self.judged = match seen {
            Seen::Nothing => 0,
            Seen::Again => self.judged,
            Seen::Face { first: true, judged } => u32::from(judged),
            Seen::Face { first: false, judged } => most.min(self.judged + u32::from(judged)),
        };
    }

    pub(super) fn refuse(&mut self, policy: &DoorPolicy, frames: &Frames) {
        self.lockout = self.lockout.failed(&policy.lockout);
        self.judged = 0;
        self.last = frames.0.last().map(|frame| (frame.track, Duration::ZERO));
    }

    /// Whoever was judged so often and is not let in has failed, once in each time that the policy gives.
    pub(super) fn check(&mut self, event: &Event, excused: bool, policy: &DoorPolicy, door: &Door) -> Rule {
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
