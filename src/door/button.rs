//! The enrol button: what is a press.
//!
//! A press counts when it was seen from its beginning to its end, and nobody took it for something else. A button that
//! is down when the device starts, held by a hand or stuck, presses nothing until it was up.
//!
//! ```text
//!             up           down               up
//!   Unknown ------> Up ------------> Down ----------> Up: a press
//!      ^            ^                 | |
//!      |            |        taken    | | line lost
//!      |            '-- up -- Taken <-' |
//!      '--------------------------------'   (so from every state)
//! ```

use core::time::Duration;

/// What is known of the button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Button {
    /// It was not seen up since the start, or since its line was lost.
    #[default]
    Unknown,
    /// It is up.
    Up,
    /// It is down for so long, counted no further than to a long press.
    Down(Duration),
    /// It is down, for something else.
    Taken,
}

impl Button {
    /// `time` passes.
    pub(super) fn pass(&mut self, time: Duration, long_press: Duration) {
        if let Self::Down(held) = self {
            *held = (*held + time).min(long_press);
        }
    }

    /// It went down or up, or was found so. Returns how long it was down when that ends a press.
    pub(super) fn turn(&mut self, down: bool) -> Option<Duration> {
        let (next, press) = match *self {
            Self::Up if down => (Self::Down(Duration::ZERO), None),
            before if down => (before, None),
            Self::Down(held) => (Self::Up, Some(held)),
            Self::Unknown | Self::Up | Self::Taken => (Self::Up, None),
        };
        *self = next;
        press
    }

    /// A press that is under way is for something else.
    pub(super) fn take(&mut self) {
        if let Self::Down(_) = self {
            *self = Self::Taken;
        }
    }

    /// Whether a press is under way.
    pub(super) fn is_pressed(self) -> bool {
        matches!(self, Self::Down(_) | Self::Taken)
    }
}
