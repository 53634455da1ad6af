//! The enrolled people against each other and against their own templates.

use serde::Serialize;

use crate::face::template::{FARTHEST, Template};
use crate::gallery::{Access, MatchPolicy, Person, Role, TEMPLATES_PER_PERSON};
use crate::host::statistics::Rate;

/// A person of pictures, who is in no lock.
#[must_use]
pub fn person(id: u32, name: &str, templates: &[Template]) -> Person {
    let mut short = heapless::String::new();
    name.chars().take_while(|character| short.push(*character).is_ok()).for_each(drop);
    let templates = templates.iter().take(TEMPLATES_PER_PERSON).cloned().collect();
    Person { id, name: short, role: Role::Resident, templates, crops: None, access: Access::default() }
}

/// Two people who are hard to tell apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LookAlikes {
    /// Their names.
    pub names: [String; 2],
    /// Squared distance of their nearest templates.
    pub distance: f32,
    /// What the door makes of it.
    pub kind: Likeness,
}

/// What likeness means at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// Each can be taken for the other: both are within the threshold of one face.
    Mistaken,
    /// Nearer than the threshold and the margin together: either is refused more often.
    Refused,
}

/// The pairs of people whose templates come near each other, the nearest first.
#[must_use]
pub fn look_alikes(people: &[Person], policy: &MatchPolicy) -> Vec<LookAlikes> {
    let mut found = Vec::new();
    for (index, person) in people.iter().enumerate() {
        for other in &people[index + 1..] {
            let distance = nearest(&person.templates, &other.templates);
            let kind = match distance {
                near if near <= policy.threshold => Likeness::Mistaken,
                near if near <= policy.threshold + policy.margin => Likeness::Refused,
                _ => continue,
            };
            found.push(LookAlikes {
                names: [&person.name, &other.name].map(ToString::to_string),
                distance,
                kind,
            });
        }
    }
    found.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    found
}

/// How often a template of a person is not recognised by that person's other templates. Rosier than the door:
/// the templates were taken within seconds.
#[must_use]
pub fn self_rejections(people: &[Person], threshold: f32) -> Rate {
    let (mut refused, mut tried) = (0, 0);
    for templates in people.iter().map(|person| &person.templates).filter(|templates| templates.len() > 1) {
        for (index, template) in templates.iter().enumerate() {
            let others = templates.iter().enumerate().filter(|(other, _)| *other != index);
            let distance = others.map(|(_, other)| template.distance(other)).fold(FARTHEST, f32::min);
            tried += 1;
            refused += u64::from(distance > threshold);
        }
    }
    Rate::of(refused, tried)
}

fn nearest(a: &[Template], b: &[Template]) -> f32 {
    a.iter().flat_map(|x| b.iter().map(|y| x.distance(y))).fold(FARTHEST, f32::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::towards::at_angle;

    fn at(name: &str, angles: &[f32]) -> Person {
        person(1, name, &angles.iter().map(|angle| at_angle(*angle)).collect::<Vec<_>>())
    }

    const POLICY: MatchPolicy = MatchPolicy { threshold: 0.5, margin: 0.2 };

    #[test]
    fn twins_are_told_by_name_and_strangers_are_not() {
        let people = [at("Anna", &[0.0, 0.1]), at("Ben", &[3.0]), at("Cara", &[0.5]), at("Dora", &[1.3])];
        let found = look_alikes(&people, &POLICY);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((&found[0].names[0][..], &found[0].names[1][..]), ("Anna", "Cara"));
        assert_eq!(found[0].kind, Likeness::Mistaken);
        assert_eq!((&found[1].names[0][..], found[1].kind), ("Cara", Likeness::Refused));
    }

    #[test]
    fn a_template_unlike_the_others_is_a_rejection() {
        let people = [at("Anna", &[0.0, 0.1, 0.2, 2.0]), at("Ben", &[3.0])];
        let rate = self_rejections(&people, POLICY.threshold);
        assert_eq!((rate.events, rate.trials), (1, 4));
        assert_eq!(self_rejections(&people[1..], POLICY.threshold).upper_95, 1.0);
    }
}
