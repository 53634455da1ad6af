//! Faces in a picture: letterbox, the detector network, one box and five landmarks per face.
//!
//! ```text
//! picture --scaled to fit--> [height, width, 3], rest 128 --network--> cells --decode, suppress--> faces
//! ```

use super::align::{CROP_SIDE, Similarity, TEMPLATE};
use super::crop::Layers;
use super::decode::{Level, decode};
use super::geometry::{Bounds, Landmarks, Point};
use super::image::RgbImage;
use super::network::{Network, NetworkError, output_of};
use super::nms::{Candidates, Detection, MAX_FACES};
use crate::kernels::picture::RgbMut;
use heapless::Vec;

/// The value of the letterbox's empty part: zero to the network.
const PADDING: u8 = 128;

/// Which outputs belong to one stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelOutputs {
    /// Pixels of the input from cell to cell.
    pub stride: usize,
    /// Index of the score's output.
    pub score: usize,
    /// Index of the box's output.
    pub bounds: usize,
    /// Index of the landmarks' output.
    pub landmarks: usize,
}

/// How a detector's outputs are read; all from its manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectorSettings {
    /// Its strides.
    pub levels: std::vec::Vec<LevelOutputs>,
    /// Where in its cell a cell's point lies: 0 is the upper left pixel, 0.5 the middle.
    pub cell_offset: f32,
    /// Least score of a face, `0.0..=1.0`.
    pub least_score: f32,
    /// Greatest overlap of two faces, intersection over union.
    pub most_overlap: f32,
    /// Candidates that overlap a face by this much are blended into it; above 1 takes the best alone.
    pub blend_overlap: f32,
    /// Whether a face is looked at a second time, closer, for its landmarks.
    pub refine: bool,
}

/// The detector with its buffers.
pub struct Detector {
    network: Box<dyn Network>,
    settings: DetectorSettings,
    input: RgbImage,
    candidates: Candidates,
}

/// What a second look says of a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SecondLook {
    /// The face with the landmarks that were seen then; as it was where it was not found again.
    pub face: Detection,
    /// Mean distance between the landmarks of the face as it is and of its mirror image, over the distance between
    /// the eyes: small where nothing covers them. Infinite when it was not found in both; 0 when the settings do not
    /// ask for a second look.
    pub disagreement: f32,
}

/// Pixels of the input to pixels of the picture.
#[derive(Debug, Clone, Copy)]
struct Window {
    left: f32,
    top: f32,
    across: f32,
    down: f32,
}

/// Distance between the eyes when a face is looked at again, pixels of the input.
///
/// # Source
/// Measured on 1,784 photographs: of 20 to 48 pixels the one at which the landmarks' error is least.
const REFINED_EYES: f32 = 33.0;

/// Where the middle of the aligned crop's face lies, from its top, over its height.
const REFINED_MIDDLE: f32 = 0.6;

impl Detector {
    /// A detector of a compiled network.
    ///
    /// # Errors
    /// When the network's input is no picture.
    pub fn new(network: Box<dyn Network>, settings: DetectorSettings) -> Result<Self, NetworkError> {
        let (height, width) = network.input_size();
        let input = RgbImage::new(width, height)
            .map_err(|error| NetworkError::Run { reason: format!("its input: {error}") })?;
        Ok(Self { network, settings, input, candidates: Candidates::default() })
    }

    /// Shortest side that the picture must have to be worth halving for this detector.
    #[must_use]
    pub fn input_side(&self) -> usize {
        self.input.width().min(self.input.height())
    }

    /// The faces of a picture, the most certain first, in its pixels.
    ///
    /// # Errors
    /// When the network fails or its outputs are not as the settings say.
    pub fn detect(&mut self, picture: &Layers<'_>) -> Result<Vec<Detection, MAX_FACES>, NetworkError> {
        let window = self.letterbox(picture);
        let mut faces = self.look_through()?;
        faces.iter_mut().for_each(|face| *face = window.to_picture(face));
        Ok(faces)
    }

    /// Looks at `face` again, upright and at the size that the detector sees best, once as it is and once
    /// mirrored, and returns it with the mean of the landmarks that are seen then.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn refine(&mut self, picture: &Layers<'_>, face: &Detection) -> Result<SecondLook, NetworkError> {
        if !self.settings.refine {
            return Ok(SecondLook { face: *face, disagreement: 0.0 });
        }
        let lost = SecondLook { face: *face, disagreement: f32::INFINITY };
        let Some((to_input, to_picture)) =
            self.upright_view(face).and_then(|view| Some((view, view.inverse()?)))
        else {
            return Ok(lost);
        };
        picture.draw_padded(&to_picture.of_pixels(), PADDING, &mut self.input.view_mut());
        let seen = to_input.apply(face.bounds.centre());
        let direct = self.landmarks_near(seen)?;
        self.input.mirror();
        let width = self.input.width() as f32;
        let mirrored = self.landmarks_near(Point::new(width - seen.x, seen.y))?.map(|l| l.mirrored(width));
        let (landmarks, disagreement) = match (direct, mirrored) {
            (Some(a), Some(b)) => (a.towards(&b, 0.5), a.mean_distance(&b) / REFINED_EYES),
            (Some(one), None) | (None, Some(one)) => (one, f32::INFINITY),
            (None, None) => return Ok(lost),
        };
        let landmarks = Landmarks(landmarks.0.map(|p| to_picture.apply(p)));
        Ok(SecondLook { face: Detection { landmarks, ..*face }, disagreement })
    }

    /// The landmarks of the face in the input that is nearest to `place`, within half of its width.
    fn landmarks_near(&mut self, place: Point) -> Result<Option<Landmarks>, NetworkError> {
        let found = self.look_through()?;
        let distance = |face: &Detection| face.bounds.centre().distance(place);
        let nearest = found.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        Ok(nearest.filter(|face| distance(face) <= 0.5 * face.bounds.width()).map(|face| face.landmarks))
    }

    /// The map from the picture to an input in which `face` is upright, in the middle and of the best size;
    /// `None` when its landmarks are not those of a face.
    fn upright_view(&self, face: &Detection) -> Option<Similarity> {
        let size = REFINED_EYES / TEMPLATE.eye_distance();
        let (width, height) = (self.input.width() as f32, self.input.height() as f32);
        let (x, y) = (CROP_SIDE as f32 / 2.0, REFINED_MIDDLE * CROP_SIDE as f32);
        let place = |p: Point| Point::new(width / 2.0 + size * (p.x - x), height / 2.0 + size * (p.y - y));
        Similarity::between(&face.landmarks, &Landmarks(TEMPLATE.0.map(place))).ok()
    }

    /// Draws the whole picture into the input, scaled to fit, in its upper left corner.
    fn letterbox(&mut self, picture: &Layers<'_>) -> Window {
        let view = picture.picture();
        let (width, height) = (self.input.width(), self.input.height());
        let shrink = (view.width() as f32 / width as f32).max(view.height() as f32 / height as f32);
        let fitted = |side: usize, limit: usize| ((side as f32 / shrink).round() as usize).clamp(1, limit);
        let (across, down) = (fitted(view.width(), width), fitted(view.height(), height));
        self.input.pixels_mut().fill(PADDING);
        let mut corner = RgbMut::new(self.input.pixels_mut(), across, down, 3 * width)
            .expect("the picture was scaled to fit the input");
        picture.draw_all(&mut corner);
        Window {
            left: 0.0,
            top: 0.0,
            across: view.width() as f32 / across as f32,
            down: view.height() as f32 / down as f32,
        }
    }

    /// The faces that the network finds in the input, in its pixels.
    fn look_through(&mut self) -> Result<Vec<Detection, MAX_FACES>, NetworkError> {
        self.network.run(self.input.pixels())?;
        self.candidates.clear();
        for outputs in &self.settings.levels {
            let stride = outputs.stride.max(1);
            let (rows, columns) = (self.input.height().div_ceil(stride), self.input.width().div_ceil(stride));
            let output = |index, channels| output_of(&*self.network, index, (rows, columns, channels));
            let level = Level {
                stride: stride as f32,
                offset: self.settings.cell_offset,
                scores: output(outputs.score, 1)?,
                boxes: output(outputs.bounds, 4)?,
                landmarks: output(outputs.landmarks, 10)?,
            };
            decode(&level, self.settings.least_score, &mut self.candidates);
        }
        Ok(self.candidates.suppress(self.settings.most_overlap, self.settings.blend_overlap))
    }
}

impl Window {
    /// A detection of the input in pixels of the picture. The detector learnt labels that were scaled with
    /// their pictures, so the way back is the same plain product.
    fn to_picture(self, face: &Detection) -> Detection {
        let point = |p: Point| Point::new(self.left + self.across * p.x, self.top + self.down * p.y);
        let Bounds { left, top, right, bottom } = face.bounds;
        let (upper, lower) = (point(Point::new(left, top)), point(Point::new(right, bottom)));
        let bounds = Bounds { left: upper.x, top: upper.y, right: lower.x, bottom: lower.y };
        Detection { bounds, landmarks: Landmarks(face.landmarks.0.map(point)), score: face.score }
    }
}

#[cfg(test)]
mod tests {
    use super::super::crop::Pyramid;
    use super::super::network::Output;
    use super::*;

    const STRIDE: usize = 8;
    const CELLS: usize = 15 * 20;

    /// A detector of one stride that sees an upright face of 24x32 pixels around one cell, wherever it looks.
    struct OneFace {
        scores: [i8; CELLS],
        boxes: [i8; 4 * CELLS],
        landmarks: [i8; 10 * CELLS],
    }

    impl OneFace {
        fn at(row: usize, column: usize) -> Self {
            let mut scores = [-128; CELLS];
            scores[20 * row + column] = 100;
            let mut landmarks = [0; 10 * CELLS];
            for place in landmarks.chunks_exact_mut(10) {
                place.copy_from_slice(&[-8, -8, 8, -8, 0, 0, -6, 8, 6, 8]);
            }
            let mut boxes = [12; 4 * CELLS];
            boxes.chunks_exact_mut(2).for_each(|side| side[1] = 16);
            Self { scores, boxes, landmarks }
        }
    }

    impl Network for OneFace {
        fn input_size(&self) -> (usize, usize) {
            (120, 160)
        }

        fn run(&mut self, pixels: &[u8]) -> Result<(), NetworkError> {
            assert_eq!(pixels.len(), 120 * 160 * 3);
            Ok(())
        }

        fn output(&self, index: usize) -> Option<Output<'_>> {
            let (values, channels, scale): (&[i8], _, _) = match index {
                0 => (&self.scores, 1, 0.1),
                1 => (&self.boxes, 4, 0.125),
                2 => (&self.landmarks, 10, 0.125),
                _ => return None,
            };
            Some(Output { values, rows: 15, columns: 20, channels, scale, zero_point: 0 })
        }
    }

    fn detector(network: OneFace, score: usize, refine: bool) -> Detector {
        let level = LevelOutputs { stride: STRIDE, score, bounds: 1, landmarks: 2 };
        let settings = DetectorSettings {
            levels: vec![level],
            cell_offset: 0.5,
            least_score: 0.5,
            most_overlap: 0.4,
            blend_overlap: 0.8,
            refine,
        };
        Detector::new(Box::new(network), settings).unwrap()
    }

    #[test]
    fn faces_are_found_in_the_picture_s_own_pixels_whatever_its_size() {
        for (width, height, scale) in [(160, 120, 1.0), (640, 480, 4.0), (320, 60, 2.0), (500, 1000, 8.333)] {
            let picture = RgbImage::new(width, height).unwrap();
            let mut pyramid = Pyramid::default();
            let layers = pyramid.build(picture.view(), 40);
            let found = detector(OneFace::at(4, 6), 0, false).detect(&layers).unwrap();
            assert_eq!(found.len(), 1);
            let centre = found[0].bounds.centre();
            let (x, y) = (scale * 6.5 * 8.0, scale * 4.5 * 8.0);
            assert!(centre.distance(Point::new(x, y)) < 0.01 * (x + y), "{width}x{height}: {centre:?}");
            assert!((found[0].bounds.height() / scale - 32.0).abs() < 0.5, "{width}x{height}");
        }
    }

    #[test]
    fn the_closer_look_gives_the_mean_of_both_sides_in_the_picture_s_pixels() {
        let picture = RgbImage::new(320, 240).unwrap();
        let mut pyramid = Pyramid::default();
        let layers = pyramid.build(picture.view(), 40);
        let mut detector = detector(OneFace::at(7, 10), 0, true);
        let place = |p: Point| Point::new(p.x + 100.0, p.y + 60.0);
        let face = Detection {
            bounds: Bounds { left: 110.0, top: 70.0, right: 200.0, bottom: 170.0 },
            landmarks: Landmarks(TEMPLATE.0.map(place)),
            score: 0.7,
        };
        let SecondLook { face: refined, disagreement } = detector.refine(&layers, &face).unwrap();
        assert_eq!((refined.bounds, refined.score), (face.bounds, face.score));
        let size = TEMPLATE.eye_distance() / REFINED_EYES;
        assert!((refined.landmarks.eye_distance() - 16.0 * size).abs() < 0.1);
        let eyes = refined.landmarks.left_eye().towards(refined.landmarks.right_eye(), 0.5);
        assert!(
            (eyes.x - 156.0).abs() < 0.1,
            "the mean of a look and its mirror image is symmetric: {eyes:?}"
        );
        let apart = 2.0 * (84.0 - 80.0) / REFINED_EYES;
        assert!(
            (disagreement - apart).abs() < 0.1,
            "the face stands {apart} from its mirror image: {disagreement}"
        );
    }

    #[test]
    fn a_face_that_is_not_found_again_stays_as_it_was() {
        let picture = RgbImage::new(320, 240).unwrap();
        let mut pyramid = Pyramid::default();
        let layers = pyramid.build(picture.view(), 40);
        let face = Detection { landmarks: TEMPLATE, ..Detection::default() };
        let away = detector(OneFace::at(1, 1), 0, true).refine(&layers, &face).unwrap();
        let lost = |face| SecondLook { face, disagreement: f32::INFINITY };
        assert_eq!(away, lost(face));
        let spot = Detection { landmarks: Landmarks::default(), ..face };
        assert_eq!(detector(OneFace::at(7, 10), 0, true).refine(&layers, &spot).unwrap(), lost(spot));
        let unasked = detector(OneFace::at(7, 10), 0, false).refine(&layers, &face).unwrap();
        assert_eq!(unasked, SecondLook { face, disagreement: 0.0 });
    }

    #[test]
    fn an_output_of_another_shape_is_an_error_that_names_it() {
        let picture = RgbImage::new(160, 120).unwrap();
        let mut pyramid = Pyramid::default();
        let layers = pyramid.build(picture.view(), 40);
        let wrong = detector(OneFace::at(4, 6), 1, false).detect(&layers).unwrap_err();
        assert!(wrong.to_string().contains("output 1 of the network is 15x20x4"), "{wrong}");
        let missing = detector(OneFace::at(4, 6), 9, false).detect(&layers).unwrap_err();
        assert!(missing.to_string().contains("output 9 of the network is missing"), "{missing}");
    }
}
