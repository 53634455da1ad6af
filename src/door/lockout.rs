//! Growing delay after failures, kept over a restart.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// When the delay begins and how it grows.
///
/// # Source
/// Android Compatibility Definition, 7.3.10: at least 30 s after five false trials; the doubling is the FIDO
/// biometric requirements' attempt rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// Failures without a success between them, from which on there is a delay.
    pub failures: u32,
    /// The first delay.
    pub first_delay: Duration,
    /// No delay grows beyond this.
    pub longest_delay: Duration,
}

impl LockoutPolicy {
    /// The delay after so many failures.
    fn delay(&self, failures: u32) -> Duration {
        let Some(beyond) = failures.checked_sub(self.failures) else { return Duration::ZERO };
        let doubled = self.first_delay.saturating_mul(1 << beyond.min(31));
        doubled.min(self.longest_delay)
    }
}

/// Failures so far, and for how long nobody is let in. This is what is kept in flash, with every failure, at
/// the end of a delay and with a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Lockout {
    /// Failures since the last success, counted no further than to the longest delay.
    pub failures: u32,
    /// Rest of the delay. A restart begins it anew with what was kept: it is never shortened.
    pub remaining: Duration,
}

impl Lockout {
    /// One more failure; the delay that follows it.
    #[must_use]
    pub fn failed(self, policy: &LockoutPolicy) -> Self {
        let next = self.failures.saturating_add(1);
        let failures = if policy.delay(self.failures) < policy.longest_delay { next } else { self.failures };
        Self { failures, remaining: policy.delay(failures).max(self.remaining) }
    }

    /// `time` passes. Returns whether a delay ended with that.
    pub(super) fn pass(&mut self, time: Duration) -> bool {
        let served = !self.remaining.is_zero() && self.remaining <= time;
        self.remaining = self.remaining.saturating_sub(time);
        served
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: LockoutPolicy = LockoutPolicy {
        failures: 5,
        first_delay: Duration::from_secs(30),
        longest_delay: Duration::from_secs(3600),
    };

    #[test]
    fn the_fifth_failure_costs_thirty_seconds_and_each_further_twice_as_much_up_to_an_hour() {
        let mut lockout = Lockout::default();
        let mut seconds = Vec::new();
        for _ in 0..40 {
            lockout = lockout.failed(&POLICY);
            seconds.push(lockout.remaining.as_secs());
        }
        assert_eq!(seconds[..8], [0, 0, 0, 0, 30, 60, 120, 240]);
        assert_eq!(seconds[39], 3600);
    }
}
