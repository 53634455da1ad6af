//! Times of works that are run in turn, and what they allocate.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Runs a work once, and says how often it allocated.
pub type Counter<'a> = &'a dyn Fn(&mut dyn FnMut()) -> u64;

/// What one stage takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// Half of the runs took less, in milliseconds.
    pub median_ms: f64,
    /// 95 % of the runs took less.
    pub p95_ms: f64,
    /// 99 % of the runs took less.
    pub p99_ms: f64,
    /// The longest run.
    pub worst_ms: f64,
    /// Allocations of one run.
    pub allocations: u64,
}

/// Something that can be run again and again.
pub type Work<'a, E> = Box<dyn FnMut() -> Result<(), E> + 'a>;

/// Runs each of `works` `runs` times, one after the other in each round, so that whatever else the machine does
/// slows all of them alike. The first run of each, which may warm caches, is not counted.
///
/// # Errors
/// Those of the works.
pub fn in_turn<E>(works: &mut [Work<'_, E>], runs: usize, counter: Counter<'_>) -> Result<Vec<Timing>, E> {
    let mut times = vec![Vec::with_capacity(runs); works.len()];
    for round in 0..=runs {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let start = Instant::now();
            work()?;
            if round > 0 {
                times.push(start.elapsed());
            }
        }
    }
    let count = |work: &mut Work<'_, E>| {
        let mut result = Ok(());
        let allocations = counter(&mut || result = work());
        result.map(|()| allocations)
    };
    let allocations = works.iter_mut().map(count).collect::<Result<Vec<u64>, E>>()?;
    Ok(times
        .into_iter()
        .zip(allocations)
        .map(|(times, allocations)| Timing::of(times, allocations))
        .collect())
}

impl Timing {
    fn of(mut times: Vec<Duration>, allocations: u64) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let rank = (share * times.len() as f64).ceil() as usize;
            times.get(rank.clamp(1, times.len().max(1)) - 1).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Self { median_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), worst_ms: at(1.0), allocations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let timing = Timing::of(times, 3);
        let found = [timing.median_ms, timing.p95_ms, timing.p99_ms, timing.worst_ms];
        assert_eq!(found.map(|ms| ms.round() as u32), [100, 190, 198, 200]);
        assert_eq!(Timing::of(vec![Duration::from_millis(7)], 0).p95_ms.round(), 7.0);
    }

    #[test]
    fn works_take_turns_and_an_error_ends_them() {
        let order = std::cell::RefCell::new(String::new());
        let work = |name: char| -> Work<'_, char> {
            let order = &order;
            Box::new(move || {
                order.borrow_mut().push(name);
                if order.borrow().len() > 9 { Err(name) } else { Ok(()) }
            })
        };
        let once = |work: &mut dyn FnMut()| {
            work();
            5
        };
        let timings = in_turn(&mut [work('a'), work('b')], 2, &once).expect("eight runs");
        assert_eq!(*order.borrow(), "abababab", "two runs, one to warm up, one to count");
        assert_eq!(timings.iter().map(|timing| timing.allocations).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(in_turn(&mut [work('a'), work('b')], 2, &once), Err('b'));
    }
}
