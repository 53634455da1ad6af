//! How long it takes from a frame to the strike, stage by stage.
//!
//! ```text
//! captured --camera--> taken up --decode--> pixels --detect, look, embed, liveness--> view
//!          --wait--> the door's loop --decide--> wish --strike--> pin
//! ```

use core::fmt;
use std::time::Duration;

use super::eyes::FrameTimes;

/// Frames that are remembered, the newest. A choice: some minutes.
const REMEMBERED: usize = 4096;
/// Shares of the frames that took no longer than what is told.
const SHARES: [usize; 3] = [50, 90, 99];
/// The rows of a table.
const ROWS: [&str; 10] = [
    "camera",
    "decode",
    "detect",
    "align, measure",
    "embed",
    "liveness",
    "wait for the loop",
    "match, decide",
    "frame to decision",
    "frame to strike",
];

/// What a frame took, up to the door's decision or to the strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passage {
    /// From the camera to the view.
    pub seeing: FrameTimes,
    /// From the view until the loop took it.
    pub wait: Duration,
    /// From there to the door's decision, or to the strike's pin when it opened.
    pub decide: Duration,
}

impl Passage {
    fn stages(&self) -> [Duration; 8] {
        let FrameTimes { camera, decode, detect, look, embed, liveness, .. } = self.seeing;
        [camera, decode, detect, look, embed, liveness, self.wait, self.decide]
    }

    /// From the capture to the end.
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.stages().iter().sum()
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", milliseconds(self.whole()))?;
        let mut before = ": ";
        for (stage, time) in ROWS.iter().zip(self.stages()) {
            write!(f, "{before}{stage} {:.2}", milliseconds(time))?;
            before = "; ";
        }
        Ok(())
    }
}

/// The newest times of one stage, in microseconds.
#[derive(Debug, Clone, Default)]
struct Series {
    times: Vec<u32>,
    next: usize,
}

impl Series {
    fn add(&mut self, time: Duration) {
        let time = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        if self.times.len() < REMEMBERED {
            self.times.reserve_exact(REMEMBERED - self.times.len());
            self.times.push(time);
        } else {
            self.times[self.next] = time;
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// For each of [`SHARES`], and the longest.
    fn shares(&self) -> [u32; SHARES.len() + 1] {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1);
        let [half, most, nearly] = SHARES.map(|percent| at(percent).copied().unwrap_or_default());
        [half, most, nearly, at(100).copied().unwrap_or_default()]
    }
}

/// What frames with a face took lately. As a text: a table of shares.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    rows: [Series; ROWS.len()],
}

impl Latencies {
    /// A frame with a face was decided on. Allocates with the first one only.
    pub fn decided(&mut self, passage: &Passage) {
        for (row, time) in self.rows.iter_mut().zip(passage.stages()) {
            row.add(time);
        }
        self.rows[ROWS.len() - 2].add(passage.whole());
    }

    /// A frame drove the strike.
    pub fn opened(&mut self, passage: &Passage) {
        self.rows[ROWS.len() - 1].add(passage.whole());
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<20}", "milliseconds")?;
        SHARES.iter().try_for_each(|share| write!(f, "{share:>7} %"))?;
        write!(f, "{:>9}{:>8}", "longest", "frames")?;
        for (name, row) in ROWS.iter().zip(&self.rows) {
            write!(f, "\n{name:<20}")?;
            row.shares().iter().try_for_each(|time| write!(f, "{:>9.2}", f64::from(*time) / 1000.0))?;
            write!(f, "{:>8}", row.times.len())?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    1000.0 * time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_newest_frames() {
        let mut series = Series::default();
        assert_eq!(series.shares(), [0; 4]);
        for millisecond in 1..=100 {
            series.add(Duration::from_millis(millisecond));
        }
        assert_eq!(series.shares(), [50_000, 90_000, 99_000, 100_000]);
        (0..REMEMBERED).for_each(|_| series.add(Duration::from_millis(7)));
        assert_eq!(series.shares(), [7000; 4]);
        assert_eq!(series.times.len(), REMEMBERED);
    }

    #[test]
    fn a_passage_is_told_with_its_stages_and_their_sum() {
        let seeing = FrameTimes { camera: Duration::from_millis(30), ..FrameTimes::default() };
        let passage = Passage { seeing, decide: Duration::from_micros(500), ..Passage::default() };
        let words = passage.to_string();
        assert!(words.starts_with("30.5 ms: camera 30.00; decode 0.00;"), "{words}");
        assert!(words.ends_with("match, decide 0.50"), "{words}");
    }
}
