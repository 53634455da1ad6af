//! One frame to what can be seen in it: the slow half of the pipeline, which knows nobody.
//!
//! It needs neither gallery nor door, so it may run in a thread of its own.

use core::fmt::{self, Debug};
use std::time::Duration;

use thiserror::Error;

use super::clock::monotonic;
use super::motion::Motion;
use super::shutter::Shutter;
use crate::board::schema::CameraKind;
use crate::camera::{Frame, PixelFormat};
use crate::face::align::CROP_BYTES;
use crate::face::analyze::{AnalyzeError, FaceAnalyzer, Observation, Spent};
use crate::face::convert::{ConvertError, EncodedFrame, Encoding, to_rgb};
use crate::face::image::RgbImage;
use crate::face::nms::MAX_FACES;

/// Why a frame told nothing. Nothing opens for it.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The frame itself is damaged.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A network failed.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
}

/// What each stage of a frame took until it was a [`View`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameTimes {
    /// From its capture until the eyes took it up; zero in a film, whose frames were captured long ago.
    pub camera: Duration,
    /// From the camera's bytes to pixels.
    pub decode: Duration,
    /// Finding faces.
    pub detect: Duration,
    /// Following, aligning and measuring them.
    pub look: Duration,
    /// Templates.
    pub embed: Duration,
    /// Liveness.
    pub liveness: Duration,
    /// When it was a view, by [`monotonic`].
    pub seen_at: Duration,
}

/// What one frame shows.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// When it was taken.
    pub captured_at: Duration,
    /// All faces, the largest first.
    pub faces: heapless::Vec<Observation, MAX_FACES>,
    /// Liveness score of the largest face over its track, `0.0..=1.0`.
    pub live: Option<f32>,
    /// Whether that is enough for its network's manifest.
    pub alive: bool,
    /// The largest face, aligned; meaningful only when it has a template.
    pub crop: AlignedCrop,
    /// What it took.
    pub times: FrameTimes,
}

impl View {
    /// Whether the networks looked at the frame.
    #[must_use]
    pub fn is_looked_at(&self) -> bool {
        !self.times.detect.is_zero()
    }
}

/// An aligned face, `[112, 112, 3]` u8 RGB, row-major. In place rather than in a box: none is allocated for a frame.
#[derive(Clone, PartialEq, Eq)]
pub struct AlignedCrop(pub [u8; CROP_BYTES]);

impl Debug for AlignedCrop {
    /// Without the picture: it is biometric data and must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlignedCrop")
    }
}

/// The networks and the picture that they look at.
pub struct Eyes {
    analyzer: FaceAnalyzer,
    camera: CameraKind,
    picture: RgbImage,
    shutter: Shutter,
    motion: Motion,
}

impl Eyes {
    /// Eyes that look with these networks through a camera that sees colours.
    #[must_use]
    pub fn new(mut analyzer: FaceAnalyzer) -> Self {
        analyzer.set_clock(monotonic);
        let picture = RgbImage::new(1, 1).expect("one pixel is a picture");
        let (shutter, motion) = (Shutter::default(), Motion::default());
        Self { analyzer, camera: CameraKind::Colour, picture, shutter, motion }
    }

    /// The same through another camera.
    #[must_use]
    pub fn through(self, camera: CameraKind) -> Self {
        Self { camera, ..self }
    }

    /// Looks at a frame. One that shows an empty doorway as it was before is told as empty without the networks, but for
    /// one a second. Without its colours when the camera has none: what a driver adds (a tint by day, noise in
    /// U and V) would say something of the light, not of the face. Allocates nothing once it has seen a frame of that
    /// size, unless it is a JPEG.
    ///
    /// # Errors
    /// When the frame is damaged or a network fails.
    pub fn look(&mut self, frame: &Frame<'_>) -> Result<View, FrameError> {
        let began = monotonic();
        to_rgb(&encoded(frame), &mut self.picture)?;
        if self.camera != CameraKind::Colour {
            self.picture.make_grey();
        }
        let decoded = monotonic();
        self.shutter.show(&self.picture);
        let captured_at = frame.captured_at;
        if !self.motion.is_worth(&self.picture, captured_at) {
            let times = FrameTimes { decode: decoded - began, seen_at: monotonic(), ..FrameTimes::default() };
            let crop = AlignedCrop([0; CROP_BYTES]);
            return Ok(View {
                captured_at,
                faces: heapless::Vec::new(),
                live: None,
                alive: false,
                crop,
                times,
            });
        }
        let faces = self.analyzer.analyze(&self.picture.view(), captured_at)?;
        if !faces.is_empty() {
            self.stay_awake(captured_at);
        }
        let track = faces.first().and_then(|largest| largest.track);
        let live = track.and_then(|id| self.analyzer.track(id)?.liveness());
        let alive = live.is_some_and(|score| score >= self.analyzer.least_liveness());
        let crop = AlignedCrop(*self.analyzer.crop(0).unwrap_or(&[0; CROP_BYTES]));
        let times = self.times(began, decoded);
        Ok(View { captured_at, faces, live, alive, crop, times })
    }

    fn times(&self, began: Duration, decoded: Duration) -> FrameTimes {
        let Spent { detect, embed, liveness } = self.analyzer.spent();
        let seen_at = monotonic();
        let look = (seen_at - decoded).saturating_sub(detect + embed + liveness);
        let (camera, decode) = (Duration::ZERO, decoded - began);
        FrameTimes { camera, decode, detect, look, embed, liveness, seen_at }
    }

    /// Looks at every frame for a while after `now`, whether anything moves or not.
    pub fn stay_awake(&mut self, now: Duration) {
        self.motion.stay_awake(now);
    }

    /// Forgets whom it followed, as when the camera was away.
    pub fn forget(&mut self) {
        self.analyzer.forget_tracks();
    }

    /// Takes pictures of what it looks at.
    #[must_use]
    pub fn shutter(&self) -> &Shutter {
        &self.shutter
    }

    /// The frame that was looked at last, as RGB.
    #[must_use]
    pub fn picture(&self) -> &RgbImage {
        &self.picture
    }
}

/// What the camera's frame is to the face room.
fn encoded<'a>(frame: &Frame<'a>) -> EncodedFrame<'a> {
    let encoding = match frame.format {
        PixelFormat::Yuyv => Encoding::Yuyv,
        PixelFormat::Nv12 => Encoding::Nv12,
        PixelFormat::Mjpeg => Encoding::Jpeg,
        PixelFormat::Rgb8 => Encoding::Rgb8,
        PixelFormat::Gray8 => Encoding::Gray8,
    };
    let Frame { bytes, width, height, stride, .. } = *frame;
    EncodedFrame { bytes, encoding, width, height, stride }
}
