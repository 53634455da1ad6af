//! Templates for tests, at distances that are easy to see.

use crate::face::template::{DIMENSIONS, Template};

/// Coordinates that stand for one direction: so many that none is cut off at the end of an i8.
const BLOCK: usize = 16;

/// A template that points so far towards each of the first of eight directions, which are at right angles.
pub fn towards(directions: &[f32]) -> Template {
    let longest = directions.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let output: Vec<i8> = (0..DIMENSIONS)
        .map(|i| directions.get(i / BLOCK).map_or(0, |x| (127.0 * x / longest).round() as i8))
        .collect();
    Template::from_output(&output, 0, 200, 1).expect("has a direction")
}

/// A template at an angle, in radians, in the plane of the first two directions: two of them are
/// `2 - 2 cos(difference)` apart.
pub fn at_angle(angle: f32) -> Template {
    towards(&[angle.cos(), angle.sin()])
}
