//! A keypad of four rows and three columns, and the PIN that is typed on it.
//!
//! ```text
//! 1 2 3      rows are driven one after the other, open drain, to ground;
//! 4 5 6      columns are read, with a resistor to the supply
//! 7 8 9
//! * 0 #      * forgets what was typed, # enters it
//! ```

use core::time::Duration;

use embedded_hal::digital::{InputPin, OutputPin};
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroize;

/// How often the keys are looked at; a key that is the same twice is down. A choice: longer than keys bounce.
pub const SCAN: Duration = Duration::from_millis(15);
/// Most digits that are remembered.
const MOST: usize = 8;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "char")]
pub enum Key {
    /// `0..=9`.
    Digit(u8),
    /// Forget what was typed.
    Clear,
    /// Enter what was typed.
    Enter,
}

impl TryFrom<char> for Key {
    type Error = NoKey;

    /// The key with this letter on it.
    fn try_from(letter: char) -> Result<Self, NoKey> {
        match letter {
            '0'..='9' => Ok(Self::Digit(letter as u8 - b'0')),
            '*' => Ok(Self::Clear),
            '#' => Ok(Self::Enter),
            _ => Err(NoKey),
        }
    }
}

/// A letter that is on no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("keys are 0 to 9, * and #")]
pub struct NoKey;

const KEYS: [[Key; 3]; 4] = [
    [Key::Digit(1), Key::Digit(2), Key::Digit(3)],
    [Key::Digit(4), Key::Digit(5), Key::Digit(6)],
    [Key::Digit(7), Key::Digit(8), Key::Digit(9)],
    [Key::Clear, Key::Digit(0), Key::Enter],
];

/// What keys are typed on.
pub trait Keys {
    /// The key that went down since the last call. Never waits; call it every [`SCAN`] or more often.
    fn next(&mut self, now: Duration) -> Option<Key>;

    /// Whether it does not answer.
    fn is_broken(&self) -> bool;
}

/// A keypad on pins.
#[derive(Debug)]
pub struct Keypad<O, I> {
    rows: [O; 4],
    columns: [I; 3],
    seen: Option<Key>,
    down: Option<Key>,
    scan_at: Duration,
    broken: bool,
}

impl<O: OutputPin, I: InputPin> Keypad<O, I> {
    /// A keypad whose rows are released when their pin is high and whose columns are low when a key is down.
    #[must_use]
    pub fn new(rows: [O; 4], columns: [I; 3]) -> Self {
        Self { rows, columns, seen: None, down: None, scan_at: Duration::ZERO, broken: false }
    }

    /// The only key that is down. Several at once are none: three may look like four. `None`: a pin fails.
    fn scan(&mut self) -> Option<Option<Key>> {
        let mut down = heapless::Vec::<Key, 12>::new();
        for (row, keys) in self.rows.iter_mut().zip(KEYS) {
            row.set_low().ok()?;
            let low = self.columns.each_mut().map(|column| column.is_low().ok());
            row.set_high().ok()?;
            for (key, low) in keys.into_iter().zip(low) {
                if low? {
                    let _ = down.push(key);
                }
            }
        }
        Some(down.first().copied().filter(|_| down.len() == 1))
    }
}

impl<O: OutputPin, I: InputPin> Keys for Keypad<O, I> {
    fn next(&mut self, now: Duration) -> Option<Key> {
        if now < self.scan_at {
            return None;
        }
        self.scan_at = now + SCAN;
        let scanned = self.scan();
        self.broken = scanned.is_none();
        let seen = scanned.flatten();
        if core::mem::replace(&mut self.seen, seen) != seen || self.down == seen {
            return None;
        }
        self.down = seen;
        seen
    }

    fn is_broken(&self) -> bool {
        self.broken
    }
}

/// The digits that are being typed.
#[derive(Default)]
pub struct Typed {
    digits: heapless::String<MOST>,
    too_many: bool,
}

impl Typed {
    /// Takes a key; returns the digits when they are entered. Too many digits are no PIN.
    pub fn take(&mut self, key: Key) -> Option<heapless::String<MOST>> {
        match key {
            Key::Digit(digit) => {
                self.too_many |= self.digits.push(char::from(b'0' + digit % 10)).is_err();
                None
            }
            Key::Clear => {
                self.forget();
                None
            }
            Key::Enter => {
                let entered = if self.too_many { heapless::String::new() } else { self.digits.clone() };
                self.forget();
                Some(entered)
            }
        }
    }

    /// Forgets what was typed.
    pub fn forget(&mut self) {
        let mut digits = core::mem::take(&mut self.digits).into_bytes();
        digits.as_mut_slice().zeroize();
        self.too_many = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::digital::{Error, ErrorKind, ErrorType};
    use std::cell::Cell;

    /// Which keys are down, which row is driven, and whether its chip is gone.
    #[derive(Default)]
    struct Board {
        down: Cell<[[bool; 3]; 4]>,
        row: Cell<Option<usize>>,
        gone: Cell<bool>,
    }

    #[derive(Debug)]
    struct Gone;

    impl Error for Gone {
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    struct Row<'a>(&'a Board, usize);
    struct Column<'a>(&'a Board, usize);

    impl ErrorType for Row<'_> {
        type Error = Gone;
    }

    impl ErrorType for Column<'_> {
        type Error = Gone;
    }

    impl OutputPin for Row<'_> {
        fn set_low(&mut self) -> Result<(), Gone> {
            self.0.row.set(Some(self.1));
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Gone> {
            self.0.row.set(None);
            Ok(())
        }
    }

    impl InputPin for Column<'_> {
        fn is_high(&mut self) -> Result<bool, Gone> {
            self.is_low().map(|low| !low)
        }

        fn is_low(&mut self) -> Result<bool, Gone> {
            if self.0.gone.get() {
                return Err(Gone);
            }
            Ok(self.0.row.get().is_some_and(|row| self.0.down.get()[row][self.1]))
        }
    }

    fn keypad(board: &Board) -> Keypad<Row<'_>, Column<'_>> {
        Keypad::new([0, 1, 2, 3].map(|row| Row(board, row)), [0, 1, 2].map(|column| Column(board, column)))
    }

    #[test]
    fn a_key_that_bounces_is_told_once() {
        let board = Board::default();
        let mut keypad = keypad(&board);
        let mut down = [[false; 3]; 4];
        down[1][2] = true;
        let levels = [down, [[false; 3]; 4], down, down, down, [[false; 3]; 4], [[false; 3]; 4], down, down];
        let mut told = Vec::new();
        for (step, level) in levels.into_iter().enumerate() {
            board.down.set(level);
            told.extend(keypad.next(SCAN * step as u32).map(|key| (step, key)));
            assert_eq!(keypad.next(SCAN * step as u32), None, "too soon to look again");
        }
        assert_eq!(told, [(3, Key::Digit(6)), (8, Key::Digit(6))]);
    }

    #[test]
    fn a_keypad_that_does_not_answer_presses_no_key_and_says_so_until_it_answers_again() {
        let board = Board::default();
        let mut keypad = keypad(&board);
        let mut down = [[false; 3]; 4];
        down[2][1] = true;
        board.down.set(down);
        board.gone.set(true);
        assert!((0..5).all(|step| keypad.next(SCAN * step).is_none()) && keypad.is_broken());
        board.gone.set(false);
        let told: Vec<Key> = (5..10).filter_map(|step| keypad.next(SCAN * step)).collect();
        assert_eq!((told.as_slice(), keypad.is_broken()), (&[Key::Digit(8)][..], false));
    }

    #[test]
    fn two_keys_at_once_are_none() {
        let board = Board::default();
        let mut keypad = keypad(&board);
        let mut down = [[false; 3]; 4];
        (down[0][0], down[3][2]) = (true, true);
        board.down.set(down);
        assert!((0..5).all(|step| keypad.next(SCAN * step).is_none()));
    }

    #[test]
    fn digits_are_entered_forgotten_or_too_many() {
        let mut typed = Typed::default();
        let mut enter = |keys: &str| {
            let keys = keys.chars().map(|key| Key::try_from(key).expect("a key"));
            keys.filter_map(|key| typed.take(key)).last().map(|digits| digits.to_string())
        };
        assert_eq!(enter("12*0471#").as_deref(), Some("0471"));
        assert_eq!(enter("#").as_deref(), Some(""));
        assert_eq!(enter("123456789#").as_deref(), Some(""));
        assert_eq!(enter("12345678#").as_deref(), Some("12345678"));
    }
}
