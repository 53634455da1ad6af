//! `facelatch flash`: a package to a lock, from the first byte to models that are active for good.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::cable::{Cable, CableError};
use super::info::{self, InfoError};
use super::keygen::Owner;
use super::output::{Form, Json};
use crate::update::acceptance::Terms;
use crate::update::client::{Client, ClientError};
use crate::update::message::{About, Stage};
use crate::update::owner::OwnerKey;
use crate::update::package::{Manifest, Package};
use crate::update::retries::Retries;
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
    /// How often it was taken up again after the line broke off.
    retries: u32,
    seconds: f64,
}

impl fmt::Display for Flashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, bytes, repeated, retries, seconds, .. } = self;
        if self.result == "already" {
            return write!(f, "skipped: the lock has version {version} already, it is the active one");
        }
        let kibibytes = bytes / 1024;
        write!(
            f,
            "version {version} is active: {kibibytes} KiB in {seconds:.0} s, {repeated} pieces sent twice"
        )?;
        match retries {
            0 => Ok(()),
            1 => write!(f, "; taken up again once"),
            more => write!(f, "; taken up again {more} times"),
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
    let (version, embedding_id) = (manifest.version, manifest.embedding_id);
    let upload = Upload { package: &bytes, version, embedding_id, key: &key };
    let mut follower = Follower::new(bytes.len(), options.yes);
    let (began, mut retries) = (Instant::now(), Retries::default());
    let uploaded = insist(&options.cable, &mut retries, &mut follower, |client, follower| {
        fits(&manifest, bytes.len(), client.about(), &key)?;
        Ok(upload.run(client, follower)?)
    });
    follower.bar.finish_and_clear();
    let (result, repeated) = match uploaded? {
        Uploaded::Confirmed { repeated } => ("confirmed", repeated),
        Uploaded::Already => ("already", 0),
    };
    let (retries, seconds) = (retries.granted(), began.elapsed().as_secs_f64());
    let flashed = Flashed { result, version, embedding_id, bytes: bytes.len(), repeated, retries, seconds };
    Ok(Form::of(options.form.json).tell(&flashed, out)?)
}

/// Takes the transfer up again when the line broke off, and when the port is not there again at once.
fn insist(
    cable: &Cable,
    retries: &mut Retries,
    follower: &mut Follower,
    attempt: impl Fn(&mut Client<'_>, &mut Follower) -> Result<Uploaded, CableError>,
) -> Result<Uploaded, CableError> {
    let mut before = None;
    loop {
        let last = match (cable.with(|client| attempt(client, follower)), before) {
            (Ok(uploaded), _) => return Ok(uploaded),
            (Err(CableError::Client(error)), _) if error.is_of_the_line() => error,
            // The lock was there, and may come back.
            (Err(CableError::Port(_) | CableError::Silent { .. }), Some(before)) => before,
            (Err(error), _) => return Err(error),
        };
        let Some(pause) = retries.again(follower.durable) else {
            return Err(CableError::BrokeOff { retries: retries.granted(), last });
        };
        follower.broke_off(&last, pause);
        before = Some(last);
        thread::sleep(pause);
    }
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
    /// Bytes that the lock has for good.
    durable: u32,
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
        Self { bar, durable: 0, yes, is_terminal: io::stderr().is_terminal() }
    }

    fn broke_off(&self, error: &ClientError, pause: Duration) {
        let seconds = pause.as_secs();
        self.tell(&format!("the line broke off ({error}); in {seconds} s it goes on where it stopped"));
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
        // Asked once, whatever becomes of the line.
        self.yes = self.bar.suspend(|| {
            eprint!("Go on? [y/N] ");
            let mut line = String::new();
            io::stdin().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
        });
        self.yes
    }

    fn sent(&mut self, durable: u32, _bytes: u32, baud: u32) {
        self.bar.set_message(format!("sending at {baud} baud"));
        self.bar.set_position(u64::from(durable));
        self.durable = durable;
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
