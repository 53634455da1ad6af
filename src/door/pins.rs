//! The strike's last guard: a pulse limit of its own, and release on every way out.

use core::time::Duration;

use embedded_hal::digital::OutputPin;

/// An output that is released when it was driven for too long, and when it is dropped.
///
/// Knows nothing of doors: whoever keeps asking cannot drive the strike beyond `limit`; after that it stays
/// released until a release was asked for.
#[derive(Debug)]
pub struct StrikeGuard<P: OutputPin> {
    pin: P,
    driven_is_high: bool,
    limit: Duration,
    since: Option<Duration>,
    tripped: bool,
}

impl<P: OutputPin> StrikeGuard<P> {
    /// Takes the pin and releases it. `driven_is_high`: which level drives the strike.
    ///
    /// # Errors
    /// The pin's own.
    pub fn new(pin: P, driven_is_high: bool, limit: Duration) -> Result<Self, P::Error> {
        let mut guard = Self { pin, driven_is_high, limit, since: None, tripped: false };
        guard.set(false, Duration::ZERO)?;
        Ok(guard)
    }

    /// Drives the strike or releases it, at `now`.
    ///
    /// # Errors
    /// The pin's own. A release that failed is tried again by [`StrikeGuard::enforce`].
    pub fn set(&mut self, driven: bool, now: Duration) -> Result<(), P::Error> {
        if driven && self.tripped {
            return Ok(());
        }
        if driven {
            self.since.get_or_insert(now);
            return self.write(true);
        }
        self.write(false)?;
        (self.since, self.tripped) = (None, false);
        Ok(())
    }

    /// Releases a strike that was driven for `limit`; returns whether it had to.
    ///
    /// # Errors
    /// The pin's own; the next call tries again.
    pub fn enforce(&mut self, now: Duration) -> Result<bool, P::Error> {
        let overdue = self.since.is_some_and(|since| now.saturating_sub(since) >= self.limit);
        if overdue {
            self.tripped = true;
            self.write(false)?;
            self.since = None;
        }
        Ok(overdue)
    }

    fn write(&mut self, driven: bool) -> Result<(), P::Error> {
        if driven == self.driven_is_high { self.pin.set_high() } else { self.pin.set_low() }
    }
}

impl<P: OutputPin> Drop for StrikeGuard<P> {
    fn drop(&mut self) {
        // Nobody is left to be told; the line's pull-down is the next guard.
        let _ = self.write(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::convert::Infallible;

    struct Pin<'a>(&'a Cell<bool>);

    impl embedded_hal::digital::ErrorType for Pin<'_> {
        type Error = Infallible;
    }

    impl OutputPin for Pin<'_> {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0.set(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0.set(true);
            Ok(())
        }
    }

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn a_strike_that_nobody_releases_is_released_at_its_limit() -> Result<(), Infallible> {
        let level = Cell::new(true);
        let mut strike = StrikeGuard::new(Pin(&level), true, LIMIT)?;
        assert!(!level.get(), "released when taken");
        strike.set(true, Duration::from_secs(1))?;
        strike.set(true, Duration::from_secs(5))?;
        assert!(!strike.enforce(Duration::from_millis(5_999))?);
        assert!(strike.enforce(Duration::from_secs(6))?, "asking again does not make it longer");
        assert!(!level.get());
        Ok(())
    }

    #[test]
    fn whoever_keeps_asking_gets_one_limit_and_no_more() -> Result<(), Infallible> {
        let level = Cell::new(false);
        let mut strike = StrikeGuard::new(Pin(&level), true, LIMIT)?;
        let mut driven = 0;
        for second in 0..60 {
            strike.set(true, Duration::from_secs(second))?;
            strike.enforce(Duration::from_secs(second))?;
            driven += u32::from(level.get());
        }
        assert_eq!(driven, 5);
        strike.set(false, Duration::from_secs(60))?;
        strike.set(true, Duration::from_secs(61))?;
        assert!(level.get(), "after a release it can be driven again");
        Ok(())
    }

    /// A pin that fails its second write: the first release after the one at the start.
    struct Stubborn<'a> {
        level: &'a Cell<bool>,
        failures: u32,
    }

    impl embedded_hal::digital::ErrorType for Stubborn<'_> {
        type Error = embedded_hal::digital::ErrorKind;
    }

    impl OutputPin for Stubborn<'_> {
        fn set_low(&mut self) -> Result<(), Self::Error> {
            if self.level.get() && self.failures > 0 {
                self.failures -= 1;
                return Err(embedded_hal::digital::ErrorKind::Other);
            }
            self.level.set(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Self::Error> {
            self.level.set(true);
            Ok(())
        }
    }

    #[test]
    fn a_release_that_failed_is_tried_again_at_the_limit() {
        let level = Cell::new(false);
        let pin = Stubborn { level: &level, failures: 2 };
        let mut strike = StrikeGuard::new(pin, true, LIMIT).expect("low at the start");
        strike.set(true, Duration::ZERO).expect("driven");
        assert!(strike.set(false, Duration::from_secs(1)).is_err());
        assert!(strike.enforce(LIMIT).is_err());
        assert_eq!(strike.enforce(LIMIT), Ok(true));
        assert!(!level.get());
    }

    #[test]
    fn a_panic_releases_the_strike_to_its_safe_level() {
        let level = Cell::new(false);
        let driven = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut strike = StrikeGuard::new(Pin(&level), false, LIMIT).expect("this pin never fails");
            strike.set(true, Duration::ZERO).expect("this pin never fails");
            assert!(!level.get(), "low drives a fail-safe strike");
            panic!("something else breaks");
        }));
        assert!(driven.is_err());
        assert!(level.get());
    }
}
