//! The strike's last guard: a pulse limit of its own, and release on every way out.

use core::time::Duration;

use embedded_hal::digital::OutputPin;

/// An output that is released when it was driven for too long, and when it is dropped.
///
/// Knows nothing of doors: even a wrong state machine cannot drive the strike beyond `limit`.
#[derive(Debug)]
pub struct StrikeGuard<P: OutputPin> {
    pin: P,
    driven_is_high: bool,
    limit: Duration,
    since: Option<Duration>,
}

impl<P: OutputPin> StrikeGuard<P> {
    /// Takes the pin and releases it. `driven_is_high`: which level drives the strike.
    ///
    /// # Errors
    /// The pin's own.
    pub fn new(pin: P, driven_is_high: bool, limit: Duration) -> Result<Self, P::Error> {
        let mut guard = Self { pin, driven_is_high, limit, since: None };
        guard.set(false, Duration::ZERO)?;
        Ok(guard)
    }

    /// Drives the strike or releases it, at `now`.
    ///
    /// # Errors
    /// The pin's own; the strike then counts as released and is released again when dropped.
    pub fn set(&mut self, driven: bool, now: Duration) -> Result<(), P::Error> {
        self.since = if driven { Some(self.since.unwrap_or(now)) } else { None };
        self.write(driven)
    }

    /// Releases a strike that was driven for `limit`; returns whether it had to.
    ///
    /// # Errors
    /// The pin's own.
    pub fn enforce(&mut self, now: Duration) -> Result<bool, P::Error> {
        let overdue = self.since.is_some_and(|since| now.saturating_sub(since) >= self.limit);
        if overdue {
            self.set(false, now)?;
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
