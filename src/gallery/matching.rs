//! A probe against everybody: the nearest person, and how clearly.

use super::person::Person;
use crate::face::table::TemplateTable;
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

/// Everybody's templates, laid out to be compared at once.
#[derive(Debug, Clone, Default)]
pub struct Index {
    table: TemplateTable,
    /// The person of each template; those of one person follow one another.
    owners: Vec<u32>,
}

impl Index {
    /// Of the templates of `people`.
    #[must_use]
    pub fn of<'a>(people: impl IntoIterator<Item = &'a Person>) -> Self {
        let mut index = Self::default();
        index.fill(people);
        index
    }

    /// Takes the templates of `people` in place of what it held.
    pub fn fill<'a>(&mut self, people: impl IntoIterator<Item = &'a Person>) {
        self.table.clear();
        self.owners.clear();
        for person in people {
            for template in &person.templates {
                self.table.push(template);
                self.owners.push(person.id);
            }
        }
    }

    /// The nearest person to `probe`; `None` when there is nobody. Allocates nothing.
    #[must_use]
    pub fn nearest(&self, probe: &Template) -> Option<Match> {
        let mut best: Option<Match> = None;
        self.table.compare(probe, |number, distance| {
            let person = self.owners[number];
            best = Some(match best {
                None => Match { person, distance, runner_up: FARTHEST },
                Some(found) if found.person == person => {
                    Match { distance: found.distance.min(distance), ..found }
                }
                Some(found) if found.distance <= distance => {
                    Match { runner_up: found.runner_up.min(distance), ..found }
                }
                Some(found) => Match { person, distance, runner_up: found.distance },
            });
        });
        best
    }
}
