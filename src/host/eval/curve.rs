//! True and false accepts as the threshold grows.

use serde::Serialize;

/// Both shares at one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Greatest squared distance that is accepted.
    pub distance: f32,
    /// Accepted comparisons of two people.
    pub false_accepts: u64,
    /// Accepted comparisons of one person.
    pub true_accepts: u64,
}

/// What a threshold costs, for every threshold that makes a difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    points: Vec<Point>,
    same: u64,
    different: u64,
}

/// The true accept rate at a false accept rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Operating {
    /// The false accept rate that was asked for.
    pub far: f64,
    /// The greatest distance that keeps it.
    pub threshold: f32,
    /// The share of comparisons of one person that is accepted.
    pub tar: f64,
}

impl Curve {
    /// The curve of comparisons, each `(distance, comparisons of one person, comparisons of two)`; in any order.
    #[must_use]
    pub fn of(comparisons: impl IntoIterator<Item = (f32, u64, u64)>) -> Self {
        let mut sorted: Vec<_> = comparisons.into_iter().collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut same, mut different) = (0, 0);
        let mut points: Vec<Point> = Vec::new();
        for (distance, of_one, of_two) in sorted {
            (same, different) = (same + of_one, different + of_two);
            let point = Point { distance, false_accepts: different, true_accepts: same };
            match points.last_mut() {
                Some(last) if last.distance == distance => *last = point,
                _ => points.push(point),
            }
        }
        Self { points, same, different }
    }

    /// Comparisons of one person.
    #[must_use]
    pub fn same(&self) -> u64 {
        self.same
    }

    /// Comparisons of two people.
    #[must_use]
    pub fn different(&self) -> u64 {
        self.different
    }

    /// False accept rate at a point, `0.0..=1.0`.
    #[must_use]
    pub fn far(&self, point: &Point) -> f64 {
        share(point.false_accepts, self.different)
    }

    /// True accept rate at a point, `0.0..=1.0`.
    #[must_use]
    pub fn tar(&self, point: &Point) -> f64 {
        share(point.true_accepts, self.same)
    }

    /// What is accepted at `distance`.
    #[must_use]
    pub fn at(&self, distance: f32) -> Point {
        match self.points.partition_point(|point| point.distance <= distance) {
            0 => Point { distance, false_accepts: 0, true_accepts: 0 },
            next => Point { distance, ..self.points[next - 1] },
        }
    }

    /// The most that can be accepted at `far`; `None` when there are too few comparisons of two people for one
    /// false accept to be that rare.
    #[must_use]
    pub fn operating(&self, far: f64) -> Option<Operating> {
        let allowed = (far * self.different as f64 + 1e-9).floor() as u64;
        let last = self.points.partition_point(|point| point.false_accepts <= allowed).checked_sub(1)?;
        let point = self.points[last];
        (allowed > 0).then(|| Operating { far, threshold: point.distance, tar: self.tar(&point) })
    }

    /// The rate at which as many people are refused as strangers accepted.
    #[must_use]
    pub fn equal_error(&self) -> f64 {
        let crossing = self.points.partition_point(|point| self.far(point) < 1.0 - self.tar(point));
        let before = crossing.checked_sub(1).map_or((0.0, 1.0), |i| self.errors(i));
        let after = if crossing < self.points.len() { self.errors(crossing) } else { (1.0, 0.0) };
        let (gap_before, gap_after) = (before.1 - before.0, after.0 - after.1);
        let share = if gap_before + gap_after > 0.0 { gap_before / (gap_before + gap_after) } else { 0.0 };
        before.0 + share * (after.0 - before.0)
    }

    /// How often a comparison of one person is nearer than one of two people; a draw counts half.
    #[must_use]
    pub fn area_under_roc(&self) -> f64 {
        let (mut area, mut before) = (0.0, (0.0, 0.0));
        for point in &self.points {
            let (far, tar) = (self.far(point), self.tar(point));
            area += (far - before.0) * (tar + before.1) / 2.0;
            before = (far, tar);
        }
        area
    }

    /// False and true accept rates for a drawing: of each rise of a hundredth of a decade one point.
    #[must_use]
    pub fn drawn(&self) -> Vec<(f64, f64)> {
        let mut drawn: Vec<(f64, f64)> = Vec::new();
        let mut key = None;
        for point in &self.points {
            let (far, tar) = (self.far(point), self.tar(point));
            let place = ((far.max(1e-12).log10() * 100.0) as i64, (tar * 500.0) as i64);
            if key != Some(place) {
                drawn.push((far, tar));
                key = Some(place);
            }
        }
        drawn
    }

    fn errors(&self, index: usize) -> (f64, f64) {
        (self.far(&self.points[index]), 1.0 - self.tar(&self.points[index]))
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten comparisons of one person at 0.0, 0.1, ..; ten of two people at 0.55, 0.65, ..
    fn curve() -> Curve {
        let same = (0..10).map(|i| (i as f32 / 10.0, 1, 0));
        Curve::of(same.chain((0..10).map(|i| (0.55 + i as f32 / 10.0, 0, 1))))
    }

    #[test]
    fn a_rate_that_is_asked_for_is_kept() {
        let at = curve().operating(0.1).expect("one of ten");
        assert_eq!(at.tar, 0.7);
        assert!(at.threshold < 0.65);
        assert_eq!(curve().operating(0.05), None);
    }

    #[test]
    fn counts_at_a_distance_include_it() {
        let point = curve().at(0.55);
        assert_eq!((point.false_accepts, point.true_accepts), (1, 6));
        assert_eq!(curve().at(-1.0).true_accepts, 0);
    }

    #[test]
    fn errors_are_equal_where_the_curves_cross() {
        assert!((curve().equal_error() - 0.225).abs() < 0.026, "{}", curve().equal_error());
        let apart = Curve::of([(0.1, 5, 0), (2.0, 0, 5)]);
        assert_eq!(apart.equal_error(), 0.0);
        assert_eq!(apart.area_under_roc(), 1.0);
    }

    #[test]
    fn the_area_is_the_share_of_right_orders() {
        let drawn = Curve::of([(0.5, 1, 1)]);
        assert_eq!(drawn.area_under_roc(), 0.5);
        let mut right = 0;
        for same in 0..10 {
            right += (0..10).filter(|d| 0.55 + *d as f32 / 10.0 > same as f32 / 10.0).count();
        }
        assert!((curve().area_under_roc() - right as f64 / 100.0).abs() < 1e-9);
    }
}
