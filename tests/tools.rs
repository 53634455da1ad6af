//! The owner's tools on small folders of synthetic people, and on input that is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use facelatch::face::template::Template;
use facelatch::host::calibrate::cohort::Cohort;

/// Copies the synthetic crops into a folder with a subfolder for each person: two of them are people, each with the same
/// crop thrice at different brightness.
fn people(folder: &Path) {
    for (person, crop) in [("anna", "crop-0.png"), ("ben", "crop-1.png"), ("cara", "crop-2.png")] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/face").join(crop);
        let picture = image::open(&source).expect("a synthetic crop").to_rgb8();
        fs::create_dir_all(folder.join(person)).expect("a folder for the person");
        for (number, gain) in [(1, 1.0_f32), (2, 0.9), (3, 0.8)] {
            let mut darker = picture.clone();
            darker.pixels_mut().for_each(|p| p.0 = p.0.map(|v| (f32::from(v) * gain) as u8));
            darker.save(folder.join(person).join(format!("{person}_{number:04}.png"))).expect("saved");
        }
    }
}

fn facelatch(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_facelatch");
    Command::new(program).args(arguments).current_dir(folder).output().expect("the program starts")
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn with_people() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pictures = folder.path().join("people");
    people(&pictures);
    (folder, pictures)
}

#[test]
fn an_evaluation_is_told_and_leaves_a_page_that_needs_no_other_file() {
    let (folder, _) = with_people();
    let pairs = "2 1\nanna 1 2\nanna 1 ben 1\ncara 1 3\ncara 2 ben 3\n";
    fs::write(folder.path().join("pairs.txt"), pairs).expect("written");
    let arguments = ["eval", "people", "--pairs", "pairs.txt", "--aligned", "--page", "page.html", "--json"];
    let output = facelatch(folder.path(), &arguments);
    let (out, err) = said(&output);
    assert!(output.status.success(), "{err}");
    let result: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(result["pairs"]["same"], 2);
    assert_eq!(result["pictures"]["usable"], 9);
    assert_eq!(result["all"]["different"], 27);
    let page = fs::read_to_string(folder.path().join("page.html")).expect("the page is there");
    assert!(page.contains("<svg") && page.contains("data:image/jpeg;base64,"));
    assert!(
        !page.contains("http://")
            || page.matches("http://").count() == page.matches("http://www.w3.org").count()
    );
}

#[test]
fn people_are_found_without_their_names() {
    let (folder, _) = with_people();
    let output = facelatch(
        folder.path(),
        &["cluster", "people", "--aligned", "--labelled", "--json", "--people", "3"],
    );
    let (out, err) = said(&output);
    assert!(output.status.success(), "{err}");
    let result: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(result["agreement"]["f"], 1.0, "{out}");
    assert!(folder.path().join("target/facelatch/clusters/cluster-003.png").is_file());
}

/// A cohort of random faces for the released embedder.
fn write_cohort(path: &Path) {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/model/release/embedder.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).expect("released").parse().expect("TOML");
    let embedding_id = manifest["embedding_id"].as_integer().expect("a number") as u32;
    let mut random = fastrand::Rng::with_seed(9);
    let face = |_| {
        let output: Vec<i8> = (0..128).map(|_| random.i8(-50..50)).collect();
        Template::from_output(&output, 0, 128, embedding_id).expect("has a direction")
    };
    let faces: Vec<Template> = (0..100).map(face).collect();
    let faces: Vec<&Template> = faces.iter().collect();
    let cohort = Cohort::drawn(&faces, 400, &mut fastrand::Rng::with_seed(9)).expect("many faces");
    cohort.write(path).expect("written");
}

#[test]
fn a_calibrated_threshold_is_the_lock_s_from_its_next_start_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_cohort(&folder.path().join("cohort.bin"));
    let scene = Command::new(env!("CARGO_BIN_EXE_facelatchd"))
        .args(["--state", "lock", "--out", "out"])
        .current_dir(folder.path())
        .output()
        .expect("the scene plays");
    assert!(folder.path().join("lock/flash").is_file(), "{:?}", said(&scene));
    let calibrate = |more: &[&str]| {
        let arguments = ["calibrate", "--state", "lock", "--cohort", "cohort.bin", "--far", "1e-4", "--json"];
        let output = facelatch(folder.path(), &[&arguments[..], more].concat());
        let (out, err) = said(&output);
        assert!(output.status.success(), "{err}");
        serde_json::from_str::<serde_json::Value>(&out).expect("JSON")
    };
    let before = calibrate(&[]);
    assert_eq!(before["people"], 2, "the scene enrols two");
    assert!(before["written"].is_null());
    let written = calibrate(&["--write"])["written"].clone();
    assert!(
        written.as_f64() < before["threshold"].as_f64(),
        "{written} is stricter than {}",
        before["threshold"]
    );
    assert_eq!(calibrate(&[])["threshold"], written);
    let refused = facelatch(
        folder.path(),
        &["calibrate", "--state", "lock", "--cohort", "cohort.bin", "--far", "1e-8", "--write"],
    );
    let (_, err) = said(&refused);
    assert!(err.contains("nothing was written"), "{err}");
    assert_eq!(calibrate(&[])["threshold"], written);
}

/// What is wrong, the exit status, and what the message must tell.
type Wrong = (&'static [&'static str], i32, &'static str);

/// For each command: files that are missing or something else, ports that are none, numbers that cannot be.
const WRONG: &[Wrong] = &[
    (&["models", "nowhere"], 2, "put the released models there, or name another folder"),
    (&["models", "bad-models"], 2, "the manifest of the detector"),
    (&["faces"], 2, "<PICTURE>"),
    (&["faces", "empty"], 2, "name pictures, or a folder of them"),
    (&["faces", "nowhere"], 2, "there is no nowhere; check the path"),
    (&["faces", "bad.txt"], 2, "give JPEG, PNG, WebP, BMP or PPM pictures"),
    (&["faces", "people", "--templates"], 2, "--csv"),
    (&["eval", "nowhere"], 2, "check the path"),
    (&["eval", "empty"], 2, "put each person's pictures"),
    (&["eval", "people", "--aligned", "--pairs", "bad.txt"], 2, "line 1: expected NAME NUMBER NUMBER"),
    (&["eval", "people", "--aligned", "--pairs", "absent.txt"], 2, "--allow-missing"),
    (&["eval", "people", "--aligned", "--pairs", "nowhere.txt"], 2, "nowhere.txt"),
    (&["eval", "people", "--aligned", "--models", "empty"], 2, "detector.toml"),
    (&["eval", "people", "--aligned", "--page", "anna.png/page.html"], 2, "anna.png"),
    (&["cluster", "nowhere"], 2, "check the path"),
    (&["cluster", "broken"], 2, "broken/anna_0001.png"),
    (&["cluster", "people", "--aligned", "--people", "99"], 2, "9 faces cannot be 99 people"),
    (&["cluster", "people", "--people", "many"], 2, "--people <NUMBER>"),
    (&["cluster", "people", "--cut", "9"], 2, "expected a distance of 0 to 4"),
    (&["cluster", "people", "--cut", "-1"], 2, "expected a distance of 0 to 4"),
    (&["cluster", "people", "--rate", "7"], 2, "expected a share between 0 and 1"),
    (&["calibrate"], 2, "--state <FOLDER>|--people <FOLDER>"),
    (&["calibrate", "--state", "empty", "--cohort", "anna.png"], 2, "give the folder that facelatchd has"),
    (&["calibrate", "--people", "nowhere"], 2, "check the path"),
    (&["calibrate", "--people", "people", "--aligned", "--cohort", "anna.png"], 2, "facelatch cohort"),
    (&["calibrate", "--people", "people", "--far", "2"], 2, "expected a share between 0 and 1"),
    (&["calibrate", "--people", "people", "--write"], 2, "cannot be used with '--write'"),
    (&["log", "--state", "empty"], 2, "give the folder that facelatchd has"),
    (&["log", "--key", "nowhere.key"], 2, "facelatch keygen"),
    (&["log", "--key", "owner.key", "--port", "nowhere"], 3, "there is no port nowhere"),
    (&["visitors", "--state", "empty"], 2, "give the folder that facelatchd has"),
    (&["visitors", "--key", "bad.txt"], 2, "chmod 600 bad.txt"),
    (&["visitors", "--key", "owner.key", "--port", "anna.png"], 3, "is no serial port"),
    (&["visitors", "--cut", "5"], 2, "expected a distance of 0 to 4"),
    (&["visitors", "--erase", "--state", "empty"], 2, "give the folder that facelatchd has"),
    (&["cohort", "nowhere"], 2, "check the path"),
    (&["cohort", "people", "--aligned"], 2, "9 faces are too few"),
    (&["cohort", "people", "--number", "0"], 2, "1..=100000"),
    (&["doctor", "--board", "bad.txt"], 2, "bad.txt:1:"),
    (&["doctor", "--board", "nowhere.toml"], 2, "name one such as boards/raspberry-pi-4.toml"),
    (&["bench", "--against", "nothing.flm"], 2, "nothing.flm"),
    (&["bench", "--against", "anna.png"], 2, "anna.png"),
    (&["bench", "--film", "anna.png"], 2, "--film"),
    (&["bench", "--film", "nowhere.mjpeg"], 2, "nowhere.mjpeg"),
    (&["bench", "--runs", "0"], 2, "1..=100000"),
    (&["keygen", "--key", "anna.png"], 2, "exists already"),
    (&["keygen", "--key", "anna.png/owner.key"], 2, "anna.png/owner.key"),
    (&["pack", "--version", "1", "--key", "nowhere.key"], 2, "facelatch keygen"),
    (&["pack", "--version", "0"], 2, "0 is not in 1..="),
    (&["pack", "--version", "1", "--key", "owner.key", "--embedder", "none.onnx"], 2, "none.toml"),
    (&["pack", "--version", "1", "--key", "owner.key", "--out", "anna.png/a.flm"], 2, "anna.png"),
    (&["info", "anna.png"], 2, "no facelatch model package"),
    (&["info", "nowhere.flm"], 2, "name a package that facelatch pack made"),
    (&["watch", "--port", "nowhere"], 3, "there is no port nowhere"),
    (&["watch", "--port", "anna.png", "--once"], 3, "is no serial port"),
    (&["watch", "--baud", "7"], 2, "9600..=4000000"),
    (&["snapshot", "--key", "nowhere.key"], 2, "facelatch keygen"),
    (&["snapshot", "--key", "owner.key", "--port", "nowhere"], 3, "there is no port nowhere"),
    (&["flash", "anna.png", "--key", "owner.key"], 2, "no facelatch model package"),
    (&["flash", "nowhere.flm", "--key", "owner.key"], 2, "name a package that facelatch pack made"),
    (&["keypad", "--port", "nowhere"], 3, "there is no port nowhere"),
    (&["people", "list", "--key", "owner.key", "--port", "nowhere"], 3, "there is no port nowhere"),
    (&["people", "delete", "Anna"], 2, "<PERSON>"),
    (&["people", "forget"], 2, "unrecognized subcommand"),
    (&["status", "--port", "anna.png"], 3, "is no serial port"),
    (&["owner", "enrol", "--key", "nowhere.key"], 2, "facelatch keygen"),
    (&["owner", "reset", "--port", "nowhere"], 3, "there is no port nowhere"),
    (&["set-time", "--key", "owner.key", "--port", "nowhere"], 3, "there is no port nowhere"),
    (&["completions", "klingon"], 2, "possible values: bash"),
    (&["man", "anna.png"], 2, "name another folder"),
];

#[test]
fn each_command_tells_of_wrong_input_what_is_wrong_and_what_to_do() {
    let (folder, pictures) = with_people();
    let inside = |name: &str| folder.path().join(name);
    ["empty", "broken", "bad-models"].iter().for_each(|name| fs::create_dir(inside(name)).expect("made"));
    fs::write(inside("broken/anna_0001.png"), b"no picture").expect("written");
    fs::write(inside("bad-models/detector.toml"), b"name = 7").expect("written");
    fs::write(inside("bad-models/detector.onnx"), b"no network").expect("written");
    for name in ["liveness", "embedder"] {
        let released = |ending: &str| format!("{}/model/release/{name}.{ending}", env!("CARGO_MANIFEST_DIR"));
        for ending in ["toml", "onnx"] {
            fs::copy(released(ending), inside(&format!("bad-models/{name}.{ending}"))).expect("copied");
        }
    }
    fs::write(inside("bad.txt"), "anna one two\n").expect("written");
    fs::write(inside("absent.txt"), "anna 1 7\nanna 1 ben 1\n").expect("written");
    fs::copy(pictures.join("anna/anna_0001.png"), inside("anna.png")).expect("copied");
    assert!(facelatch(folder.path(), &["keygen", "--key", "owner.key"]).status.success());
    for (arguments, status, expected) in WRONG {
        let output = facelatch(folder.path(), arguments);
        let (out, err) = said(&output);
        assert_eq!(output.status.code(), Some(*status), "{arguments:?}: {out}{err}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
        let shows_where = err.starts_with("error: ") || err.contains("TOML parse error");
        let lines =
            err.lines().filter(|line| !line.contains("not readable") && !line.contains("is no picture"));
        assert!(shows_where || lines.count() == 1, "{arguments:?}: {err}");
    }
    let (help, _) = said(&facelatch(folder.path(), &["--help"]));
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for command in commands
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
    {
        let is_tried = WRONG.iter().any(|(arguments, ..)| arguments[0] == command);
        assert!(is_tried || command == "help", "nothing wrong is tried with {command}");
    }
}

#[test]
fn the_doctor_says_what_is_missing_here_and_how_to_mend_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let board = concat!(env!("CARGO_MANIFEST_DIR"), "/boards/raspberry-pi-4.toml");
    let text = fs::read_to_string(board).expect("a board file");
    let without = text.replace("/dev/video0", "/dev/video_absent").replace("GPIO22", "GPIO27");
    fs::write(folder.path().join("raspberry-pi-4.toml"), without).expect("written");
    let doctor = |arguments: &[&str]| facelatch(folder.path(), &[&["doctor"], arguments].concat());
    let twice = doctor(&["--board", "raspberry-pi-4.toml"]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(said(&twice).1.contains("which inputs.enrol_button uses already"), "{:?}", said(&twice));
    fs::write(folder.path().join("raspberry-pi-4.toml"), text.replace("/dev/video0", "/dev/video_absent"))
        .expect("written");
    let ill = doctor(&["--board", "raspberry-pi-4.toml", "--json"]);
    assert_eq!(ill.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_str(&said(&ill).0).expect("JSON");
    let camera = &report["findings"][0];
    assert_eq!((&camera["part"], &camera["verdict"]), (&"camera".into(), &"wrong".into()));
    assert!(camera["remedy"].as_str().is_some_and(|words| !words.is_empty()), "{camera}");
    let well = doctor(&[]);
    assert!(well.status.success(), "the simulated board runs anywhere: {:?}", said(&well));
    assert!(said(&doctor(&["--user", "no such"])).1.contains("there is no user"));
    let (no_models, _) = said(&doctor(&["--models", "."]));
    assert!(no_models.contains("WRONG") && no_models.contains("-> copy the released models"), "{no_models}");
}

#[test]
fn a_benchmark_compares_two_sets_of_models_stage_by_stage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let released = concat!(env!("CARGO_MANIFEST_DIR"), "/model/release");
    let embedder = format!("{released}/embedder.onnx");
    for other in [released, &embedder] {
        let output = facelatch(folder.path(), &["bench", "--runs", "2", "--against", other, "--json"]);
        let (out, err) = said(&output);
        assert!(output.status.success(), "{err}");
        let result: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let stages = result["stages"].as_array().expect("stages");
        assert_eq!(stages.len(), 10);
        assert!(stages.iter().all(|stage| stage["timings"].as_array().is_some_and(|both| both.len() == 2)));
        let embed = stages.iter().find(|stage| stage["stage"] == "template (embedder)").expect("measured");
        assert_eq!(embed["timings"][0]["allocations"], 0, "{embed}");
        assert!(embed["timings"][1]["median_ms"].as_f64() > Some(0.0), "{embed}");
    }
    let (table, _) = said(&facelatch(folder.path(), &["bench", "--runs", "2"]));
    assert!(table.contains("a whole frame, one face") && table.contains("memory of this process"), "{table}");
}

#[test]
fn every_command_has_help_that_goes_beyond_its_options_and_no_colours_in_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (help, _) = said(&facelatch(folder.path(), &["--help"]));
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let names: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   "))
        })
        .filter(|name| *name != "help")
        .collect();
    assert!(names.contains(&"watch") && names.contains(&"man"), "{names:?}");
    for name in names {
        let (help, _) = said(&facelatch(folder.path(), &[name, "--help"]));
        let told = ["Examples:", "Commands:", "Exit status:"].iter().any(|part| help.contains(part));
        assert!(told, "{name}: {help}");
        assert!(!help.contains('\u{1b}'), "{name}: {help}");
    }
}

#[test]
fn shells_and_the_manual_know_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (script, _) = said(&facelatch(folder.path(), &["completions", "bash"]));
    assert!(facelatch(folder.path(), &["man", "pages"]).status.success());
    for command in ["eval", "cluster", "calibrate", "pack", "doctor", "watch", "snapshot"] {
        assert!(script.contains(&format!("facelatch__subcmd__{command}")), "{command} in {script}");
        let page = folder.path().join(format!("pages/facelatch-{command}.1"));
        assert!(
            fs::read_to_string(&page).is_ok_and(|text| text.contains(".SH OPTIONS")),
            "{}",
            page.display()
        );
    }
    let in_the_way = facelatch(folder.path(), &["man", "pages/facelatch-eval.1"]);
    assert!(!in_the_way.status.success());
    assert!(said(&in_the_way).1.contains("cannot make pages/facelatch-eval.1"));
}

/// What the tool's README shows of a command's output.
fn shown(command: &str) -> Vec<&'static str> {
    let readme = include_str!("../src/host/README.md");
    let begin = format!("$ facelatch {command}");
    let lines = readme.lines().skip_while(|line| *line != begin).skip(1);
    lines.take_while(|line| !line.starts_with("$ ") && !line.starts_with("```")).collect()
}

/// A line with every key's fingerprint made the same.
fn without_keys(line: &str) -> String {
    let is_key = |word: &&str| word.len() == 16 && word.chars().all(|digit| digit.is_ascii_hexdigit());
    line.split(' ').map(|word| if is_key(&word) { "KEY" } else { word }).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_readme_shows_what_commands_say_that_say_the_same_everywhere() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = ["--key", "owner.key"];
    assert!(facelatch(folder.path(), &[&["keygen"], &key[..]].concat()).status.success());
    let commands: [(&str, &[&str]); 3] =
        [("models", &[]), ("pack --version 2 --note spring", &key), ("info models.flm", &key)];
    for (command, more) in commands {
        let arguments: Vec<&str> = command.split(' ').chain(more.iter().copied()).collect();
        let (out, err) = said(&facelatch(folder.path(), &arguments));
        let told: Vec<String> = out.lines().map(without_keys).collect();
        let mut left = told.iter();
        let shown = shown(command);
        assert!(!shown.is_empty(), "the README does not show: facelatch {command}");
        for line in shown.iter().filter(|line| line.trim() != "...").map(|line| without_keys(line)) {
            assert!(left.any(|told| *told == line), "facelatch {command} does not say {line:?}: {out}{err}");
        }
    }
}
