//! The owner's host tool: wiring only.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use facelatch::board::BOARD;
use facelatch::firmware::start::{open_gallery, open_log};
use facelatch::host::cable::{Cable, CableError};
use facelatch::host::ink::Ink;
use facelatch::host::keygen::Owner;
use facelatch::host::output::{Form, Json};
use facelatch::host::{
    bench, calibrate, cluster, cohort, doctor, eval, faces, flash, info, keygen, keypad, log, models, pack,
    people, snapshot, status, visitors, watch,
};

const MODELS_EXAMPLES: &str = "Examples:
  facelatch models                 the released models
  facelatch models mine/           can a lock run these?";

const KEYGEN_EXAMPLES: &str = "Examples:
  facelatch keygen                 the key of this computer; keep a copy where nobody else gets at it
  facelatch keygen --key second.key

Whoever has this file is the owner of your locks. A lock whose owner's key is lost must be reset at its button.";

const PACK_EXAMPLES: &str = "Examples:
  facelatch pack --version 2                                   the released models: models.flm
  facelatch pack --version 3 --embedder mine.onnx --out mine.flm
  facelatch info mine.flm                                      and what is in it";

const INFO_EXAMPLES: &str = "Examples:
  facelatch info models.flm        what is in it, and is it signed by my key?
  facelatch info models.flm --json";

const COMPLETIONS_EXAMPLES: &str = "Examples:
  facelatch completions bash > ~/.local/share/bash-completion/completions/facelatch
  facelatch completions zsh > ~/.zfunc/_facelatch
  facelatch completions fish > ~/.config/fish/completions/facelatch.fish";

const MAN_EXAMPLES: &str = "Examples:
  facelatch man pages && man -l pages/facelatch-doctor.1";

const FLASH_EXAMPLES: &str = "Examples:
  facelatch flash models.flm                         the lock at the only serial port
  facelatch flash models.flm --port /dev/ttyUSB0
  facelatchd --link lock.tty --state lock/           a simulated lock, in another terminal, for
  facelatch flash models.flm --port lock.tty

The lock works on meanwhile. When the line breaks off, it is taken up again where it stopped, while that brings anything and six
times more. After that, and after a power cut of this computer: run the same command again, it goes on.";

const PEOPLE_EXAMPLES: &str = "Examples:
  facelatch people list
  facelatch people rename 2 Anna
  facelatch people delete 2              templates and pictures of person 2 are destroyed";

const STATUS_EXAMPLES: &str = "Examples:
  facelatch status                       the lock at the only serial port
  facelatch status --port /dev/ttyUSB0 --json";

const OWNER_EXAMPLES: &str = "Examples:
  facelatch owner enrol                  this computer's key owns the lock from now on; hold the lock's button meanwhile
  facelatch owner reset                  the key is lost: hold the lock's button; everybody enrolled is deleted";

const SET_TIME_EXAMPLES: &str = "Examples:
  facelatch set-time                     the log tells the right time from now on, until the power goes if the board has
                                         no battery clock";

const EXIT_STATUS: &str = "Exit status:
  0  done, or there was nothing to do
  1  the lock refuses, or you said no
  2  something is wrong on this computer: arguments, key, package
  3  there is no lock: no port, it is in use, or nothing answers
  4  the line broke off: run the same command again, it goes on where it stopped";

/// The owner's tool for a facelatch door lock.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks a folder of models and shows what distances between faces mean.
    #[command(after_help = MODELS_EXAMPLES)]
    Models {
        /// Folder of the models.
        #[arg(default_value = models::released())]
        folder: PathBuf,
    },
    /// Shows what the lock sees in pictures: faces, their quality, how alive they look.
    Faces(faces::FacesOptions),
    /// Tells how well the device tells people apart, on pictures of yours.
    Eval(eval::EvalOptions),
    /// Groups faces without names by whose they are.
    Cluster(cluster::ClusterOptions),
    /// Tells how safe a lock is with the people enrolled on it, and finds its threshold.
    Calibrate(calibrate::CalibrateOptions),
    /// Tells what a lock did, and whether its log is whole.
    Log(log::LogOptions),
    /// Tells of the unknown visitors that a lock keeps: who came on which days.
    Visitors(visitors::VisitorsOptions),
    /// Draws templates that belong to nobody, which calibrate tries a lock with.
    Cohort(cohort::CohortOptions),
    /// Tells whether the lock can run on this machine, and how to mend what is missing.
    Doctor(doctor::DoctorOptions),
    /// Measures every stage on this machine.
    Bench(bench::BenchOptions),
    /// Makes the owner's key pair, with which packages and commands are signed.
    #[command(after_help = KEYGEN_EXAMPLES)]
    Keygen {
        #[command(flatten)]
        owner: Owner,
    },
    /// Checks three networks as the device does and packs them, signed by the owner.
    Pack(Pack),
    /// Shows what a package is and who signed it.
    #[command(after_help = INFO_EXAMPLES)]
    Info {
        /// The package (.flm).
        file: PathBuf,
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        form: Json,
    },
    /// Shows what happens at a door, live in the terminal, over the lock's cable.
    Watch(watch::WatchOptions),
    /// Fetches a picture of what a lock's camera sees, for its owner.
    Snapshot(snapshot::SnapshotOptions),
    /// Sends a package to a lock over the owner's cable, and waits until it is active.
    #[command(after_help = format!("{FLASH_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Flash(flash::FlashOptions),
    /// Types a PIN on the keypad of a lock that has none.
    #[command(after_help = [keypad::HELP, "\n\n", EXIT_STATUS].concat())]
    Keypad {
        #[command(flatten)]
        cable: Cable,
    },
    /// Lists, renames, deletes, exports and imports who is enrolled on a lock, and says what is asked of them.
    #[command(after_help = format!("{PEOPLE_EXAMPLES}\n\n{EXIT_STATUS}"))]
    People {
        #[command(subcommand)]
        command: people::PeopleCommand,
        #[command(flatten)]
        cable: Cable,
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        form: Json,
    },
    /// Shows how a lock is. No key is needed.
    #[command(after_help = format!("{STATUS_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Status {
        #[command(flatten)]
        cable: Cable,
        #[command(flatten)]
        form: Json,
    },
    /// Makes this computer's key the owner of a lock, or a lock as new.
    #[command(after_help = format!("{OWNER_EXAMPLES}\n\n{EXIT_STATUS}"))]
    Owner {
        #[command(subcommand)]
        command: status::OwnerCommand,
        #[command(flatten)]
        cable: Cable,
        #[command(flatten)]
        owner: Owner,
    },
    /// Sets a lock's clock to this computer's.
    #[command(after_help = format!("{SET_TIME_EXAMPLES}\n\n{EXIT_STATUS}"))]
    SetTime {
        #[command(flatten)]
        cable: Cable,
        #[command(flatten)]
        owner: Owner,
    },
    /// Prints what a shell needs to complete this program's commands with the tab key.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual's pages, one for each command.
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// Folder for the pages.
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
#[command(after_help = PACK_EXAMPLES)]
struct Pack {
    /// Version of the package: a lock takes none below the highest that it ever confirmed.
    #[arg(long = "version", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,
    /// The package to write.
    #[arg(short, long, value_name = "FILE", default_value = "models.flm")]
    out: PathBuf,
    /// Folder of the models.
    #[arg(long, value_name = "FOLDER", default_value = models::released())]
    models: PathBuf,
    /// A detector of your own (.onnx); its contract stands beside it as .toml.
    #[arg(long, value_name = "FILE")]
    detector: Option<PathBuf>,
    /// A liveness network of your own (.onnx); its contract stands beside it as .toml.
    #[arg(long, value_name = "FILE")]
    liveness: Option<PathBuf>,
    /// An embedder of your own (.onnx); its contract stands beside it as .toml.
    #[arg(long, value_name = "FILE")]
    embedder: Option<PathBuf>,
    /// Only for this board, by its file's name; may be given several times. Default: for all.
    #[arg(long = "board", value_name = "NAME")]
    boards: Vec<String>,
    /// A line for people, shown by `facelatch info`.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    form: Json,
}

impl Pack {
    fn run(self, out: &mut dyn io::Write) -> Result<()> {
        let key = keygen::read(&self.owner.path())?;
        let options = pack::PackOptions {
            models: self.models,
            instead: [self.detector, self.liveness, self.embedder],
            version: self.number,
            boards: self.boards,
            note: self.note,
            out: self.out,
        };
        Ok(pack::run(&options, &key, Form::of(self.form.json), out)?)
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("facelatch: {error:#}");
            ExitCode::from(exit_status(&error))
        }
    }
}

/// 2 is what is wrong on this computer; a lock's own troubles have others.
fn exit_status(error: &anyhow::Error) -> u8 {
    let visitors = error.downcast_ref::<visitors::VisitorsError>().map(visitors::VisitorsError::exit_status);
    let snapshot = error.downcast_ref::<snapshot::SnapshotError>().map(snapshot::SnapshotError::exit_status);
    let cable = error.downcast_ref::<CableError>().map(CableError::exit_status);
    snapshot.or(visitors).or(cable).unwrap_or(2)
}

fn run(command: Command) -> Result<ExitCode> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Models { folder } => models::run(&folder, out)?,
        Command::Faces(options) => faces::run(&options, out, &mut io::stderr().lock())?,
        Command::Eval(options) => eval::run(&options, out)?,
        Command::Cluster(options) => cluster::run(&options, out)?,
        Command::Calibrate(options) => {
            let lock =
                options.lock()?.map(|(state, flash)| open_gallery(&BOARD, state, &flash)).transpose()?;
            calibrate::run(&options, lock, out)?;
        }
        Command::Log(options) => {
            let records = match options.lock.in_folder()? {
                Some((_, flash)) => open_log(&BOARD, &flash)?.records()?,
                None => log::fetch(&options.lock)?,
            };
            log::run(&records, Form::of(options.form.json), out)?;
        }
        Command::Visitors(options) => {
            let lock = options.lock.in_folder()?;
            let gallery = lock.map(|(state, flash)| open_gallery(&BOARD, state, &flash)).transpose()?;
            visitors::run(&options, gallery, out)?;
        }
        Command::Cohort(options) => cohort::run(&options, out)?,
        Command::Doctor(options) => {
            let ink = Ink::of(&io::stdout());
            if !doctor::run(&options, &BoardDrivers, ink, out)? {
                return Ok(ExitCode::from(1));
            }
        }
        Command::Bench(options) => {
            let here = std::env::current_exe()?;
            let programs = [here.with_file_name("facelatchd"), here];
            let allocations = |work: &mut dyn FnMut()| allocation_counter::measure(work).count_total;
            bench::run(&options, &allocations, &programs, out)?;
        }
        Command::Keygen { owner } => keygen::run(&owner.path(), out)?,
        Command::Pack(pack) => pack.run(out)?,
        Command::Info { file, owner, form } => {
            let key = keygen::read(&owner.path()).ok().map(|key| key.public());
            info::run(&file, key, Form::of(form.json), out)?;
        }
        Command::Watch(options) => watch::run(&options, Ink::of(&io::stdout()), out)?,
        Command::Snapshot(options) => snapshot::run(&options, out)?,
        Command::Flash(options) => flash::run(&options, out)?,
        Command::People { command, cable, owner, form } => {
            people::run(&command, (&cable, &owner, &form), out)?;
        }
        Command::Keypad { cable } => keypad::run(&cable, out)?,
        Command::Status { cable, form } => status::run(&cable, &form, out)?,
        Command::Owner { command, cable, owner } => status::owner(&command, &cable, &owner, out)?,
        Command::SetTime { cable, owner } => status::set_time(&cable, &owner, out)?,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "facelatch", out);
        }
        Command::Man { folder } => {
            fs::create_dir_all(&folder).with_context(|| {
                format!("cannot make {}; name another folder for the pages", folder.display())
            })?;
            clap_mangen::generate_to(Arguments::command(), &folder)
                .with_context(|| format!("cannot write the pages into {}", folder.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the drivers of a board tell the doctor.
struct BoardDrivers;

#[cfg(feature = "device")]
impl doctor::Drivers for BoardDrivers {
    fn line(&self, name: &str) -> Option<Option<doctor::Located>> {
        let place = facelatch::firmware::linux::look_up(name);
        Some(place.map(|place| doctor::Located {
            chip: place.chip.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            offset: place.offset,
            consumer: place.consumer,
        }))
    }

    fn key(&self, board: &facelatch::board::Board) -> Option<Result<(), String>> {
        let place = facelatch::firmware::storage::key_place(board, std::path::Path::new(""));
        let key = place.and_then(|mut place| place.current());
        Some(key.map(|_| ()).map_err(|error| error.to_string()))
    }

    fn frame(&self, board: &facelatch::board::Board) -> Option<Result<String, String>> {
        Some(facelatch::firmware::linux::frame_in_words(board).map_err(|error| error.to_string()))
    }
}

#[cfg(not(feature = "device"))]
impl doctor::Drivers for BoardDrivers {}
