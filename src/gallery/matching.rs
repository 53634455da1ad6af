//! A probe against everybody: the nearest person, and how clearly.

use super::person::Person;
use crate::face::template::{FARTHEST, Template};

/// When a probe is a person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatchPolicy {
    /// Greatest squared distance, `0.0..=4.0`.
    pub threshold: f32,
    /// By how much the second person must be farther: look-alikes are told apart or refused.
    pub margin: f32,
}

/// The nearest person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Number of the nearest person.
    pub person: u32,
    /// Squared distance to the nearest of that person's templates.
    pub distance: f32,
    /// Squared distance to the nearest template of anybody else; 4 when there is nobody else.
    pub runner_up: f32,
}

impl Match {
    /// Whether the probe is that person.
    #[must_use]
    pub fn is_accepted(&self, policy: &MatchPolicy) -> bool {
        self.distance <= policy.threshold && self.runner_up - self.distance >= policy.margin
    }
}

/// The nearest of `people` to `probe`; `None` when there is nobody.
pub fn nearest<'a>(people: impl IntoIterator<Item = &'a Person>, probe: &Template) -> Option<Match> {
    let mut best: Option<Match> = None;
    for person in people {
        let distance = person.templates.iter().map(|t| t.distance(probe)).fold(FARTHEST, f32::min);
        best = Some(match best {
            Some(found) if found.distance <= distance => {
                Match { runner_up: found.runner_up.min(distance), ..found }
            }
            Some(found) => Match { person: person.id, distance, runner_up: found.distance },
            None => Match { person: person.id, distance, runner_up: FARTHEST },
        });
    }
    best
}
