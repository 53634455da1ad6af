//! The firmware's process: wiring only.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use facelatch::board::{BOARD, Board, schema};
use facelatch::firmware::clock::calendar;
use facelatch::firmware::week::WeekClock;

/// A face-recognition door lock.
///
/// On the simulated board it plays a film before the camera: without arguments the bundled scene, in which an
/// owner is enrolled by button, comes home, and a stranger, a passer-by and a photograph are not let in. On a
/// real board it attends to the door until it is asked to stop.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// Check this board file (without FILE: the board that this program was built for) and end.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    check_config: Option<Option<PathBuf>>,

    /// Folder of the models.
    #[arg(long, value_name = "FOLDER", default_value = models())]
    models: PathBuf,

    /// Folder of the device key, and on the simulated board of its flash; without it that is made anew and
    /// forgotten afterwards.
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,

    /// Only give the lock another device key and seal everybody's with it; the lock must not be running.
    #[arg(long)]
    change_key: bool,

    /// Only release the strike: for the service manager, after this program was killed.
    #[arg(long)]
    release: bool,

    #[cfg(feature = "sim")]
    #[command(flatten)]
    film: Film,
}

/// What the simulated board plays.
#[cfg(feature = "sim")]
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Simulated board")]
struct Film {
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

    /// Folder for the contact sheet.
    #[arg(long, value_name = "FOLDER", default_value = "target/facelatch")]
    out: PathBuf,

    /// Tell at the end what each stage from a frame to the strike took.
    #[arg(long)]
    latencies: bool,

    /// Play at the film's own pace, again and again, and serve the owner's cable: a serial port, or the name of a
    /// pseudo-terminal to be made. Keys, each with Enter: b presses and releases the enrol button, x the exit
    /// button, d opens and closes the door, q ends.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["enrol", "hold"])]
    link: Option<PathBuf>,

    /// Keep templates of so many unknown visitors, as `log.visitors` in a board file does; 0 destroys them.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(..=1000), default_value_t = 0)]
    visitors: u32,

    /// Let pictures of faces pass, to see what liveness is good for.
    #[arg(long)]
    without_liveness: bool,
}

const EXAMPLES: &str = "Examples:
  facelatchd                                        simulated board: the bundled scene
  facelatchd --frames photos/                       simulated board: every picture of a folder, shown for a second each
  facelatchd --enrol Anna=anna.jpg --frames door/   simulated board: enrol from one picture, recognise on others
  facelatchd --frames clip.mjpeg --state lock/      simulated board: a film; who is enrolled stays in lock/
  facelatchd --link lock.tty --state lock/          simulated board: a door for facelatch flash --port lock.tty
  facelatchd --check-config boards/my-board.toml    whether a board file is possible

Exit status:
  0  all came as the scene expects; asked to stop; the board file is good
  1  something came otherwise than the scene expects
  2  wrong arguments, or a board file that cannot be
  3  the device cannot begin: models, flash, key or a pin
  4  the device cannot go on
  5  it is to be started again, with the models that came over the owner's cable";

/// Beside the sources where these are, else where the package puts them.
fn models() -> &'static str {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/model/release");
    if Path::new(sources).is_dir() { sources } else { "/usr/share/facelatch/models" }
}

#[cfg(feature = "sim")]
fn name_and_path(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=PATH, such as Anna=anna.jpg")?;
    if name.is_empty() || path.is_empty() {
        return Err("expected NAME=PATH, such as Anna=anna.jpg".to_owned());
    }
    Ok((name.to_owned(), PathBuf::from(path)))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = if BOARD.is_simulated() && !arguments.is_live() { "warn" } else { "info" };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(level)).init();
    let run = match &arguments.check_config {
        Some(file) => check(file.as_deref()).map(|()| ExitCode::SUCCESS),
        None => run(&arguments),
    };
    run.unwrap_or_else(|error| {
        eprintln!("facelatchd: {error:#}. The door stays locked.");
        exit_code(&error)
    })
}

impl Arguments {
    /// Whether the simulated board runs as a real one does.
    fn is_live(&self) -> bool {
        #[cfg(feature = "sim")]
        return self.film.link.is_some();
        #[cfg(not(feature = "sim"))]
        false
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    #[cfg(feature = "device")]
    if let Some(error) = error.downcast_ref::<facelatch::firmware::linux::LinuxError>() {
        return ExitCode::from(if error.is_at_start() { 3 } else { 4 });
    }
    let _ = error;
    ExitCode::from(2)
}

fn check(file: Option<&Path>) -> Result<()> {
    let Some(path) = file else {
        println!("this program was built for the board {}, whose file is good", summary(&BOARD));
        return Ok(());
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let board = schema::read(&path.display().to_string(), &text)?;
    WeekClock::new(&board.access.time_zone, calendar).with_context(|| path.display().to_string())?;
    println!("{} is good: {}", path.display(), summary(&board));
    Ok(())
}

fn summary(board: &Board) -> String {
    format!("\"{}\" ({})", &*board.name, &*board.description)
}

/// Where a real board keeps what is in no flash.
const STATE: &str = "/var/lib/facelatch";

fn change_key(arguments: &Arguments) -> Result<ExitCode> {
    let state = arguments.state.as_deref().unwrap_or(Path::new(STATE));
    let flash = if BOARD.is_simulated() { state.join("flash") } else { PathBuf::from(&*BOARD.flash.path) };
    anyhow::ensure!(
        flash.exists(),
        "there is no flash {}; name the lock's folder by --state",
        flash.display()
    );
    facelatch::firmware::start::change_key(&BOARD, state, &flash)?;
    println!("the device key was changed");
    Ok(ExitCode::SUCCESS)
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.change_key {
        return change_key(arguments);
    }
    if BOARD.is_simulated() { simulated::run(arguments) } else { real::run(arguments) }
}

#[cfg(feature = "device")]
mod real {
    use super::{Arguments, BOARD, ExitCode, PathBuf, Result};
    use facelatch::firmware::linux;
    use facelatch::firmware::service::Ending;
    use facelatch::firmware::start::Places;

    pub fn run(arguments: &Arguments) -> Result<ExitCode> {
        if arguments.release {
            linux::release(&BOARD)?;
            return Ok(ExitCode::SUCCESS);
        }
        let state = arguments.state.clone().unwrap_or_else(|| PathBuf::from(super::STATE));
        let places = Places { models: arguments.models.clone(), state };
        Ok(match linux::run(&BOARD, &places)? {
            Ending::Asked => ExitCode::SUCCESS,
            Ending::Restart => ExitCode::from(5),
        })
    }
}

#[cfg(not(feature = "device"))]
mod real {
    use super::{Arguments, BOARD, ExitCode, Result};

    pub fn run(_: &Arguments) -> Result<ExitCode> {
        anyhow::bail!(
            "built for the board \"{}\" without its drivers; build with --features device",
            &*BOARD.name
        )
    }
}

#[cfg(feature = "sim")]
mod simulated {
    use super::{Arguments, BOARD, Context, ExitCode, Film, Path, PathBuf, Result};
    use facelatch::board::Board;
    use facelatch::board::schema::Log;
    use facelatch::firmware::judge::Liveness;
    use facelatch::firmware::live::attend;
    use facelatch::firmware::scene::Scene;
    use facelatch::firmware::sim::{SimOptions, play};

    pub fn run(arguments: &Arguments) -> Result<ExitCode> {
        let film = &arguments.film;
        let scene = scene_of(film)?;
        let scratch = scratch_folder();
        let board = Board { log: Log { visitors: film.visitors }, ..BOARD };
        let options = SimOptions {
            models: arguments.models.clone(),
            state: arguments.state.clone().unwrap_or_else(|| scratch.clone()),
            liveness: if film.without_liveness { Liveness::Off } else { Liveness::Required },
            hold: film.hold.unwrap_or(if scene.frames.is_dir() { 12 } else { 1 }),
            enrol: film.enrol.clone(),
            latencies: film.latencies,
        };
        if let Some(link) = &film.link {
            let attended = attend(&board, &scene, &options, link);
            forget(&scratch)?;
            return Ok(attended.map(|()| ExitCode::SUCCESS)?);
        }
        let outcome = play(&board, &scene, &options, &mut std::io::stdout());
        forget(&scratch)?;
        let outcome = outcome?;
        let sheet = film.out.join("scene.png");
        std::fs::create_dir_all(&film.out).with_context(|| format!("making {}", film.out.display()))?;
        outcome.sheet().save(&sheet).with_context(|| format!("writing {}", sheet.display()))?;
        println!("the contact sheet is {}", sheet.display());
        Ok(if outcome.surprises.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn forget(scratch: &Path) -> Result<()> {
        if scratch.exists() {
            std::fs::remove_dir_all(scratch).with_context(|| format!("removing {}", scratch.display()))?;
        }
        Ok(())
    }

    fn scene_of(film: &Film) -> Result<Scene> {
        let bundled = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/boards/sim"));
        match &film.frames {
            None => Ok(Scene::read(bundled)?),
            Some(path) if path.join("scene.toml").exists() => Ok(Scene::read(path)?),
            Some(path) => Ok(Scene::of_frames(path, BOARD.camera.frames_per_second)),
        }
    }

    /// A folder for one run's flash.
    fn scratch_folder() -> PathBuf {
        std::env::temp_dir().join(format!("facelatch-{}", std::process::id()))
    }
}

#[cfg(not(feature = "sim"))]
mod simulated {
    use super::{Arguments, ExitCode, Result};

    pub fn run(_: &Arguments) -> Result<ExitCode> {
        anyhow::bail!("built for the simulated board without its film player; build with --features sim")
    }
}
