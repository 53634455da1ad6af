//! The face room, piece by piece and from frame to template, against its reference in numpy and ONNX Runtime;
//! `tests/data/face/make.py` says how that was made.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use facelatch::face::align::{CROP_BYTES, CROP_SIDE, align};
use facelatch::face::analyze::{Close, Observation};
use facelatch::face::crop::Pyramid;
use facelatch::face::decode::{Level, decode};
use facelatch::face::geometry::{Landmarks, Point};
use facelatch::face::image::RgbImage;
use facelatch::face::models::{ModelFile, ModelFolder};
use facelatch::face::network::Output;
use facelatch::face::nms::Candidates;
use facelatch::face::quality::Gate;
use facelatch::face::template::Template;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Deserialize)]
struct Expected {
    models: Models,
    frame: Vec<Frame>,
    crop: Vec<Crop>,
    head: Vec<Head>,
    face: Vec<Face>,
    template: Embedding,
}

/// SHA-256 of the networks that the reference ran.
#[derive(Deserialize)]
struct Models {
    detector: String,
    liveness: String,
    embedder: String,
}

#[derive(Deserialize)]
struct Frame {
    file: PathBuf,
    #[serde(default)]
    face: Vec<WholeFace>,
}

#[derive(Deserialize)]
struct WholeFace {
    bounds: [f32; 4],
    landmarks: [f32; 10],
    score: f32,
    disagreement: f32,
    liveness_logit: f32,
    embedding: Vec<i8>,
}

#[derive(Deserialize)]
struct Crop {
    file: PathBuf,
    landmarks: [f32; 10],
}

#[derive(Deserialize)]
struct Head {
    name: String,
    shape: [usize; 3],
    scale: f32,
    zero_point: i8,
}

#[derive(Deserialize)]
struct Face {
    bounds: [f32; 4],
    landmarks: [f32; 10],
    score: f32,
}

#[derive(Deserialize)]
struct Embedding {
    output: Vec<i8>,
    zero_point: i8,
    embedding: Vec<i8>,
}

fn data(file: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/face").join(file)
}

fn expected() -> Expected {
    let text = std::fs::read_to_string(data("expected.toml")).expect("it lies beside make.py");
    toml::from_str(&text).expect("make.py writes TOML")
}

fn picture(file: impl AsRef<Path>) -> RgbImage {
    let picture = image::open(data(file)).expect("make.py writes it").into_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    RgbImage::from_pixels(picture.into_raw(), width, height).expect("a picture has its size")
}

fn landmarks(numbers: &[f32; 10]) -> Landmarks {
    Landmarks(std::array::from_fn(|i| Point::new(numbers[2 * i], numbers[2 * i + 1])))
}

#[test]
fn aligned_crops_are_those_of_the_reference() {
    let picture = picture("picture.png");
    for case in expected().crop {
        let mut crop = Box::new([0; CROP_BYTES]);
        let mut pyramid = Pyramid::default();
        align(&pyramid.build(picture.view(), 40), &landmarks(&case.landmarks), &mut crop).unwrap();
        let wanted = self::picture(&case.file);
        assert_eq!(wanted.pixels().len(), CROP_SIDE * CROP_SIDE * 3);
        let differences: Vec<u8> = crop.iter().zip(wanted.pixels()).map(|(a, b)| a.abs_diff(*b)).collect();
        let worst = *differences.iter().max().unwrap();
        let mean = differences.iter().map(|&d| f64::from(d)).sum::<f64>() / differences.len() as f64;
        assert!(worst <= 2 && mean < 0.3, "{}: worst {worst}, mean {mean}", case.file.display());
    }
}

#[test]
fn the_detector_s_outputs_are_decoded_and_suppressed_as_by_the_reference() {
    let expected = expected();
    let bytes: Vec<i8> =
        std::fs::read(data("heads.bin")).unwrap().into_iter().map(|byte| byte as i8).collect();
    let output = |name: String| {
        let mut at = 0;
        for head in &expected.head {
            let [rows, columns, channels] = head.shape;
            let values = &bytes[at..at + rows * columns * channels];
            let (scale, zero_point) = (head.scale, head.zero_point);
            if head.name == name {
                return Output { values, rows, columns, channels, scale, zero_point };
            }
            at += values.len();
        }
        panic!("no output {name}");
    };
    let mut candidates = Candidates::default();
    for stride in [8, 16, 32] {
        let level = Level {
            stride: stride as f32,
            offset: 0.5,
            scores: output(format!("score_{stride}")),
            boxes: output(format!("box_{stride}")),
            landmarks: output(format!("landmarks_{stride}")),
        };
        decode(&level, 0.5, &mut candidates);
    }
    let faces = candidates.suppress(0.35, 0.8);
    assert_eq!(faces.len(), expected.face.len());
    for (face, wanted) in faces.iter().zip(&expected.face) {
        assert!((face.score - wanted.score).abs() < 1e-4);
        for (edge, wanted) in face.bounds.edges().iter().zip(&wanted.bounds) {
            assert!((edge - wanted).abs() < 0.01, "{edge} instead of {wanted}");
        }
        for (point, wanted) in face.landmarks.0.iter().zip(landmarks(&wanted.landmarks).0) {
            assert!(point.distance(wanted) < 0.01, "{point:?} instead of {wanted:?}");
        }
    }
}

#[test]
fn an_embedder_s_output_becomes_the_reference_s_template() {
    let Embedding { output, zero_point, embedding } = expected().template;
    let template = Template::from_output(&output, zero_point, 0, 0).unwrap();
    assert_eq!(template.embedding.to_vec(), embedding);
}

/// The reference's maps are f64, the device's f32: of a second look some ten pixels, whose place is a rounding away
/// from the next step of 1/256, differ by one grey level. A step of the detector's coarsest landmarks is 1.5 pixels of
/// that look, so one that tips moves a landmark by up to a third of a pixel of the frame, and templates by single
/// steps: far below any distance that decides.
#[test]
fn a_frame_becomes_the_reference_s_faces_logits_and_templates() {
    let expected = expected();
    let folder = ModelFolder::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("model/release")).unwrap();
    let files = folder.files();
    same_model(&files.detector, &expected.models.detector);
    same_model(&files.liveness, &expected.models.liveness);
    same_model(&files.embedder, &expected.models.embedder);
    let (mut analyzer, _) = files.compile().unwrap();
    analyzer.set_gate(Gate::OPEN);
    let mut compared = 0;
    for frame in &expected.frame {
        analyzer.forget_tracks();
        let faces = analyzer.analyze(&picture(&frame.file).view(), Duration::ZERO).unwrap();
        assert_eq!(faces.len(), frame.face.len(), "{}", frame.file.display());
        for (face, wanted) in faces.iter().zip(&frame.face) {
            same_face(face, wanted);
            let close = face.close.as_ref().expect("the two largest faces are looked at closely");
            same_evidence(close, wanted);
            compared += 1;
        }
    }
    assert!(compared >= 4, "{compared} faces");
}

fn same_model(file: &ModelFile<'_>, digest: &str) {
    let found: String = Sha256::digest(file.onnx).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, digest, "another network is released: run tests/data/face/make.py");
}

fn same_face(face: &Observation, wanted: &WholeFace) {
    assert!((face.score - wanted.score).abs() < 0.02, "{} instead of {}", face.score, wanted.score);
    for (edge, wanted) in face.bounds.edges().iter().zip(&wanted.bounds) {
        assert!((edge - wanted).abs() < 1.0, "{edge} instead of {wanted}");
    }
    for (point, wanted) in face.landmarks.0.iter().zip(landmarks(&wanted.landmarks).0) {
        assert!(point.distance(wanted) < 0.3, "{point:?} instead of {wanted:?}");
    }
}

fn same_evidence(close: &Close, wanted: &WholeFace) {
    let logit = close.liveness_logit.expect("the gate is open");
    assert!((logit - wanted.liveness_logit).abs() < 0.5, "{logit} instead of {}", wanted.liveness_logit);
    let disagreement = close.measures.disagreement;
    assert!(
        (disagreement - wanted.disagreement).abs() < 0.02,
        "{disagreement} instead of {}",
        wanted.disagreement
    );
    let found = close.template.as_ref().expect("the gate is open");
    let reference = Template {
        embedding: wanted.embedding.clone().try_into().expect("128 numbers"),
        quality: 0,
        embedding_id: found.embedding_id,
    };
    let distance = found.distance(&reference);
    assert!(distance < 0.02, "the templates are {distance} apart");
}
