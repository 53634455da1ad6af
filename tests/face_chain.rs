//! The released networks on the bundled scene: from a frame's bytes to observations.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use facelatch::camera::replay::{Replay, ReplayOptions};
use facelatch::camera::{Camera, CameraError, PixelFormat};
use facelatch::face::analyze::{FaceAnalyzer, MAX_CLOSE};
use facelatch::face::convert::{EncodedFrame, Encoding, to_rgb};
use facelatch::face::image::{RgbImage, RgbView};
use facelatch::face::models::{ModelError, ModelFile, ModelFiles, ModelFolder};
use proptest::prelude::*;
use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn models() -> ModelFolder {
    ModelFolder::read(&root().join("model/release")).expect("the models are released")
}

fn analyzer() -> FaceAnalyzer {
    models().files().compile().expect("the released models compile").0
}

/// The frames of the bundled scene from `first` on, decoded.
fn scene(first: usize, count: usize) -> Vec<(RgbImage, Duration)> {
    let mut replay = Replay::open(&root().join("boards/sim/scene.mjpeg"), ReplayOptions::default())
        .expect("the scene is bundled");
    let mut frames = Vec::new();
    for index in 0..first + count {
        let frame = replay.next_frame(Duration::ZERO).expect("the scene has that frame");
        assert_eq!(frame.format, PixelFormat::Mjpeg);
        let (width, height) = (frame.width, frame.height);
        let encoded = EncodedFrame {
            bytes: frame.bytes,
            encoding: Encoding::Jpeg,
            width,
            height,
            stride: frame.stride,
        };
        if index >= first {
            let mut picture = RgbImage::new(1, 1).expect("one pixel is a picture");
            to_rgb(&encoded, &mut picture).expect("the scene is whole");
            frames.push((picture, frame.captured_at));
        }
    }
    frames
}

#[test]
fn the_scene_plays_to_its_end_without_a_damaged_frame() {
    let mut replay = Replay::open(&root().join("boards/sim/scene.mjpeg"), ReplayOptions::default()).unwrap();
    let mut count = 0;
    loop {
        match replay.next_frame(Duration::ZERO) {
            Ok(_) => count += 1,
            Err(CameraError::Ended { .. }) => break,
            Err(error) => panic!("frame {count}: {error}"),
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn the_owner_who_stands_still_is_one_track_with_like_templates() {
    let mut analyzer = analyzer();
    let mut seen = Vec::new();
    for (picture, at) in scene(35, 15) {
        let faces = analyzer.analyze(&picture.view(), at).unwrap();
        assert_eq!(faces.len(), 1, "at {at:?}");
        let close = faces[0].close.clone().unwrap();
        assert!(analyzer.crop(0).unwrap().iter().any(|&byte| byte > 40));
        seen.push((faces[0].track.unwrap(), close.template));
    }
    assert!(seen.iter().all(|(track, _)| *track == seen[0].0));
    let templates: Vec<_> = seen.iter().filter_map(|(_, template)| template.as_ref()).collect();
    assert!(templates.len() >= 12, "{}", templates.len());
    let farthest = templates.iter().map(|t| t.distance(templates[0])).fold(0.0, f32::max);
    assert!(farthest < 0.6, "{farthest}");
    assert_eq!(analyzer.track(seen[0].0).unwrap().frames(), 15);
}

#[test]
fn the_same_frame_gives_the_same_bits_and_the_crop_the_same_template() {
    let (picture, at) = scene(40, 1).remove(0);
    let (mut one, mut two) = (analyzer(), analyzer());
    let first = one.analyze(&picture.view(), at).unwrap();
    two.analyze(&RgbImage::new(640, 480).unwrap().view(), Duration::ZERO).unwrap();
    let second = two.analyze(&picture.view(), at).unwrap();
    assert_eq!(first, second);
    let template = first[0].close.clone().unwrap().template.unwrap();
    let crop = *one.crop(0).unwrap();
    assert_eq!(one.embed(&crop, template.quality).unwrap(), template);
}

#[test]
fn analysing_a_frame_allocates_nothing_once_the_buffers_are_there() {
    let mut analyzer = analyzer();
    let frames = scene(35, 8);
    for (picture, at) in &frames[..2] {
        analyzer.analyze(&picture.view(), *at).unwrap();
    }
    let mut faces = 0;
    let counted = allocation_counter::measure(|| {
        for (picture, at) in &frames[2..] {
            faces += analyzer.analyze(&picture.view(), *at).unwrap().len();
        }
    });
    assert!(faces > 0);
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_missing_a_damaged_and_a_foreign_model_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = ModelFolder::read(folder.path()).unwrap_err();
    assert!(missing.to_string().contains("detector.toml"), "{missing}");

    let models = models();
    let files = models.files();
    let mut damaged = files.embedder.onnx.to_vec();
    damaged[5000] ^= 1;
    let embedder = ModelFile { onnx: &damaged, ..files.embedder };
    let error = ModelFiles { embedder, ..files }.compile().err().unwrap();
    assert!(matches!(error, ModelError::Digest { model: "embedder", .. }), "{error}");

    let detector = ModelFile { manifest: "name = 3", ..files.detector };
    let error = ModelFiles { detector, ..files }.compile().err().unwrap();
    assert!(matches!(error, ModelError::Manifest { model: "detector", .. }), "{error}");

    let error = ModelFiles { liveness: files.embedder, ..files }.compile().err().unwrap();
    assert!(matches!(error, ModelError::Manifest { model: "liveness network", .. }), "{error}");

    let other = files.detector.manifest.replace("landmarks_16", "landmarks_17");
    let detector = ModelFile { manifest: &other, ..files.detector };
    let error = ModelFiles { detector, ..files }.compile().err().unwrap();
    assert!(error.to_string().contains("landmarks_17"), "{error}");
}

#[test]
fn a_manifest_of_another_input_size_is_refused_or_compiled_but_never_panics() {
    let models = models();
    let files = models.files();
    for input in ["[112, 112, 1]", "[0, 0, 3]", "[120, 160, 3]", "[7, 9, 3]", "[100000, 100000, 3]"] {
        let manifest = files.embedder.manifest.replace("[112, 112, 3]", input);
        let embedder = ModelFile { manifest: &manifest, ..files.embedder };
        assert!(ModelFiles { embedder, ..files }.compile_embedder().is_err(), "{input}");
    }
}

thread_local! {
    static ANALYZER: RefCell<FaceAnalyzer> = RefCell::new(analyzer());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_picture_of_any_size_is_analysed(
        width in 1_usize..400, height in 1_usize..300, seed in any::<u32>(), paste in any::<bool>()
    ) {
        let mut picture = RgbImage::new(width, height).expect("the sides are at least 1");
        let mut state = seed;
        for byte in picture.pixels_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        if paste {
            let (face, _) = &scene(40, 1)[0];
            let view: RgbView<'_> = face.view();
            for y in 0..height.min(view.height()) {
                let across = 3 * width.min(view.width());
                picture.pixels_mut()[3 * width * y..][..across].copy_from_slice(&view.row(y)[..across]);
            }
        }
        let faces = ANALYZER.with(|a| a.borrow_mut().analyze(&picture.view(), Duration::from_millis(1)));
        let faces = faces.expect("any picture is analysed");
        prop_assert!(faces.iter().skip(MAX_CLOSE).all(|face| face.close.is_none()));
        prop_assert!(faces.iter().all(|face| face.landmarks.is_finite()));
    }
}
