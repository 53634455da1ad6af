//! What is left of a time.

use core::time::Duration;

/// A time that runs down and stays at zero: whatever is over is forgotten, so that states which behave alike
/// are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Countdown(Duration);

impl Countdown {
    /// `time` is left.
    #[must_use]
    pub fn new(time: Duration) -> Self {
        Self(time)
    }

    /// What is left.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.0.is_zero()
    }

    /// `time` passes. Returns whether it ended with that.
    pub(super) fn pass(&mut self, time: Duration) -> bool {
        let was_over = self.is_over();
        self.0 = self.0.saturating_sub(time);
        self.is_over() && !was_over
    }
}
