//! The firmware's process: wiring only.
#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use facelatch::board::BOARD;
use facelatch::firmware::pipeline::Liveness;
use facelatch::firmware::scene::Scene;
use facelatch::firmware::sim::{SimOptions, play};

/// A face-recognition door lock.
///
/// On the simulated board it plays a film before the camera: without arguments the bundled scene, in which an
/// owner is enrolled by button, comes home, and a stranger, a passer-by and a photograph are not let in.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// Play these instead of the bundled scene: a picture, a folder of pictures, an .mjpeg or .y4m film, or a
    /// folder with a scene.toml.
    #[arg(long, value_name = "PATH")]
    frames: Option<PathBuf>,

    /// Enrol this person from a picture or film before anything is played; may be given several times.
    #[arg(long, value_name = "NAME=PATH", value_parser = name_and_path)]
    enrol: Vec<(String, PathBuf)>,

    /// Show each frame this often: pictures need a few, since one frame never opens a door.
    #[arg(long, value_name = "TIMES")]
    hold: Option<u32>,

    /// Folder of the simulated flash and its key; without it a new one is made and forgotten afterwards.
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,

    /// Folder of the models.
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/model/release"))]
    models: PathBuf,

    /// Folder for the contact sheet.
    #[arg(long, value_name = "FOLDER", default_value = "target/facelatch")]
    out: PathBuf,

    /// Let pictures of faces pass, to see what liveness is good for (simulated board only).
    #[arg(long)]
    without_liveness: bool,
}

const EXAMPLES: &str = "Examples:
  facelatchd                                        the bundled scene
  facelatchd --frames photos/                       every picture of a folder, shown for a second each
  facelatchd --enrol Anna=anna.jpg --frames door/   enrol from one picture, recognise on others
  facelatchd --frames clip.mjpeg --state lock/      a film; who is enrolled stays in lock/

Exit status: 0 when all came as the scene expects, 1 when not, 2 when it could not run.";

fn name_and_path(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=PATH, such as Anna=anna.jpg")?;
    if name.is_empty() || path.is_empty() {
        return Err("expected NAME=PATH, such as Anna=anna.jpg".to_owned());
    }
    Ok((name.to_owned(), PathBuf::from(path)))
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("facelatchd: {error:#}. The door stays locked.");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let scene = scene_of(arguments)?;
    let scratch = scratch_folder();
    let options = SimOptions {
        models: arguments.models.clone(),
        state: arguments.state.clone().unwrap_or_else(|| scratch.clone()),
        liveness: if arguments.without_liveness { Liveness::Off } else { Liveness::Required },
        hold: arguments.hold.unwrap_or(if scene.frames.is_dir() { 12 } else { 1 }),
        enrol: arguments.enrol.clone(),
    };
    let outcome = play(&BOARD, &scene, &options, &mut io::stdout());
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).with_context(|| format!("removing {}", scratch.display()))?;
    }
    let outcome = outcome?;
    let sheet = arguments.out.join("scene.png");
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("making {}", arguments.out.display()))?;
    outcome.sheet().save(&sheet).with_context(|| format!("writing {}", sheet.display()))?;
    println!("the contact sheet is {}", sheet.display());
    Ok(outcome.surprises.is_empty())
}

fn scene_of(arguments: &Arguments) -> Result<Scene> {
    let bundled = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/boards/sim"));
    match &arguments.frames {
        None => Ok(Scene::read(bundled)?),
        Some(path) if path.join("scene.toml").exists() => Ok(Scene::read(path)?),
        Some(path) => Ok(Scene::of_frames(path, BOARD.camera.frames_per_second)),
    }
}

/// A folder for one run's flash.
fn scratch_folder() -> PathBuf {
    std::env::temp_dir().join(format!("facelatch-{}", std::process::id()))
}
