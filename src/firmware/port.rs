//! A serial port that never waits.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};
use thiserror::Error;

#[cfg(feature = "sim")]
use crate::update::serial::{Serial, SerialError};

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
pub struct Port {
    end: End,
    path: PathBuf,
}

enum End {
    Device(File),
    /// A pseudo-terminal's near end.
    #[cfg(feature = "sim")]
    Pseudo(Serial),
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
        let port = Self { end: End::Device(file), path: path.to_owned() };
        port.set_baud(baud)?;
        Ok(port)
    }

    /// The near end of a cable that needs none: a pseudo-terminal whose far end is called `link`.
    ///
    /// # Errors
    /// When the system gives none, or something else is called `link`.
    #[cfg(feature = "sim")]
    pub fn pseudo_terminal(link: &Path) -> Result<Self, SerialError> {
        Ok(Self { end: End::Pseudo(Serial::pseudo_terminal(link)?), path: link.to_owned() })
    }

    /// What to wait for; `None`: it must be looked at again and again.
    #[must_use]
    pub fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.device().map(AsFd::as_fd)
    }

    /// The device file; `None`: it is a pseudo-terminal.
    fn device(&self) -> Option<&File> {
        match &self.end {
            End::Device(file) => Some(file),
            #[cfg(feature = "sim")]
            End::Pseudo(_) => None,
        }
    }

    /// Sends what was written, then changes the rate, bits a second.
    ///
    /// # Errors
    /// When the port cannot do it; it keeps the old rate.
    pub fn set_baud(&self, baud: u32) -> Result<(), PortError> {
        let Some(file) = self.device() else { return Ok(()) };
        let set = || -> Result<(), Errno> {
            tcdrain(file)?;
            let mut settings = tcgetattr(file)?;
            settings.make_raw();
            settings.set_speed(baud)?;
            tcsetattr(file, OptionalActions::Now, &settings)
        };
        set().map_err(|error| PortError::Setting { path: self.path.clone(), baud, source: error.into() })
    }

    /// Reads what has come in; 0 when nothing has.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, PortError> {
        let result = match &mut self.end {
            End::Device(file) => file.read(bytes),
            #[cfg(feature = "sim")]
            End::Pseudo(serial) => serial.read_now(bytes),
        };
        self.now_or_never(result)
    }

    /// Writes as much as fits; returns how much did.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, PortError> {
        let result = match &mut self.end {
            End::Device(file) => file.write(bytes),
            #[cfg(feature = "sim")]
            End::Pseudo(serial) => {
                serial.write_now(bytes);
                Ok(bytes.len())
            }
        };
        self.now_or_never(result)
    }

    fn now_or_never(&self, result: io::Result<usize>) -> Result<usize, PortError> {
        match result {
            Ok(count) => Ok(count),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            Err(source) => Err(PortError::Gone { path: self.path.clone(), source }),
        }
    }
}
