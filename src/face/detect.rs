//! Faces in a picture: letterbox, the detector network, one box and five landmarks per face.
//!
//! ```text
//! picture --scaled to fit--> [height, width, 3], rest 128 --network--> cells --decode, suppress--> faces
//! ```

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
    /// Candidates that overlap a face by this much are blended into it; `None` takes the best alone.
    pub blend_overlap: Option<f32>,
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

/// Pixels of the input to pixels of the picture.
#[derive(Debug, Clone, Copy)]
struct Window {
    left: f32,
    top: f32,
    across: f32,
    down: f32,
}

/// How many times wider than a face the window is in which it is looked at again: in an input of 160x120 it
/// is then 64 pixels wide, in the middle of what the detector was trained on. A choice.
const REFINED_WINDOW: f32 = 2.5;

/// How much of the closer look's box must be the face's, intersection over union. A choice.
const REFINED_OVERLAP: f32 = 0.4;

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
        self.look_through(&window)
    }

    /// Looks at `face` again, closer, and returns it with what is seen then; `face` itself when it is not
    /// found again or the settings do not ask for it.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn refine(&mut self, picture: &Layers<'_>, face: &Detection) -> Result<Detection, NetworkError> {
        let (width, height) = (self.input.width() as f32, self.input.height() as f32);
        let across = face.bounds.width() * REFINED_WINDOW / width;
        if !self.settings.refine || across.is_nan() || across <= 0.0 {
            return Ok(*face);
        }
        let centre = face.bounds.centre();
        let (left, top) = (centre.x - across * width / 2.0, centre.y - across * height / 2.0);
        let bounds = Bounds { left, top, right: left + across * width, bottom: top + across * height };
        picture.draw_window(&bounds, &mut self.input.view_mut());
        let found = self.look_through(&Window { left, top, across, down: across })?;
        let overlap = |other: &Detection| other.bounds.overlap(&face.bounds);
        let best = found.iter().max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
        let again = best.filter(|best| overlap(best) >= REFINED_OVERLAP);
        Ok(again.map_or(*face, |again| Detection { score: face.score, ..*again }))
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

    /// Runs the network on the input and maps what it finds back.
    fn look_through(&mut self, window: &Window) -> Result<Vec<Detection, MAX_FACES>, NetworkError> {
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
        let mut faces = self.candidates.suppress(self.settings.most_overlap, self.settings.blend_overlap);
        faces.iter_mut().for_each(|face| *face = window.to_picture(face));
        Ok(faces)
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
