//! Any input gives an answer or an error: frames of any format, size and length, and networks that answer anything.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use facelatch::camera::{Frame, PixelFormat};
use facelatch::face::analyze::FaceAnalyzer;
use facelatch::face::detect::{Detector, DetectorSettings, LevelOutputs};
use facelatch::face::embed::Embedder;
use facelatch::face::image::RgbImage;
use facelatch::face::liveness::{LivenessJudge, LivenessSettings};
use facelatch::face::models::ModelFolder;
use facelatch::face::network::{Network, NetworkError, Output};
use facelatch::face::quality::Gate;
use facelatch::firmware::eyes::{Eyes, View};
use proptest::prelude::*;

const FORMATS: [PixelFormat; 5] =
    [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Mjpeg, PixelFormat::Rgb8, PixelFormat::Gray8];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One frame of the bundled scene, as its camera sends it: 320x240, JPEG, with the owner in the middle.
fn owner() -> Vec<u8> {
    let film = std::fs::read(root().join("boards/sim/scene.mjpeg")).expect("the scene is bundled");
    let ends: Vec<usize> =
        (1..film.len()).filter(|&at| film[at - 1..=at] == [0xFF, 0xD9]).map(|at| at + 1).collect();
    film[ends[39]..ends[40]].to_vec()
}

fn jpeg(bytes: &[u8]) -> Frame<'_> {
    Frame {
        bytes,
        format: PixelFormat::Mjpeg,
        width: 320,
        height: 240,
        stride: 0,
        captured_at: Duration::ZERO,
    }
}

struct Patient {
    eyes: Eyes,
    owner: Vec<u8>,
    view: View,
}

thread_local! {
    static PATIENT: RefCell<Patient> = RefCell::new(patient());
}

fn patient() -> Patient {
    let models = ModelFolder::read(&root().join("model/release")).expect("the models are released");
    let (analyzer, _) = models.files().compile().expect("the released models compile");
    let (mut eyes, owner) = (Eyes::new(analyzer), owner());
    let view = eyes.look(&jpeg(&owner)).expect("a whole frame");
    assert_eq!(view.faces.len(), 1);
    Patient { eyes, owner, view }
}

/// Everything that is said about a frame is a number; and the next whole frame is seen as ever.
fn survives(frame: &Frame<'_>) {
    PATIENT.with_borrow_mut(|patient| {
        if let Ok(view) = patient.eyes.look(frame) {
            says_numbers(&view);
        }
        patient.eyes.forget();
        let again = patient.eyes.look(&jpeg(&patient.owner)).expect("a whole frame");
        let (seen, before) = (&again.faces[0], &patient.view.faces[0]);
        assert_eq!((seen.bounds, &seen.close), (before.bounds, &before.close));
    });
}

fn says_numbers(view: &View) {
    for face in &view.faces {
        assert!(face.bounds.edges().iter().all(|edge| edge.is_finite()), "{face:?}");
        assert!(face.landmarks.is_finite() && (0.0..=1.0).contains(&face.score), "{face:?}");
        let logit = face.close.as_ref().and_then(|close| close.liveness_logit);
        assert!(logit.is_none_or(f32::is_finite), "{face:?}");
    }
    assert!(view.live.is_none_or(|live| (0.0..=1.0).contains(&live)), "{:?}", view.live);
}

fn side() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0_usize..260, 1 => Just(usize::MAX), 1 => Just(usize::MAX / 2), 1 => 4000_usize..70_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_frame_of_any_format_size_stride_and_length_is_seen_or_refused(
        format in prop::sample::select(&FORMATS[..]), width in side(), height in side(),
        padding in prop_oneof![Just(0_usize), 0_usize..40, Just(usize::MAX)], fits in any::<bool>(),
        length in 0_usize..200_000, seed in any::<u8>(), millis in any::<u64>(),
    ) {
        let row = match format {
            PixelFormat::Yuyv => width.saturating_mul(2),
            PixelFormat::Rgb8 => width.saturating_mul(3),
            _ => width,
        };
        let stride = row.saturating_add(padding);
        let wanted = stride.saturating_mul(height).saturating_mul(2);
        let length = if fits && wanted < 1_000_000 { wanted } else { length };
        let bytes: Vec<u8> = (0..length).map(|i| (i / 7 % 251) as u8 ^ seed).collect();
        survives(&Frame { bytes: &bytes, format, width, height, stride, captured_at: Duration::from_millis(millis) });
    }

    #[test]
    fn a_jpeg_that_is_cut_lengthened_or_changed_is_seen_or_refused(
        cut in 0_usize..20_000, tail in prop::collection::vec(any::<u8>(), 0..40),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = PATIENT.with_borrow(|patient| patient.owner.clone());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(if cut < bytes.len() { cut } else { usize::MAX });
        bytes.extend(tail);
        survives(&jpeg(&bytes));
    }
}

#[test]
fn flat_and_striped_pictures_of_awkward_sizes_are_seen() {
    for (width, height) in [(1, 1), (1, 300), (300, 1), (2, 2), (39, 41), (161, 119), (640, 9)] {
        for pattern in 0..4_usize {
            let value = |i: usize| match pattern {
                0 => 0,
                1 => 255,
                2 => 255 * ((i % width) % 2) as u8,
                _ => 255 * ((i / width) % 2) as u8,
            };
            let bytes: Vec<u8> = (0..width * height).map(value).collect();
            let format = PixelFormat::Gray8;
            survives(&Frame {
                bytes: &bytes,
                format,
                width,
                height,
                stride: width,
                captured_at: Duration::MAX,
            });
        }
    }
}

/// A network whose every output is `values`, repeated, whatever it is shown.
struct Oracle {
    input: (usize, usize),
    shapes: Vec<[usize; 3]>,
    values: Vec<i8>,
    scale: f32,
    zero_point: i8,
}

impl Oracle {
    fn new(input: (usize, usize), shapes: &[[usize; 3]], answer: &Answer) -> Box<Self> {
        let most = shapes.iter().map(|s| s.iter().product()).max().unwrap_or(0);
        let values = answer.values.iter().copied().cycle().take(most).collect();
        Box::new(Self {
            input,
            shapes: shapes.to_vec(),
            values,
            scale: answer.scale,
            zero_point: answer.zero_point,
        })
    }
}

impl Network for Oracle {
    fn input_size(&self) -> (usize, usize) {
        self.input
    }

    fn run(&mut self, _: &[u8]) -> Result<(), NetworkError> {
        Ok(())
    }

    fn output(&self, index: usize) -> Option<Output<'_>> {
        let [rows, columns, channels] = *self.shapes.get(index)?;
        let values = &self.values[..rows * columns * channels];
        Some(Output { values, rows, columns, channels, scale: self.scale, zero_point: self.zero_point })
    }
}

/// What an [`Oracle`] says.
#[derive(Debug, Clone)]
struct Answer {
    values: Vec<i8>,
    scale: f32,
    zero_point: i8,
}

fn answer() -> impl Strategy<Value = Answer> {
    let value = prop_oneof![any::<i8>(), Just(i8::MIN), Just(i8::MAX), Just(0)];
    let scale = prop_oneof![
        4 => 1e-4_f32..10.0, 1 => Just(0.0), 1 => Just(f32::MAX), 1 => Just(f32::MIN_POSITIVE),
        1 => Just(f32::INFINITY), 1 => Just(f32::NAN), 1 => Just(-1.0_f32),
    ];
    (prop::collection::vec(value, 1..300), scale, any::<i8>())
        .prop_map(|(values, scale, zero_point)| Answer { values, scale, zero_point })
}

fn analyzer_of(find: &Answer, live: &Answer, embed: &Answer, refine: bool) -> FaceAnalyzer {
    let shapes = [[6, 8, 1], [6, 8, 4], [6, 8, 10]];
    let settings = DetectorSettings {
        levels: vec![LevelOutputs { stride: 8, score: 0, bounds: 1, landmarks: 2 }],
        cell_offset: 0.5,
        least_score: 0.5,
        most_overlap: 0.4,
        blend_overlap: 0.8,
        refine,
    };
    let judge = LivenessSettings {
        crop_factor: 1.2,
        live_index: 0,
        outputs: 1,
        least_score: 0.5,
        full_detail: -0.9,
        detail_weight: 6.0,
    };
    let mut analyzer = FaceAnalyzer::new(
        Detector::new(Oracle::new((48, 64), &shapes, find), settings).expect("an input"),
        LivenessJudge::new(Oracle::new((64, 64), &[[1, 1, 1]], live), judge).expect("an input"),
        Embedder::new(Oracle::new((112, 112), &[[1, 1, 128]], embed), 1).expect("aligned crops"),
    );
    analyzer.set_gate(Gate::OPEN);
    analyzer
}

proptest! {
    #[test]
    fn networks_that_answer_anything_are_read_or_refused(
        find in answer(), live in answer(), embed in answer(), refine in any::<bool>(),
        width in 1_usize..200, height in 1_usize..200,
    ) {
        let mut analyzer = analyzer_of(&find, &live, &embed, refine);
        let picture = RgbImage::from_pixels(vec![77; 3 * width * height], width, height).expect("a picture");
        for frame in 0..3 {
            if let Ok(faces) = analyzer.analyze(&picture.view(), Duration::from_millis(100 * frame)) {
                for face in &faces {
                    prop_assert!(face.landmarks.is_finite(), "{face:?}");
                    let live = face.track.and_then(|id| analyzer.track(id)?.liveness());
                    prop_assert!(!live.is_some_and(f32::is_nan), "{face:?}");
                }
            }
        }
    }
}
