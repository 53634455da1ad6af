//! Locks with one flaw each: the rules must find every one of them.

use std::time::Duration;

use facelatch::door::{
    Action, Agreement, ContactPolicy, Door, DoorPolicy, Event, Face, Known, Lockout, LockoutPolicy, Mode,
    Obstacle, Sighting, StrikePolicy,
};

/// What is wrong with a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A frame's age is not looked at.
    OldFramesCount,
    /// Pictures of faces count as faces.
    PhotographsCount,
    /// A frame that is too old does not end what came before it while somebody enrols or deletes.
    LateFramesEndNothing,
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
    /// A button that is held while the device starts counts as pressed when it comes up.
    HeldButtonPresses,
    /// It is not noticed that the button's line went away in the middle of a press.
    LostPressesCount,
    /// A press that is for something else counts as well.
    TakenPressesCount,
    /// Everybody may administer.
    EverybodyAdministers,
    /// Any PIN is right.
    WrongPinCounts,
    /// The face is enough for whoever needs a PIN.
    PinIsNotAsked,
    /// The face is enough for an administrator with a PIN.
    LeaveWithoutPin,
    /// Everybody may come at any time.
    HoursAreIgnored,
    /// A wrong PIN is no failure.
    WrongPinIsFree,
    /// A PIN is taken long after it was asked for.
    PinIsAwaitedForLong,
    /// A right PIN opens during a lockout.
    PinSkipsLockout,
    /// The exit button is not heard while a PIN is awaited.
    ExitWaitsForPin,
    /// While a PIN is awaited of one face, others do not fail.
    AskingHidesOthers,
}

/// All of them.
pub const ALL: [Flaw; 30] = [
    Flaw::OldFramesCount,
    Flaw::PhotographsCount,
    Flaw::LateFramesEndNothing,
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
    Flaw::HeldButtonPresses,
    Flaw::LostPressesCount,
    Flaw::TakenPressesCount,
    Flaw::EverybodyAdministers,
    Flaw::WrongPinCounts,
    Flaw::PinIsNotAsked,
    Flaw::LeaveWithoutPin,
    Flaw::HoursAreIgnored,
    Flaw::WrongPinIsFree,
    Flaw::PinIsAwaitedForLong,
    Flaw::PinSkipsLockout,
    Flaw::ExitWaitsForPin,
    Flaw::AskingHidesOthers,
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
            Self::PinIsAwaitedForLong => DoorPolicy { pin_patience: longest, ..policy },
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
            Self::ExitWaitsForPin => event == Event::Exit(true) && door.asks_pin_of().is_some(),
            Self::LostPressesCount => event == Event::ButtonLost,
            Self::TakenPressesCount => event == Event::PressTaken,
            Self::WrongPinIsFree => matches!(event, Event::Pin { right: false, .. }),
            Self::AskingHidesOthers => {
                door.asks_pin_of().is_some()
                    && matches!(event, Event::Seen(Sighting::One(Face { track: 2, .. })))
            }
            Self::ExitWaitsForPulse => event == Event::Exit(true) && door.is_driven(),
            Self::LateFramesEndNothing => {
                let late = matches!(event, Event::Seen(Sighting::One(face)) if face.captured_at > now);
                late && matches!(door.mode(), Mode::Enrolling { .. } | Mode::Deleting { .. })
            }
            Self::SettlingHidesForcedDoor => {
                event == Event::DoorOpen(true) && matches!(door.mode(), Mode::Settling { .. })
            }
            _ => false,
        };
        match event {
            _ if deaf => Event::Tick,
            Event::Pin { right: true, .. }
                if self == Self::PinSkipsLockout && !door.locked_out_for().is_zero() =>
            {
                Event::OwnerUnlock
            }
            Event::Pin { person, .. } if self == Self::WrongPinCounts => Event::Pin { person, right: true },
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
                Face { person: face.person.map(|known| Known { administers: true, ..known }), ..face }
            }
            Self::PinIsNotAsked | Self::LeaveWithoutPin => {
                Face { person: face.person.map(|known| Known { needs_pin: false, ..known }), ..face }
            }
            Self::HoursAreIgnored => {
                Face { person: face.person.map(|known| Known { in_hours: true, ..known }), ..face }
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
