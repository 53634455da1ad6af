//! One picture to observations: everything that this room can say about the faces in it.

use super::align::{CROP_BYTES, align};
use super::crop::{Layers, Pyramid};
use super::detect::{Detector, SecondLook};
use super::embed::{EmbedError, Embedder};
use super::geometry::{Bounds, Landmarks};
use super::image::RgbView;
use super::liveness::LivenessJudge;
use super::network::NetworkError;
use super::nms::{Detection, MAX_FACES};
use super::quality::{Flaw, Gate, Measures};
use super::template::Template;
use super::track::{Track, TrackId, TrackSettings, Tracker};
use heapless::Vec;
use std::time::Duration;
use thiserror::Error;

/// Faces of one picture that are looked at closely, the largest first. A choice: two tell "one person" from
/// "two at once", and each more costs an embedding.
pub const MAX_CLOSE: usize = 2;

/// Shortest side down to which a picture is halved, in pixels: half of the smallest input of any network
/// here, so that nothing is ever drawn at less than half the size of its source.
pub const LEAST_SIDE: usize = 40;

/// Why a picture could not be analysed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnalyzeError {
    /// The detector failed.
    #[error("the detector: {0}")]
    Detector(#[source] NetworkError),
    /// The liveness network failed.
    #[error("the liveness network: {0}")]
    Liveness(#[source] NetworkError),
    /// The embedder failed.
    #[error("the embedder: {0}")]
    Embedder(#[source] EmbedError),
}

/// What is known of a face beyond its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Close {
    /// What was measured.
    pub measures: Measures,
    /// Why it is not good enough to recognise anybody by; `None` when it is.
    pub flaw: Option<Flaw>,
    /// This frame's liveness logit (above 0: rather alive); `None` when the picture is not good enough.
    pub liveness_logit: Option<f32>,
    /// The template; `None` when the picture is not good enough.
    pub template: Option<Template>,
}

/// One face in one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Around the face, in pixels of the picture.
    pub bounds: Bounds,
    /// Its landmarks, in pixels of the picture.
    pub landmarks: Landmarks,
    /// How certain the detector is, `0.0..=1.0`.
    pub score: f32,
    /// Its track; `None` when there are too many faces to follow.
    pub track: Option<TrackId>,
    /// What a close look shows; `None` for all but the [`MAX_CLOSE`] largest faces.
    pub close: Option<Close>,
}

/// What the parts of an analysis took, by the clock that [`FaceAnalyzer::set_clock`] gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Finding faces.
    pub detect: Duration,
    /// Templates of all faces.
    pub embed: Duration,
    /// Liveness of all faces.
    pub liveness: Duration,
}

/// The networks, their buffers and the tracks of one camera.
pub struct FaceAnalyzer {
    networks: Networks,
    tracker: Tracker,
    pyramid: Pyramid,
    crops: Box<[[u8; CROP_BYTES]]>,
}

/// The three networks, and what a picture must reach to be worth their time.
struct Networks {
    detector: Detector,
    liveness: LivenessJudge,
    embedder: Embedder,
    gate: Gate,
    clock: fn() -> Duration,
    spent: Spent,
}

impl FaceAnalyzer {
    /// An analyzer of three networks that lets through what passes [`Gate::RECOGNITION`].
    #[must_use]
    pub fn new(detector: Detector, liveness: LivenessJudge, embedder: Embedder) -> Self {
        let (gate, clock, spent) =
            (Gate::RECOGNITION, (|| Duration::ZERO) as fn() -> Duration, Spent::default());
        Self {
            networks: Networks { detector, liveness, embedder, gate, clock, spent },
            tracker: Tracker::new(TrackSettings::default()),
            pyramid: Pyramid::default(),
            crops: vec![[0; CROP_BYTES]; MAX_CLOSE].into_boxed_slice(),
        }
    }

    /// Asks for another quality than [`Gate::RECOGNITION`].
    pub fn set_gate(&mut self, gate: Gate) {
        self.networks.gate = gate;
    }

    /// Measures by this clock what the parts of an analysis take.
    pub fn set_clock(&mut self, clock: fn() -> Duration) {
        self.networks.clock = clock;
    }

    /// What the parts of the last analysis took; zero without a clock.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.networks.spent
    }

    /// The number of its embedder.
    #[must_use]
    pub fn embedding_id(&self) -> u32 {
        self.networks.embedder.embedding_id()
    }

    /// Least score of a living face, as its network's manifest says, `0.0..=1.0`.
    #[must_use]
    pub fn least_liveness(&self) -> f32 {
        self.networks.liveness.settings().least_score
    }

    /// The track of an observation; `None` when it is gone.
    #[must_use]
    pub fn track(&self, id: TrackId) -> Option<&Track> {
        self.tracker.get(id)
    }

    /// Forgets all tracks, as when the camera was away.
    pub fn forget_tracks(&mut self) {
        self.tracker.clear();
    }

    /// The aligned crop, `[112, 112, 3]` u8 RGB, of observation `index` of the last analysis; meaningful
    /// only where that has a template.
    #[must_use]
    pub fn crop(&self, index: usize) -> Option<&[u8; CROP_BYTES]> {
        self.crops.get(index)
    }

    /// The template of a crop that was kept, for a gallery whose embedder has changed.
    ///
    /// # Errors
    /// When the embedder fails.
    pub fn embed(&mut self, crop: &[u8; CROP_BYTES], quality: u8) -> Result<Template, EmbedError> {
        self.networks.embedder.embed(crop, quality)
    }

    /// Finds the faces of `picture`, which was taken at `captured_at`, the largest first, and looks closely at
    /// the [`MAX_CLOSE`] largest. Allocates nothing once it has seen a picture of that size.
    ///
    /// # Errors
    /// When a network fails. That says nothing about who stands there: nothing may open for it.
    pub fn analyze(
        &mut self,
        picture: &RgbView<'_>,
        captured_at: Duration,
    ) -> Result<Vec<Observation, MAX_FACES>, AnalyzeError> {
        let layers = self.pyramid.build(*picture, LEAST_SIDE);
        let (faces, disagreements) = self.networks.find(&layers)?;
        let tracks = self.tracker.assign(faces.iter(), captured_at);
        let mut observations: Vec<Observation, MAX_FACES> = Vec::new();
        for (face, mut track) in faces.iter().zip(tracks) {
            let index = observations.len();
            let close = match (self.crops.get_mut(index), disagreements.get(index)) {
                (Some(crop), Some(&disagreement)) => {
                    let look = SecondLook { face: *face, disagreement };
                    Some(self.networks.look_closely(&layers, &look, crop)?)
                }
                _ => None,
            };
            if let (Some(id), Some(close)) = (track, &close) {
                track = remember(&mut self.tracker, id, close);
            }
            let Detection { bounds, landmarks, score } = *face;
            observations
                .push(Observation { bounds, landmarks, score, track, close })
                .expect("there are as many places as faces");
        }
        Ok(observations)
    }
}

/// Adds what a close look shows to a track; returns the track that it belongs to now.
fn remember(tracker: &mut Tracker, id: TrackId, close: &Close) -> Option<TrackId> {
    let id = match &close.template {
        Some(template) => tracker.add_template(id, template)?,
        None => id,
    };
    if let Some(logit) = close.liveness_logit {
        tracker.add_liveness(id, logit);
    }
    Some(id)
}

impl Networks {
    /// The faces of a picture, the largest first; those that are looked at closely are refined, and how much their
    /// second looks disagree.
    fn find(
        &mut self,
        layers: &Layers<'_>,
    ) -> Result<(Vec<Detection, MAX_FACES>, [f32; MAX_CLOSE]), AnalyzeError> {
        let began = (self.clock)();
        let mut faces = self.detector.detect(layers).map_err(AnalyzeError::Detector)?;
        faces.sort_unstable_by(|a, b| b.bounds.area().total_cmp(&a.bounds.area()));
        let mut disagreements = [0.0; MAX_CLOSE];
        for (face, disagreement) in faces.iter_mut().zip(&mut disagreements) {
            let look = self.detector.refine(layers, face).map_err(AnalyzeError::Detector)?;
            (*face, *disagreement) = (look.face, look.disagreement);
        }
        self.spent = Spent { detect: (self.clock)() - began, ..Spent::default() };
        Ok((faces, disagreements))
    }

    /// Aligns, measures, and judges and embeds what is good enough.
    fn look_closely(
        &mut self,
        layers: &Layers<'_>,
        look: &SecondLook,
        crop: &mut [u8; CROP_BYTES],
    ) -> Result<Close, AnalyzeError> {
        let SecondLook { face, disagreement } = look;
        let unusable = |measures, flaw| Close { measures, flaw, liveness_logit: None, template: None };
        let Ok(misfit) = align(layers, &face.landmarks, crop) else {
            return Ok(unusable(Measures::default(), Some(Flaw::Covered)));
        };
        let measures =
            Measures { disagreement: *disagreement, ..Measures::of(crop, &face.landmarks, misfit) };
        if let Some(flaw) = self.gate.flaw(&measures) {
            return Ok(unusable(measures, Some(flaw)));
        }
        let began = (self.clock)();
        let template = self.embedder.embed(crop, measures.quality());
        let embedded = (self.clock)();
        self.spent.embed += embedded - began;
        let template = match template {
            Err(EmbedError::Template(_)) => return Ok(unusable(measures, Some(Flaw::Covered))),
            embedded => embedded.map_err(AnalyzeError::Embedder)?,
        };
        let logit = self.liveness.logit(layers, &face.bounds).map_err(AnalyzeError::Liveness)?;
        self.spent.liveness += (self.clock)() - embedded;
        Ok(Close { measures, flaw: None, liveness_logit: Some(logit), template: Some(template) })
    }
}
