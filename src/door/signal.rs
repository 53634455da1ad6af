//! What the lights and the buzzer say.

use super::enrol::EnrolFailure;
use super::evidence::Obstacle;

/// One message to whoever stands at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Nothing to say.
    Rest,
    /// Somebody is being looked at.
    Looking,
    /// Looked at, but this is in the way.
    Hindered(Obstacle),
    /// Open.
    Welcome,
    /// Looked at and not let in.
    Refused,
    /// Enter the PIN.
    EnterPin,
    /// Known, but not at this time.
    OutOfHours,
    /// Nobody is let in for a while.
    LockedOut,
    /// Enrolment: somebody who may administer has to show first.
    ShowAdministrator,
    /// Enrolment: look into the camera.
    Look,
    /// Enrolment: hold still, a template is being taken.
    HoldStill,
    /// Enrolment or deletion: done.
    Done,
    /// Enrolment: failed, and why.
    Failed(EnrolFailure),
    /// Deletion: press the button once more to confirm.
    Confirm,
    /// The device needs attention; the exit button works.
    Fault,
    /// The door stands open, was forced or the case was opened.
    Alarm,
}

/// A light's or the buzzer's repeating pattern: one bit for each eighth of a second, the first is the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Green light.
    pub green: u8,
    /// Red light.
    pub red: u8,
    /// Buzzer.
    pub buzzer: u8,
}

impl Signal {
    /// How it is shown. Steady green opens; steady red refuses; both blinking in turn is a fault.
    #[must_use]
    pub fn pattern(self) -> Pattern {
        let (green, red, buzzer) = match self {
            Self::Rest => (0, 0, 0),
            Self::Looking => (0b1000_0000, 0, 0),
            Self::Hindered(_) => (0b1000_0000, 0b0000_1000, 0),
            Self::Welcome => (0xFF, 0, 0b1100_0000),
            Self::Refused => (0, 0xFF, 0b1010_1000),
            Self::EnterPin => (0b1010_0000, 0, 0b1000_0000),
            Self::OutOfHours => (0, 0b1100_0000, 0b1010_0000),
            Self::LockedOut => (0, 0b1111_0000, 0),
            Self::ShowAdministrator => (0b1100_1100, 0b0011_0011, 0),
            Self::Look => (0b1100_1100, 0, 0),
            Self::HoldStill => (0b1010_1010, 0, 0),
            Self::Done => (0xFF, 0, 0b1101_1000),
            Self::Failed(_) => (0, 0b1010_1010, 0b1111_0000),
            Self::Confirm => (0, 0b1100_1100, 0),
            Self::Fault => (0b1111_0000, 0b0000_1111, 0),
            Self::Alarm => (0, 0b1010_1010, 0b1010_1010),
        };
        Pattern { green, red, buzzer }
    }

    /// The message in words, for logs and the simulated board.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Rest => "at rest",
            Self::Looking => "looking",
            Self::Hindered(obstacle) => obstacle.advice(),
            Self::Welcome => "welcome",
            Self::Refused => "refused",
            Self::EnterPin => "enter the PIN",
            Self::OutOfHours => "not at this time",
            Self::LockedOut => "locked out, wait",
            Self::ShowAdministrator => "show an administrator's face first",
            Self::Look => "look into the camera",
            Self::HoldStill => "hold still",
            Self::Done => "done",
            Self::Failed(failure) => failure.words(),
            Self::Confirm => "press once more to delete",
            Self::Fault => "fault: needs attention",
            Self::Alarm => "alarm",
        }
    }
}

impl Obstacle {
    /// What the person should do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::TooFar => "come nearer",
            Self::TooNear => "step back",
            Self::Turned => "look into the camera",
            Self::Blurred => "hold still",
            Self::TooDark => "more light is needed",
            Self::TooBright => "too much light",
            Self::Covered => "uncover the face",
            Self::NotAlive => "not a living face",
        }
    }
}
