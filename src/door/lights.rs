//! Lights and buzzer: a pattern of eight bits, played on three pins.

use core::time::Duration;

use embedded_hal::digital::OutputPin;

use super::signal::{Pattern, Signal};

/// How long one bit of a pattern lasts.
pub const BEAT: Duration = Duration::from_millis(125);

/// One light, or the buzzer.
#[derive(Debug)]
pub struct Light<P: OutputPin> {
    pin: P,
    lit_is_high: bool,
    lit: Option<bool>,
}

impl<P: OutputPin> Light<P> {
    /// A light on `pin`. `lit_is_high`: which level lights it.
    #[must_use]
    pub fn new(pin: P, lit_is_high: bool) -> Self {
        Self { pin, lit_is_high, lit: None }
    }

    /// Touches the pin only when something changes; after an error the next call tries again.
    fn set(&mut self, lit: bool) -> Result<(), P::Error> {
        if self.lit == Some(lit) {
            return Ok(());
        }
        self.lit = None;
        if lit == self.lit_is_high { self.pin.set_high() } else { self.pin.set_low() }?;
        self.lit = Some(lit);
        Ok(())
    }
}

/// The lights that a board has.
#[derive(Debug)]
pub struct Lights<P: OutputPin> {
    green: Option<Light<P>>,
    red: Option<Light<P>>,
    buzzer: Option<Light<P>>,
    pattern: Pattern,
    since: Duration,
}

impl<P: OutputPin> Lights<P> {
    /// Dark lights; `None` where the board has none.
    #[must_use]
    pub fn new(green: Option<Light<P>>, red: Option<Light<P>>, buzzer: Option<Light<P>>) -> Self {
        Self { green, red, buzzer, pattern: Signal::Rest.pattern(), since: Duration::ZERO }
    }

    /// Takes no pin to be what it was set to.
    pub(super) fn forget(&mut self) {
        for light in [&mut self.green, &mut self.red, &mut self.buzzer].into_iter().flatten() {
            light.lit = None;
        }
    }

    /// Shows `pattern` from `now` on, from its first beat.
    ///
    /// # Errors
    /// The first pin's that failed; the others were set.
    pub fn show(&mut self, pattern: Pattern, now: Duration) -> Result<(), P::Error> {
        (self.pattern, self.since) = (pattern, now);
        self.play(now)
    }

    /// Sets the pins to what the pattern says at `now`.
    ///
    /// # Errors
    /// The first pin's that failed; the others were set.
    pub fn play(&mut self, now: Duration) -> Result<(), P::Error> {
        let beat = now.saturating_sub(self.since).as_millis() / BEAT.as_millis();
        let bit = |pattern: u8| pattern & (0b1000_0000 >> (beat % 8)) != 0;
        let Pattern { green, red, buzzer } = self.pattern;
        let set = |light: &mut Option<Light<P>>, pattern| {
            light.as_mut().map_or(Ok(()), |light| light.set(bit(pattern)))
        };
        let done = [set(&mut self.green, green), set(&mut self.red, red), set(&mut self.buzzer, buzzer)];
        done.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::convert::Infallible;

    /// Keeps every level that it was set to.
    struct Pin<'a>(&'a RefCell<Vec<bool>>);

    impl embedded_hal::digital::ErrorType for Pin<'_> {
        type Error = Infallible;
    }

    impl OutputPin for Pin<'_> {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0.borrow_mut().push(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0.borrow_mut().push(true);
            Ok(())
        }
    }

    #[test]
    fn a_blinking_pattern_is_played_beat_by_beat_and_touches_its_pin_only_on_a_change() {
        let levels = RefCell::new(Vec::new());
        let mut lights = Lights::new(Some(Light::new(Pin(&levels), false)), None, None);
        let start = Duration::from_millis(77);
        let pattern = Pattern { green: 0b1100_0001, red: 0xFF, buzzer: 0 };
        let Ok(()) = lights.show(pattern, start);
        for millisecond in 0..1000 {
            let Ok(()) = lights.play(start + Duration::from_millis(millisecond));
        }
        assert_eq!(*levels.borrow(), [false, true, false], "low lights it: on, off, on for the last beat");
    }
}
