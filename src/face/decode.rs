//! What the detector's cells say: score, box and landmarks, from int8 to pixels of its input.
//!
//! ```text
//! per stride, cells [rows, columns]:  score logit          [1]
//!                                     box, in strides      [4]   left, top, right, bottom from the cell's point
//!                                     landmarks, in strides [10]  x, y from the cell's point, five times
//! point of cell (row, column) = (column * stride, row * stride) + offset * stride
//! ```

use super::geometry::{Bounds, Landmarks, Point};
use super::network::Output;
use super::nms::{Candidates, Detection};

/// The outputs of one stride.
#[derive(Debug, Clone, Copy)]
pub struct Level<'a> {
    /// Pixels of the input from cell to cell.
    pub stride: f32,
    /// Where in its cell a cell's point lies: 0 is the upper left pixel, 0.5 the middle.
    pub offset: f32,
    /// One logit per cell.
    pub scores: Output<'a>,
    /// Four distances per cell.
    pub boxes: Output<'a>,
    /// Ten offsets per cell.
    pub landmarks: Output<'a>,
}

/// Logit to `0.0..=1.0`.
#[must_use]
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// `0.0..=1.0` to logit.
#[must_use]
pub fn logit(score: f32) -> f32 {
    (score / (1.0 - score)).ln()
}

/// The least int8 value whose number is at least `least`; `None` when every value is below it.
fn least_value(output: &Output<'_>, least: f32) -> Option<i8> {
    (i8::MIN..=i8::MAX).find(|&value| output.number(value) >= least)
}

/// Adds every cell of `level` whose score is at least `least_score` to `candidates`, in pixels of the input.
pub fn decode(level: &Level<'_>, least_score: f32, candidates: &mut Candidates) {
    let Some(least) = least_value(&level.scores, logit(least_score)) else { return };
    let cells = level.scores.values.iter().step_by(level.scores.channels);
    for (cell, &value) in cells.enumerate().filter(|(_, value)| **value >= least) {
        let (row, column) = (cell / level.scores.columns, cell % level.scores.columns);
        candidates.push(detection(level, row, column, sigmoid(level.scores.number(value))));
    }
}

/// The detection of one cell.
fn detection(level: &Level<'_>, row: usize, column: usize, score: f32) -> Detection {
    let place = |index: usize| (index as f32 + level.offset) * level.stride;
    let point = Point::new(place(column), place(row));
    let side = |i: usize| level.boxes.number(level.boxes.cell(row, column)[i]) * level.stride;
    let bounds = Bounds {
        left: point.x - side(0),
        top: point.y - side(1),
        right: point.x + side(2),
        bottom: point.y + side(3),
    };
    let offset = |i: usize| level.landmarks.number(level.landmarks.cell(row, column)[i]) * level.stride;
    let landmark = |i: usize| Point::new(point.x + offset(2 * i), point.y + offset(2 * i + 1));
    Detection { bounds, landmarks: Landmarks(std::array::from_fn(landmark)), score }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(values: &[i8], columns: usize, channels: usize, scale: f32, zero_point: i8) -> Output<'_> {
        let rows = values.len() / columns / channels;
        Output { values, rows, columns, channels, scale, zero_point }
    }

    #[test]
    fn a_cell_is_decoded_around_its_point() {
        let scores = [-128, -128, 40, -128];
        let mut boxes = [0; 16];
        boxes[8..12].copy_from_slice(&[4, 8, 12, 16]);
        let mut landmarks = [5; 40];
        landmarks[20..30].copy_from_slice(&[1, 3, 9, 3, 5, 5, 1, 9, 9, 9]);
        let level = Level {
            stride: 8.0,
            offset: 0.5,
            scores: output(&scores, 2, 1, 0.1, 0),
            boxes: output(&boxes, 2, 4, 0.25, 0),
            landmarks: output(&landmarks, 2, 10, 0.125, 5),
        };
        let mut candidates = Candidates::default();
        decode(&level, 0.5, &mut candidates);
        let found = candidates.suppress(0.4, 2.0);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].bounds.edges(), [-4.0, -4.0, 28.0, 44.0]);
        assert_eq!(found[0].landmarks.left_eye(), Point::new(0.0, 10.0));
        assert_eq!(found[0].landmarks.nose(), Point::new(4.0, 12.0));
        assert!((found[0].score - sigmoid(4.0)).abs() < 1e-6);
    }

    #[test]
    fn the_threshold_counts_in_the_output_s_own_steps() {
        let scores = [-2, -1, 0, 1];
        let (boxes, landmarks) = ([10; 16], [0; 40]);
        let level = Level {
            stride: 8.0,
            offset: 0.0,
            scores: output(&scores, 4, 1, 1.0, 0),
            boxes: output(&boxes, 4, 4, 1.0, 0),
            landmarks: output(&landmarks, 4, 10, 1.0, 0),
        };
        for (least, count) in [(0.5, 2), (0.49, 2), (0.26, 3), (0.8, 0), (0.0, 4), (1.0, 0)] {
            let mut candidates = Candidates::default();
            decode(&level, least, &mut candidates);
            assert_eq!(candidates.len(), count, "{least}");
        }
    }

    #[test]
    fn sigmoid_and_logit_undo_each_other() {
        for score in [0.01, 0.3, 0.5, 0.99] {
            assert!((sigmoid(logit(score)) - score).abs() < 1e-5);
        }
    }
}
