use super::*;
use image::{ImageFormat, RgbImage};
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

const WAIT: Duration = Duration::ZERO;

fn picture(shade: u8, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(24, 16, |x, y| image::Rgb([shade, (8 * x) as u8, (9 * y) as u8]))
        .write_to(&mut bytes, format)
        .unwrap();
    bytes.into_inner()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// What a replay gives until its end: frames' first bytes, or the words of what is skipped.
fn played(replay: &mut Replay) -> Vec<Result<u8, String>> {
    let mut all = Vec::new();
    loop {
        match replay.next_frame(WAIT) {
            Ok(frame) => all.push(Ok(frame.bytes[0])),
            Err(CameraError::Ended { .. }) => return all,
            Err(error) => {
                assert!(error.is_recoverable(), "{error}");
                all.push(Err(error.to_string()));
            }
        }
    }
}

#[test]
fn a_folder_plays_its_pictures_by_name_and_names_the_damaged_one() {
    let (jpeg, png) = (picture(10, ImageFormat::Jpeg), picture(20, ImageFormat::Png));
    let (webp, bmp) = (picture(30, ImageFormat::WebP), picture(40, ImageFormat::Bmp));
    let files: [(&str, &[u8]); 6] = [
        ("d.bmp", &bmp),
        ("c.webp", &webp),
        ("a.PNG", &png),
        ("b.jpg", &jpeg[..jpeg.len() / 3]),
        ("notes.txt", b"no picture"),
        ("e.png", b"no picture either"),
    ];
    let folder = folder(&files);
    let mut replay = Replay::open(folder.path(), ReplayOptions::default()).unwrap();
    assert_eq!(replay.frames(), Some(5));
    let all = played(&mut replay);
    assert_eq!((all.len(), &all[0], &all[2], &all[3]), (5, &Ok(20), &Ok(30), &Ok(40)));
    assert!(all[1].as_ref().unwrap_err().contains("b.jpg"), "{all:?}");
    assert!(all[4].as_ref().unwrap_err().contains("e.png"), "{all:?}");
}

#[test]
fn a_folder_without_pictures_and_a_missing_file_are_named() {
    let empty = folder(&[("readme.txt", b"")]);
    let error = Replay::open(empty.path(), ReplayOptions::default()).err().unwrap().to_string();
    assert!(error.contains(&*empty.path().to_string_lossy()) && error.contains("no pictures"), "{error}");
    let error = Replay::open(&empty.path().join("x.y4m"), ReplayOptions::default()).err().unwrap();
    assert!(error.to_string().contains("x.y4m"));
    let error = Replay::open(&empty.path().join("readme.txt"), ReplayOptions::default()).err().unwrap();
    assert!(error.to_string().contains("no .mjpeg"), "{error}");
}

#[test]
fn frames_are_a_period_apart_and_a_loop_begins_anew() {
    let png = picture(1, ImageFormat::Png);
    let folder = folder(&[("1.png", &png), ("2.png", &png)]);
    let (period, start) = (Some(Duration::from_millis(40)), Duration::from_secs(5));
    let options = ReplayOptions { period, start, looping: true };
    let mut replay = Replay::open(folder.path(), options).unwrap();
    for millis in [5000, 5040, 5080, 5120, 5160] {
        assert_eq!(replay.next_frame(WAIT).unwrap().captured_at, Duration::from_millis(millis));
    }
}

#[test]
fn a_loop_over_damaged_pictures_only_ends() {
    let folder = folder(&[("1.png", b"none")]);
    let options = ReplayOptions { looping: true, ..ReplayOptions::default() };
    assert_eq!(played(&mut Replay::open(folder.path(), options).unwrap()).len(), 1);
}

#[test]
fn a_jpeg_stream_passes_over_junk_and_names_what_is_cut_off() {
    let (one, two) = (picture(10, ImageFormat::Jpeg), picture(200, ImageFormat::Jpeg));
    let mut stream = b"--boundary\r\n\r\n".to_vec();
    stream.extend(&one);
    stream.extend(b"\r\n--boundary\r\n");
    stream.extend(&one[..one.len() - 9]);
    stream.extend(&two);
    stream.extend(&two[..40]);
    let folder = folder(&[("door.mjpeg", &stream)]);
    let mut replay = Replay::open(&folder.path().join("door.mjpeg"), ReplayOptions::default()).unwrap();
    let frame = replay.next_frame(WAIT).unwrap();
    assert_eq!((frame.bytes, frame.width, frame.height), (one.as_slice(), 24, 16));
    assert_eq!(frame.format, PixelFormat::Mjpeg);
    let error = replay.next_frame(WAIT).unwrap_err().to_string();
    assert!(error.contains("door.mjpeg, frame 1") && error.contains("cut off"), "{error}");
    assert_eq!(replay.next_frame(WAIT).unwrap().bytes, two);
    assert!(matches!(replay.next_frame(WAIT), Err(CameraError::Skipped { .. })));
    assert!(matches!(replay.next_frame(WAIT), Err(CameraError::Ended { .. })));
}

#[test]
fn a_y4m_file_plays_at_its_own_rate_and_ends_where_it_is_damaged() {
    let mut file = b"YUV4MPEG2 W4 H2 F25:1 C420\n".to_vec();
    for shade in [50, 60] {
        file.extend(b"FRAME\n");
        file.extend([shade; 12]);
    }
    file.extend(b"FRAMX\n");
    file.extend([70; 12]);
    let folder = folder(&[("door.y4m", &file), ("short.y4m", &file[..50]), ("no.y4m", b"RIFF")]);
    let mut replay = Replay::open(&folder.path().join("door.y4m"), ReplayOptions::default()).unwrap();
    assert_eq!(replay.period(), Duration::from_millis(40));
    let frame = replay.next_frame(WAIT).unwrap();
    assert_eq!((frame.format, frame.stride, frame.bytes.len()), (PixelFormat::Nv12, 4, 12));
    let all = played(&mut replay);
    assert_eq!((all.len(), &all[0]), (2, &Ok(60)));
    assert!(all[1].as_ref().unwrap_err().contains("does not begin with `FRAME`"), "{all:?}");
    let mut short = Replay::open(&folder.path().join("short.y4m"), ReplayOptions::default()).unwrap();
    let all = played(&mut short);
    assert!(all[1].as_ref().unwrap_err().contains("frame 1 is cut off"), "{all:?}");
    let error = Replay::open(&folder.path().join("no.y4m"), ReplayOptions::default()).err().unwrap();
    assert!(error.to_string().contains("no YUV4MPEG2 file"));
}

#[test]
fn bundled_bytes_play_and_loop() {
    let stream: &'static [u8] = picture(9, ImageFormat::Jpeg).leak();
    let options = ReplayOptions { looping: true, ..ReplayOptions::default() };
    let mut replay = Replay::from_mjpeg("the scene", stream, options);
    for _ in 0..3 {
        assert_eq!(replay.next_frame(WAIT).unwrap().bytes, stream);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_file_of_any_kind_plays_to_an_end(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xFF), Just(0xD8), Just(0xD9)], 0..400),
        cut in 0_usize..900, kind in prop::sample::select(vec!["mjpeg", "y4m", "jpg", "png", "webp", "bmp"])
    ) {
        let mut file = match kind {
            "mjpeg" | "jpg" => picture(5, ImageFormat::Jpeg),
            "y4m" => b"YUV4MPEG2 W4 H2 F25:1 C420\nFRAME\n".to_vec(),
            "png" => picture(5, ImageFormat::Png),
            "webp" => picture(5, ImageFormat::WebP),
            _ => picture(5, ImageFormat::Bmp),
        };
        file.truncate(cut);
        file.extend(bytes);
        let folder = folder(&[("file", &file)]);
        let path = folder.path().join("file").with_extension(kind);
        fs::rename(folder.path().join("file"), &path).unwrap();
        if let Ok(mut replay) = Replay::open(&path, ReplayOptions::default()) {
            played(&mut replay);
        }
    }
}
