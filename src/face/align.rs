//! From five landmarks to the aligned crop that the embedder reads.
//!
//! ```text
//! landmarks in the picture --least squares--> similarity --bilinear warp--> [112, 112, 3] u8 RGB
//! ```

use super::crop::Layers;
use super::geometry::{Landmarks, Point};
use crate::kernels::picture::RgbMut;
use thiserror::Error;

/// Width and height of the aligned crop in pixels.
pub const CROP_SIDE: usize = 112;

/// Bytes of the aligned crop, `[112, 112, 3]` u8 RGB.
pub const CROP_BYTES: usize = CROP_SIDE * CROP_SIDE * 3;

/// Where the landmarks lie in the aligned crop.
///
/// # Source
/// Deng, Guo, Xue, Zafeiriou: ArcFace (CVPR 2019) and its published code: the template of SphereFace's
/// 96x112 crop, moved 8 pixels to the right.
pub const TEMPLATE: Landmarks = Landmarks([
    Point::new(38.2946, 51.6963),
    Point::new(73.5318, 51.5014),
    Point::new(56.0252, 71.7366),
    Point::new(41.5493, 92.3655),
    Point::new(70.7299, 92.2041),
]);

/// Smallest spread of the landmarks (root mean square distance from their middle) in pixels: a choice,
/// below which five landmarks are one spot.
const LEAST_SPREAD: f32 = 1.0;

/// Most that a face is enlarged or shrunk for the crop: a choice, far beyond any face that is worth embedding
/// (at 40 times its eyes are less than a pixel apart, or three times as far as the largest frame is wide).
const MOST_ENLARGEMENT: f32 = 40.0;

/// Why landmarks cannot be aligned.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum AlignError {
    /// A coordinate is infinite or not a number.
    #[error("a landmark is not a number")]
    NotFinite,
    /// All landmarks lie on one spot.
    #[error("the landmarks lie within {spread:.2} pixels of each other")]
    OneSpot {
        /// Root mean square distance from their middle, in pixels.
        spread: f32,
    },
    /// The landmarks are arranged unlike a face (mirrored, or scattered).
    #[error("the landmarks are not arranged as a face: they fit it at {enlargement:.3} times their size")]
    NotAFace {
        /// Pixels of the crop for one of the picture.
        enlargement: f32,
    },
}

/// A map that keeps angles: `x' = a x - b y + dx`, `y' = b x + a y + dy`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Scale times the cosine of the rotation.
    pub a: f32,
    /// Scale times the sine of the rotation (clockwise, as y grows downwards).
    pub b: f32,
    /// Shift to the right.
    pub dx: f32,
    /// Shift downwards.
    pub dy: f32,
}

impl Similarity {
    /// The similarity that takes `from` to `to` with the least sum of squared distances.
    ///
    /// # Errors
    /// When `from` is not five numbers' worth of points, lies on one spot, or fits `to` so badly that nothing
    /// is left of it.
    ///
    /// # Source
    /// Umeyama: Least-squares estimation of transformation parameters between two point patterns (PAMI
    /// 1991), in two dimensions and without reflection, where it has this closed form.
    pub fn between(from: &Landmarks, to: &Landmarks) -> Result<Self, AlignError> {
        if !from.is_finite() || !to.is_finite() {
            return Err(AlignError::NotFinite);
        }
        let (from_middle, to_middle) = (middle(from), middle(to));
        let (mut dot, mut cross, mut spread) = (0.0_f64, 0.0, 0.0);
        for (p, q) in from.0.iter().zip(&to.0) {
            let (px, py) = (f64::from(p.x) - from_middle.0, f64::from(p.y) - from_middle.1);
            let (qx, qy) = (f64::from(q.x) - to_middle.0, f64::from(q.y) - to_middle.1);
            dot += px * qx + py * qy;
            cross += px * qy - py * qx;
            spread += px * px + py * py;
        }
        let root_mean_square = (spread / 5.0).sqrt() as f32;
        if root_mean_square.is_nan() || root_mean_square < LEAST_SPREAD {
            return Err(AlignError::OneSpot { spread: root_mean_square });
        }
        let (a, b) = (dot / spread, cross / spread);
        Ok(Self {
            a: a as f32,
            b: b as f32,
            dx: (to_middle.0 - a * from_middle.0 + b * from_middle.1) as f32,
            dy: (to_middle.1 - b * from_middle.0 - a * from_middle.1) as f32,
        })
    }

    /// The same map between indices of pixels, whose middles lie half a pixel from where places are measured.
    #[must_use]
    pub fn of_pixels(&self) -> Self {
        let Point { x, y } = self.apply(Point::new(0.5, 0.5));
        Self { dx: x - 0.5, dy: y - 0.5, ..*self }
    }

    /// Lengths grow by this factor.
    #[must_use]
    pub fn scale(&self) -> f32 {
        (self.a * self.a + self.b * self.b).sqrt()
    }

    /// Where `point` goes.
    #[must_use]
    pub fn apply(&self, point: Point) -> Point {
        Point {
            x: self.a * point.x - self.b * point.y + self.dx,
            y: self.b * point.x + self.a * point.y + self.dy,
        }
    }

    /// The way back; `None` when the scale is zero or not a number.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let square = self.a * self.a + self.b * self.b;
        if !square.is_finite() || square <= f32::MIN_POSITIVE {
            return None;
        }
        let (a, b) = (self.a / square, -self.b / square);
        Some(Self { a, b, dx: b * self.dy - a * self.dx, dy: -b * self.dx - a * self.dy })
    }
}

/// The middle of five points.
fn middle(points: &Landmarks) -> (f64, f64) {
    let (x, y) = points.0.iter().fold((0.0, 0.0), |(x, y), p| (x + f64::from(p.x), y + f64::from(p.y)));
    (x / 5.0, y / 5.0)
}

/// Draws the aligned face of `picture` into `crop`, and says how well the landmarks fit the template: the
/// root mean square distance that is left between them, in pixels of the crop.
///
/// What lies outside of the picture is black.
///
/// # Errors
/// When the landmarks are not those of a face; then `crop` is as it was.
pub fn align(
    picture: &Layers<'_>,
    landmarks: &Landmarks,
    crop: &mut [u8; CROP_BYTES],
) -> Result<f32, AlignError> {
    let to_crop = Similarity::between(landmarks, &TEMPLATE)?;
    let enlargement = to_crop.scale();
    if enlargement < MOST_ENLARGEMENT.recip() || enlargement > MOST_ENLARGEMENT {
        return Err(AlignError::NotAFace { enlargement });
    }
    let from_crop = to_crop.inverse().ok_or(AlignError::NotAFace { enlargement })?;
    let mut target = RgbMut::new(crop, CROP_SIDE, CROP_SIDE, 3 * CROP_SIDE)
        .expect("the crop's length is that of its sides");
    picture.draw(&from_crop, &mut target);
    Ok(misfit(&to_crop, landmarks))
}

/// Root mean square distance of the mapped landmarks from the template.
fn misfit(to_crop: &Similarity, landmarks: &Landmarks) -> f32 {
    let squares = landmarks.0.iter().zip(&TEMPLATE.0).map(|(p, t)| {
        let distance = to_crop.apply(*p).distance(*t);
        distance * distance
    });
    (squares.sum::<f32>() / 5.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::crop::Pyramid;
    use super::super::image::RgbImage;
    use super::*;
    use proptest::prelude::*;

    fn turned(scale: f32, degrees: f32, shift: Point) -> (Similarity, Landmarks) {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let map = Similarity { a: scale * cos, b: scale * sin, dx: shift.x, dy: shift.y };
        (map, Landmarks(TEMPLATE.0.map(|p| map.apply(p))))
    }

    #[test]
    fn an_exact_similarity_is_found_again() {
        let (map, landmarks) = turned(2.5, 30.0, Point::new(40.0, -7.0));
        let found = Similarity::between(&TEMPLATE, &landmarks).unwrap();
        for (got, want) in [(found.a, map.a), (found.b, map.b), (found.dx, map.dx), (found.dy, map.dy)] {
            assert!((got - want).abs() < 1e-3, "{found:?} instead of {map:?}");
        }
        let there_and_back = found.inverse().unwrap().apply(found.apply(Point::new(3.0, 9.0)));
        assert!(there_and_back.distance(Point::new(3.0, 9.0)) < 1e-3);
    }

    #[test]
    fn landmarks_on_one_spot_mirrored_or_not_numbers_are_refused() {
        let picture = RgbImage::new(50, 50).unwrap();
        let mut pyramid = Pyramid::default();
        let layers = pyramid.build(picture.view(), 40);
        let mut crop = Box::new([7; CROP_BYTES]);
        let mut refused = |landmarks: Landmarks| align(&layers, &landmarks, &mut crop).unwrap_err();
        let spot = Landmarks([Point::new(20.0, 20.0); 5]);
        assert!(matches!(refused(spot), AlignError::OneSpot { .. }));
        let mut lost = TEMPLATE;
        lost.0[4].y = f32::NAN;
        assert_eq!(refused(lost), AlignError::NotFinite);
        let huge = Landmarks(TEMPLATE.0.map(|p| Point::new(1e6 * p.x, 1e6 * p.y)));
        assert!(matches!(refused(huge), AlignError::NotAFace { .. }));
        assert!(crop.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn an_aligned_crop_shows_the_template_s_place_whatever_the_face_s_size_and_tilt() {
        for (scale, degrees) in [(1.0, 0.0), (0.6, 20.0), (3.0, -40.0), (5.0, 170.0)] {
            let (map, landmarks) = turned(scale, degrees, Point::new(600.0, 600.0));
            let mut picture = RgbImage::new(1200, 1200).unwrap();
            let radius = 3.0 * scale;
            for (i, pixel) in picture.pixels_mut().chunks_exact_mut(3).enumerate() {
                let place = Point::new((i % 1200) as f32, (i / 1200) as f32);
                let near = landmarks.0.iter().any(|p| p.distance(place) <= radius);
                pixel.fill(if near { 250 } else { 20 });
            }
            let mut pyramid = Pyramid::default();
            let mut crop = Box::new([0; CROP_BYTES]);
            let misfit = align(&pyramid.build(picture.view(), 40), &landmarks, &mut crop).unwrap();
            assert!(misfit < 0.01, "{map:?}: {misfit}");
            for p in TEMPLATE.0 {
                let at = |x: f32, y: f32| crop[3 * (y.round() as usize * CROP_SIDE + x.round() as usize)];
                assert!(at(p.x, p.y) > 200, "{map:?}: {}", at(p.x, p.y));
                assert!(at(p.x + 6.0, p.y) < 60 && at(p.x, p.y - 6.0) < 60, "{map:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_five_points_align_or_are_refused(
            points in prop::array::uniform5((any::<f32>(), any::<f32>())), near in any::<bool>()
        ) {
            let place = |v: f32| if near { v % 100.0 } else { v };
            let landmarks = Landmarks(points.map(|(x, y)| Point::new(place(x), place(y))));
            let picture = RgbImage::new(64, 48).unwrap();
            let mut crop = Box::new([0; CROP_BYTES]);
            if let Ok(misfit) = align(&Pyramid::default().build(picture.view(), 40), &landmarks, &mut crop) {
                prop_assert!(misfit.is_finite());
            }
        }
    }
}
