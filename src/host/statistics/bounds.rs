//! A rate of independent trials with its 95 % bounds.

use serde::Serialize;
use statrs::function::beta::beta_reg;

/// Probability left out at each end of an interval: 95 % lie within.
const TAIL: f64 = 0.025;
/// Deviations of the normal distribution beyond which that probability lies.
const Z: f64 = 1.959_964;
/// Events and misses beyond which Wilson's interval takes over: the two then differ by less than a hundredth, and the
/// incomplete beta function no longer converges quickly.
const MANY: f64 = 1_000.0;
/// Halvings of the unit interval: a part in 10^15 remains.
const HALVINGS: u32 = 60;

/// Events among trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// How often it happened.
    pub events: u64,
    /// How often it could have.
    pub trials: u64,
    /// Events over trials, `0.0..=1.0`; 0 when nothing was tried.
    pub rate: f64,
    /// Lower 95 % bound.
    pub lower_95: f64,
    /// Upper 95 % bound; 1 when nothing was tried.
    pub upper_95: f64,
}

impl Rate {
    /// The rate of `events` in `trials` that do not depend on each other.
    ///
    /// # Source
    /// Clopper, Pearson: The use of confidence or fiducial limits illustrated in the case of the binomial
    /// (Biometrika 26, 1934). Where nothing happened, the rule of three: Hanley, Lippman-Hand, If nothing goes
    /// wrong, is everything all right? (JAMA 249, 1983): the one-sided bound `1 - 0.05^(1/n)`, about `3/n`.
    #[must_use]
    pub fn of(events: u64, trials: u64) -> Self {
        let events = events.min(trials);
        let (hits, misses) = (events as f64, (trials - events) as f64);
        let (lower_95, upper_95) = match (events, trials) {
            (_, 0) => (0.0, 1.0),
            (0, n) => (0.0, rule_of_three(n as f64)),
            (k, n) if k == n => (1.0 - rule_of_three(n as f64), 1.0),
            _ if hits.min(misses) > MANY => wilson(hits, hits + misses),
            _ => (quantile(hits, misses + 1.0, TAIL), quantile(hits + 1.0, misses, 1.0 - TAIL)),
        };
        Self {
            events,
            trials,
            rate: if trials == 0 { 0.0 } else { hits / trials as f64 },
            lower_95,
            upper_95,
        }
    }
}

/// The share at which the beta distribution of `a` and `b` has reached `probability`.
fn quantile(a: f64, b: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if beta_reg(a, b, middle) < probability { low = middle } else { high = middle }
    }
    high
}

/// # Source
/// Wilson: Probable inference, the law of succession, and statistical inference (JASA 22, 1927).
fn wilson(hits: f64, trials: f64) -> (f64, f64) {
    let (square, rate) = (Z * Z, hits / trials);
    let middle = rate + square / (2.0 * trials);
    let half = Z * (rate * (1.0 - rate) / trials + square / (4.0 * trials * trials)).sqrt();
    ((middle - half) / (1.0 + square / trials), (middle + half) / (1.0 + square / trials))
}

/// The greatest rate at which `trials` without an event are still seen in one of twenty tests; 1 for none.
#[must_use]
pub fn rule_of_three(trials: f64) -> f64 {
    if trials <= 0.0 { 1.0 } else { -(0.05_f64.ln() / trials).exp_m1() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_tables() {
        let rate = Rate::of(5, 100);
        assert!((rate.lower_95 - 0.0164).abs() < 5e-4, "{rate:?}");
        assert!((rate.upper_95 - 0.1128).abs() < 5e-4, "{rate:?}");
        assert!((Rate::of(1, 30_000_000).upper_95 * 3e7 - 5.572).abs() < 0.01);
    }

    #[test]
    fn both_intervals_meet_where_one_takes_over_from_the_other() {
        for trials in [2_002, 1_000_000, 30_000_000] {
            let (before, after) = (Rate::of(1_000, trials), Rate::of(1_001, trials));
            for (a, b) in [(before.lower_95, after.lower_95), (before.upper_95, after.upper_95)] {
                assert!((a / b - 1.0).abs() < 0.01, "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn nothing_seen_is_not_nothing() {
        let rate = Rate::of(0, 1000);
        assert!((rate.upper_95 - 0.003).abs() < 1e-5, "{rate:?}");
        assert_eq!(rate.lower_95, 0.0);
        assert_eq!(Rate::of(0, 0).upper_95, 1.0);
        assert_eq!(Rate::of(9, 9).upper_95, 1.0);
        assert!(Rate::of(9, 9).lower_95 < 0.75);
    }

    #[test]
    fn the_bounds_hold_the_rate_between_them() {
        for (events, trials) in [(1, 3), (2, 3), (50, 100), (999, 1000), (3, 3_000_000)] {
            let rate = Rate::of(events, trials);
            assert!(rate.lower_95 < rate.rate && rate.rate < rate.upper_95, "{rate:?}");
        }
    }
}
