//! Which lock a subcommand is about: one at the owner's cable, or one whose flash and key lie in a folder of this computer.

use std::path::{Path, PathBuf};

use clap::Args;
use thiserror::Error;

use super::cable::{Cable, CableError};
use super::keygen::Owner;
use crate::board::BOARD;
use crate::board::schema::KeyHome;
use crate::update::client::Client;
use crate::update::owner::OwnerKey;

/// There is no lock in a folder.
#[derive(Debug, Error)]
#[error("{} holds no lock (no `device.key`, or no file `flash`); give the folder that facelatchd has as --state", path.display())]
pub struct NoLock {
    /// The folder.
    pub path: PathBuf,
}

/// The flash of the lock in folder `state`: `flash`, or else the file of that name in it.
///
/// # Errors
/// When there is none, or no key beside it: opening would make an empty lock.
pub fn flash_in(state: &Path, flash: Option<&Path>) -> Result<PathBuf, NoLock> {
    let flash = flash.map_or_else(|| state.join("flash"), Path::to_owned);
    let has_key = BOARD.flash.key == KeyHome::Keyring || state.join("device.key").is_file();
    let found = flash.exists() && has_key;
    found.then_some(flash).ok_or_else(|| NoLock { path: state.to_owned() })
}

/// The lock, and what opens it.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Lock {
    /// Instead of a lock at the owner's cable: folder of a lock's flash and key, as facelatchd has it. That lock must
    /// not be running.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["port", "key"])]
    state: Option<PathBuf>,
    /// The lock's flash, when it is not the file `flash` in that folder.
    #[arg(long, value_name = "FILE", requires = "state")]
    flash: Option<PathBuf>,
    #[command(flatten)]
    cable: Cable,
    #[command(flatten)]
    owner: Owner,
}

impl Lock {
    /// Folder and flash of the lock, which whoever calls opens; `None`: the lock is at the cable.
    ///
    /// # Errors
    /// When there is no lock in that folder.
    pub fn in_folder(&self) -> Result<Option<(&Path, PathBuf)>, NoLock> {
        let Some(state) = &self.state else { return Ok(None) };
        Ok(Some((state, flash_in(state, self.flash.as_deref())?)))
    }

    /// Greets the lock at the cable and lets `work` talk to it with the owner's key.
    ///
    /// # Errors
    /// When there is no key, port or lock, or `work` fails.
    pub(super) fn at_cable<T>(
        &self,
        work: impl FnOnce(&mut Client<'_>, &OwnerKey) -> Result<T, CableError>,
    ) -> Result<T, CableError> {
        let key = self.owner.read()?;
        self.cable.with(|client| work(client, &key))
    }
}
