//! `facelatch keygen`: the owner's key pair, in a file that only the owner may read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::update::owner::{OwnerKey, OwnerKeyError};

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// There is one already.
    #[error(
        "{} exists already and is left as it is: a lock that knows this key takes nothing from another one. Name another file with --key to make a second key",
        path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is none yet.
    #[error("there is no owner's key in {}; make one with: facelatch keygen", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("others may read {}; run: chmod 600 {}", path.display(), path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("the owner's key {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// It is no key.
    #[error("the owner's key {}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: OwnerKeyError,
    },
    /// The output is gone.
    #[error("cannot write the output")]
    Write(#[source] io::Error),
}

/// Whose key it is.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Owner {
    /// File of the owner's key; default: facelatch/owner.key in the folder of settings.
    #[arg(long, value_name = "FILE", global = true)]
    key: Option<PathBuf>,
}

impl Owner {
    /// The file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.key.clone().unwrap_or_else(default_path)
    }

    /// The key in it.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(&self) -> Result<OwnerKey, KeyFileError> {
        read(&self.path())
    }
}

/// Where the owner's key stands if no option says otherwise: `facelatch/owner.key` in the user's folder of settings.
#[must_use]
pub fn default_path() -> PathBuf {
    let settings = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")))
        .unwrap_or_default();
    settings.join("facelatch/owner.key")
}

/// Makes a key in `path` and tells its fingerprint.
///
/// # Errors
/// When there is a file already, or the system refuses.
pub fn run(path: &Path, out: &mut dyn Write) -> Result<(), KeyFileError> {
    let refused = |source| KeyFileError::Io { path: path.to_owned(), source };
    let key = OwnerKey::generate().map_err(|source| KeyFileError::Key { path: path.to_owned(), source })?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(refused)?;
    }
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeyFileError::Exists { path: path.to_owned() });
        }
        other => other.map_err(refused)?,
    };
    file.write_all(key.to_pem().as_bytes()).and_then(|()| file.sync_all()).map_err(refused)?;
    writeln!(
        out,
        "The owner's key {} is in {}.\nKeep a copy where no burglar looks: without it a lock that knows it can only be \
         reset, which deletes everybody.\nNext: hold the lock's button and run: facelatch owner enrol",
        key.public(),
        path.display()
    )
    .map_err(KeyFileError::Write)
}

/// Reads the key in `path`.
///
/// # Errors
/// When it is missing, may be read by others, or is no key.
pub fn read(path: &Path) -> Result<OwnerKey, KeyFileError> {
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
        _ => KeyFileError::Io { path: path.to_owned(), source },
    };
    if fs::metadata(path).map_err(refused)?.permissions().mode() & 0o077 != 0 {
        return Err(KeyFileError::Open { path: path.to_owned() });
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(refused)?);
    OwnerKey::from_pem(&text).map_err(|source| KeyFileError::Key { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_read_again_and_never_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("new/owner.key");
        assert!(matches!(read(&path), Err(KeyFileError::Missing { .. })));
        let mut said = Vec::new();
        run(&path, &mut said).expect("made");
        let key = read(&path).expect("read");
        assert!(String::from_utf8(said).expect("text").contains(&key.public().to_string()));
        assert!(matches!(run(&path, &mut Vec::new()), Err(KeyFileError::Exists { .. })));
        assert_eq!(read(&path).expect("still there").public(), key.public());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        assert!(matches!(read(&path), Err(KeyFileError::Open { .. })));
    }
}
