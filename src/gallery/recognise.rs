//! Who a face is among many known ones: k nearest neighbours, with "nobody" as an answer.
//!
//! For photographs and logs, where a wrong name costs little. The door has its own, stricter rule
//! ([`super::matching`]): one person near enough, and everybody else clearly farther.

use crate::face::template::Template;

/// A template whose person is known.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Number of the person.
    pub person: usize,
    /// The face.
    pub template: &'a Template,
}

/// When a face is a known person's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecognitionPolicy {
    /// Nearest templates that vote, at least 1.
    pub neighbours: usize,
    /// Templates farther than this squared distance do not vote.
    pub threshold: f32,
}

/// Who it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Recognition {
    /// More than half of the votes are for this person.
    Person {
        /// Number of the person.
        person: usize,
        /// Squared distance to the nearest of that person's templates.
        distance: f32,
        /// Votes for the person.
        votes: usize,
        /// Votes in all.
        of: usize,
    },
    /// Nobody known: no template is near enough, or the votes are split.
    Unknown {
        /// Squared distance to the nearest template of anybody; `None` when nobody is known.
        nearest: Option<f32>,
    },
}

impl Recognition {
    /// The person, if there is one.
    #[must_use]
    pub fn person(&self) -> Option<usize> {
        if let Self::Person { person, .. } = self { Some(*person) } else { None }
    }
}

/// Lets the nearest templates vote on who `probe` is. A draw between two people is "nobody": whoever looks like
/// two people is neither for certain.
///
/// # Source
/// Schroff, Kalenichenko, Philbin: FaceNet (CVPR 2015), section 1: recognition is a k-NN classification problem.
/// Rejection by distance as in Chow: On optimum recognition error and reject tradeoff (1970).
#[must_use]
pub fn recognise(known: &[Known<'_>], probe: &Template, policy: &RecognitionPolicy) -> Recognition {
    let mut near: Vec<(f32, usize)> =
        known.iter().map(|known| (known.template.distance(probe), known.person)).collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    let unknown = Recognition::Unknown { nearest: near.first().map(|(distance, _)| *distance) };
    near.truncate(policy.neighbours.max(1));
    near.retain(|(distance, _)| *distance <= policy.threshold);
    let votes = |person: usize| near.iter().filter(|(_, voted)| *voted == person).count();
    let of = near.len();
    match near.iter().find(|(_, person)| 2 * votes(*person) > of) {
        Some(&(distance, person)) => Recognition::Person { person, distance, votes: votes(person), of },
        None => unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::towards::at_angle;

    const POLICY: RecognitionPolicy = RecognitionPolicy { neighbours: 3, threshold: 0.2 };

    #[test]
    fn most_of_the_nearest_decide() {
        let faces = [at_angle(0.0), at_angle(0.1), at_angle(0.16), at_angle(3.0)];
        let known: Vec<Known<'_>> = [1, 2, 2, 3]
            .into_iter()
            .zip(&faces)
            .map(|(person, template)| Known { person, template })
            .collect();
        let found = recognise(&known, &at_angle(0.04), &POLICY);
        assert_eq!(found.person(), Some(2), "{found:?}");
        let nearest_only = RecognitionPolicy { neighbours: 1, ..POLICY };
        assert_eq!(recognise(&known, &at_angle(0.04), &nearest_only).person(), Some(1));
    }

    #[test]
    fn far_from_everybody_or_between_two_is_nobody() {
        let faces = [at_angle(0.0), at_angle(0.3), at_angle(3.0)];
        let known: Vec<Known<'_>> =
            faces.iter().enumerate().map(|(person, template)| Known { person, template }).collect();
        let far = recognise(&known, &at_angle(1.6), &POLICY);
        assert!(matches!(far, Recognition::Unknown { nearest: Some(d) } if d > 1.0), "{far:?}");
        assert_eq!(recognise(&known, &at_angle(0.15), &POLICY).person(), None);
        assert_eq!(recognise(&[], &at_angle(0.0), &POLICY), Recognition::Unknown { nearest: None });
    }
}
