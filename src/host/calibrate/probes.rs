//! Pictures from the door: of people who are enrolled, and of others.

use serde::Serialize;

use crate::face::template::Template;
use crate::gallery::matching::Index;
use crate::gallery::{MatchPolicy, Person};
use crate::host::statistics::{PeopleDraws, Rate};

/// What the door would have made of pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probes {
    /// Pictures of enrolled people that do not open, or not for that person.
    pub refused: Rate,
    /// Its 95 % interval by bootstrap over people (pictures of one person are not independent), never narrower than
    /// that of independent pictures.
    pub refused_interval_95: Option<(f64, f64)>,
    /// Pictures of enrolled people that open for somebody else.
    pub mistaken: Rate,
    /// Pictures of others that open.
    pub strangers_accepted: Rate,
    /// Its 95 % interval, likewise.
    pub strangers_interval_95: Option<(f64, f64)>,
}

/// A picture with what is known of who is on it.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// Index of the person among all people of the pictures.
    pub person: usize,
    /// That person's number in the gallery; `None` for a stranger.
    pub enrolled: Option<u32>,
    /// The face.
    pub template: &'a Template,
}

/// What came of one probe.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Opened,
    Mistaken,
    Refused,
}

impl Probes {
    /// Puts `probes` of people with indices below `people` before a gallery.
    #[must_use]
    pub fn before(gallery: &[Person], probes: &[Probe<'_>], people: usize, policy: &MatchPolicy) -> Self {
        let index = Index::of(gallery);
        let answer = |probe: &Probe<'_>| {
            let found = index.nearest(probe.template).filter(|found| found.is_accepted(policy));
            match found {
                None => Answer::Refused,
                Some(found) if Some(found.person) == probe.enrolled => Answer::Opened,
                Some(_) => Answer::Mistaken,
            }
        };
        let answered: Vec<(&Probe<'_>, Answer)> = probes.iter().map(|probe| (probe, answer(probe))).collect();
        let (known, strangers): (Vec<_>, Vec<_>) =
            answered.into_iter().partition(|(probe, _)| probe.enrolled.is_some());
        let draws = PeopleDraws::new(people);
        let refused = |answer: Answer| answer != Answer::Opened;
        let accepted = |answer: Answer| answer == Answer::Mistaken;
        Self {
            refused: rate(&known, refused),
            refused_interval_95: interval(&known, &draws, refused),
            mistaken: rate(&known, accepted),
            strangers_accepted: rate(&strangers, accepted),
            strangers_interval_95: interval(&strangers, &draws, accepted),
        }
    }
}

type Answered<'a> = [(&'a Probe<'a>, Answer)];

fn rate(answered: &Answered<'_>, counts: impl Fn(Answer) -> bool) -> Rate {
    let events = answered.iter().filter(|(_, answer)| counts(*answer)).count();
    Rate::of(events as u64, answered.len() as u64)
}

/// The wider of the bootstrap's interval and that of independent pictures, which is all there is without an event.
fn interval(
    answered: &Answered<'_>,
    draws: &PeopleDraws,
    counts: impl Fn(Answer) -> bool + Copy,
) -> Option<(f64, f64)> {
    let (low, high) = draws.interval(|weights| weighted(answered, weights, counts))?;
    let plain = rate(answered, counts);
    Some((low.min(plain.lower_95), high.max(plain.upper_95)))
}

fn weighted(answered: &Answered<'_>, weights: &[u32], counts: impl Fn(Answer) -> bool) -> Option<f64> {
    let (mut events, mut all) = (0, 0);
    for (probe, answer) in answered {
        let weight = u64::from(weights[probe.person]);
        all += weight;
        events += weight * u64::from(counts(*answer));
    }
    (all > 0).then(|| events as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::towards::at_angle;
    use crate::host::calibrate::enrolled::person;

    #[test]
    fn each_picture_counts_for_what_the_door_makes_of_it() {
        let gallery = [person(7, "Anna", &[at_angle(0.0)]), person(8, "Ben", &[at_angle(2.0)])];
        let faces = [at_angle(0.1), at_angle(1.0), at_angle(1.9), at_angle(2.1), at_angle(-1.2)];
        let probe = |i: usize, person, enrolled| Probe { person, enrolled, template: &faces[i] };
        let probes = [
            probe(0, 0, Some(7)),
            probe(1, 0, Some(7)),
            probe(2, 0, Some(7)),
            probe(3, 1, None),
            probe(4, 1, None),
        ];
        let policy = MatchPolicy { threshold: 0.5, margin: 0.1 };
        let found = Probes::before(&gallery, &probes, 2, &policy);
        assert_eq!((found.refused.events, found.refused.trials), (2, 3));
        assert_eq!(found.mistaken.events, 1);
        assert_eq!((found.strangers_accepted.events, found.strangers_accepted.trials), (1, 2));
        let (low, high) = found.refused_interval_95.expect("Anna tried");
        assert!(low < 0.1 && high > 0.99, "three pictures of one person prove nothing: {low} {high}");
        let none = Probes::before(&gallery, &probes[3..], 2, &policy);
        assert_eq!((none.refused.trials, none.refused_interval_95), (0, None));
    }
}
