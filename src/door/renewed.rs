//! A pin whose chip may go away, as one on USB can: it is asked for anew.

use core::time::Duration;

use embedded_hal::digital::{Error, ErrorKind, ErrorType, InputPin, OutputPin};
use thiserror::Error;

use super::lines::CHECK;

/// The pin is lost, for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the pin does not answer")]
pub struct Lost;

impl Error for Lost {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// A pin that is given back when it fails, and asked for again whenever it is used, at most once in each [`CHECK`].
pub struct Renewed<P> {
    pin: Option<P>,
    open: Box<dyn FnMut(bool) -> Option<P>>,
    clock: fn() -> Duration,
    try_at: Duration,
}

impl<P> Renewed<P> {
    /// Begins with `pin`. `open` asks the system for it again; an output has the level `high`, which it is given, from
    /// the first moment on. `clock` never runs backwards.
    #[must_use]
    pub fn new(pin: P, clock: fn() -> Duration, open: impl FnMut(bool) -> Option<P> + 'static) -> Self {
        Self { pin: Some(pin), open: Box::new(open), clock, try_at: Duration::ZERO }
    }

    fn with<T, E>(&mut self, high: bool, act: impl Fn(&mut P) -> Result<T, E>) -> Result<T, Lost> {
        if let Some(Ok(done)) = self.pin.as_mut().map(&act) {
            return Ok(done);
        }
        // The system gives a line to one only, and if that were to itself.
        self.pin = None;
        let now = (self.clock)();
        if now < self.try_at {
            return Err(Lost);
        }
        self.try_at = now + CHECK;
        let pin = self.pin.insert((self.open)(high).ok_or(Lost)?);
        act(pin).map_err(|_| Lost)
    }
}

impl<P> ErrorType for Renewed<P> {
    type Error = Lost;
}

impl<P: OutputPin> OutputPin for Renewed<P> {
    fn set_low(&mut self) -> Result<(), Lost> {
        self.with(false, P::set_low)
    }

    fn set_high(&mut self) -> Result<(), Lost> {
        self.with(true, P::set_high)
    }
}

impl<P: InputPin> InputPin for Renewed<P> {
    fn is_high(&mut self) -> Result<bool, Lost> {
        self.with(false, P::is_high)
    }

    fn is_low(&mut self) -> Result<bool, Lost> {
        self.with(false, P::is_low)
    }
}

/// A chip on a plug, and its pins.
#[cfg(test)]
pub(super) mod plug {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    /// The time of this thread's chips.
    pub fn now() -> Duration {
        NOW.get()
    }

    /// Sets it.
    pub fn set_now(now: Duration) {
        NOW.set(now);
    }

    /// The chip. A pin that was taken before it was unplugged is dead for ever; two takers of one line get one pin.
    #[derive(Debug, Clone, Default)]
    pub struct Chip(Rc<RefCell<State>>);

    #[derive(Debug, Default)]
    struct State {
        is_out: bool,
        /// How often it was plugged in.
        plugged: u32,
        taken: Vec<usize>,
        high: [bool; 8],
        opened: u32,
    }

    impl Chip {
        /// Unplugs it: all levels fall.
        pub fn unplug(&self) {
            let mut state = self.0.borrow_mut();
            (state.is_out, state.high) = (true, [false; 8]);
        }

        /// Plugs it in again.
        pub fn plug(&self) {
            let mut state = self.0.borrow_mut();
            (state.is_out, state.plugged) = (false, state.plugged + 1);
            state.taken.clear();
        }

        /// The level of a line.
        pub fn is_high(&self, line: usize) -> bool {
            self.0.borrow().high[line]
        }

        /// Gives a line its level from outside.
        pub fn pull(&self, line: usize, high: bool) {
            self.0.borrow_mut().high[line] = high;
        }

        /// How often a line was asked for.
        pub fn opened(&self) -> u32 {
            self.0.borrow().opened
        }

        /// A pin that comes back with its chip.
        pub fn pin(&self, line: usize) -> Renewed<Pin> {
            let chip = self.clone();
            let pin = self.take(line).expect("nobody has it");
            Renewed::new(pin, now, move |high| {
                let pin = chip.take(line)?;
                chip.pull(line, high);
                Some(pin)
            })
        }

        fn take(&self, line: usize) -> Option<Pin> {
            let mut state = self.0.borrow_mut();
            state.opened += 1;
            if state.is_out || state.taken.contains(&line) {
                return None;
            }
            state.taken.push(line);
            Some(Pin { chip: self.clone(), line, plugged: state.plugged })
        }
    }

    /// A pin of it.
    #[derive(Debug)]
    pub struct Pin {
        chip: Chip,
        line: usize,
        plugged: u32,
    }

    impl Pin {
        fn state(&self) -> Result<std::cell::RefMut<'_, State>, Lost> {
            let state = self.chip.0.borrow_mut();
            if state.is_out || state.plugged != self.plugged { Err(Lost) } else { Ok(state) }
        }
    }

    impl Drop for Pin {
        fn drop(&mut self) {
            if let Ok(mut state) = self.state() {
                state.taken.retain(|line| *line != self.line);
            }
        }
    }

    impl ErrorType for Pin {
        type Error = Lost;
    }

    impl OutputPin for Pin {
        fn set_low(&mut self) -> Result<(), Lost> {
            self.state()?.high[self.line] = false;
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Lost> {
            self.state()?.high[self.line] = true;
            Ok(())
        }
    }

    impl InputPin for Pin {
        fn is_high(&mut self) -> Result<bool, Lost> {
            Ok(self.state()?.high[self.line])
        }

        fn is_low(&mut self) -> Result<bool, Lost> {
            self.is_high().map(|high| !high)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plug::{Chip, set_now};
    use super::*;

    #[test]
    fn a_pin_is_lost_with_its_chip_and_back_with_it() {
        let chip = Chip::default();
        let mut pin = chip.pin(3);
        assert_eq!(pin.set_high(), Ok(()));
        chip.unplug();
        assert_eq!((pin.set_high(), pin.set_low()), (Err(Lost), Err(Lost)));
        chip.plug();
        assert_eq!(pin.set_high(), Err(Lost), "it was asked for in this second");
        set_now(CHECK);
        assert_eq!(pin.set_high(), Ok(()));
        assert!(chip.is_high(3));
    }

    #[test]
    fn a_chip_that_was_away_between_two_uses_is_not_noticed() {
        let chip = Chip::default();
        let mut pin = chip.pin(0);
        chip.unplug();
        chip.plug();
        assert_eq!(pin.is_high(), Ok(false));
    }

    #[test]
    fn a_line_is_asked_for_once_a_second_and_no_more() {
        let chip = Chip::default();
        let mut pin = chip.pin(0);
        chip.unplug();
        for millisecond in 0..3000 {
            set_now(Duration::from_millis(millisecond));
            assert_eq!(pin.set_high(), Err(Lost));
        }
        assert_eq!(chip.opened(), 1 + 3);
    }
}
