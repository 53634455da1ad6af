//! What the log can tell: events, whom they concern and why they happened.
//!
//! Numbers in flash follow the order of the variants: new ones are added at the end, none is ever moved or removed.

use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The device started.
    Started,
    /// The door was opened for a person.
    Opened,
    /// A face was refused: nobody is near enough. The person of the entry is the nearest.
    Unknown,
    /// A face was refused: two people are nearly as near. The person of the entry is the nearest.
    Ambiguous,
    /// A face was refused: it is not alive.
    NotAlive,
    /// A person was enrolled.
    Enrolled,
    /// A person was deleted.
    Deleted,
    /// The door is locked out after failures.
    LockedOut,
    /// The case was opened.
    Tampered,
    /// A package of models was confirmed.
    Updated,
    /// A package on trial was taken back.
    RolledBack,
    /// The exit button opened the door.
    ExitButton,
    /// A part failed, which the reason names.
    Fault,
    /// The part that the reason names works again.
    Recovered,
    /// An enrolment ended without a person.
    NotEnrolled,
    /// A deletion ended without one.
    NotDeleted,
    /// The door was opened without leave.
    ForcedOpen,
    /// The door stands open for too long.
    HeldOpen,
    /// The owner opened the door over the cable.
    OwnerOpened,
    /// A package of models goes on trial.
    Trial,
    /// A package of models was refused.
    Refused,
    /// The clock was set; the entry has the new time.
    ClockSet,
    /// The lock has an owner.
    Owned,
    /// The owner gave a person another name.
    Renamed,
    /// The device was asked to stop.
    Stopped,
    /// The owner fetched the unknown visitors that are kept.
    VisitorsFetched,
    /// The owner had them destroyed.
    VisitorsForgotten,
    /// A person's face was refused: the PIN was wrong.
    WrongPin,
    /// A person's face was refused: not at this time.
    OutOfHours,
    /// The owner changed what is asked of a person besides the face.
    AccessChanged,
    /// The owner fetched a person with templates and pictures.
    Exported,
    /// The owner brought a person who was enrolled elsewhere.
    Imported,
}

impl Event {
    /// The event in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Opened => "opened",
            Self::Unknown => "refused: nobody enrolled has this face",
            Self::Ambiguous => "refused: two people are alike",
            Self::NotAlive => "refused: not a living face",
            Self::Enrolled => "enrolled",
            Self::Deleted => "deleted",
            Self::LockedOut => "locked out",
            Self::Tampered => "the case was opened",
            Self::Updated => "new models confirmed",
            Self::RolledBack => "new models taken back",
            Self::ExitButton => "exit button",
            Self::Fault => "fault",
            Self::Recovered => "fault over",
            Self::NotEnrolled => "not enrolled",
            Self::NotDeleted => "not deleted",
            Self::ForcedOpen => "the door was forced open",
            Self::HeldOpen => "the door stands open",
            Self::OwnerOpened => "opened by the owner",
            Self::Trial => "new models on trial",
            Self::Refused => "new models refused",
            Self::ClockSet => "clock set",
            Self::Owned => "owner enrolled",
            Self::Renamed => "renamed",
            Self::Stopped => "stopped",
            Self::VisitorsFetched => "unknown visitors fetched by the owner",
            Self::VisitorsForgotten => "unknown visitors destroyed by the owner",
            Self::WrongPin => "refused: wrong PIN",
            Self::OutOfHours => "refused: not at this time",
            Self::AccessChanged => "PIN or hours changed",
            Self::Exported => "exported by the owner",
            Self::Imported => "enrolled from a backup by the owner",
        }
    }
}

/// Why it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Nobody who may administer came.
    NotAuthorised,
    /// Nobody looked into the camera.
    NobodyCame,
    /// Too far away.
    TooFar,
    /// Too near.
    TooNear,
    /// The head was turned.
    Turned,
    /// Blurred.
    Blurred,
    /// Too dark.
    TooDark,
    /// Too bright.
    TooBright,
    /// The face was covered.
    Covered,
    /// Not a living face.
    NotAlive,
    /// Two faces at once.
    TwoFaces,
    /// The face is enrolled already.
    AlreadyEnrolled,
    /// Somebody else came into view.
    SomebodyElse,
    /// There is no place for another person.
    Full,
    /// The storage.
    Storage,
    /// The button was pressed again.
    Cancelled,
    /// The camera.
    Camera,
    /// The networks.
    Models,
    /// A pin.
    Pins,
}

impl Reason {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotAuthorised => "no administrator showed",
            Self::NobodyCame => "nobody looked into the camera",
            Self::TooFar => "too far away",
            Self::TooNear => "too near",
            Self::Turned => "head turned",
            Self::Blurred => "blurred",
            Self::TooDark => "too dark",
            Self::TooBright => "too bright",
            Self::Covered => "face covered",
            Self::NotAlive => "not a living face",
            Self::TwoFaces => "two faces at once",
            Self::AlreadyEnrolled => "this face is enrolled already",
            Self::SomebodyElse => "somebody else came into view",
            Self::Full => "no room for another person",
            Self::Storage => "storage",
            Self::Cancelled => "cancelled",
            Self::Camera => "camera",
            Self::Models => "models",
            Self::Pins => "pins",
        }
    }
}

/// An event, and what is known about it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// What.
    pub event: Event,
    /// Whom it concerns, by number.
    pub person: Option<u32>,
    /// Squared distance of the decision, `0.0..=4.0`.
    pub distance: Option<f32>,
    /// Why.
    pub reason: Option<Reason>,
}

impl From<Event> for Happening {
    fn from(event: Event) -> Self {
        Self { event, person: None, distance: None, reason: None }
    }
}

impl Event {
    /// The event, of this person.
    #[must_use]
    pub fn of(self, person: u32) -> Happening {
        Happening { person: Some(person), ..self.into() }
    }

    /// The event, for this reason.
    #[must_use]
    pub fn because(self, reason: Reason) -> Happening {
        Happening { reason: Some(reason), ..self.into() }
    }
}
