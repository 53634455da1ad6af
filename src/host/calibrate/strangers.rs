//! How often somebody who is not enrolled would be taken for somebody who is.
//!
//! ```text
//! computed   released rate of one comparison at the distance, times the templates of the gallery (union bound):
//!            real people, but the average gallery, not this one
//! counted    templates of nobody against this gallery, by the door's own rule; each is one independent trial, so
//!            the bounds are exact, but no rate below 3 / their number can be shown
//! ```
//!
//! A threshold must satisfy both. Templates of nobody are let in less often than the strangers of one's own street
//! (see [`super::cohort`]), so they may lower what the table allows and never raise it.

use serde::Serialize;

use crate::face::template::Template;
use crate::gallery::matching::Index;
use crate::gallery::{FarTable, Match, MatchPolicy, Person};
use crate::host::statistics::Rate;

/// Steps in which a threshold is looked for, squared distance: a hundredth of a template's range is finer than any
/// table.
const STEP: f32 = 0.01;

/// Strangers before a gallery: for each who is nearest.
#[derive(Debug, Clone, PartialEq)]
pub struct Strangers(Vec<Match>);

impl Strangers {
    /// Puts each of `strangers` before the people, of whom there is at least one.
    #[must_use]
    pub fn before<'a>(people: &[Person], strangers: impl IntoIterator<Item = &'a Template>) -> Self {
        let index = Index::of(people);
        Self(strangers.into_iter().filter_map(|stranger| index.nearest(stranger)).collect())
    }

    /// How often one look of one stranger opens by `policy`.
    #[must_use]
    pub fn accepted(&self, policy: &MatchPolicy) -> Rate {
        let opened = self.0.iter().filter(|found| found.is_accepted(policy)).count();
        Rate::of(opened as u64, self.0.len() as u64)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The upper bound of one look of one stranger at a gallery of `templates`, from the released table.
#[must_use]
pub fn computed_upper_bound(table: &FarTable, threshold: f32, templates: usize) -> f64 {
    (table.upper_bound(f64::from(threshold)) * templates as f64).min(1.0)
}

/// The threshold for a wanted rate, and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proposal {
    /// One look of one stranger opens for anybody at most this often, with 95 % confidence.
    pub wanted: f64,
    /// The greatest threshold that keeps it; `None` when nothing that was measured can promise it.
    pub threshold: Option<f32>,
    /// What limits it.
    pub by: Limit,
}

/// What a proposal rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The released table; templates of nobody are enough to contradict it, and do not.
    ComputedAndCounted,
    /// The released table; templates of nobody are too few for so rare a rate.
    Computed,
    /// Templates of nobody: more of them are let in than the table says.
    Counted,
    /// Nothing: the released test was too small.
    Unsupported,
}

/// The greatest threshold at which both the table and the strangers keep `wanted`.
#[must_use]
pub fn propose(
    wanted: f64,
    table: &FarTable,
    strangers: &Strangers,
    templates: usize,
    margin: f32,
) -> Proposal {
    let Some(computed) = table.threshold(wanted / templates.max(1) as f64) else {
        return Proposal { wanted, threshold: None, by: Limit::Unsupported };
    };
    let at = |threshold| strangers.accepted(&MatchPolicy { threshold, margin });
    let can_count = !strangers.is_empty() && at(-1.0).upper_95 <= wanted;
    let kept = |threshold: f32| {
        let rate = at(threshold);
        if can_count { rate.upper_95 <= wanted } else { rate.lower_95 <= wanted }
    };
    let computed = computed as f32;
    let mut threshold = computed;
    while threshold > 0.0 && !kept(threshold) {
        threshold -= STEP;
    }
    let by = match (threshold < computed, can_count) {
        (true, _) => Limit::Counted,
        (false, true) => Limit::ComputedAndCounted,
        (false, false) => Limit::Computed,
    };
    Proposal { wanted, threshold: (threshold > 0.0).then_some(threshold), by }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::Rate as Row;
    use crate::gallery::towards::at_angle;
    use crate::host::calibrate::enrolled::person;

    fn anna() -> Vec<Person> {
        vec![person(1, "Anna", &[at_angle(0.0)])]
    }

    fn table() -> FarTable {
        let row = |distance, far| Row { distance, far, far_upper_95: far };
        FarTable::new(vec![row(0.2, 1e-6), row(0.5, 1e-4), row(1.0, 1e-3)]).expect("in order")
    }

    /// Strangers at angle 2, `near` of them at 0.3 (squared distance about 0.09).
    fn strangers(all: usize, near: usize) -> Strangers {
        let faces: Vec<Template> = (0..all).map(|i| at_angle(if i < near { 0.3 } else { 2.0 })).collect();
        Strangers::before(&anna(), &faces)
    }

    #[test]
    fn a_wanted_rate_is_kept_by_the_table_and_by_the_strangers() {
        let many = strangers(40_000, 0);
        let at = |wanted, strangers: &Strangers| propose(wanted, &table(), strangers, 1, 0.1);
        assert_eq!(at(1e-4, &many).by, Limit::ComputedAndCounted);
        assert_eq!(at(1e-4, &many).threshold, Some(0.5));
        assert_eq!(at(1e-6, &many).by, Limit::Computed);
        assert_eq!(at(1e-7, &many), Proposal { wanted: 1e-7, threshold: None, by: Limit::Unsupported });
        let wolf = at(1e-3, &strangers(40_000, 400));
        assert_eq!(wolf.by, Limit::Counted);
        assert!(wolf.threshold.expect("below the wolves") < 0.1, "{wolf:?}");
    }

    #[test]
    fn a_larger_gallery_asks_for_a_smaller_threshold() {
        let none = Strangers(Vec::new());
        assert_eq!(propose(1e-4, &table(), &none, 1, 0.1).threshold, Some(0.5));
        assert_eq!(propose(1e-4, &table(), &none, 50, 0.1).threshold, Some(0.2));
        assert_eq!(computed_upper_bound(&table(), 0.5, 50), 5e-3);
        assert_eq!(computed_upper_bound(&table(), 3.0, 50), 1.0);
    }

    #[test]
    fn a_stranger_between_two_people_is_not_let_in() {
        let mut people = anna();
        people.push(person(2, "Cara", &[at_angle(0.4)]));
        let between = Strangers::before(&people, &[at_angle(0.2)]);
        let policy = MatchPolicy { threshold: 1.0, margin: 0.05 };
        assert_eq!(between.accepted(&policy).events, 0);
        assert_eq!(between.accepted(&MatchPolicy { margin: 0.0, ..policy }).events, 1);
        assert!(Strangers::before(&[], &[at_angle(0.2)]).is_empty());
    }
}
