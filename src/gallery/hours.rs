//! On which days, at which times a person may come.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most spans of one person. A choice: a week with two kinds of days and a break in each.
const SPANS: usize = 4;
/// Minutes of a day.
const DAY: u16 = 24 * 60;
const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What are not hours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HoursError {
    /// Not days and times.
    #[error(
        "\"{text}\" is no time of the week; expected days and times such as \"mon-fri 08:00-18:30\", \"sat,sun 22:00-02:00\""
    )]
    Span {
        /// What was given.
        text: String,
    },
    /// Too many.
    #[error("at most {SPANS} times of the week, with \";\" between them")]
    TooMany,
}

/// A moment of a week, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeekTime {
    /// Days since Monday, `0..7`.
    pub day: u8,
    /// Minutes since midnight, `0..1440`.
    pub minute: u16,
}

/// Times of the week: `"mon-fri 08:00-18:30; sat 10:00-14:00"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours(heapless::Vec<Span, SPANS>);

/// On some days from one time to another, the same on each; beyond midnight when the end is not after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    /// One bit for each day on which it begins; the lowest is Monday.
    days: u8,
    /// First minute of the day.
    from: u16,
    /// First minute after it.
    until: u16,
}

impl Hours {
    /// Whether a moment lies in them.
    #[must_use]
    pub fn include(&self, time: WeekTime) -> bool {
        self.0.iter().any(|span| span.includes(time))
    }
}

impl Span {
    fn includes(self, WeekTime { day, minute }: WeekTime) -> bool {
        let begins_on = |day: u8| self.days >> (day % 7) & 1 == 1;
        if self.from < self.until {
            return begins_on(day) && (self.from..self.until).contains(&minute);
        }
        begins_on(day) && minute >= self.from || begins_on(day + 6) && minute < self.until
    }

    fn parse(text: &str) -> Option<Self> {
        let (days, times) = text.split_once(' ')?;
        let (from, until) = times.trim().split_once('-')?;
        let from = minute_of(from).filter(|from| *from < DAY)?;
        Some(Self { days: days_of(days)?, from, until: minute_of(until)? })
    }
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let mut spans = heapless::Vec::new();
        for part in text.split(';').map(str::trim) {
            let span = Span::parse(part).ok_or_else(|| HoursError::Span { text: part.to_owned() })?;
            spans.push(span).map_err(|_| HoursError::TooMany)?;
        }
        Ok(Self(spans))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spans: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&spans.join("; "))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, "{} {}-{}", words_of(self.days), clock(self.from), clock(self.until))
    }
}

/// Days by name, three and more that follow one another as "mon-wed".
fn words_of(days: u8) -> String {
    let mut words = Vec::new();
    let mut day = 0;
    while day < DAY_NAMES.len() {
        let run = (day..DAY_NAMES.len()).take_while(|day| days >> day & 1 == 1).count();
        match run {
            0 => {}
            1 | 2 => words.extend(DAY_NAMES[day..day + run].iter().map(ToString::to_string)),
            _ => words.push(format!("{}-{}", DAY_NAMES[day], DAY_NAMES[day + run - 1])),
        }
        day += run.max(1);
    }
    words.join(",")
}

fn days_of(text: &str) -> Option<u8> {
    let day_of = |name: &str| DAY_NAMES.iter().position(|day| day.eq_ignore_ascii_case(name));
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day_of(first)?, day_of(last)?);
        let count = (last + 7 - first) % 7;
        Some((0..=count).fold(days, |days, step| days | 1 << ((first + step) % 7)))
    })
}

fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60).then_some(hour.checked_mul(60)?.checked_add(minute)?).filter(|minute| *minute <= DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u8, hour: u16, minute: u16) -> WeekTime {
        WeekTime { day, minute: 60 * hour + minute }
    }

    fn hours(text: &str) -> Hours {
        text.parse().expect("hours")
    }

    #[test]
    fn hours_are_of_their_days_and_end_before_their_end() {
        let work = hours("Mon-Fri 08:00-18:30");
        assert!(work.include(at(0, 8, 0)) && work.include(at(4, 18, 29)));
        assert!(!work.include(at(0, 7, 59)) && !work.include(at(4, 18, 30)) && !work.include(at(5, 12, 0)));
    }

    #[test]
    fn hours_beyond_midnight_belong_to_the_day_on_which_they_begin() {
        let night = hours("sun,sat 22:00-02:00");
        assert!(night.include(at(5, 23, 0)) && night.include(at(6, 1, 59)) && night.include(at(0, 1, 0)));
        assert!(!night.include(at(5, 1, 0)) && !night.include(at(0, 22, 0)) && !night.include(at(6, 2, 0)));
    }

    #[test]
    fn each_of_several_times_counts_and_days_may_run_over_the_week_s_end() {
        let both = hours("tue,thu 09:00-12:00; fri-mon 00:00-24:00");
        assert!(both.include(at(1, 9, 0)) && both.include(at(6, 23, 59)) && both.include(at(0, 0, 0)));
        assert!(!both.include(at(2, 9, 0)) && !both.include(at(1, 0, 0)));
    }

    #[test]
    fn hours_are_told_as_they_can_be_given() {
        for text in
            ["mon-fri 08:00-18:30", "tue,thu 09:00-12:00; mon,fri-sun 00:00-24:00", "sat,sun 22:00-02:00"]
        {
            assert_eq!(hours(text).to_string(), text);
        }
    }

    #[test]
    fn what_are_no_hours_is_refused_with_the_part_that_is_wrong() {
        let bad = [
            "",
            "mon",
            "mon 8-18",
            "foo 08:00-18:00",
            "mon 08:60-18:00",
            "mon 08:00-25:00",
            "mon 99999:0-1:0",
            "mon 1092:40-1:0",
            "mon 24:00-08:00",
            "mon 08:00-18:00;",
        ];
        for text in bad {
            assert!(matches!(text.parse::<Hours>(), Err(HoursError::Span { .. })), "{text}");
        }
        let words = "mon 08:00-18:00; son 08:00-18:00".parse::<Hours>().expect_err("no day").to_string();
        assert!(words.starts_with("\"son 08:00-18:00\""), "{words}");
        assert_eq!(["mon 01:00-02:00"; 5].join(";").parse::<Hours>(), Err(HoursError::TooMany));
    }
}
