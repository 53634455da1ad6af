//! `facelatch doctor`: what a lock needs of the machine that it runs on, and how to mend what is missing.
//!
//! It reads files of the system and changes nothing. What only a driver knows comes through [`Drivers`].

mod camera;
mod clock;
mod finding;
mod flash;
mod machine;
mod networks;
mod pins;
mod serial;
mod system;

pub use finding::{Finding, Report, Verdict};
pub use machine::{Machine, SERVICE_USER, User};
pub use pins::Located;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use thiserror::Error;

use super::ink::Ink;
use super::models;
use crate::board::{BOARD, Board, schema};

/// Why nothing could be looked at.
#[derive(Debug, Error)]
pub enum DoctorError {
    /// The board file cannot be read.
    #[error("cannot read the board file {}; name one such as boards/raspberry-pi-4.toml", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The board file cannot be.
    #[error(transparent)]
    Board(#[from] schema::BoardError),
    /// There is no such user.
    #[error("there is no user \"{name}\" in /etc/passwd; the package's service makes \"{SERVICE_USER}\"")]
    Nobody {
        /// Who was asked for.
        name: String,
    },
    /// The output is gone.
    #[error("cannot write the output")]
    Write(#[from] io::Error),
}

/// What the drivers of a board find out; a program without them knows nothing of it.
pub trait Drivers {
    /// Where the GPIO line of this name (or `CHIP:OFFSET`) is; `Some(None)`: nowhere. `None`: cannot tell.
    fn line(&self, _name: &str) -> Option<Option<Located>> {
        None
    }

    /// Whether the device's key is in the keyring of whoever asks, or why it is not. `None`: cannot tell.
    fn key(&self, _board: &Board) -> Option<Result<(), String>> {
        None
    }

    /// One frame of the board's camera, in words, or why there is none. `None`: cannot tell.
    fn frame(&self, _board: &Board) -> Option<Result<String, String>> {
        None
    }
}

const EXAMPLES: &str = "Examples:
  facelatch doctor                                        the board that this program was built for
  facelatch doctor --board boards/raspberry-pi-4.toml     another board
  sudo facelatch doctor --user facelatch                  with the rights of the lock's service
  facelatch doctor --json                                 for programs

Exit status:
  0  the lock can run here
  1  something is to be mended; each line that says WRONG tells how
  2  wrong arguments";

/// Which machine to look at, and for which board.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorOptions {
    /// The board's file; default: the board that this program was built for.
    #[arg(long, value_name = "FILE")]
    pub board: Option<PathBuf>,
    /// Whom the lock runs as; default: the service's user if there is one, else you.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Folder of the models.
    #[arg(long, value_name = "FOLDER", default_value = models::released())]
    pub models: PathBuf,
    /// Folder of the device key.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/facelatch")]
    pub state: String,
    /// Tell the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is looked at.
#[derive(Clone, Copy)]
struct Site<'a> {
    machine: &'a Machine,
    board: &'a Board,
    user: &'a User,
    state: &'a str,
}

/// Looks at this machine and prints what was found; whether the lock can run here.
///
/// # Errors
/// When the board file cannot be used, or there is no such user.
pub fn run(
    options: &DoctorOptions,
    drivers: &dyn Drivers,
    ink: Ink,
    out: &mut dyn Write,
) -> Result<bool, DoctorError> {
    let report = examine(options, &Machine::under(Path::new("/")), drivers, SystemTime::now())?;
    if options.json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report.in_words(ink))?;
    }
    Ok(report.wrong() == 0)
}

/// Looks at `machine`, whose clock shows `now`.
///
/// # Errors
/// As [`run`].
pub fn examine(
    options: &DoctorOptions,
    machine: &Machine,
    drivers: &dyn Drivers,
    now: SystemTime,
) -> Result<Report, DoctorError> {
    let read = options.board.as_deref().map(board_of).transpose()?;
    let board = read.as_ref().unwrap_or(&BOARD);
    let user = match &options.user {
        Some(name) => {
            User::called(name, machine).ok_or_else(|| DoctorError::Nobody { name: name.clone() })?
        }
        None => User::called(SERVICE_USER, machine).unwrap_or_else(|| User::caller(machine)),
    };
    let site = Site { machine, board, user: &user, state: &options.state };
    let mut findings = if board.is_simulated() { vec![simulated()] } else { of_board(&site, drivers, now) };
    findings.extend(networks::look(&options.models));
    let model = machine.text("/proc/device-tree/model");
    Ok(Report {
        board: board.name.to_string(),
        machine: model.unwrap_or_else(|| format!("a computer ({})", std::env::consts::ARCH)),
        user: user.name,
        findings,
    })
}

fn board_of(path: &Path) -> Result<Board, DoctorError> {
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|source| DoctorError::Read { path: path.to_owned(), source })?;
    Ok(schema::read(&path.display().to_string(), &text)?)
}

fn simulated() -> Finding {
    Finding::fine(
        "board",
        "simulated: camera, pins, cable and flash are played; for a real one add --board boards/raspberry-pi-4.toml",
    )
}

fn of_board(site: &Site<'_>, drivers: &dyn Drivers, now: SystemTime) -> Vec<Finding> {
    let mut findings = vec![camera::look(site, drivers)];
    findings.extend(pins::look(site, drivers));
    findings.push(serial::look(site));
    findings.extend(flash::look(site));
    findings.push(clock::look(site, now));
    findings.extend(system::key(site, drivers));
    findings.extend(system::look(site));
    findings
}

#[cfg(test)]
mod tests;
