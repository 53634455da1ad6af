//! The owner's cable as the subcommands use it: the port, the greeting, and what failed.

use std::io;
use std::path::PathBuf;

use clap::Args;
use thiserror::Error;

use super::backup::BackupFileError;
use super::info::InfoError;
use super::keygen::KeyFileError;
use crate::gallery::PinError;
use crate::update::client::{Client, ClientError, PATIENCE};
use crate::update::serial::{Serial, SerialError, only_candidate};

/// Which port the lock is at.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Cable {
    /// Serial port of the lock's cable, such as /dev/ttyUSB0; found by itself when there is exactly one.
    #[arg(long, value_name = "PORT", global = true)]
    port: Option<PathBuf>,
    /// Bits a second with which the lock begins, as its board file says.
    #[arg(long, value_name = "RATE", default_value_t = 115_200, global = true, value_parser = clap::value_parser!(u32).range(9_600..=4_000_000))]
    baud: u32,
}

/// Why a lock did not do what it was asked for.
#[derive(Debug, Error)]
pub enum CableError {
    /// The port.
    #[error(transparent)]
    Port(#[from] SerialError),
    /// Nobody is at the other end.
    #[error(
        "nothing answers at {}: is this the lock's cable, has the lock power, and is {baud} the rate of its board file (--baud)?",
        path.display()
    )]
    Silent {
        /// The port.
        path: PathBuf,
        /// Its rate.
        baud: u32,
    },
    /// The lock or the line.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The line broke off in the middle, and stayed so.
    #[error(
        "the line broke off, and {retries} more attempts brought nothing: {last}; check the cable and run the same command again, it goes on where it stopped"
    )]
    BrokeOff {
        /// More attempts.
        retries: u32,
        /// How it broke off last.
        last: ClientError,
    },
    /// The owner's key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The package.
    #[error(transparent)]
    Package(#[from] InfoError),
    /// The package is for other locks.
    #[error("this package is not for this lock: {reason}")]
    Unfit {
        /// Why.
        reason: String,
    },
    /// A backup of people.
    #[error(transparent)]
    Backup(#[from] BackupFileError),
    /// Not everybody of a backup is enrolled.
    #[error("not everybody was imported, see above")]
    NotImported,
    /// What was given is no PIN.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A PIN was given twice, but not the same.
    #[error("the two PINs differ: nothing was changed")]
    Differ,
    /// The input or the output is gone.
    #[error("cannot read the input or write the output")]
    Write(#[from] io::Error),
}

impl CableError {
    /// What the program ends with: 1 when the lock or the owner said no, 3 when there is no lock, 4 when the line
    /// broke off, 2 for what is wrong on this computer.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Unfit { .. } | Self::NotImported => 1,
            Self::Port(_) | Self::Silent { .. } => 3,
            Self::BrokeOff { .. } | Self::Client(ClientError::Slow { .. }) => 4,
            Self::Client(error) if error.is_of_the_line() => 4,
            Self::Client(_) => 1,
            Self::Key(_)
            | Self::Package(_)
            | Self::Backup(_)
            | Self::Pin(_)
            | Self::Differ
            | Self::Write(_) => 2,
        }
    }
}

impl Cable {
    /// Greets the lock and lets `work` talk to it.
    ///
    /// # Errors
    /// When there is no port or no lock, or `work` fails.
    pub fn with<T>(
        &self,
        work: impl FnOnce(&mut Client<'_>) -> Result<T, CableError>,
    ) -> Result<T, CableError> {
        let path = self.port.clone().map_or_else(only_candidate, Ok)?;
        let mut serial = Serial::open(&path, self.baud)?;
        let mut client =
            Client::connect(&mut serial, self.baud, PATIENCE / 3).map_err(|error| match error {
                ClientError::Silent { .. } => CableError::Silent { path: path.clone(), baud: self.baud },
                error => error.into(),
            })?;
        work(&mut client)
    }
}
