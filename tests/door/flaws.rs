//! Locks with one flaw each: the rules must find every one of them.

use std::time::Duration;

use facelatch::door::{
    Action, Agreement, ContactPolicy, Door, DoorPolicy, Event, Face, Lockout, LockoutPolicy, Mode, Obstacle,
    Sighting, StrikePolicy,
};

/// What is wrong with a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A frame's age is not looked at.
    OldFramesCount,
    /// Pictures of faces count as faces.
    PhotographsCount,
    /// Faces of several people are taken for one.
    TracksAreMixed,
    /// One frame is enough.
    OneFrameIsEnough,
    /// The wish to release the strike is lost.
    ReleaseIsLost,
    /// The strike is driven for longer than its limit.
    LimitIsTooLong,
    /// The pulse is as long as the limit.
    PulseIsTooLong,
    /// A delay is shorter than it should be.
    DelayIsShort,
    /// Failures are not kept over a restart.
    NothingIsKept,
    /// The end of a delay is not kept.
    ServedIsNotKept,
    /// A face that stays is one failure and no more.
    StayingIsFree,
    /// The exit button is not heard while faces are locked out.
    ExitWaitsForLockout,
    /// The exit button is not heard while the strike is driven.
    ExitWaitsForPulse,
    /// The door's contact is not looked at while somebody stays in view.
    SettlingHidesForcedDoor,
    /// After an opening the door may be opened for long.
    LeaveLastsLong,
    /// Whoever authorised a deletion is deleted for staying.
    GiverIsChosen,
    /// Everybody may administer.
    EverybodyAdministers,
}

/// All of them.
pub const ALL: [Flaw; 17] = [
    Flaw::OldFramesCount,
    Flaw::PhotographsCount,
    Flaw::TracksAreMixed,
    Flaw::OneFrameIsEnough,
    Flaw::ReleaseIsLost,
    Flaw::LimitIsTooLong,
    Flaw::PulseIsTooLong,
    Flaw::DelayIsShort,
    Flaw::NothingIsKept,
    Flaw::ServedIsNotKept,
    Flaw::StayingIsFree,
    Flaw::ExitWaitsForLockout,
    Flaw::ExitWaitsForPulse,
    Flaw::SettlingHidesForcedDoor,
    Flaw::LeaveLastsLong,
    Flaw::GiverIsChosen,
    Flaw::EverybodyAdministers,
];

impl Flaw {
    /// The policy by which the flawed lock runs.
    pub fn policy(self, policy: DoorPolicy) -> DoorPolicy {
        let DoorPolicy { strike, contacts, lockout, agreement, .. } = policy;
        let (longer, longest) = (2 * strike.limit, Duration::from_secs(3600));
        match self {
            Self::OneFrameIsEnough => {
                DoorPolicy { agreement: Agreement { needed: 1, ..agreement }, ..policy }
            }
            Self::LimitIsTooLong => {
                DoorPolicy { strike: StrikePolicy { pulse: strike.pulse, limit: longer }, ..policy }
            }
            Self::PulseIsTooLong => {
                DoorPolicy { strike: StrikePolicy { pulse: strike.limit, ..strike }, ..policy }
            }
            Self::DelayIsShort => {
                let first_delay = lockout.first_delay / 2;
                DoorPolicy { lockout: LockoutPolicy { first_delay, ..lockout }, ..policy }
            }
            Self::StayingIsFree => DoorPolicy { retry: longest, ..policy },
            Self::LeaveLastsLong => {
                DoorPolicy { contacts: ContactPolicy { grace: longest, ..contacts }, ..policy }
            }
            Self::GiverIsChosen => DoorPolicy { settle: Duration::from_millis(1), ..policy },
            _ => policy,
        }
    }

    /// What the flawed lock hears of an event.
    pub fn event(self, event: Event, door: &Door, now: Duration) -> Event {
        let deaf = match self {
            Self::ExitWaitsForLockout => event == Event::Exit(true) && !door.locked_out_for().is_zero(),
            Self::ExitWaitsForPulse => event == Event::Exit(true) && door.is_driven(),
            Self::SettlingHidesForcedDoor => {
                event == Event::DoorOpen(true) && matches!(door.mode(), Mode::Settling { .. })
            }
            _ => false,
        };
        match event {
            _ if deaf => Event::Tick,
            Event::Seen(Sighting::One(face)) => Event::Seen(Sighting::One(self.face(face, now))),
            other => other,
        }
    }

    fn face(self, face: Face, now: Duration) -> Face {
        match self {
            Self::OldFramesCount => Face { captured_at: now, ..face },
            Self::PhotographsCount => {
                Face { obstacle: face.obstacle.filter(|obstacle| *obstacle != Obstacle::NotAlive), ..face }
            }
            Self::TracksAreMixed => Face { track: 1, ..face },
            Self::EverybodyAdministers => {
                Face { person: face.person.map(|(person, _)| (person, true)), ..face }
            }
            _ => face,
        }
    }

    /// Whether a wish of the lock reaches whoever fulfils it.
    pub fn lets_pass(self, action: &Action) -> bool {
        match (self, action) {
            (Self::ReleaseIsLost, Action::Strike(false)) | (Self::NothingIsKept, Action::Keep(_)) => false,
            (Self::ServedIsNotKept, Action::Keep(Lockout { failures, remaining })) => {
                *failures == 0 || !remaining.is_zero()
            }
            _ => true,
        }
    }
}
