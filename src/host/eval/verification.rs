//! Is this the same person? Pairs, scored: accuracy by folds, true accepts at false accept rates.

use serde::Serialize;

use super::curve::{Curve, Operating};
use crate::host::statistics::{PeopleDraws, Rate};

/// False accept rates at which true accepts are told.
pub const FALSE_ACCEPT_RATES: [f64; 6] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6];

/// A compared pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Squared distance; 4 when a picture has no template, as nothing opens for it.
    pub distance: f32,
    /// Whether it is one person.
    pub same: bool,
    /// Its part of the cross-validation.
    pub fold: usize,
    /// Indices of the people on its pictures.
    pub people: [usize; 2],
}

/// Accuracy on one fold, with the threshold that was best on all others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fold {
    /// Squared distance, halfway to the next that was seen.
    pub threshold: f32,
    /// Share of right answers, `0.0..=1.0`.
    pub accuracy: f64,
}

/// True accepts at one false accept rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TarAtFar {
    /// Threshold and rate; `None` when there are too few pairs of two people.
    pub measured: Option<Operating>,
    /// The rate that was asked for.
    pub far: f64,
    /// 95 % interval of the true accept rate at that threshold, by bootstrap over people, never
    /// narrower than that of independent pairs.
    pub interval_95: Option<(f64, f64)>,
}

/// What a test of pairs came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// Pairs of one person.
    pub same: u64,
    /// Pairs of two people.
    pub different: u64,
    /// Pairs with a picture that has no template: they count as refused.
    pub without_template: usize,
    /// Pairs that were left out since a picture is missing.
    pub left_out: usize,
    /// Mean accuracy over the folds.
    pub accuracy: f64,
    /// Standard error of that mean.
    pub standard_error: f64,
    /// Each fold.
    pub folds: Vec<Fold>,
    /// Where as many people are refused as strangers accepted.
    pub equal_error: f64,
    /// Area under the ROC curve.
    pub area_under_roc: f64,
    /// True accepts at [`FALSE_ACCEPT_RATES`].
    pub tar_at_far: Vec<TarAtFar>,
}

impl Verification {
    /// Evaluates pairs of `people` people in all, and the curve of what a threshold accepts.
    #[must_use]
    pub fn of(pairs: &[Scored], people: usize) -> (Self, Curve) {
        let one = |pair: &Scored| (pair.distance, u64::from(pair.same), u64::from(!pair.same));
        let curve = Curve::of(pairs.iter().map(one));
        let folds = folds(pairs);
        let accuracies: Vec<f64> = folds.iter().map(|fold| fold.accuracy).collect();
        let (accuracy, standard_error) = mean_and_error(&accuracies);
        let draws = PeopleDraws::new(people);
        let tar_at_far = FALSE_ACCEPT_RATES.map(|far| {
            let measured = curve.operating(far);
            let interval_95 = measured.and_then(|at| interval(pairs, &draws, &curve, at.threshold));
            TarAtFar { measured, far, interval_95 }
        });
        let verification = Self {
            same: curve.same(),
            different: curve.different(),
            without_template: 0,
            left_out: 0,
            accuracy,
            standard_error,
            folds,
            equal_error: curve.equal_error(),
            area_under_roc: curve.area_under_roc(),
            tar_at_far: tar_at_far.to_vec(),
        };
        (verification, curve)
    }
}

/// The wider of the bootstrap's interval and that of independent pairs, which is all there is without an error.
fn interval(pairs: &[Scored], draws: &PeopleDraws, curve: &Curve, threshold: f32) -> Option<(f64, f64)> {
    let (low, high) = draws.interval(|weights| tar_in_draw(pairs, threshold, weights))?;
    let plain = Rate::of(curve.at(threshold).true_accepts, curve.same());
    Some((low.min(plain.lower_95), high.max(plain.upper_95)))
}

/// Share of accepted pairs of one person when person `i` counts `weights[i]` times.
fn tar_in_draw(pairs: &[Scored], threshold: f32, weights: &[u32]) -> Option<f64> {
    let (mut accepted, mut all) = (0_u64, 0_u64);
    for pair in pairs.iter().filter(|pair| pair.same) {
        let weight = u64::from(weights[pair.people[0]]);
        all += weight;
        accepted += weight * u64::from(pair.distance <= threshold);
    }
    (all > 0).then(|| accepted as f64 / all as f64)
}

/// # Source
/// Huang, Ramesh, Berg, Learned-Miller: Labeled Faces in the Wild (2007), section 5, "View 2".
fn folds(pairs: &[Scored]) -> Vec<Fold> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    let last = pairs.iter().map(|pair| pair.fold).max().unwrap_or(0);
    let fold = |held_out: usize| {
        let tested: Vec<&Scored> = sorted.iter().filter(|pair| pair.fold == held_out).collect();
        let threshold = best_threshold(sorted.iter().filter(|pair| pair.fold != held_out || last == 0));
        let right = tested.iter().filter(|pair| (pair.distance <= threshold) == pair.same).count();
        (!tested.is_empty()).then(|| Fold { threshold, accuracy: right as f64 / tested.len() as f64 })
    };
    (0..=last).filter_map(fold).collect()
}

/// The threshold with the most right answers: halfway between the two distances at its ends.
fn best_threshold<'a>(sorted: impl Iterator<Item = &'a Scored>) -> f32 {
    let pairs: Vec<&Scored> = sorted.collect();
    let (mut score, mut best, mut at) = (0_i64, 0_i64, 0.0);
    for (index, pair) in pairs.iter().enumerate() {
        score += if pair.same { 1 } else { -1 };
        let next = pairs.get(index + 1).map(|next| next.distance);
        if score > best && next != Some(pair.distance) {
            best = score;
            at = next.map_or(pair.distance, |next| (pair.distance + next) / 2.0);
        }
    }
    at
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = if values.len() < 2 { 0.0 } else { (squares / (count - 1.0) / count).sqrt() };
    (mean, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(distance: f32, same: bool, fold: usize) -> Scored {
        Scored { distance, same, fold, people: [fold, if same { fold } else { fold + 1 }] }
    }

    #[test]
    fn the_threshold_of_a_fold_comes_from_the_others() {
        let mut pairs = vec![scored(1.4, true, 0), scored(1.6, false, 0)];
        for fold in 1..4 {
            pairs.extend([scored(0.5, true, fold), scored(1.0, false, fold)]);
        }
        let (verification, _) = Verification::of(&pairs, 5);
        assert_eq!(verification.folds[0].threshold, 0.75);
        assert_eq!(verification.folds[0].accuracy, 0.5);
        assert_eq!(verification.folds[1].accuracy, 1.0);
        assert_eq!(verification.accuracy, 0.875);
        assert!((verification.standard_error - 0.125).abs() < 1e-9);
    }

    #[test]
    fn rates_that_the_pairs_cannot_show_are_left_open() {
        let pairs: Vec<Scored> = (0..200)
            .flat_map(|i| {
                [scored(i as f32 / 200.0, true, i % 10), scored(0.9 + i as f32 / 200.0, false, i % 10)]
            })
            .collect();
        let (verification, _) = Verification::of(&pairs, 11);
        let at = |far: f64| verification.tar_at_far.iter().find(|t| t.far == far).expect("listed");
        let hundredth = at(1e-2);
        let tar = hundredth.measured.expect("two of 200").tar;
        let (low, high) = hundredth.interval_95.expect("there are pairs of one person");
        assert!(low <= tar && tar <= high && tar > 0.85, "{low} {tar} {high}");
        assert_eq!(at(1e-3).measured, None);
    }
}
