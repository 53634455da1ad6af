//! Every picture against every other: the table from distance to false accept rate.

use serde::Serialize;

use super::curve::Curve;
use super::verification::FALSE_ACCEPT_RATES;
use crate::face::template::{FARTHEST, Template};
use crate::host::eval::curve::Operating;
use crate::host::statistics::{PairCounts, PeopleDraws, Rate, bounds::rule_of_three};

/// Distances of the table: those of the released one, in hundredths.
const FIRST: u32 = 30;
const LAST: u32 = 160;
const STEP: u32 = 5;

/// Cells into which distances are counted: finer than templates can tell apart.
const CELLS_PER_UNIT: f32 = 102_400.0;

/// One row: what a threshold at this distance means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Row {
    /// Squared distance.
    pub distance: f32,
    /// How often two people are accepted for one, with bounds over people.
    pub false_accepts: Rate,
    /// How often one person is refused, as measured.
    pub frr: f64,
}

/// What all comparisons within a collection came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AllPairs {
    /// People with a template.
    pub people: usize,
    /// Pictures with a template.
    pub pictures: usize,
    /// Comparisons of one person.
    pub same: u64,
    /// Comparisons of two people.
    pub different: u64,
    /// The least bound that people who share no comparison could give: the rule of three over half of them.
    pub bound_of_disjoint_pairs: f64,
    /// The table.
    pub rows: Vec<Row>,
    /// True accepts at the false accept rates that were measured.
    pub tar_at_far: Vec<Operating>,
}

impl AllPairs {
    /// Compares every two of `faces`, each with the index of its person, which is below `people`.
    #[must_use]
    pub fn of(faces: &[(usize, &Template)], people: usize) -> (Self, Curve) {
        let (curve, groups) = compare(faces);
        let mut pictures = vec![0; people];
        faces.iter().for_each(|(person, _)| pictures[*person] += 1);
        let seen = pictures.iter().filter(|n| **n > 0).count();
        let rates = PairCounts { pictures }.cumulative_rates(&groups, &PeopleDraws::new(people));
        let row = |(distance, false_accepts)| {
            let frr = 1.0 - curve.tar(&curve.at(distance));
            Row { distance, false_accepts, frr }
        };
        let all = Self {
            people: seen,
            pictures: faces.len(),
            same: curve.same(),
            different: curve.different(),
            bound_of_disjoint_pairs: rule_of_three((seen / 2) as f64),
            rows: distances().zip(rates).map(row).collect(),
            tar_at_far: FALSE_ACCEPT_RATES.iter().filter_map(|far| curve.operating(*far)).collect(),
        };
        (all, curve)
    }
}

/// Distances of the rows.
fn distances() -> impl Iterator<Item = f32> {
    (FIRST..=LAST).step_by(STEP as usize).map(|hundredths| hundredths as f32 / 100.0)
}

/// Pairs of people that are accepted at a row's distance and not at that of the row before.
type Groups = Vec<Vec<(u32, u32)>>;

fn compare(faces: &[(usize, &Template)]) -> (Curve, Groups) {
    let limits: Vec<f32> = distances().collect();
    let mut groups = vec![Vec::new(); limits.len()];
    let cells = (FARTHEST * CELLS_PER_UNIT) as usize + 1;
    let (mut same, mut different) = (vec![0_u64; cells], vec![0_u64; cells]);
    for (index, (person, template)) in faces.iter().enumerate() {
        for (other, compared) in &faces[index + 1..] {
            let distance = template.distance(compared);
            let cell = (distance * CELLS_PER_UNIT).round() as usize;
            if person == other {
                same[cell] += 1;
                continue;
            }
            different[cell] += 1;
            if let Some(group) = groups.get_mut(limits.partition_point(|limit| *limit < distance)) {
                group.push((*person as u32, *other as u32));
            }
        }
    }
    let counted = same.into_iter().zip(different).enumerate().filter(|(_, (s, d))| s + d > 0);
    let curve = Curve::of(counted.map(|(cell, (s, d))| (cell as f32 / CELLS_PER_UNIT, s, d)));
    (curve, groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::towards::towards;

    #[test]
    fn the_table_counts_pairs_of_different_people_only() {
        let templates =
            [[1.0, 0.0, 0.0], [1.0, 0.1, 0.0], [1.0, 0.4, 0.0], [0.0, 0.0, 1.0]].map(|d| towards(&d));
        let faces: Vec<(usize, &Template)> = [0, 0, 1, 2].into_iter().zip(&templates).collect();
        let (all, _) = AllPairs::of(&faces, 3);
        assert_eq!((all.people, all.pictures, all.same, all.different), (3, 4, 1, 5));
        let at =
            |distance: f32| all.rows.iter().find(|r| (r.distance - distance).abs() < 1e-6).expect("a row");
        assert_eq!(at(0.3).false_accepts.events, 2, "both pictures of person 0 are near person 1");
        assert_eq!(at(1.6).false_accepts.events, 2);
        assert_eq!(at(0.3).frr, 0.0);
        assert!(at(0.3).false_accepts.upper_95 > 0.8, "three people prove nothing");
    }

    #[test]
    fn no_false_accept_gives_the_rule_of_three() {
        let face = |person: u32| {
            let bits: Vec<f32> =
                (0..8).map(|bit| if (7 * person + 3) >> bit & 1 == 0 { 1.0 } else { -1.0 }).collect();
            towards(&bits)
        };
        let templates: Vec<Template> = (0..20).map(face).collect();
        let faces: Vec<(usize, &Template)> = templates.iter().enumerate().collect();
        let (all, _) = AllPairs::of(&faces, 20);
        let upper = all.rows[0].false_accepts.upper_95;
        assert!((upper - 3.0 / 190.0).abs() < 2e-4, "{upper}");
        assert!(all.bound_of_disjoint_pairs > 0.25);
    }
}
