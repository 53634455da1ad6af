//! A lock whose flash and key lie in a folder of this computer.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::board::BOARD;
use crate::board::schema::KeyHome;

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
