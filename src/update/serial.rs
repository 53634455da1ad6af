//! A serial port of the operating system, at either end of the line.

use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serialport::{ErrorKind, SerialPort, SerialPortType, TTYPort};
use thiserror::Error;

use super::client::{PortFault, Wire};

/// Longest that the system may refuse to take bytes: at 9,600 baud a full queue of 4 KiB needs 4.3 s.
const WRITE_MOST: Duration = Duration::from_secs(10);

/// Why a port cannot be used.
#[derive(Debug, Error)]
pub enum SerialError {
    /// There is none.
    #[error("no serial port is connected; plug the lock's cable in, or name the port with --port")]
    None,
    /// There are several.
    #[error("there are {} serial ports: {}; name the lock's with --port", ports.len(), ports.join(", "))]
    Several {
        /// Their names.
        ports: Vec<String>,
    },
    /// It is not there.
    #[error("there is no port {}; connected: {}", path.display(), if ports.is_empty() { "none; plug the lock's cable in".to_owned() } else { ports.join(", ") })]
    Missing {
        /// What was asked for.
        path: PathBuf,
        /// What is there.
        ports: Vec<String>,
    },
    /// The system does not let this user.
    #[error(
        "this user may not use {}; run: sudo usermod -a -G dialout $USER, then log in again",
        path.display()
    )]
    Denied {
        /// The port.
        path: PathBuf,
    },
    /// Somebody else uses it.
    #[error("{} is in use by another program, such as a terminal or a modem manager; close that first", path.display())]
    Busy {
        /// The port.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{} is no serial port; name the lock's with --port, such as /dev/ttyUSB0", path.display())]
    NoPort {
        /// What was named.
        path: PathBuf,
    },
    /// Anything else.
    #[error("the port {} cannot be used: {reason}", path.display())]
    Other {
        /// The port.
        path: PathBuf,
        /// The system's word.
        reason: String,
    },
}

/// Names of the ports that a lock's cable could be: those on USB.
#[must_use]
pub fn candidates() -> Vec<String> {
    let ports =
        if Path::new("/sys/class/tty").is_dir() { serialport::available_ports() } else { Ok(Vec::new()) };
    let is_usb = |kind: &SerialPortType| matches!(kind, SerialPortType::UsbPort(_));
    let mut names: Vec<String> = ports
        .unwrap_or_default()
        .into_iter()
        .filter(|port| is_usb(&port.port_type))
        .map(|port| port.port_name)
        .collect();
    names.sort();
    names
}

/// The only port that a lock's cable could be.
///
/// # Errors
/// When there is none or more than one.
pub fn only_candidate() -> Result<PathBuf, SerialError> {
    let mut ports = candidates();
    match (ports.pop(), ports.is_empty()) {
        (None, _) => Err(SerialError::None),
        (Some(port), true) => Ok(port.into()),
        (Some(last), false) => {
            ports.push(last);
            Err(SerialError::Several { ports })
        }
    }
}

/// An open port.
pub struct Serial {
    port: TTYPort,
    began: Instant,
}

impl Serial {
    /// Opens the port `path`, for this process alone.
    ///
    /// # Errors
    /// When it is not there, in use, or not for this user; the error says what to do.
    pub fn open(path: &Path, baud: u32) -> Result<Self, SerialError> {
        let name = path.to_string_lossy();
        let port = serialport::new(name, baud).timeout(WRITE_MOST).open_native();
        Ok(Self { port: port.map_err(|error| explain(path, &error))?, began: Instant::now() })
    }

    /// The lock's end of a line that needs no cable: a pseudo-terminal whose other end is called `link`.
    ///
    /// # Errors
    /// When the system gives none, or there is something else called `link`.
    pub fn pseudo_terminal(link: &Path) -> Result<Self, SerialError> {
        let other = |reason: String| SerialError::Other { path: link.to_owned(), reason };
        let (port, far) = TTYPort::pair().map_err(|error| other(error.to_string()))?;
        let name = far.name().ok_or_else(|| other("the system gives it no name".to_owned()))?;
        if link.is_symlink() {
            std::fs::remove_file(link).map_err(|error| other(error.to_string()))?;
        }
        std::os::unix::fs::symlink(name, link).map_err(|error| other(error.to_string()))?;
        Ok(Self { port, began: Instant::now() })
    }

    /// The lock's end of `path`: the port of that name if there is one, or else a pseudo-terminal.
    ///
    /// # Errors
    /// As [`Serial::open`] and [`Serial::pseudo_terminal`].
    pub fn lock_end(path: &Path, baud: u32) -> Result<Self, SerialError> {
        let is_port = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device());
        if is_port && !path.is_symlink() { Self::open(path, baud) } else { Self::pseudo_terminal(path) }
    }

    /// The bytes that are there; none when nobody is at the other end.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn read_now(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.read_within(bytes, Duration::ZERO)
    }

    /// Sends bytes without waiting for the other end; what does not fit into the system's queue is lost, as on a
    /// cable that is not connected.
    pub fn write_now(&mut self, bytes: &[u8]) {
        let _ = self.port.set_timeout(Duration::from_millis(200));
        if let Err(error) = self.port.write_all(bytes) {
            log::debug!("{} bytes for the owner's cable are lost: {error}", bytes.len());
        }
    }

    /// Changes the rate; a port that has none, such as a pseudo-terminal, keeps what it has.
    pub fn change_baud(&mut self, baud: u32) {
        let _ = self.port.flush();
        if let Err(error) = self.port.set_baud_rate(baud) {
            log::debug!("the owner's cable stays at its rate: {error}");
        }
    }

    fn read_within(&mut self, bytes: &mut [u8], time: Duration) -> io::Result<usize> {
        let _ = self.port.set_timeout(time);
        match self.port.read(bytes) {
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            // Nobody has the other end of our pseudo-terminal open; it alone has no name.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.port.name().is_none() => Ok(0),
            other => other,
        }
    }
}

impl Wire for Serial {
    fn now(&mut self) -> Duration {
        self.began.elapsed()
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), PortFault> {
        let _ = self.port.set_timeout(WRITE_MOST);
        self.port.write_all(bytes).map_err(|error| fault(&error))
    }

    fn receive(&mut self, bytes: &mut [u8], until: Duration) -> Result<usize, PortFault> {
        let time = until.saturating_sub(self.began.elapsed());
        match self.read_within(bytes, time) {
            // A port that reads nothing although it says there is something has been unplugged.
            Ok(0) if self.began.elapsed() < until => {
                std::thread::sleep(Duration::from_millis(1));
                self.port.bytes_to_read().map(|_| 0).map_err(|error| PortFault { reason: error.to_string() })
            }
            other => other.map_err(|error| fault(&error)),
        }
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), PortFault> {
        let failed = |reason: String| PortFault { reason };
        self.port.flush().map_err(|error| failed(error.to_string()))?;
        self.port.set_baud_rate(baud).map_err(|error| failed(error.to_string()))
    }

    fn random(&mut self) -> u32 {
        let mut bytes = [0; 4];
        // A session number only tells sessions apart: without randomness the clock does it as well.
        match getrandom::fill(&mut bytes) {
            Ok(()) => u32::from_le_bytes(bytes),
            Err(_) => self.began.elapsed().subsec_nanos(),
        }
    }
}

fn fault(error: &io::Error) -> PortFault {
    PortFault { reason: format!("{error}; is the cable still plugged in?") }
}

fn explain(path: &Path, error: &serialport::Error) -> SerialError {
    let is_terminal = std::fs::metadata(path).map_or(true, |found| found.file_type().is_char_device());
    let path = path.to_owned();
    match error.kind() {
        _ if !is_terminal => SerialError::NoPort { path },
        ErrorKind::Io(io::ErrorKind::NotFound) => SerialError::Missing { path, ports: candidates() },
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => SerialError::Denied { path },
        ErrorKind::NoDevice => SerialError::Busy { path },
        _ => SerialError::Other { path, reason: error.description.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_pseudo_terminal_hear_each_other_and_the_far_one_may_go_and_come() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join("lock");
        let mut near = Serial::lock_end(&link, 115_200).expect("a pseudo-terminal");
        let mut bytes = [0; 64];
        for round in 0..2_u8 {
            let mut far = Serial::open(&link, 115_200).expect("opens");
            far.send(&[round, 0, 13, 10, 255]).expect("sent");
            let mut got = Vec::<u8>::new();
            for _ in 0..1000 {
                let len = near.read_within(&mut bytes, Duration::from_millis(10)).expect("reads");
                got.extend(&bytes[..len]);
                if got.len() == 5 {
                    break;
                }
            }
            assert_eq!(got, [round, 0, 13, 10, 255]);
            near.write_now(b"\x00heard\n");
            let until = far.now() + Duration::from_secs(10);
            let len = far.receive(&mut bytes, until).expect("received");
            assert_eq!(&bytes[..len], b"\x00heard\n");
            drop(far);
            assert_eq!(near.read_now(&mut bytes).expect("nobody is no error"), 0);
        }
    }

    #[test]
    fn a_port_that_is_not_there_or_in_use_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let missing = Serial::open(&folder.path().join("ttyUSB9"), 115_200).err().expect("missing");
        assert!(matches!(missing, SerialError::Missing { .. }), "{missing}");
        let link = folder.path().join("lock");
        let _near = Serial::pseudo_terminal(&link).expect("a pseudo-terminal");
        let _far = Serial::open(&link, 115_200).expect("opens");
        let busy = Serial::open(&link, 115_200).err().expect("busy");
        assert!(matches!(busy, SerialError::Busy { .. }), "{busy}");
    }
}
