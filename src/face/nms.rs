//! From overlapping candidates to one box per face, without allocation.

use super::geometry::{Bounds, Landmarks};
use heapless::Vec;

/// Candidates that are kept before overlapping ones are removed; the weakest fall out. A choice: a face has
/// at most about a dozen.
pub const MAX_CANDIDATES: usize = 128;

/// Faces that are found in one picture, the most certain first. A choice: a doorway holds fewer.
pub const MAX_FACES: usize = 16;

/// Greatest share of a face's box that another's may cover. A choice: a chin is no face of its own.
const MOST_WITHIN: f32 = 0.7;

/// A face that the detector found.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Detection {
    /// Around the face, in pixels.
    pub bounds: Bounds,
    /// Its five landmarks, in pixels.
    pub landmarks: Landmarks,
    /// How certain, `0.0..=1.0`.
    pub score: f32,
}

/// What the detector's cells propose, with a fixed capacity.
#[derive(Debug, Default)]
pub struct Candidates {
    kept: Vec<Detection, MAX_CANDIDATES>,
}

impl Candidates {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.kept.clear();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Adds one; when all places are taken, the weakest gives way. One that is not of numbers, or whose box
    /// is empty, is left out.
    pub fn push(&mut self, candidate: Detection) {
        let area = candidate.bounds.area();
        if !candidate.score.is_finite()
            || !area.is_finite()
            || area <= 0.0
            || !candidate.landmarks.is_finite()
        {
            return;
        }
        if let Err(candidate) = self.kept.push(candidate) {
            let weakest = self.kept.iter_mut().min_by(|a, b| a.score.total_cmp(&b.score));
            if let Some(weakest) = weakest.filter(|weakest| weakest.score < candidate.score) {
                *weakest = candidate;
            }
        }
    }

    /// The most certain candidates, of which no two overlap by more than `overlap` (intersection over
    /// union), in order of their score. One that lies within another by `MOST_WITHIN` is a part of it.
    ///
    /// Box and landmarks are then the mean of all candidates that overlap the most certain one by at least
    /// `blend`, weighted by their scores: steadier over frames than any one of them.
    ///
    /// # Source
    /// Bazarevsky et al.: BlazeFace (2019), section 3.5, for the blending.
    pub fn suppress(&mut self, overlap: f32, blend: f32) -> Vec<Detection, MAX_FACES> {
        self.kept.sort_unstable_by(|a, b| {
            let place = |d: &Detection| (d.bounds.top, d.bounds.left);
            let (above, beside) = (place(a).0.total_cmp(&place(b).0), place(a).1.total_cmp(&place(b).1));
            b.score.total_cmp(&a.score).then(above).then(beside)
        });
        let mut faces: Vec<Detection, MAX_FACES> = Vec::new();
        for candidate in &self.kept {
            let is_apart = |face: &Detection| {
                face.bounds.overlap(&candidate.bounds) <= overlap
                    && face.bounds.within(&candidate.bounds) <= MOST_WITHIN
            };
            let is_new = faces.iter().all(is_apart);
            if is_new && faces.push(*candidate).is_err() {
                break;
            }
        }
        for face in &mut faces {
            *face = self.blended(face, blend);
        }
        faces
    }

    /// `face` with the box and landmarks of all that overlap it, each weighted by its score.
    fn blended(&self, face: &Detection, least: f32) -> Detection {
        let mut sum = [0.0_f32; 14];
        let mut weight = 0.0;
        for other in self.kept.iter().filter(|other| other.bounds.overlap(&face.bounds) >= least) {
            weight += other.score;
            for (total, value) in sum.iter_mut().zip(numbers(other)) {
                *total += other.score * value;
            }
        }
        if weight <= 0.0 {
            return *face;
        }
        from_numbers(sum.map(|total| total / weight), face.score)
    }
}

/// Box and landmarks in a row.
fn numbers(detection: &Detection) -> [f32; 14] {
    let mut row = [0.0; 14];
    row[..4].copy_from_slice(&detection.bounds.edges());
    for (pair, point) in row[4..].chunks_exact_mut(2).zip(&detection.landmarks.0) {
        pair.copy_from_slice(&[point.x, point.y]);
    }
    row
}

/// The way back from [`numbers`].
fn from_numbers(row: [f32; 14], score: f32) -> Detection {
    let [left, top, right, bottom, ..] = row;
    let mut landmarks = Landmarks::default();
    for (point, pair) in landmarks.0.iter_mut().zip(row[4..].chunks_exact(2)) {
        (point.x, point.y) = (pair[0], pair[1]);
    }
    Detection { bounds: Bounds { left, top, right, bottom }, landmarks, score }
}

#[cfg(test)]
mod tests {
    use super::super::geometry::Point;
    use super::*;
    use proptest::prelude::*;

    fn face(left: f32, top: f32, side: f32, score: f32) -> Detection {
        let bounds = Bounds { left, top, right: left + side, bottom: top + side };
        Detection { bounds, landmarks: Landmarks([bounds.centre(); 5]), score }
    }

    fn suppressed(all: &[Detection]) -> Vec<Detection, MAX_FACES> {
        let mut candidates = Candidates::default();
        all.iter().for_each(|d| candidates.push(*d));
        candidates.suppress(0.4, 2.0)
    }

    #[test]
    fn of_overlapping_boxes_the_most_certain_stays() {
        let found =
            suppressed(&[face(0.0, 0.0, 10.0, 0.6), face(1.0, 1.0, 10.0, 0.9), face(50.0, 0.0, 10.0, 0.7)]);
        assert_eq!(found.iter().map(|f| f.score).collect::<std::vec::Vec<_>>(), [0.9, 0.7]);
    }

    #[test]
    fn blending_takes_the_weighted_mean_and_keeps_the_score() {
        let mut candidates = Candidates::default();
        candidates.push(face(0.0, 0.0, 10.0, 0.8));
        candidates.push(face(1.0, 0.0, 10.0, 0.4));
        let found = candidates.suppress(0.4, 0.5);
        assert_eq!((found.len(), found[0].score), (1, 0.8));
        assert!((found[0].bounds.left - 1.0 / 3.0).abs() < 1e-5);
        assert!((found[0].landmarks.nose().x - (5.0 + 1.0 / 3.0)).abs() < 1e-5);
    }

    #[test]
    fn the_weakest_gives_way_when_all_places_are_taken() {
        let mut candidates = Candidates::default();
        for i in 0..MAX_CANDIDATES {
            candidates.push(face(100.0 * i as f32, 0.0, 10.0, 0.5 + i as f32 / 1000.0));
        }
        candidates.push(face(0.0, 500.0, 10.0, 0.9));
        candidates.push(face(0.0, 700.0, 10.0, 0.1));
        let found = candidates.suppress(0.4, 2.0);
        assert_eq!((candidates.len(), found.len()), (MAX_CANDIDATES, MAX_FACES));
        assert_eq!(found[0].score, 0.9);
        assert!(candidates.kept.iter().all(|c| c.score > 0.5));
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        assert!(suppressed(&[face(f32::NAN, 0.0, 10.0, 0.9), face(0.0, 0.0, f32::INFINITY, 0.9)]).is_empty());
        let mut lost = face(0.0, 0.0, 10.0, 0.9);
        lost.landmarks.0[3] = Point::new(0.0, f32::NAN);
        assert!(suppressed(&[lost, face(0.0, 0.0, -3.0, 0.9), face(0.0, 0.0, 9.0, f32::NAN)]).is_empty());
    }

    proptest! {
        #[test]
        fn no_two_faces_that_remain_overlap(
            all in prop::collection::vec((0.0_f32..200.0, 0.0_f32..200.0, 1.0_f32..90.0, 0.0_f32..1.0), 0..300)
        ) {
            let all: std::vec::Vec<_> = all.into_iter().map(|(x, y, side, s)| face(x, y, side, s)).collect();
            let found = suppressed(&all);
            prop_assert!(found.is_empty() == all.is_empty());
            for (i, a) in found.iter().enumerate() {
                for b in &found[i + 1..] {
                    prop_assert!(a.bounds.overlap(&b.bounds) <= 0.4 && a.score >= b.score);
                }
            }
        }
    }
}
