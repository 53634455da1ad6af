//! The whole device on the bundled scene, as `cargo run` plays it, and on input that is not a scene.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use facelatch::board::BOARD;
use facelatch::board::schema::{Board, Camera, CameraKind, Log};
use facelatch::camera::{Frame, PixelFormat};
use facelatch::door::keypad::Key;
use facelatch::door::{PersonId, Refusal, Signal};
use facelatch::face::models::ModelFolder;
use facelatch::firmware::clock::calendar;
use facelatch::firmware::device::Note;
use facelatch::firmware::eyes::Eyes;
use facelatch::firmware::judge::Liveness;
use facelatch::firmware::report::Outcome;
use facelatch::firmware::scene::{Hand, Scene};
use facelatch::firmware::sim::{SimError, SimOptions, play};
use facelatch::firmware::start::{open_gallery, open_log};
use facelatch::firmware::week::WeekClock;
use facelatch::flash::audit::verify;
use facelatch::flash::{Event, Happening, Moment, Record};
use facelatch::gallery::{Access, Pin, Visit};
use facelatch::host::cluster::distance_at;
use facelatch::host::models::embedder_manifest;
use facelatch::host::visitors::Visitors;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scene() -> Scene {
    Scene::read(&root().join("boards/sim")).expect("the bundled scene")
}

fn options(state: &Path) -> SimOptions {
    SimOptions {
        models: root().join("model/release"),
        state: state.to_owned(),
        liveness: Liveness::Required,
        hold: 1,
        enrol: Vec::new(),
        latencies: false,
    }
}

fn run(scene: &Scene, options: &SimOptions) -> Result<Outcome, SimError> {
    play(&BOARD, scene, options, &mut Vec::new())
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The notes of the first chapter with this title.
fn of_chapter<'a>(scene: &Scene, outcome: &'a Outcome, title: &str) -> Vec<(Duration, &'a Note)> {
    let index = scene.chapters.iter().position(|chapter| chapter.title == title).expect("such a chapter");
    outcome.notes.iter().filter(|(_, at, _)| *at == Some(index)).map(|(now, _, note)| (*now, note)).collect()
}

#[test]
fn every_chapter_of_the_bundled_scene_comes_as_expected() {
    let (folder, scene) = (temporary(), scene());
    let outcome = run(&scene, &options(folder.path())).expect("plays");
    assert!(outcome.surprises.is_empty(), "{:#?}", outcome.surprises);
    let opened = of_chapter(&scene, &outcome, "owner comes home");
    let (when, _) = opened.iter().find(|(_, note)| matches!(note, Note::Opened { .. })).expect("opened");
    let chapter = scene.chapters.iter().find(|chapter| chapter.title == "owner comes home").expect("there");
    let standing = chapter.from + Duration::from_millis(1200);
    assert!(*when <= standing + Duration::from_millis(500), "let in at {when:?}, stood at {standing:?}");
    let sheet = outcome.sheet();
    assert!(sheet.width() > 1000 && sheet.height() > 500);
}

#[test]
fn the_strike_is_never_driven_longer_than_its_pulse_and_the_way_to_it_is_told_stage_by_stage() {
    let (folder, mut told) = (temporary(), Vec::new());
    let options = SimOptions { latencies: true, ..options(folder.path()) };
    let outcome = play(&BOARD, &scene(), &options, &mut told).expect("plays");
    let told = String::from_utf8(told).expect("text");
    let openings = outcome.notes.iter().filter(|(_, _, note)| matches!(note, Note::Took(_))).count();
    let row = told.lines().find(|line| line.starts_with("frame to strike")).expect("a row");
    assert!(openings > 0 && row.ends_with(&format!(" {openings}")), "{openings} openings, but {row}");
    assert!(outcome.strike.len() >= 4);
    for pair in outcome.strike.chunks(2) {
        let [(from, true), (to, false)] = pair else { panic!("driven and released in turn: {pair:?}") };
        let most = Duration::from_millis(BOARD.lock.pulse_ms) + Duration::from_millis(100);
        assert!(*to - *from <= most, "{pair:?}");
    }
}

/// A lock on which everybody of the bundled scene is enrolled, and needs `access` besides the face.
fn guarded(folder: &Path, access: &Access) -> Scene {
    run(&scene(), &options(folder)).expect("plays");
    let mut gallery = open_gallery(&BOARD, folder, &folder.join("flash")).expect("a gallery");
    let people: Vec<u32> = gallery.people().iter().map(|person| person.id).collect();
    people.iter().for_each(|id| gallery.set_access(*id, access.clone()).expect("kept"));
    Scene { hands: Vec::new(), ..scene() }
}

fn is_opened((_, _, note): &(Duration, Option<usize>, Note)) -> bool {
    matches!(note, Note::Opened { .. })
}

/// What comes of typing these keys as soon as the PIN is asked for.
fn typed(keys: &str) -> Vec<Note> {
    let (folder, pin) = (temporary(), Pin::new("2580").ok());
    let scene = guarded(folder.path(), &Access { pin, hours: None });
    let asks = |(at, _, note): &(Duration, _, Note)| (*note == Note::Shows(Signal::EnterPin)).then_some(*at);
    let silent = run(&scene, &options(folder.path())).expect("plays");
    assert!(!silent.notes.iter().any(is_opened), "the face alone opened");
    let asked = silent.notes.iter().find_map(asks).expect("the PIN is asked for");

    let folder = temporary();
    let scene = guarded(folder.path(), &Access { pin, hours: None });
    let keys = keys.chars().map(|key| Key::try_from(key).expect("a key")).enumerate();
    let hands =
        keys.map(|(place, key)| (asked + Duration::from_millis(150) * (place as u32 + 1), Hand::Key(key)));
    let outcome = run(&Scene { hands: hands.collect(), ..scene }, &options(folder.path())).expect("plays");
    outcome.notes.into_iter().map(|(_, _, note)| note).collect()
}

#[test]
fn whoever_needs_a_pin_is_let_in_by_face_and_pin_together() {
    let notes = typed("9*2580#");
    let opened = notes.iter().find_map(|note| match note {
        Note::Opened { name, .. } => Some(name.as_str()),
        _ => None,
    });
    assert_eq!(opened, Some("owner"), "{notes:?}");

    let notes = typed("2581#");
    assert!(notes.contains(&Note::Refused(Refusal::WrongPin(PersonId(1)))), "{notes:?}");
    assert!(!notes.iter().any(|note| matches!(note, Note::Opened { .. })), "{notes:?}");
    assert!(!format!("{notes:?}").contains("258"), "digits are told");
}

#[test]
fn out_of_hours_a_face_is_told_so_and_not_let_in() {
    let folder = temporary();
    let clock = WeekClock::new(&BOARD.access.time_zone, calendar).expect("a time zone");
    let far_off = clock.now().map_or(0, |today| (today.day + 3) % 7);
    let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][usize::from(far_off)];
    let hours = format!("{day} 00:00-24:00").parse().ok();
    let scene = guarded(folder.path(), &Access { pin: None, hours });
    let outcome = run(&scene, &options(folder.path())).expect("plays");
    let refused = Note::Refused(Refusal::OutOfHours(PersonId(1)));
    assert!(outcome.notes.iter().any(|(_, _, note)| *note == refused), "{:?}", outcome.notes);
    assert!(!outcome.notes.iter().any(is_opened), "{:?}", outcome.notes);
}

#[test]
fn a_board_file_whose_time_zone_or_keypad_cannot_be_is_refused_by_name() {
    let folder = temporary();
    let good = std::fs::read_to_string(root().join("boards/sim.toml")).expect("the board's file");
    let check = |access: &str| {
        let file = folder.path().join("sim.toml");
        std::fs::write(&file, format!("{good}\n[access]\n{access}\n")).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_facelatchd")).arg("--check-config").arg(&file).output();
        let output = output.expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let keypad = r#"keypad = { rows = ["a", "b", "c", "d"], columns = ["e", "f", "g"] }"#;
    assert_eq!(
        check(&format!("time_zone = \"CET-1CEST,M3.5.0,M10.5.0/3\"\n{keypad}")),
        (Some(0), String::new())
    );
    let (code, told) = check("time_zone = \"Europe/Berlin\"");
    assert!(code == Some(2) && told.contains("access.time_zone") && told.contains("CET-1CEST"), "{told}");
    let (code, told) = check(&keypad.replace("\"d\"", "\"strike\""));
    assert!(code == Some(2) && told.contains("which lock.line uses already"), "{told}");
}

#[test]
fn without_liveness_the_photograph_would_be_let_in() {
    let (folder, scene) = (temporary(), scene());
    let careless = SimOptions { liveness: Liveness::Off, ..options(folder.path()) };
    let outcome = run(&scene, &careless).expect("plays");
    let notes = of_chapter(&scene, &outcome, "photo of owner");
    assert!(
        notes.iter().any(|(_, note)| matches!(note, Note::Opened { name, .. } if name == "owner")),
        "{notes:?}"
    );
}

#[test]
fn an_infrared_camera_lets_in_who_was_enrolled_with_it_and_nobody_else() {
    let (folder, scene) = (temporary(), scene());
    let board = Board { camera: Camera { kind: CameraKind::Infrared, ..BOARD.camera }, ..BOARD };
    let outcome = play(&board, &scene, &options(folder.path()), &mut Vec::new()).expect("plays");
    let opened = |title: &str| {
        let notes = of_chapter(&scene, &outcome, title);
        notes.iter().any(|(_, note)| matches!(note, Note::Opened { .. }))
    };
    assert!(opened("owner comes home") && opened("resident returns"));
    for title in ["stranger", "passer-by", "photo of owner", "two strangers"] {
        assert!(!opened(title), "{title}");
    }
}

#[test]
fn what_a_driver_adds_to_a_grey_picture_is_taken_away() {
    let bytes: Vec<u8> = [200_u8, 90, 60].repeat(160 * 120);
    let frame = Frame {
        bytes: &bytes,
        format: PixelFormat::Rgb8,
        width: 160,
        height: 120,
        stride: 3 * 160,
        captured_at: Duration::ZERO,
    };
    for (kind, grey) in [(CameraKind::Colour, false), (CameraKind::Grey, true), (CameraKind::Infrared, true)]
    {
        let models = ModelFolder::read(&root().join("model/release")).expect("the released models");
        let (analyzer, _) = models.files().compile().expect("compile");
        let mut eyes = Eyes::new(analyzer).through(kind);
        eyes.look(&frame).expect("a picture");
        assert_eq!(
            eyes.picture().pixels().chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]),
            grey,
            "{kind:?}"
        );
    }
}

#[test]
fn who_was_enrolled_is_let_in_after_a_restart() {
    let (folder, scene) = (temporary(), scene());
    run(&scene, &options(folder.path())).expect("plays");
    let again = run(&scene, &options(folder.path())).expect("plays");
    let first = again.notes.iter().find_map(|(now, _, note)| match note {
        Note::Opened { name, .. } => Some((*now, name.clone())),
        _ => None,
    });
    let (when, name) = first.expect("somebody is let in");
    assert_eq!(name, "owner");
    assert!(when < Duration::from_secs(3), "let in at {when:?}, before the button is pressed");
}

fn failure(scene: &Scene, options: &SimOptions) -> String {
    let mut error: &dyn std::error::Error = &run(scene, options).expect_err("cannot run");
    let mut words = error.to_string();
    while let Some(source) = error.source() {
        words = format!("{words}: {source}");
        error = source;
    }
    words
}

#[test]
fn a_missing_model_is_named_with_what_to_do() {
    let folder = temporary();
    let words =
        failure(&scene(), &SimOptions { models: folder.path().join("none"), ..options(folder.path()) });
    assert!(words.contains("detector.toml") && words.contains("released models"), "{words}");
}

#[test]
fn a_damaged_model_is_refused_by_its_digest() {
    let (folder, state) = (temporary(), temporary());
    for entry in std::fs::read_dir(root().join("model/release")).expect("released models") {
        let path = entry.expect("readable").path();
        std::fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("copied");
    }
    let model = folder.path().join("embedder.onnx");
    let mut bytes = std::fs::read(&model).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&model, bytes).expect("written");
    let words = failure(&scene(), &SimOptions { models: folder.path().to_owned(), ..options(state.path()) });
    assert!(words.contains("embedder") && words.contains("damaged"), "{words}");
}

#[test]
fn a_foreign_flash_file_is_refused_and_left_as_it_is() {
    let folder = temporary();
    let flash = folder.path().join("flash");
    std::fs::write(&flash, b"not a flash").expect("written");
    let words = failure(&scene(), &options(folder.path()));
    assert!(words.contains("left as it is"), "{words}");
    assert_eq!(std::fs::read(&flash).expect("still there"), b"not a flash");
}

#[test]
fn a_folder_without_pictures_is_named() {
    let (folder, state) = (temporary(), temporary());
    let empty = Scene::of_frames(folder.path(), 10);
    let words = failure(&empty, &options(state.path()));
    assert!(words.contains(&folder.path().display().to_string()), "{words}");
}

fn film(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("film.mjpeg");
    std::fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn a_film_that_is_cut_off_and_damaged_plays_what_is_left_and_stays_locked() {
    let (folder, state) = (temporary(), temporary());
    let whole = std::fs::read(root().join("boards/sim/scene.mjpeg")).expect("the bundled film");
    let mut bytes = whole[..200_000].to_vec();
    for at in (5_000..150_000).step_by(7_919) {
        bytes[at] ^= 0x55;
    }
    let damaged = Scene::of_frames(&film(folder.path(), &bytes), 10);
    let outcome = run(&damaged, &options(state.path())).expect("plays");
    assert!(outcome.strike.is_empty());
}

fn log_of(state: &Path) -> Vec<Record> {
    open_log(&BOARD, &state.join("flash")).expect("opens").records().expect("read")
}

#[test]
fn the_log_tells_the_whole_scene_over_a_restart_and_its_chain_holds() {
    let folder = temporary();
    for _start in 0..2 {
        run(&scene(), &options(folder.path())).expect("plays");
    }
    let (entries, gaps) = verify(&log_of(folder.path()));
    assert_eq!(gaps, []);
    let count = |event: Event| entries.iter().filter(|entry| entry.what.event == event).count();
    assert_eq!((count(Event::Started), count(Event::Stopped)), (2, 2));
    assert!(count(Event::Enrolled) >= 2 && count(Event::Opened) >= 2);
    assert!(count(Event::Unknown) >= 1 && count(Event::NotAlive) >= 1);
    for entry in &entries {
        let Happening { event, person, distance, .. } = entry.what;
        let is_decision = matches!(event, Event::Opened | Event::Unknown | Event::NotAlive);
        assert_eq!(is_decision, person.is_some() && distance.is_some(), "{entry:?}");
    }
}

#[test]
fn an_exported_log_is_told_and_one_that_was_altered_is_an_error() {
    let folder = temporary();
    run(&scene(), &options(folder.path())).expect("plays");
    let log = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_facelatch");
        let mut command = Command::new(program);
        let output = command.args(["log", "--state"]).arg(folder.path()).args(arguments).output();
        let output = output.expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, told) = log(&[]);
    assert!(
        code == Some(0) && told.contains("opened, person 1") && told.contains("none is missing"),
        "{told}"
    );
    let flash = folder.path().join("flash");
    let mut image = std::fs::read(&flash).expect("read");
    let audit = 4096 + BOARD.flash.audit.offset as usize;
    image[audit + 200] &= 0x0F;
    image[audit + 201] = 0;
    std::fs::write(&flash, image).expect("written");
    let (code, told) = log(&["--json"]);
    let story: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert!(code == Some(2) && !story["gaps"].as_array().expect("gaps").is_empty(), "{told}");
}

/// The frames of the bundled film, each a JPEG.
fn frames() -> Vec<Vec<u8>> {
    let bytes = std::fs::read(root().join("boards/sim/scene.mjpeg")).expect("the bundled film");
    let starts = bytes.windows(3).enumerate().filter(|(_, at)| at == b"\xff\xd8\xff").map(|(at, _)| at);
    let mut ends: Vec<usize> = starts.collect();
    ends.push(bytes.len());
    ends.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

/// A frame in another light.
fn lit(frame: &[u8], gain: f32) -> Vec<u8> {
    let mut picture = image::load_from_memory(frame).expect("a JPEG").into_rgb8();
    picture.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| (f32::from(value) * gain) as u8));
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
    picture.write_with_encoder(encoder).expect("memory takes all bytes");
    bytes
}

/// A day at a door where only the owner is enrolled: two unknown people come, each for `LOOK` frames of their chapter,
/// and then the owner, so that failures do not add up to a lockout.
fn day(folder: &Path, frames: &[Vec<u8>], day: usize) -> Scene {
    const LOOK: usize = 30;
    let gain = [1.0, 0.9, 1.08, 0.82, 0.95][day];
    let mut film = Vec::new();
    for first in [440, 144 + 3 * day, 440, 396 + 3 * day, 440, 100, 440] {
        let length = if first == 440 { 10 } else { LOOK };
        frames[first..first + length].iter().for_each(|frame| film.extend(lit(frame, gain)));
    }
    let path = folder.join(format!("day-{day}.mjpeg"));
    std::fs::write(&path, film).expect("written");
    Scene::of_frames(&path, 10)
}

#[test]
fn an_unknown_person_who_came_on_five_days_is_one_and_only_where_visitors_are_kept() {
    let folder = temporary();
    let (frames, with) = (frames(), |visitors| Board { log: Log { visitors }, ..BOARD });
    let owner = Scene { frames: film(folder.path(), &frames[..141].concat()), ..scene() };
    run(&owner, &options(folder.path())).expect("the owner enrols");
    let kept = || -> Vec<Visit> {
        let flash = folder.path().join("flash");
        open_gallery(&BOARD, folder.path(), &flash).expect("opens").visits().expect("read")
    };
    let stay = |board: &Board, number: usize| {
        let scene = day(folder.path(), &frames, number);
        play(board, &scene, &options(folder.path()), &mut Vec::new()).expect("plays");
    };
    stay(&BOARD, 0);
    assert!(kept().is_empty(), "off unless it is asked for");
    let mut visits = Vec::new();
    for number in 0..5 {
        stay(&with(100), number);
        for mut visit in kept().split_off(visits.len()) {
            let unix_ms = Some((20_000 + number as u64) * 86_400_000);
            visit.at = Moment { unix_ms, ..visit.at };
            visits.push(visit);
        }
    }
    let manifest = embedder_manifest(&root().join("model/release")).expect("released");
    let told = Visitors::of(&visits, distance_at(&manifest, 1e-2)).expect("few");
    let days: Vec<(usize, usize)> = told.visitors.iter().map(|who| (who.visits, who.days.len())).collect();
    assert_eq!(days, [(5, 5), (5, 5)], "{told}");
    stay(&BOARD, 0);
    assert!(kept().is_empty(), "switched off, all are destroyed");
}
