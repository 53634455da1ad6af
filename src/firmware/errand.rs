//! Work that takes longer than the door's loop may: in a thread beside it, fetched when it is done.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Where errands are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In a thread beside the loop.
    Beside,
    /// At once, by whoever begins them: for tests whose time is not the clock's.
    Here,
}

/// One piece of work, under way or done.
pub enum Errand<T> {
    /// In a thread.
    Beside(JoinHandle<T>),
    /// It is over; `None`: it panicked.
    Over(Option<T>),
}

impl<T: Send + 'static> Errand<T> {
    /// Begins `work`; `name` is that of its thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn begin(place: Where, name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        Ok(match place {
            Where::Beside => Self::Beside(Builder::new().name(name.to_owned()).spawn(work)?),
            Where::Here => Self::Over(catch_unwind(AssertUnwindSafe(work)).ok()),
        })
    }

    /// Whether [`Errand::fetch`] need not wait.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Beside(thread) => thread.is_finished(),
            Self::Over(_) => true,
        }
    }

    /// What it came to, after waiting for its end; `None`: it panicked.
    #[must_use]
    pub fn fetch(self) -> Option<T> {
        match self {
            Self::Beside(thread) => thread.join().ok(),
            Self::Over(result) => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errand_gives_its_result_and_a_panic_is_none() {
        for place in [Where::Beside, Where::Here] {
            assert_eq!(Errand::begin(place, "sum", || 1 + 1).expect("begun").fetch(), Some(2));
            let failed: Errand<()> = Errand::begin(place, "fails", || panic!("on purpose")).expect("begun");
            assert_eq!(failed.fetch(), None);
        }
    }
}
