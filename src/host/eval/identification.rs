//! Who is it? Half of the people are enrolled, the other half are strangers at the same door.

use serde::Serialize;

use crate::face::template::Template;
use crate::gallery::TEMPLATES_PER_PERSON;
use crate::gallery::recognise::{Known, Recognition, RecognitionPolicy, recognise};
use crate::host::statistics::Rate;

/// How an open set of people is told apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Identification {
    /// People who are enrolled, by up to five pictures and at most half of theirs.
    pub enrolled: usize,
    /// Threshold and neighbours that were used.
    pub threshold: f32,
    /// Nearest templates that vote.
    pub neighbours: usize,
    /// Pictures of enrolled people: the nearest template is that person's, whatever its distance.
    pub first_is_right: Rate,
    /// Pictures of enrolled people that were recognised.
    pub recognised: Rate,
    /// Pictures of enrolled people that were taken for somebody else.
    pub mistaken: Rate,
    /// Pictures of strangers that were taken for somebody.
    pub strangers_accepted: Rate,
}

impl Identification {
    /// Enrols every second person of `faces` (each with the index of its person, sorted by it) and recognises the
    /// rest; `None` when nobody enrolled has another picture.
    #[must_use]
    pub fn of(faces: &[(usize, &Template)], policy: &RecognitionPolicy) -> Option<Self> {
        let (mut known, mut probes, mut strangers) = (Vec::new(), Vec::new(), Vec::new());
        let mut enrolled = 0;
        for pictures in faces.chunk_by(|a, b| a.0 == b.0) {
            let person = pictures[0].0;
            if pictures.len() < 2 || person % 2 == 1 {
                strangers.extend(pictures.iter().map(|(_, template)| *template));
                continue;
            }
            enrolled += 1;
            let (first, rest) = pictures.split_at((pictures.len() / 2).min(TEMPLATES_PER_PERSON));
            known.extend(first.iter().map(|(person, template)| Known { person: *person, template }));
            probes.extend(rest);
        }
        if probes.is_empty() {
            return None;
        }
        let certain = RecognitionPolicy { threshold: crate::face::template::FARTHEST, neighbours: 1 };
        let answers = |policy: &RecognitionPolicy, right: bool| {
            let matches = |(person, probe): &&&(usize, &Template)| match recognise(&known, probe, policy) {
                Recognition::Person { person: found, .. } => (found == *person) == right,
                Recognition::Unknown { .. } => false,
            };
            Rate::of(probes.iter().filter(matches).count() as u64, probes.len() as u64)
        };
        let taken =
            strangers.iter().filter(|probe| recognise(&known, probe, policy).person().is_some()).count();
        Some(Self {
            enrolled,
            threshold: policy.threshold,
            neighbours: policy.neighbours,
            first_is_right: answers(&certain, true),
            recognised: answers(policy, true),
            mistaken: answers(policy, false),
            strangers_accepted: Rate::of(taken as u64, strangers.len() as u64),
        })
    }
}
