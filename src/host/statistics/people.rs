//! Bounds for comparisons among the same people: the bootstrap over people.
//!
//! One person who looks like many others makes many false accepts at once, so pairs are not independent, and a
//! bound that counts pairs is too narrow. Whole people are drawn with replacement; a pair then counts as often as
//! both its people were drawn.
//!
//! ```text
//! rate in one draw = sum of w[a] w[b] over pairs (a, b) with an event / the same over all pairs
//! ```

use super::bounds::{Rate, rule_of_three};

/// Draws of a bootstrap. A choice: the 97.5th percentile is then the fifth largest of 200.
pub const DRAWS: usize = 200;
/// Seed of the draws, so that a command gives the same figures again.
const SEED: u64 = 20_140_612;

/// How often each person was drawn, for every draw.
///
/// # Source
/// Poh, Martin, Bengio: Performance generalization in biometric authentication using joint user-specific and
/// sample bootstraps (PAMI 29, 2007); Owen: The pigeonhole bootstrap (Annals of Applied Statistics 1, 2007).
#[derive(Debug, Clone)]
pub struct PeopleDraws(Vec<Vec<u32>>);

impl PeopleDraws {
    /// [`DRAWS`] draws of `people` people each.
    #[must_use]
    pub fn new(people: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(SEED);
        let draw = |_| {
            let mut weights = vec![0; people];
            for _ in 0..people {
                weights[random.usize(0..people)] += 1;
            }
            weights
        };
        Self((0..DRAWS).map(draw).collect())
    }

    /// The 95 % interval of a number that `of` computes from how often each person counts; draws in which it
    /// cannot be computed are left out. `None` when there are none left.
    pub fn interval(&self, of: impl Fn(&[u32]) -> Option<f64>) -> Option<(f64, f64)> {
        let mut values: Vec<f64> = self.0.iter().filter_map(|weights| of(weights)).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| values[(last as f64 * share).round() as usize];
        Some((at(0.025), at(0.975)))
    }
}

/// Which pairs of different people there are, and which of them had an event; counted by person.
#[derive(Debug, Clone)]
pub struct PairCounts {
    /// Pictures of each person: every two of different people are a pair.
    pub pictures: Vec<u64>,
}

impl PairCounts {
    /// Number of pairs when person `i` counts `weights[i]` times.
    #[must_use]
    pub fn weighted(&self, weights: &[u32]) -> f64 {
        let (mut sum, mut squares) = (0.0, 0.0);
        for (&pictures, &weight) in self.pictures.iter().zip(weights) {
            let counted = pictures as f64 * f64::from(weight);
            sum += counted;
            squares += counted * counted;
        }
        (sum * sum - squares) / 2.0
    }

    /// Number of pairs.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        let sum: u64 = self.pictures.iter().sum();
        (sum * sum - self.pictures.iter().map(|n| n * n).sum::<u64>()) / 2
    }

    /// The rate of each of `groups` added to all groups before it: each is the pairs (of people) that had an
    /// event at one distance and not at a smaller one. Bounds are the wider of the bootstrap's and those of
    /// independent pairs.
    #[must_use]
    pub fn cumulative_rates(&self, groups: &[Vec<(u32, u32)>], draws: &PeopleDraws) -> Vec<Rate> {
        let spread: Vec<Vec<f64>> = draws.0.iter().map(|weights| self.in_one_draw(groups, weights)).collect();
        let mut events = 0;
        let rate = |(index, group): (usize, &Vec<(u32, u32)>)| {
            events += group.len() as u64;
            let plain = Rate::of(events, self.pairs());
            let mut drawn: Vec<f64> = spread.iter().map(|rates| rates[index]).collect();
            drawn.sort_by(f64::total_cmp);
            let at = |share: f64| drawn[((drawn.len() - 1) as f64 * share).round() as usize];
            Rate {
                lower_95: plain.lower_95.min(at(0.025)),
                upper_95: plain.upper_95.max(at(0.975)).max(rule_of_three(self.pairs() as f64)),
                ..plain
            }
        };
        groups.iter().enumerate().map(rate).collect()
    }

    fn in_one_draw(&self, groups: &[Vec<(u32, u32)>], weights: &[u32]) -> Vec<f64> {
        let all = self.weighted(weights).max(1.0);
        let mut sum = 0_u64;
        let weight = |person: u32| u64::from(weights[person as usize]);
        let cumulate = |group: &Vec<(u32, u32)>| {
            sum += group.iter().map(|&(a, b)| weight(a) * weight(b)).sum::<u64>();
            sum as f64 / all
        };
        groups.iter().map(cumulate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_one_person_are_no_pairs() {
        let counts = PairCounts { pictures: vec![3, 2, 1] };
        assert_eq!(counts.pairs(), 3 * 2 + 3 + 2);
        assert_eq!(counts.weighted(&[1, 1, 1]), 11.0);
        assert_eq!(counts.weighted(&[2, 0, 0]), 0.0);
        assert_eq!(counts.weighted(&[2, 1, 0]), 12.0);
    }

    #[test]
    fn a_person_like_many_others_widens_the_bound_beyond_that_of_independent_pairs() {
        let counts = PairCounts { pictures: vec![1; 200] };
        let draws = PeopleDraws::new(200);
        let wolf: Vec<(u32, u32)> = (1..100).map(|other| (0, other)).collect();
        let scattered: Vec<(u32, u32)> = (0..99).map(|i| (2 * i, 2 * i + 1)).collect();
        let upper = |group: Vec<(u32, u32)>| counts.cumulative_rates(&[group], &draws)[0].upper_95;
        let plain = Rate::of(99, counts.pairs()).upper_95;
        assert!(upper(wolf.clone()) > 1.5 * plain, "{} against {plain}", upper(wolf));
        assert!(upper(scattered) < 1.3 * plain);
    }

    #[test]
    fn rates_grow_from_group_to_group_and_repeat() {
        let counts = PairCounts { pictures: vec![2; 10] };
        let groups = vec![vec![], vec![(0, 1)], vec![(2, 3), (4, 5)]];
        let rates = counts.cumulative_rates(&groups, &PeopleDraws::new(10));
        assert_eq!(rates.iter().map(|r| r.events).collect::<Vec<_>>(), [0, 1, 3]);
        assert!(rates.windows(2).all(|two| two[0].upper_95 <= two[1].upper_95));
        assert_eq!(rates, counts.cumulative_rates(&groups, &PeopleDraws::new(10)));
    }
}
