//! One frame to what the door should know of it.

use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;
use thiserror::Error;

use crate::camera::{Frame, PixelFormat};
use crate::door::{Face, Obstacle, PersonId, Sighting};
use crate::face::analyze::{AnalyzeError, Close, FaceAnalyzer, Observation};
use crate::face::convert::{ConvertError, EncodedFrame, Encoding, to_rgb};
use crate::face::image::RgbImage;
use crate::face::nms::MAX_FACES;
use crate::face::quality::{Flaw, Gate};
use crate::face::template::Template;
use crate::gallery::{Gallery, Match, MatchPolicy, Role};

/// A second face counts as "two at once" when its eyes are at least this share as far apart as the first's.
/// A choice: somebody in the background is passed over, somebody beside is not.
const BESIDE: f32 = 0.6;

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

/// Whether a face must be alive. Only the simulated board can be told to do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// As on every device.
    Required,
    /// To show what it is good for.
    Off,
}

/// What one frame came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// When it was taken.
    pub captured_at: Duration,
    /// All faces, the largest first.
    pub faces: heapless::Vec<Observation, MAX_FACES>,
    /// What the door is told.
    pub sighting: Sighting,
    /// The person nearest to the largest face, accepted or not.
    pub nearest: Option<Match>,
    /// Liveness score of the largest face over its track, `0.0..=1.0`.
    pub live: Option<f32>,
    /// Template of the largest face.
    pub template: Option<Template>,
}

/// The networks and the rules by which a frame is judged.
pub struct Pipeline {
    analyzer: FaceAnalyzer,
    picture: RgbImage,
    policy: MatchPolicy,
    liveness: Liveness,
}

impl Pipeline {
    /// A pipeline that accepts a person by `policy`.
    #[must_use]
    pub fn new(analyzer: FaceAnalyzer, policy: MatchPolicy, liveness: Liveness) -> Self {
        let picture = RgbImage::new(1, 1).expect("one pixel is a picture");
        Self { analyzer, picture, policy, liveness }
    }

    /// The frame that was judged last, as RGB.
    #[must_use]
    pub fn picture(&self) -> &RgbImage {
        &self.picture
    }

    /// By which distance a person is accepted.
    #[must_use]
    pub fn policy(&self) -> &MatchPolicy {
        &self.policy
    }

    /// Judges a frame. `pending`: the templates of an enrolment that is under way, when there is one.
    ///
    /// # Errors
    /// When the frame is damaged or a network fails.
    pub fn judge<F: NorFlash<Error: core::fmt::Debug>>(
        &mut self,
        frame: &Frame<'_>,
        gallery: &Gallery<F>,
        pending: Option<&[Template]>,
    ) -> Result<Judgement, FrameError> {
        to_rgb(&encoded(frame), &mut self.picture)?;
        let faces = self.analyzer.analyze(&self.picture.view(), frame.captured_at)?;
        let mut judgement = Judgement {
            captured_at: frame.captured_at,
            sighting: Sighting::Nobody,
            nearest: None,
            live: None,
            template: None,
            faces,
        };
        let Some((largest, close)) = judgement.faces.first().and_then(|f| Some((f, f.close.as_ref()?)))
        else {
            return Ok(judgement);
        };
        judgement.live = largest.track.and_then(|id| self.analyzer.track(id)?.liveness());
        judgement.template.clone_from(&close.template);
        judgement.nearest = close.template.as_ref().and_then(|template| gallery.nearest(template));
        let nearest = self.face(largest, close, &judgement, gallery, pending);
        judgement.sighting =
            if several(&judgement.faces) { Sighting::Several { nearest } } else { Sighting::One(nearest) };
        Ok(judgement)
    }

    fn face<F: NorFlash<Error: core::fmt::Debug>>(
        &self,
        observation: &Observation,
        close: &Close,
        judgement: &Judgement,
        gallery: &Gallery<F>,
        pending: Option<&[Template]>,
    ) -> Face {
        let accepted = judgement.nearest.filter(|found| found.is_accepted(&self.policy));
        let person = accepted
            .and_then(|found| gallery.person(found.person))
            .map(|person| (PersonId(person.id), person.role == Role::Administrator));
        Face {
            track: observation.track.map_or(u32::MAX, |id| id.0),
            captured_at: judgement.captured_at,
            obstacle: self.obstacle(close, judgement.live, pending.is_some()),
            person: person.filter(|_| observation.track.is_some()),
            same_as_pending: self.is_same(judgement.template.as_ref(), pending.unwrap_or_default()),
        }
    }

    fn obstacle(&self, close: &Close, live: Option<f32>, enrolling: bool) -> Option<Obstacle> {
        let stricter = || if enrolling { Gate::ENROLMENT.flaw(&close.measures) } else { None };
        if let Some(flaw) = close.flaw.or_else(stricter) {
            return Some(obstacle_of(flaw));
        }
        let alive = live.is_some_and(|score| score >= self.analyzer.least_liveness());
        (self.liveness == Liveness::Required && !alive).then_some(Obstacle::NotAlive)
    }

    fn is_same(&self, template: Option<&Template>, pending: &[Template]) -> bool {
        let Some(template) = template else { return false };
        pending.iter().all(|taken| taken.distance(template) <= self.policy.threshold)
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

fn several(faces: &[Observation]) -> bool {
    let eyes = |face: &Observation| face.landmarks.eye_distance();
    matches!(faces, [first, second, ..] if eyes(second) >= BESIDE * eyes(first))
}

fn obstacle_of(flaw: Flaw) -> Obstacle {
    match flaw {
        Flaw::TooFar => Obstacle::TooFar,
        Flaw::TurnedAway | Flaw::NotLevel | Flaw::Tilted => Obstacle::Turned,
        Flaw::Covered => Obstacle::Covered,
        Flaw::TooDark => Obstacle::TooDark,
        Flaw::TooBright | Flaw::NoContrast | Flaw::LitFromOneSide => Obstacle::TooBright,
        Flaw::Blurred => Obstacle::Blurred,
    }
}
