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

/// Failures so far, and until when nobody is let in. This is what is kept in flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lockout {
    /// Failures since the last success.
    pub failures: u32,
    /// Rest of the delay at the time of writing: a restart begins it anew, never shortens it.
    pub remaining: Duration,
}

impl Lockout {
    /// One more failure; the delay that follows it.
    #[must_use]
    pub fn failed(self, policy: &LockoutPolicy) -> Self {
        let failures = self.failures.saturating_add(1);
        let remaining = match failures.checked_sub(policy.failures) {
            None => Duration::ZERO,
            Some(beyond) => policy
                .first_delay
                .saturating_mul(1_u32.checked_shl(beyond.min(31)).unwrap_or(u32::MAX))
                .min(policy.longest_delay),
        };
        Self { failures, remaining }
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
