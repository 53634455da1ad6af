//! `facelatch flash`: a package to a lock, from the first byte to models that are active for good.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::cable::{Cable, CableError};
use super::info::{self, InfoError};
use super::keygen::Owner;
use super::output::{Form, Json};
use crate::update::acceptance::Terms;
use crate::update::message::{About, Stage};
use crate::update::owner::OwnerKey;
use crate::update::package::{Manifest, Package};
use crate::update::upload::{Upload, Uploaded, Watch};

/// What to flash, and where to.
#[derive(Debug, Args)]
pub struct FlashOptions {
    /// The package (.flm), from `facelatch pack`.
    file: PathBuf,
    /// Go on even if people have to enrol again.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    cable: Cable,
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    form: Json,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Flashed {
    result: &'static str,
    version: u32,
    embedding_id: u32,
    bytes: usize,
    repeated: u64,
    seconds: f64,
}

impl fmt::Display for Flashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, bytes, repeated, seconds, .. } = self;
        match self.result {
            "already" => write!(f, "skipped: the lock has version {version} already, it is the active one"),
            _ => write!(
                f,
                "version {version} is active: {} KiB in {seconds:.0} s, {repeated} pieces sent twice",
                bytes / 1024
            ),
        }
    }
}

/// Sends the package, and waits until the lock confirmed it or went back.
///
/// # Errors
/// When the package is damaged, is not the owner's or not for this lock, there is no lock, or it refuses.
pub fn run(options: &FlashOptions, out: &mut dyn Write) -> Result<(), CableError> {
    let key = options.owner.read()?;
    let bytes = info::read(&options.file)?;
    let damaged = |source| InfoError::Package { path: options.file.clone(), source };
    let manifest = Package::open(&bytes, &key.public()).map_err(damaged)?.manifest;
    let flashed = options.cable.with(|client| {
        fits(&manifest, bytes.len(), client.about(), &key)?;
        let began = Instant::now();
        let package = Upload {
            package: &bytes,
            version: manifest.version,
            embedding_id: manifest.embedding_id,
            key: &key,
        };
        let mut follower = Follower::new(bytes.len(), options.yes);
        let uploaded = package.run(client, &mut follower);
        follower.bar.finish_and_clear();
        let (result, repeated) = match uploaded? {
            Uploaded::Confirmed { repeated } => ("confirmed", repeated),
            Uploaded::Already => ("already", 0),
        };
        let (version, embedding_id) = (manifest.version, manifest.embedding_id);
        let seconds = began.elapsed().as_secs_f64();
        Ok(Flashed { result, version, embedding_id, bytes: bytes.len(), repeated, seconds })
    })?;
    Ok(Form::of(options.form.json).tell(&flashed, out)?)
}

/// Refuses here what the lock would refuse after the transfer.
fn fits(manifest: &Manifest, bytes: usize, about: &About, key: &OwnerKey) -> Result<(), CableError> {
    let unfit = |reason: String| CableError::Unfit { reason };
    if bytes > about.slot_bytes as usize {
        let most = about.slot_bytes;
        return Err(unfit(format!("it has {bytes} bytes, but only {most} fit into the lock")));
    }
    let terms = Terms { owner: key.public(), floor: 0, board: about.board.clone(), firmware: about.firmware };
    terms.accept(manifest).map_err(|error| unfit(error.to_string()))
}

/// Shows how far it is.
struct Follower {
    bar: ProgressBar,
    yes: bool,
    is_terminal: bool,
}

impl Follower {
    fn new(bytes: usize, yes: bool) -> Self {
        let style = ProgressStyle::with_template(
            "{msg:<22} {bar:32} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
        )
        .expect("the template is fixed");
        let bar = ProgressBar::new(bytes as u64).with_style(style).with_message("greeting");
        Self { bar, yes, is_terminal: io::stderr().is_terminal() }
    }

    fn tell(&self, words: &str) {
        if self.is_terminal {
            self.bar.println(words);
        } else {
            eprintln!("{words}");
        }
    }
}

impl Watch for Follower {
    fn enrol_again(&mut self, people: u32) -> bool {
        let who = if people == 1 { "1 person has".to_owned() } else { format!("{people} people have") };
        self.tell(&format!(
            "{who} to enrol again after this update: no pictures of them are kept. See: facelatch people list"
        ));
        if self.yes {
            return true;
        }
        if !io::stdin().is_terminal() {
            self.tell("nothing was sent; add --yes to go on");
            return false;
        }
        self.bar.suspend(|| {
            eprint!("Go on? [y/N] ");
            let mut line = String::new();
            io::stdin().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
        })
    }

    fn sent(&mut self, durable: u32, _bytes: u32, baud: u32) {
        self.bar.set_message(format!("sending at {baud} baud"));
        self.bar.set_position(u64::from(durable));
    }

    fn stage(&mut self, stage: &Stage) {
        match stage {
            Stage::Checking => self.tell("the lock checks signature, digests and golden answers"),
            Stage::Embedding { done, people } => {
                self.bar.set_message(format!("templates {done} of {people}"));
                if !self.is_terminal && done == people {
                    self.tell(&format!("templates of {people} people were computed anew"));
                }
            }
            Stage::Trial => self.tell("the new models are on trial: the lock starts anew and watches them"),
            _ => {}
        }
    }

    fn console(&mut self, line: &str) {
        if self.is_terminal {
            self.bar.println(format!("lock: {line}"));
        }
    }
}
