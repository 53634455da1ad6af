//! How often a transfer is taken up again by itself after the line broke off.

use std::time::Duration;

/// Attempts in a row that bring nothing before it is given up. A choice: with the pauses and the greetings some two minutes,
/// in which a cable is found and plugged in again.
const FRUITLESS_MOST: u32 = 6;
/// Pause before the first of them; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Counts the attempts of one transfer.
#[derive(Debug, Clone, Default)]
pub struct Retries {
    best: u32,
    fruitless: u32,
    granted: u32,
}

impl Retries {
    /// The line broke off, or is not there again yet, when the lock had `durable` bytes for good. How long to wait before the
    /// next attempt; `None`: enough was tried.
    pub fn again(&mut self, durable: u32) -> Option<Duration> {
        if durable > self.best {
            (self.best, self.fruitless) = (durable, 0);
        }
        if self.fruitless == FRUITLESS_MOST {
            return None;
        }
        self.fruitless += 1;
        self.granted += 1;
        Some(FIRST_PAUSE * (1 << (self.fruitless - 1)))
    }

    /// How often it was taken up again so far.
    #[must_use]
    pub fn granted(&self) -> u32 {
        self.granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_that_gets_on_is_taken_up_again_and_again_and_one_that_does_not_is_given_up() {
        let mut retries = Retries::default();
        for durable in 1..100 {
            assert_eq!(retries.again(durable), Some(FIRST_PAUSE));
        }
        let pauses: Vec<u64> = std::iter::from_fn(|| retries.again(99)).map(|at| at.as_secs()).collect();
        assert_eq!((pauses, retries.granted()), (vec![2, 4, 8, 16, 32], 104));
    }
}
