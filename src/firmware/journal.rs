//! What the device does, written down in its log.
//!
//! ```text
//! door's action, event, fault -> happening -> waiting, at most 32 -> one entry of the log for each event that is taken
//! ```
//!
//! The strike is driven before anything is written. One event costs at most one entry, which is two or three writes
//! and now and then one erase, so that neither frames nor hands wait for long. When the flash fails, the newest
//! happenings stay in memory and nothing more is written.

use core::fmt::Debug;
use std::collections::BTreeMap;
use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;

use crate::door::{Action, EnrolFailure, Event as Input, Fault, Obstacle, PersonId, Refusal};
use crate::flash::{AuditLog, Entry, Event, Happening, MapError, Moment, Reason, Record};
use crate::gallery::Match;

/// Happenings that can wait to be written. A choice: more than any one event brings.
const WAITING: usize = 32;

/// The log, and what is to be written into it.
pub struct Journal<F: NorFlash> {
    log: Option<AuditLog<F>>,
    waiting: heapless::Deque<(Moment, Happening), WAITING>,
    failure: Option<MapError>,
    calendar: fn() -> Option<Duration>,
    visits: BTreeMap<u32, u32>,
    faults: u8,
}

impl<F: NorFlash<Error: Debug>> Journal<F> {
    /// A journal that goes on with the log in all of `flash`. A log that cannot be read is left as it is, and
    /// [`Journal::failure`] tells. `calendar`: time since 1970-01-01 00:00 UTC, if the device knows it.
    #[must_use]
    pub fn open(flash: F, calendar: fn() -> Option<Duration>) -> Self {
        let region = 0..flash.capacity() as u32;
        let read = AuditLog::open(flash, region).and_then(|mut log| Ok((visits_in(&log.entries()?.0), log)));
        let (log, visits, failure) = match read {
            Ok((visits, log)) => (Some(log), visits, None),
            Err(error) => (None, BTreeMap::new(), Some(error)),
        };
        Self { log, waiting: heapless::Deque::new(), failure, calendar, visits, faults: 0 }
    }

    /// Notes what happened at `now` of the device's clock; it is written when its turn comes.
    pub fn note(&mut self, what: impl Into<Happening>, now: Duration) {
        let what = what.into();
        if let (Event::Opened, Some(person)) = (what.event, what.person) {
            self.visits.insert(person, self.next_number().saturating_add(self.waiting.len() as u32));
        }
        if self.waiting.is_full() {
            self.waiting.pop_front();
        }
        let _there_is_room = self.waiting.push_back((self.moment(now), what));
    }

    /// `now` of the device's clock, with the calendar's time if that is known.
    #[must_use]
    pub fn moment(&self, now: Duration) -> Moment {
        Moment { uptime_ms: milliseconds(now), unix_ms: (self.calendar)().map(milliseconds) }
    }

    /// Notes what an event of the door is, if it is worth an entry of its own.
    pub(super) fn take(&mut self, input: &Input, now: Duration) {
        let what: Happening = match input {
            Input::Exit(true) => Event::ExitButton.into(),
            Input::OwnerUnlock => Event::OwnerOpened.into(),
            Input::Fault(fault, broken) if self.turns(*fault, *broken) => {
                let event = if *broken { Event::Fault } else { Event::Recovered };
                event.because(reason_of_fault(*fault))
            }
            _ => return,
        };
        self.note(what, now);
    }

    /// Notes what the door does. `nearest`: who is most like the face in view. Enrolments and deletions are noted
    /// by whoever makes them.
    pub(super) fn act(&mut self, action: Action, nearest: Option<Match>, now: Duration) {
        let of = |event: Event, person| Happening {
            person,
            distance: nearest.map(|found| found.distance),
            ..event.into()
        };
        let what = match action {
            Action::Opened(PersonId(person)) => of(Event::Opened, Some(person)),
            Action::Refused(reason) => {
                let agreed = reason.person().map(|PersonId(person)| person);
                of(event_of(reason), agreed.or(nearest.map(|found| found.person)))
            }
            Action::EnrolAbort(failure) => Event::NotEnrolled.because(reason_of(failure)),
            Action::Keep(lockout) if !lockout.remaining.is_zero() => Event::LockedOut.into(),
            Action::ForcedOpen => Event::ForcedOpen.into(),
            Action::HeldOpen => Event::HeldOpen.into(),
            Action::Tampered => Event::Tampered.into(),
            Action::Strike(_)
            | Action::AskPin(_)
            | Action::EnrolBegin
            | Action::EnrolTake
            | Action::EnrolCommit
            | Action::Delete(_)
            | Action::Keep(_) => return,
        };
        self.note(what, now);
    }

    /// Writes one happening that waits.
    ///
    /// # Errors
    /// When the log cannot be written; it is not tried again.
    pub(super) fn write_one(&mut self) -> Result<(), MapError> {
        let Some(log) = self.log.as_mut().filter(|_| self.failure.is_none()) else { return Ok(()) };
        let Some((at, what)) = self.waiting.pop_front() else { return Ok(()) };
        log.push(at, what).inspect_err(|error| self.failure = Some(error.clone()))
    }

    /// Writes everything that waits, as before the device stops.
    ///
    /// # Errors
    /// As for one.
    pub fn write_all(&mut self) -> Result<(), MapError> {
        while self.failure.is_none() && !self.waiting.is_empty() {
            self.write_one()?;
        }
        Ok(())
    }

    /// Stored entries from number `from` on, as [`AuditLog::page`] gives them.
    ///
    /// # Errors
    /// When the flash does not answer.
    pub fn page(&mut self, from: u32) -> Result<Vec<Record>, MapError> {
        self.log.as_mut().map_or(Ok(Vec::new()), |log| log.page(from))
    }

    /// The number that the next entry will have.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.log.as_ref().map_or(0, AuditLog::next_number)
    }

    /// Why the log is not written any more; `None` while it is.
    #[must_use]
    pub fn failure(&self) -> Option<&MapError> {
        self.failure.as_ref()
    }

    /// The entry of a person's last visit; `None` when no entry tells of one.
    #[must_use]
    pub fn last_visit(&self, person: u32) -> Option<u32> {
        self.visits.get(&person).copied()
    }

    /// Whether a fault is other than it was.
    fn turns(&mut self, fault: Fault, broken: bool) -> bool {
        let before = self.faults;
        self.faults = if broken { before | fault as u8 } else { before & !(fault as u8) };
        self.faults != before
    }
}

/// The last entry of each person for whom the door was opened.
fn visits_in(entries: &[Entry]) -> BTreeMap<u32, u32> {
    let opened = entries.iter().filter(|entry| entry.what.event == Event::Opened);
    opened.filter_map(|entry| Some((entry.what.person?, entry.number))).collect()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn event_of(refusal: Refusal) -> Event {
    match refusal {
        Refusal::Unknown => Event::Unknown,
        Refusal::NotAlive => Event::NotAlive,
        Refusal::WrongPin(_) => Event::WrongPin,
        Refusal::OutOfHours(_) => Event::OutOfHours,
    }
}

fn reason_of_fault(fault: Fault) -> Reason {
    match fault {
        Fault::Camera => Reason::Camera,
        Fault::Storage => Reason::Storage,
        Fault::Model => Reason::Models,
        Fault::Pins => Reason::Pins,
    }
}

fn reason_of(failure: EnrolFailure) -> Reason {
    match failure {
        EnrolFailure::NotAuthorised => Reason::NotAuthorised,
        EnrolFailure::NobodyCame => Reason::NobodyCame,
        EnrolFailure::TwoFaces => Reason::TwoFaces,
        EnrolFailure::AlreadyEnrolled => Reason::AlreadyEnrolled,
        EnrolFailure::SomebodyElse => Reason::SomebodyElse,
        EnrolFailure::Full => Reason::Full,
        EnrolFailure::Storage => Reason::Storage,
        EnrolFailure::Cancelled => Reason::Cancelled,
        EnrolFailure::Hindered(obstacle) => match obstacle {
            Obstacle::TooFar => Reason::TooFar,
            Obstacle::TooNear => Reason::TooNear,
            Obstacle::Turned => Reason::Turned,
            Obstacle::Blurred => Reason::Blurred,
            Obstacle::TooDark => Reason::TooDark,
            Obstacle::TooBright => Reason::TooBright,
            Obstacle::Covered => Reason::Covered,
            Obstacle::NotAlive => Reason::NotAlive,
        },
    }
}
