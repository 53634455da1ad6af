//! A serial port that never waits.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};
use thiserror::Error;

/// Why a port cannot be used.
#[derive(Debug, Error)]
pub enum PortError {
    /// It cannot be opened.
    #[error("{}: cannot be opened; is it there, and is this user in the group dialout?", path.display())]
    Open {
        /// The device file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// It is no serial port, or cannot do the rate.
    #[error("{}: is no serial port that can do {baud} bits a second", path.display())]
    Setting {
        /// The device file.
        path: PathBuf,
        /// The wanted rate.
        baud: u32,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// It failed: the cable of a USB adapter was pulled.
    #[error("{}: has gone", path.display())]
    Gone {
        /// The device file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
}

/// A serial port, eight bits, no parity, no flow control, raw.
#[derive(Debug)]
pub struct Port {
    file: File,
    path: PathBuf,
}

impl Port {
    /// Opens a port for this program alone.
    ///
    /// # Errors
    /// When it cannot be opened or is no serial port.
    pub fn open(path: &Path, baud: u32) -> Result<Self, PortError> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = open(path, flags, Mode::empty());
        let file =
            opened.map_err(|error| PortError::Open { path: path.to_owned(), source: error.into() })?.into();
        let port = Self { file, path: path.to_owned() };
        port.set_baud(baud)?;
        Ok(port)
    }

    /// Sends what was written, then changes the rate, bits a second.
    ///
    /// # Errors
    /// When the port cannot do it; it keeps the old rate.
    pub fn set_baud(&self, baud: u32) -> Result<(), PortError> {
        let set = || -> Result<(), Errno> {
            tcdrain(&self.file)?;
            let mut settings = tcgetattr(&self.file)?;
            settings.make_raw();
            settings.set_speed(baud)?;
            tcsetattr(&self.file, OptionalActions::Now, &settings)
        };
        set().map_err(|error| PortError::Setting { path: self.path.clone(), baud, source: error.into() })
    }

    /// Reads what has come in; 0 when nothing has.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, PortError> {
        self.now_or_never(|file| file.read(bytes))
    }

    /// Writes as much as fits; returns how much did.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, PortError> {
        self.now_or_never(|file| file.write(bytes))
    }

    fn now_or_never(
        &mut self,
        call: impl FnOnce(&mut File) -> io::Result<usize>,
    ) -> Result<usize, PortError> {
        match call(&mut self.file) {
            Ok(count) => Ok(count),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            Err(source) => Err(PortError::Gone { path: self.path.clone(), source }),
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
