//! For how long the strike is driven.
//!
//! ```text
//!            asked                 pulse or limit over
//!   Rested --------> Driven ------------------------------> Pausing
//!     ^                ^ '-- asked: a new pulse,              |  | asked again: the rest
//!     |                |     within the limit                 |  | of the limit, if any
//!     '----------------|--------------- pause over -----------'  |
//!                      '--------------- owed: a whole pulse -----'
//! ```

use core::time::Duration;

use super::countdown::Countdown;

/// A strike that is released for less than this counts as driven all the while: its coil has not cooled. A choice.
pub const PAUSE: Duration = Duration::from_millis(500);

/// Times of a strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrikePolicy {
    /// How long it is driven for one opening.
    pub pulse: Duration,
    /// How long it may be driven without a pause of [`PAUSE`]; at least `pulse`.
    pub limit: Duration,
}

/// What is asked of a strike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Strike {
    /// Released for so long that it may be driven for its limit.
    #[default]
    Rested,
    /// Driven.
    Driven {
        /// Rest of the pulse.
        pulse: Countdown,
        /// Rest of the limit.
        limit: Countdown,
        /// Who asked for a pulse that the limit cuts: a whole one follows after the pause.
        owed: Option<Asking>,
        /// Who asked, the exit button before anybody else.
        by: Asking,
        /// Whether the door was opened since it was last asked for.
        used: bool,
    },
    /// Released.
    Pausing {
        /// Rest of the pause.
        pause: Countdown,
        /// What was left of the limit.
        limit: Countdown,
        /// Who asked for a pulse that follows.
        owed: Option<Asking>,
    },
}

/// Who asks for the strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Asking {
    /// Somebody who comes in: one opening and closing of the door is enough.
    Entry,
    /// The exit button: nothing cuts the pulse short.
    Exit,
}

impl Strike {
    pub(super) fn is_driven(&self) -> bool {
        matches!(self, Self::Driven { .. })
    }

    /// After which time it changes by itself.
    pub(super) fn changes_after(&self) -> Option<Duration> {
        match self {
            Self::Driven { pulse, .. } => Some(pulse.left()),
            Self::Pausing { pause, owed: Some(_), .. } => Some(pause.left()),
            Self::Rested | Self::Pausing { .. } => None,
        }
    }

    /// Somebody wants it driven.
    pub(super) fn ask(&mut self, by: Asking, policy: &StrikePolicy) {
        let (limit, by) = match self {
            Self::Rested => (Countdown::new(policy.limit), by),
            Self::Driven { limit, by: before, .. } => (*limit, by.max(*before)),
            Self::Pausing { limit, owed, .. } if limit.is_over() => {
                *owed = Some(by).max(*owed);
                return;
            }
            Self::Pausing { limit, .. } => (*limit, by),
        };
        let pulse = Countdown::new(policy.pulse.min(limit.left()));
        let owed = (policy.pulse > limit.left()).then_some(by);
        *self = Self::Driven { pulse, limit, owed, by, used: false };
    }

    /// `time` passes.
    pub(super) fn pass(&mut self, time: Duration, policy: &StrikePolicy) {
        match self {
            Self::Rested => {}
            Self::Driven { pulse, limit, owed, .. } => {
                limit.pass(time);
                if pulse.pass(time) {
                    *self = Self::Pausing { pause: Countdown::new(PAUSE), limit: *limit, owed: *owed };
                }
            }
            Self::Pausing { pause, owed, .. } => {
                let owed = *owed;
                if pause.pass(time) {
                    *self = Self::Rested;
                    if let Some(by) = owed {
                        self.ask(by, policy);
                    }
                }
            }
        }
    }

    /// The door was opened.
    pub(super) fn open(&mut self) {
        if let Self::Driven { used, .. } = self {
            *used = true;
        }
    }

    /// The door was closed: behind whoever came in, nobody else does.
    pub(super) fn close(&mut self) {
        if let Self::Driven { limit, by: Asking::Entry, used: true, .. } = self {
            *self = Self::Pausing { pause: Countdown::new(PAUSE), limit: *limit, owed: None };
        }
    }
}
