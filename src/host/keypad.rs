//! `facelatch keypad`: the lock's keypad from a computer, and digits that nobody reads over a shoulder.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::cable::{Cable, CableError};
use crate::gallery::Pin;
use crate::update::message::{PinHash, Request};

/// What `--help` ends with.
pub const HELP: &str = "For locks without a keypad. Show your face; when the lock waits for the PIN:
  facelatch keypad                asks for the digits, which are not shown, and enters them
  facelatch keypad <pin.txt       takes the first line of the input

The lock's lights say whether it was right, and so does \"facelatch watch\". No key is needed, as on a keypad.";

/// Types the digits of a PIN and enters them.
///
/// # Errors
/// When there is no lock, or it awaits no PIN.
pub fn run(cable: &Cable, out: &mut dyn Write) -> Result<(), CableError> {
    let keys = Zeroizing::new(format!("{}#", &*hidden("PIN: ")?));
    cable.with(|client| Ok(client.ask(&Request::Keys { keys: keys.to_string() })?))?;
    Ok(writeln!(out, "entered")?)
}

/// A new PIN, which is asked for twice at a terminal.
///
/// # Errors
/// When it is none, or the two differ.
pub(super) fn new_pin() -> Result<PinHash, CableError> {
    let digits = hidden("new PIN: ")?;
    let Pin { salt, hash } = Pin::new(&digits)?;
    if io::stdin().is_terminal() && *hidden("again: ")? != *digits {
        return Err(CableError::Differ);
    }
    Ok(PinHash { salt, hash })
}

/// A line of the input; at a terminal after `prompt`, and without showing it.
fn hidden(prompt: &str) -> io::Result<Zeroizing<String>> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return first_line(&mut stdin.lock());
    }
    eprint!("{prompt}");
    let silence = Silence::begin()?;
    let line = first_line(&mut stdin.lock());
    drop(silence);
    eprintln!();
    line
}

fn first_line(input: &mut dyn BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(64));
    input.read_line(&mut line)?;
    let len = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(len);
    Ok(line)
}

/// A terminal that does not show what is typed, until it is dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin().as_fd())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_without_its_end() {
        let line = |mut text: &[u8]| first_line(&mut text).map(|line| line.to_string());
        assert_eq!(line(b"2580\r\nmore\n").expect("text"), "2580");
        assert_eq!(line(b" 2580").expect("text"), " 2580", "a space is no digit: it is refused later");
        assert_eq!(line(b"").expect("text"), "");
        assert!(line(b"\xff\xfe").is_err());
    }
}
