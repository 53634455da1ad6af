//! Where the device's key is kept, and how another one takes its place.
//!
//! ```text
//! propose(new) -> everything is sealed anew -> adopt: new is the key
//! ```
//!
//! A power cut between the two leaves a proposal: whoever starts seals the rest anew and adopts it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::key::{DeviceKey, KeyError};

/// A place that keeps the key while the power is off: a file, or what a board has that is better.
///
/// What a call returned from outlasts a power cut; a call that was cut has happened or has not. What a place has to
/// do:
///
/// | | fuses of the SoC | TPM 2.0 |
/// |---|---|---|
/// | `current` | derives 32 bytes from the fused secret, such as by HKDF with "facelatch" | unseals the object at its persistent handle; makes and seals a random key when there is no object |
/// | `proposed` | none | unseals a second object, if there is one |
/// | `propose` | refuses with [`KeyError::Fixed`] | seals the key into that second object, bound to the same state of the board |
/// | `adopt` | refuses with [`KeyError::Fixed`] | makes the second object persistent in the first one's place and evicts the first |
///
/// When the board's state is not the one to which a key is bound, `current` refuses with [`KeyError::Unfit`]: it never
/// makes another key, with which nobody enrolled could be read.
pub trait KeyPlace {
    /// The key; a new one if there never was any.
    ///
    /// # Errors
    /// When it cannot be read or made, or others could read it.
    fn current(&mut self) -> Result<DeviceKey, KeyError>;

    /// The key that shall take its place.
    ///
    /// # Errors
    /// When it cannot be read.
    fn proposed(&mut self) -> Result<Option<DeviceKey>, KeyError>;

    /// Keeps a key beside the current one.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn propose(&mut self, key: &DeviceKey) -> Result<(), KeyError>;

    /// Puts the proposed key in the place of the current one, in one step.
    ///
    /// # Errors
    /// When there is none, or the step fails: then both are kept.
    fn adopt(&mut self) -> Result<(), KeyError>;
}

/// A file of 32 bytes that only its owner may read, and beside it, while the key is being changed, `NAME.next`.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
    next: PathBuf,
}

impl KeyFile {
    /// The key in `path`. Reads nothing yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), next: path.with_extension("next") }
    }
}

impl<P: KeyPlace + ?Sized> KeyPlace for Box<P> {
    fn current(&mut self) -> Result<DeviceKey, KeyError> {
        (**self).current()
    }

    fn proposed(&mut self) -> Result<Option<DeviceKey>, KeyError> {
        (**self).proposed()
    }

    fn propose(&mut self, key: &DeviceKey) -> Result<(), KeyError> {
        (**self).propose(key)
    }

    fn adopt(&mut self) -> Result<(), KeyError> {
        (**self).adopt()
    }
}

impl KeyPlace for KeyFile {
    fn current(&mut self) -> Result<DeviceKey, KeyError> {
        match read(&self.path)? {
            Some(key) => Ok(key),
            None => {
                let key = DeviceKey::random()?;
                write(&self.path, &key)?;
                Ok(key)
            }
        }
    }

    fn proposed(&mut self) -> Result<Option<DeviceKey>, KeyError> {
        read(&self.next)
    }

    fn propose(&mut self, key: &DeviceKey) -> Result<(), KeyError> {
        write(&self.next, key)
    }

    fn adopt(&mut self) -> Result<(), KeyError> {
        fs::rename(&self.next, &self.path).map_err(refused(&self.next))?;
        sync_folder(&self.path)
    }
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> KeyError + '_ {
    move |source| KeyError::Io { path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<Option<DeviceKey>, KeyError> {
    let unfit = |reason| KeyError::Unfit { path: path.to_owned(), reason };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(path)(error)),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            return Err(unfit("others may read it; run chmod 600 on it"));
        }
        Ok(_) => {}
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(refused(path))?);
    let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| {
        unfit("it has not 32 bytes; put the right file back, without it nobody enrolled can be read")
    })?;
    Ok(Some(DeviceKey::from_bytes(bytes)))
}

/// Writes the key under another name first: a cut leaves either no such file or a whole one.
fn write(path: &Path, key: &DeviceKey) -> Result<(), KeyError> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft);
    let mut file = file.map_err(refused(&draft))?;
    file.write_all(key.bytes()).and_then(|()| file.sync_all()).map_err(refused(&draft))?;
    fs::rename(&draft, path).map_err(refused(path))?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> Result<(), KeyError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(refused(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("device.key");
        let mut place = KeyFile::new(&path);
        let key = place.current().expect("made");
        assert_eq!(place.current().expect("read").bytes(), key.bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        let error = place.current().err().expect("refused").to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_proposed_key_waits_until_it_is_adopted() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("device.key");
        let mut place = KeyFile::new(&path);
        let old = place.current().expect("made");
        assert!(place.proposed().expect("read").is_none() && place.adopt().is_err());
        let new = DeviceKey::from_bytes([9; 32]);
        place.propose(&new).expect("kept");
        let mut again = KeyFile::new(&path);
        assert_eq!(again.current().expect("read").bytes(), old.bytes());
        assert_eq!(again.proposed().expect("read").map(|key| *key.bytes()), Some([9; 32]));
        again.adopt().expect("adopted");
        assert_eq!(again.current().expect("read").bytes(), new.bytes());
        assert!(again.proposed().expect("read").is_none());
    }
}
