//! What the door drives: its strike, its lights, its buzzer.

use core::time::Duration;

use embedded_hal::digital::OutputPin;

use super::lights::Lights;
use super::pins::StrikeGuard;
use super::signal::Pattern;

/// What the device drives. A pin that fails is tried again with every [`Panel::watch`].
pub trait Panel {
    /// Drives the strike or releases it.
    fn strike(&mut self, driven: bool, now: Duration);
    /// Shows a pattern from now on.
    fn show(&mut self, pattern: Pattern, now: Duration);
    /// Called often: keeps the strike's own limit and the lights' beat.
    fn watch(&mut self, now: Duration);
    /// Whether a pin did not answer when it was last needed.
    fn is_broken(&self) -> bool;
}

/// A panel of pins.
#[derive(Debug)]
pub struct PinPanel<P: OutputPin> {
    strike: StrikeGuard<P>,
    lights: Lights<P>,
    wanted: bool,
    strike_broken: bool,
    lights_broken: bool,
}

impl<P: OutputPin> PinPanel<P> {
    /// A panel of a released strike and dark lights.
    #[must_use]
    pub fn new(strike: StrikeGuard<P>, lights: Lights<P>) -> Self {
        Self { strike, lights, wanted: false, strike_broken: false, lights_broken: false }
    }
}

impl<P: OutputPin> Panel for PinPanel<P> {
    fn strike(&mut self, driven: bool, now: Duration) {
        self.wanted = driven;
        self.strike_broken = self.strike.set(driven, now).is_err();
    }

    fn show(&mut self, pattern: Pattern, now: Duration) {
        self.lights_broken = self.lights.show(pattern, now).is_err();
    }

    fn watch(&mut self, now: Duration) {
        if self.strike_broken {
            self.strike(self.wanted, now);
        }
        self.strike_broken |= self.strike.enforce(now).is_err();
        self.lights_broken = self.lights.play(now).is_err();
    }

    fn is_broken(&self) -> bool {
        self.strike_broken || self.lights_broken
    }
}
