//! Threads that share one layer after another. Between the layers of a run they wait awake, so that to hand out a
//! layer and to gather it takes well under a microsecond; after a run they sleep.

use std::cell::UnsafeCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Turns that a thread waits awake before it sleeps or lets another run: about 0.1 ms on the processors that this was
/// tried on, longer than any layer that is not shared. A choice.
const TURNS_AWAKE: u32 = 10_000;

/// What the members do in a round, called with the number of the member.
type Task<'a> = dyn Fn(usize) + Sync + 'a;

struct Shared {
    /// Grows by one with each round.
    round: AtomicUsize,
    /// Members that have not finished the round.
    at_work: AtomicUsize,
    /// What to do in this round; none ends the members.
    task: UnsafeCell<Option<&'static Task<'static>>>,
    /// By member: whether it must be woken.
    asleep: Box<[AtomicBool]>,
    failed: AtomicBool,
}

// SAFETY: `task` is written only by the one owner of the team (`Team::start` takes it by `&mut`) while no member is at
// work, and read by members only between a new `round` and their decrement of `at_work`. Both are atomics that order it.
unsafe impl Sync for Shared {}

/// A thread that calls and as many more as it was made with.
pub struct Team {
    shared: Arc<Shared>,
    members: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Team {
    /// Starts `threads` threads less the one that calls.
    ///
    /// # Errors
    /// When the system does not give a thread.
    pub fn new(threads: usize) -> io::Result<Self> {
        let others = threads.saturating_sub(1);
        let shared = Arc::new(Shared {
            round: AtomicUsize::new(0),
            at_work: AtomicUsize::new(0),
            task: UnsafeCell::new(None),
            asleep: (0..others).map(|_| AtomicBool::new(false)).collect(),
            failed: AtomicBool::new(false),
        });
        let mut team = Self { shared, members: Vec::with_capacity(others) };
        for member in 0..others {
            let shared = Arc::clone(&team.shared);
            let named = thread::Builder::new().name(format!("inference-{}", member + 1));
            team.members.push(named.spawn(move || shared.serve(member))?);
        }
        Ok(team)
    }

    /// Threads that share a task, the calling one among them.
    pub fn threads(&self) -> usize {
        self.members.len() + 1
    }

    /// Calls `task` once with each of `parts`, each on a thread of its own, and returns when all are done. A single part
    /// wakes nobody.
    ///
    /// # Panics
    /// When there are more parts than threads, or a task panics; all have ended then as well.
    pub fn share<T: Send>(&mut self, parts: &mut [T], task: impl Fn(&mut T) + Sync) {
        assert!(parts.len() <= self.threads(), "{} parts for {} threads", parts.len(), self.threads());
        if let [part] = parts {
            return task(part);
        }
        let (len, parts) = (parts.len(), Parts(parts.as_mut_ptr()));
        let parts = &parts;
        self.round(&|number| {
            if number < len {
                // SAFETY: `number` is below the length, and each number is given to one thread: no other reference to
                // this part exists. The slice is borrowed until `share` returns, when every thread has ended its call.
                task(unsafe { &mut *parts.0.add(number) });
            }
        });
    }

    fn round(&mut self, task: &Task<'_>) {
        // SAFETY: only the lifetime changes. Members use the task before they leave `at_work`, and `gathered` waits for
        // that before this function is left, by a panic too.
        let task = unsafe { std::mem::transmute::<&Task<'_>, &'static Task<'static>>(task) };
        self.start(Some(task));
        let gathered = Gathered(&self.shared);
        task(0);
        drop(gathered);
        assert!(!self.shared.failed.load(Ordering::Relaxed), "a thread that shared a layer panicked");
    }

    fn start(&mut self, task: Option<&'static Task<'static>>) {
        // SAFETY: no member is at work: the round before was gathered, or there was none.
        unsafe { *self.shared.task.get() = task };
        self.shared.failed.store(false, Ordering::Relaxed);
        self.shared.at_work.store(self.members.len(), Ordering::Relaxed);
        self.shared.round.fetch_add(1, Ordering::SeqCst);
        for (asleep, member) in self.shared.asleep.iter().zip(&self.members) {
            if asleep.load(Ordering::SeqCst) {
                member.thread().unpark();
            }
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.start(None);
        for member in self.members.drain(..) {
            // A member ends by returning: its panics are caught.
            let _ = member.join();
        }
    }
}

/// Waits for all members when it is dropped.
struct Gathered<'a>(&'a Shared);

impl Drop for Gathered<'_> {
    fn drop(&mut self) {
        let mut turns = 0;
        while self.0.at_work.load(Ordering::Acquire) > 0 {
            if turns < TURNS_AWAKE {
                turns += 1;
                std::hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

/// The first of several parts.
struct Parts<T>(*mut T);

// SAFETY: threads only take references to different parts of it (`Team::share`), and parts may change threads (`T: Send`).
unsafe impl<T: Send> Sync for Parts<T> {}

impl Shared {
    fn serve(&self, member: usize) {
        let mut seen = 0;
        loop {
            seen = self.next_round(seen, member);
            // SAFETY: this member is counted in `at_work`, so nobody writes; the new `round` ordered what was written.
            let Some(task) = (unsafe { *self.task.get() }) else { return };
            if catch_unwind(AssertUnwindSafe(|| task(member + 1))).is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            self.at_work.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a round after `seen`. A sleeper says so and looks once more before it sleeps, the owner begins a round
    /// before it looks who sleeps, all in one order (`SeqCst`): one of the two sees the other.
    fn next_round(&self, seen: usize, member: usize) -> usize {
        for _ in 0..TURNS_AWAKE {
            let round = self.round.load(Ordering::Acquire);
            if round != seen {
                return round;
            }
            std::hint::spin_loop();
        }
        self.asleep[member].store(true, Ordering::SeqCst);
        let round = loop {
            let round = self.round.load(Ordering::SeqCst);
            if round != seen {
                break round;
            }
            thread::park();
        };
        self.asleep[member].store(false, Ordering::Relaxed);
        round
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_in_every_round() {
        for threads in 1..=4 {
            let mut team = Team::new(threads).unwrap();
            let mut parts: Vec<(usize, usize)> = (0..threads).map(|part| (part, 0)).collect();
            for round in 1..=200 {
                team.share(&mut parts, |(part, done)| *done += *part + 1);
                assert!(parts.iter().all(|(part, done)| *done == round * (part + 1)), "{parts:?}");
            }
        }
    }

    #[test]
    fn fewer_parts_than_threads_leave_the_others_alone() {
        let mut team = Team::new(4).unwrap();
        let mut parts = [0; 2];
        team.share(&mut parts, |part| *part += 1);
        team.share::<u32>(&mut [], |_| unreachable!());
        assert_eq!(parts, [1, 1]);
    }

    #[test]
    fn members_that_went_to_sleep_are_woken() {
        let mut team = Team::new(3).unwrap();
        while !team.shared.asleep.iter().all(|asleep| asleep.load(Ordering::SeqCst)) {
            thread::yield_now();
        }
        let mut parts = [0; 3];
        team.share(&mut parts, |part| *part += 1);
        assert_eq!(parts, [1; 3]);
    }

    #[test]
    fn a_panic_on_any_thread_reaches_the_caller_and_the_team_lives_on() {
        let mut team = Team::new(3).unwrap();
        for bad in 0..3 {
            let mut parts = [0, 1, 2];
            let shared = catch_unwind(AssertUnwindSafe(|| {
                team.share(&mut parts, |part| assert!(*part != bad && *part != 2, "a layer that fails"));
            }));
            assert!(shared.is_err(), "{bad}");
            let mut parts = [0; 3];
            team.share(&mut parts, |part| *part += 1);
            assert_eq!(parts, [1; 3]);
        }
    }
}
