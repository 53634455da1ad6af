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
    /// The key that went down since the last call. A key that is down at the start, or when the pins answer again, is told
    /// when it goes down anew. Never waits; call it every [`SCAN`] or more often.
    fn next(&mut self, now: Duration) -> Option<Key>;

    /// Whether it does not answer.
    fn is_broken(&self) -> bool;
}

/// A keypad on pins.
#[derive(Debug)]
pub struct Keypad<O, I> {
    rows: [O; 4],
    columns: [I; 3],
    /// What the last look saw; `None`: the pins did not answer, or nobody looked yet.
    seen: Option<Option<Key>>,
    /// What two looks saw; `None` as well.
    down: Option<Option<Key>>,
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
        let seen = self.scan();
        self.broken = seen.is_none();
        let is_steady = core::mem::replace(&mut self.seen, seen) == seen;
        if !is_steady && !self.broken {
            return None;
        }
        let before = core::mem::replace(&mut self.down, seen);
        seen?.filter(|_| before.is_some() && before != seen)
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
    use super::super::lines::CHECK;
    use super::super::renewed::plug::{now, set_now};
    use super::super::renewed::{Lost, Renewed};
    use super::*;
    use embedded_hal::digital::ErrorType;
    use std::cell::Cell;
    use std::rc::Rc;

    /// Which keys are down, which row is driven, whether its chip is unplugged, and how often that was plugged in.
    #[derive(Default)]
    struct Board {
        down: Cell<[[bool; 3]; 4]>,
        row: Cell<Option<usize>>,
        is_out: Cell<bool>,
        plugged: Cell<u32>,
    }

    impl Board {
        /// Presses the keys at these rows and columns, and no others.
        fn press(&self, keys: &[(usize, usize)]) {
            let mut down = [[false; 3]; 4];
            keys.iter().for_each(|(row, column)| down[*row][*column] = true);
            self.down.set(down);
        }

        fn plug(&self) {
            self.is_out.set(false);
            self.plugged.set(self.plugged.get() + 1);
        }
    }

    /// A row or a column.
    struct Pin {
        board: Rc<Board>,
        place: usize,
        plugged: u32,
    }

    impl Pin {
        fn take(board: &Rc<Board>, place: usize) -> Option<Self> {
            let plugged = board.plugged.get();
            (!board.is_out.get()).then(|| Self { board: board.clone(), place, plugged })
        }

        fn board(&self) -> Result<&Board, Lost> {
            let is_there = !self.board.is_out.get() && self.board.plugged.get() == self.plugged;
            if is_there { Ok(&self.board) } else { Err(Lost) }
        }
    }

    impl ErrorType for Pin {
        type Error = Lost;
    }

    impl OutputPin for Pin {
        fn set_low(&mut self) -> Result<(), Lost> {
            self.board()?.row.set(Some(self.place));
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Lost> {
            self.board()?.row.set(None);
            Ok(())
        }
    }

    impl InputPin for Pin {
        fn is_high(&mut self) -> Result<bool, Lost> {
            self.is_low().map(|low| !low)
        }

        fn is_low(&mut self) -> Result<bool, Lost> {
            let board = self.board()?;
            Ok(board.row.get().is_some_and(|row| board.down.get()[row][self.place]))
        }
    }

    fn keypad(board: &Rc<Board>) -> Keypad<Renewed<Pin>, Renewed<Pin>> {
        let pin = |place| {
            let there = board.clone();
            let pin = Pin::take(board, place).expect("plugged in");
            Renewed::new(pin, now, move |_| Pin::take(&there, place))
        };
        Keypad::new([0, 1, 2, 3].map(pin), [0, 1, 2].map(pin))
    }

    /// Looks five times from a time on, while these keys are down.
    fn look(
        keypad: &mut impl Keys,
        board: &Board,
        from: Duration,
        keys: &[(usize, usize)],
    ) -> (Vec<Key>, bool) {
        board.press(keys);
        let mut at = |step| {
            set_now(from + SCAN * step);
            keypad.next(now())
        };
        let told = (0..5).filter_map(&mut at).collect();
        (told, keypad.is_broken())
    }

    #[test]
    fn a_key_that_bounces_is_told_once() {
        let board = Rc::default();
        let mut keypad = keypad(&board);
        let (up, down): (&[_], &[_]) = (&[], &[(1, 2)]);
        let levels = [down, down, up, up, down, up, down, down, down, up, up, down, down];
        let mut told = Vec::new();
        for (step, keys) in levels.into_iter().enumerate() {
            board.press(keys);
            told.extend(keypad.next(SCAN * step as u32).map(|key| (step, key)));
            assert_eq!(keypad.next(SCAN * step as u32), None, "too soon to look again");
        }
        assert_eq!(told, [(7, Key::Digit(6)), (12, Key::Digit(6))], "it was held at the start");
    }

    #[test]
    fn a_keypad_that_was_unplugged_says_so_and_its_keys_are_heard_again_once_it_is_back() {
        let (second, key) = (CHECK.as_secs(), [(2, 1)]);
        let at = |seconds| Duration::from_secs(seconds * second);
        let board = Rc::default();
        let mut keypad = keypad(&board);
        assert_eq!(look(&mut keypad, &board, at(0), &[]), (vec![], false));
        board.is_out.set(true);
        assert_eq!(look(&mut keypad, &board, at(1), &key), (vec![], true));
        board.plug();
        assert_eq!(look(&mut keypad, &board, at(2), &key), (vec![], false), "it was held meanwhile");
        assert_eq!(look(&mut keypad, &board, at(3), &[]), (vec![], false));
        assert_eq!(look(&mut keypad, &board, at(4), &key), (vec![Key::Digit(8)], false));
    }

    #[test]
    fn two_keys_at_once_are_none() {
        let board = Rc::default();
        let mut keypad = keypad(&board);
        assert_eq!(look(&mut keypad, &board, Duration::ZERO, &[]), (vec![], false));
        let both = [(0, 0), (3, 2)];
        assert_eq!(look(&mut keypad, &board, Duration::from_secs(1), &both), (vec![], false));
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
