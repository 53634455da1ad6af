//! The lock: every state that it can come to, long random days, and single stories.

mod days;
mod explore;
mod flaws;
mod models;
mod stories;
mod watch;

use std::time::Duration;

/// The step of the models' clocks.
pub const TICK: Duration = Duration::from_millis(250);

/// So many steps.
pub const fn ticks(count: u32) -> Duration {
    TICK.saturating_mul(count)
}
