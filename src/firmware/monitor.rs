//! What happened lately, for whoever watches over the owner's cable.

use std::collections::VecDeque;
use std::time::Duration;

use super::eyes::FrameTimes;
use super::judge::Judgement;
use crate::door::{Action, PersonId};
use crate::update::vitals::{Decision, MAX_DECISIONS, MAX_WORDS, StageTime, Verdict};

/// Share of the newest frame in the average. A choice: some ten frames count.
const NEWEST_SHARE: u32 = 8;

/// What a frame goes through.
const STAGES: [&str; 5] = ["decode", "detect", "look", "embed", "liveness"];

fn of_stages(times: &FrameTimes) -> [Duration; STAGES.len()] {
    let FrameTimes { decode, detect, look, embed, liveness, .. } = *times;
    [decode, detect, look, embed, liveness]
}

struct Decided {
    number: u32,
    at: Duration,
    verdict: Verdict,
    person: Option<u32>,
    distance: Option<f32>,
    reason: &'static str,
}

/// Remembers the last decisions, counts frames and averages their times.
#[derive(Default)]
pub struct Monitor {
    decisions: VecDeque<Decided>,
    decided: u32,
    frames: u32,
    stages: [(u32, u32); STAGES.len()],
}

impl Monitor {
    /// A frame was looked at.
    pub fn saw(&mut self, times: &FrameTimes) {
        for ((mean, worst), time) in self.stages.iter_mut().zip(of_stages(times)) {
            let time = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            let before = if self.frames == 0 { time } else { *mean };
            *mean = before - before / NEWEST_SHARE + time / NEWEST_SHARE;
            *worst = time.max(*worst);
        }
        self.frames = self.frames.saturating_add(1);
    }

    /// The door acts, after it judged `last`.
    pub fn acted(&mut self, action: &Action, last: Option<&Judgement>, now: Duration) {
        let nearest = last.and_then(|judgement| judgement.nearest);
        let (verdict, person, reason) = match action {
            Action::Opened(PersonId(person)) => (Verdict::Opened, Some(*person), "recognised"),
            Action::Refused(reason) => {
                let agreed = reason.person().map(|PersonId(person)| person);
                (Verdict::Refused, agreed.or(nearest.map(|found| found.person)), reason.words())
            }
            Action::EnrolAbort(failure) => (Verdict::NotEnrolled, None, failure.words()),
            Action::Delete(PersonId(person)) => (Verdict::Deleted, Some(*person), "deleted at the door"),
            _ => return,
        };
        let distance = match verdict {
            Verdict::Opened | Verdict::Refused => nearest.map(|found| found.distance),
            _ => None,
        };
        self.decide(Decided { number: 0, at: now, verdict, person, distance, reason });
    }

    /// Somebody was enrolled.
    pub fn enrolled(&mut self, person: u32, now: Duration) {
        let (verdict, person, reason) = (Verdict::Enrolled, Some(person), "enrolled at the door");
        self.decide(Decided { number: 0, at: now, verdict, person, distance: None, reason });
    }

    fn decide(&mut self, decided: Decided) {
        self.decided = self.decided.saturating_add(1);
        if self.decisions.len() == MAX_DECISIONS {
            self.decisions.pop_back();
        }
        self.decisions.push_front(Decided { number: self.decided, ..decided });
    }

    /// The last decisions, the newest first.
    #[must_use]
    pub fn decisions(&self, now: Duration) -> Vec<Decision> {
        let told = |decided: &Decided| Decision {
            number: decided.number,
            ago_ms: milliseconds(now.saturating_sub(decided.at)),
            verdict: decided.verdict,
            person: decided.person,
            distance: decided.distance,
            reason: decided.reason.chars().take(MAX_WORDS).collect(),
        };
        self.decisions.iter().map(told).collect()
    }

    /// What each stage takes.
    #[must_use]
    pub fn stages(&self) -> Vec<StageTime> {
        let stages = STAGES.iter().zip(self.stages);
        stages
            .map(|(stage, (mean_us, worst_us))| StageTime { stage: (*stage).to_owned(), mean_us, worst_us })
            .collect()
    }

    /// Frames that were looked at.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }
}

/// A time in milliseconds, as messages carry it.
#[must_use]
pub fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_decisions_are_kept_and_counted_on() {
        let mut monitor = Monitor::default();
        for person in 0..20 {
            monitor.acted(&Action::Opened(PersonId(person)), None, Duration::from_secs(u64::from(person)));
        }
        let told = monitor.decisions(Duration::from_secs(20));
        assert_eq!(told.len(), MAX_DECISIONS);
        assert_eq!((told[0].number, told[0].person, told[0].ago_ms), (20, Some(19), 1000));
        assert_eq!(told[MAX_DECISIONS - 1].number, 13);
    }

    #[test]
    fn a_slow_frame_is_the_worst_and_moves_the_average_a_little() {
        let mut monitor = Monitor::default();
        let decoded_in = |ms| FrameTimes { decode: Duration::from_millis(ms), ..FrameTimes::default() };
        (0..50).for_each(|_| monitor.saw(&decoded_in(8)));
        monitor.saw(&decoded_in(80));
        let decode = &monitor.stages()[0];
        assert_eq!(decode.worst_us, 80_000);
        assert!((8_000..18_000).contains(&decode.mean_us), "{}", decode.mean_us);
        assert_eq!(monitor.frames(), 51);
    }
}
