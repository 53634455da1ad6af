//! Which way a head is turned, from its five landmarks.
//!
//! The aligned crop's template is taken as a face that looks straight ahead, with the eyes and the mouth in
//! one plane and the nose before it. Seen from far away (weak perspective) the landmarks are that solid,
//! turned, scaled and shifted; least squares gives the turn.

use super::align::TEMPLATE;
use super::geometry::Landmarks;

/// How far the nose stands before the plane of eyes and mouth, in pixels of the aligned crop.
///
/// # Source
/// Measured on 3,004 labelled faces: where the nose's shift suggests a yaw, the distance between the eyes is
/// foreshortened by its cosine; both agree at 20 to 24 pixels.
const NOSE_DEPTH: f64 = 22.0;

/// How a head is turned, in degrees; all zero looks straight into the camera.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pose {
    /// Around the vertical axis, `-90.0..=90.0`; positive turns the nose to the right of the picture.
    pub yaw: f32,
    /// Nodding, `-90.0..=90.0`; positive looks down.
    pub pitch: f32,
    /// In the picture's plane, `-180.0..=180.0`; positive lowers the eye on the right.
    pub roll: f32,
}

impl Pose {
    /// The pose that explains `landmarks` best; `None` when they are degenerate or not numbers.
    ///
    /// Roll is the slope of the line between the eyes. With that taken out, each of x and y is fitted as
    /// `c0 X + c1 Y + c2 Z + c3` over the template's solid, and `asin(c2 / scale)` is yaw and pitch; the scale
    /// is the longer of the two rows `c0..=c2`, as foreshortening only shortens.
    ///
    /// # Source
    /// DeMenthon and Davis: Model-based object pose in 25 lines of code (IJCV 1995), its first step.
    #[must_use]
    pub fn of(landmarks: &Landmarks) -> Option<Self> {
        let (left, right) = (landmarks.left_eye(), landmarks.right_eye());
        let roll = f64::from(right.y - left.y).atan2(f64::from(right.x - left.x));
        let (sin, cos) = roll.sin_cos();
        let level = landmarks.0.map(|p| {
            let (x, y) = (f64::from(p.x - left.x), f64::from(p.y - left.y));
            [cos * x + sin * y, cos * y - sin * x]
        });
        let fit = solid_fit();
        let row = |axis: usize| -> [f64; 3] {
            std::array::from_fn(|c| (0..5).map(|i| fit[c][i] * level[i][axis]).sum())
        };
        let (across, down) = (row(0), row(1));
        let length = |r: [f64; 3]| (r[0] * r[0] + r[1] * r[1] + r[2] * r[2]).sqrt();
        let scale = length(across).max(length(down));
        if !scale.is_finite() || scale < 1e-6 {
            return None;
        }
        let angle = |depth: f64| (depth / scale).clamp(-1.0, 1.0).asin().to_degrees() as f32;
        Some(Self { yaw: angle(across[2]), pitch: angle(down[2]), roll: roll.to_degrees() as f32 })
    }
}

/// The rows of the pseudo-inverse of the solid `[X Y Z 1]` (five points) for `X`, `Y` and `Z`.
///
/// Only the nose has a depth. So `X` and `Y` are fitted to the four others, and `Z` is what is left of the
/// nose over its depth.
fn solid_fit() -> [[f64; 5]; 3] {
    let flat = [0, 1, 3, 4].map(|i| [f64::from(TEMPLATE.0[i].x), f64::from(TEMPLATE.0[i].y)]);
    let mean = [0, 1].map(|axis| flat.iter().map(|p| p[axis]).sum::<f64>() / 4.0);
    let centred = flat.map(|p| [p[0] - mean[0], p[1] - mean[1]]);
    let sum = |a: usize, b: usize| centred.iter().map(|p| p[a] * p[b]).sum::<f64>();
    let (xx, xy, yy) = (sum(0, 0), sum(0, 1), sum(1, 1));
    let determinant = xx * yy - xy * xy;
    let nose = TEMPLATE.nose();
    let (nx, ny) = (f64::from(nose.x) - mean[0], f64::from(nose.y) - mean[1]);
    let mut fit = [[0.0; 5]; 3];
    for (p, i) in centred.iter().zip([0, 1, 3, 4]) {
        fit[0][i] = (yy * p[0] - xy * p[1]) / determinant;
        fit[1][i] = (xx * p[1] - xy * p[0]) / determinant;
        fit[2][i] = -(0.25 + nx * fit[0][i] + ny * fit[1][i]) / NOSE_DEPTH;
    }
    fit[2][2] = NOSE_DEPTH.recip();
    fit
}

#[cfg(test)]
mod tests {
    use super::super::geometry::Point;
    use super::*;
    use proptest::prelude::*;

    /// The template's solid, turned by `pose` (yaw, pitch, then roll), `scale` times as large.
    fn seen_from(pose: Pose, scale: f64) -> Landmarks {
        let [yaw, pitch, roll] = [pose.yaw, pose.pitch, pose.roll].map(|a| f64::from(a).to_radians());
        let mut points = TEMPLATE.0;
        for (i, p) in points.iter_mut().enumerate() {
            let z = if i == 2 { NOSE_DEPTH } else { 0.0 };
            let (x, y) = (f64::from(p.x) - 56.0, f64::from(p.y) - 72.0);
            let (x, z) = (x * yaw.cos() + z * yaw.sin(), z * yaw.cos() - x * yaw.sin());
            let y = y * pitch.cos() + z * pitch.sin();
            let (x, y) = (x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos());
            *p = Point::new((scale * x + 300.0) as f32, (scale * y + 200.0) as f32);
        }
        Landmarks(points)
    }

    #[test]
    fn the_template_looks_straight_ahead() {
        let pose = Pose::of(&TEMPLATE).unwrap();
        assert!(pose.yaw.abs() < 0.5 && pose.pitch.abs() < 0.5 && pose.roll.abs() < 0.5, "{pose:?}");
    }

    #[test]
    fn a_turned_head_shows_its_yaw_and_a_nodding_one_its_pitch() {
        for angle in [-35.0_f32, -10.0, 20.0, 40.0] {
            let turned = Pose { yaw: angle, ..Pose::default() };
            let found = Pose::of(&seen_from(turned, 2.0)).unwrap();
            assert!((found.yaw - angle).abs() < 1.0 && found.pitch.abs() < 2.0, "{angle}: {found:?}");
            let nodding = Pose { pitch: angle, ..Pose::default() };
            let found = Pose::of(&seen_from(nodding, 0.5)).unwrap();
            assert!((found.pitch - angle).abs() < 1.0 && found.yaw.abs() < 2.0, "{angle}: {found:?}");
        }
    }

    #[test]
    fn a_tilted_head_shows_its_roll_only() {
        for roll in [-170.0, -30.0, 15.0, 90.0] {
            let found = Pose::of(&seen_from(Pose { roll, ..Pose::default() }, 1.0)).unwrap();
            assert!((found.roll - roll).abs() < 0.5, "{roll}: {found:?}");
            assert!(found.yaw.abs() < 0.5 && found.pitch.abs() < 0.5, "{roll}: {found:?}");
        }
    }

    #[test]
    fn one_spot_and_no_numbers_have_no_pose() {
        assert_eq!(Pose::of(&Landmarks([Point::new(5.0, 5.0); 5])), None);
        assert_eq!(Pose::of(&Landmarks([Point::new(f32::NAN, 5.0); 5])), None);
    }

    proptest! {
        #[test]
        fn any_five_points_have_a_pose_within_its_range_or_none(
            points in prop::array::uniform5((any::<f32>(), any::<f32>()))
        ) {
            if let Some(pose) = Pose::of(&Landmarks(points.map(|(x, y)| Point::new(x, y)))) {
                prop_assert!(pose.yaw.abs() <= 90.0 && pose.pitch.abs() <= 90.0 && pose.roll.abs() <= 180.0);
            }
        }
    }
}
