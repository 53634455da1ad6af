//! What the door drives: its strike, its lights, its buzzer.

use core::time::Duration;

use embedded_hal::digital::OutputPin;

use super::lights::Lights;
use super::lines::CHECK;
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

/// A panel of pins. Each is set anew once a second: a chip that was unplugged came back without its levels.
#[derive(Debug)]
pub struct PinPanel<P: OutputPin> {
    strike: StrikeGuard<P>,
    lights: Lights<P>,
    wanted: bool,
    /// When every pin is set anew, whatever it was set to.
    renew_at: Duration,
    strike_broken: bool,
    lights_broken: bool,
}

impl<P: OutputPin> PinPanel<P> {
    /// A panel of a released strike and dark lights.
    #[must_use]
    pub fn new(strike: StrikeGuard<P>, lights: Lights<P>) -> Self {
        Self {
            strike,
            lights,
            wanted: false,
            renew_at: Duration::ZERO,
            strike_broken: false,
            lights_broken: false,
        }
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
        let renews = now >= self.renew_at;
        if renews {
            self.renew_at = now + CHECK;
            self.lights.forget();
        }
        if renews || self.strike_broken {
            self.strike(self.wanted, now);
        }
        self.strike_broken |= self.strike.enforce(now).is_err();
        self.lights_broken = self.lights.play(now).is_err();
    }

    fn is_broken(&self) -> bool {
        self.strike_broken || self.lights_broken
    }
}

#[cfg(test)]
mod tests {
    use super::super::lights::Light;
    use super::super::renewed::plug::{Chip, set_now};
    use super::super::signal::Signal;
    use super::*;

    #[test]
    fn a_chip_that_was_unplugged_has_its_levels_again_within_a_second_of_its_return() {
        const STRIKE: usize = 0;
        const GREEN: usize = 1;
        let chip = Chip::default();
        let limit = Duration::from_secs(5);
        let strike = StrikeGuard::new(chip.pin(STRIKE), false, limit).expect("plugged in");
        let lights = Lights::new(Some(Light::new(chip.pin(GREEN), true)), None, None);
        let mut panel = PinPanel::new(strike, lights);
        let at = |panel: &mut PinPanel<_>, milliseconds| {
            let now = Duration::from_millis(milliseconds);
            set_now(now);
            panel.watch(now);
        };
        panel.show(Signal::Welcome.pattern(), Duration::ZERO);
        at(&mut panel, 0);
        assert!(chip.is_high(STRIKE) && chip.is_high(GREEN), "current holds a fail-safe lock");
        chip.unplug();
        at(&mut panel, 1000);
        assert!(panel.is_broken());
        chip.plug();
        for step in 0..=8 {
            at(&mut panel, 1100 + 125 * step);
        }
        assert!(chip.is_high(STRIKE) && chip.is_high(GREEN) && !panel.is_broken());
    }
}
