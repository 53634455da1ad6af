//! The lines of a board's inputs: their edges, levels that were missed, and lines that go away and come back.

use core::time::Duration;

use super::event::Event;
use super::inputs::Input;

/// How often levels are read anew, and lines that were lost are asked for again. A choice.
pub const CHECK: Duration = Duration::from_secs(1);
/// Inputs of a board.
pub const INPUTS: usize = 4;

/// A line that the system gave. Every error means that it is lost.
pub trait Line {
    /// Why it is lost.
    type Error;

    /// The oldest change that was not read yet: whether the line became active. Never waits.
    ///
    /// # Errors
    /// When it is lost.
    fn next_edge(&mut self) -> Result<Option<bool>, Self::Error>;

    /// Whether it is active.
    ///
    /// # Errors
    /// When it is lost.
    fn is_active(&mut self) -> Result<bool, Self::Error>;
}

/// The lines of a board's inputs.
#[derive(Debug)]
pub struct Lines<L> {
    wired: heapless::Vec<Wired<L>, INPUTS>,
    /// How many of them are still to be looked at in this second.
    unchecked: usize,
    check_at: Duration,
}

#[derive(Debug)]
struct Wired<L> {
    input: Input,
    line: Option<L>,
    /// What was last told of it.
    active: Option<bool>,
}

impl<L: Line> Lines<L> {
    /// The inputs with their lines, at most [`INPUTS`].
    #[must_use]
    pub fn new(lines: impl IntoIterator<Item = (Input, L)>) -> Self {
        let wired = |(input, line)| Wired { input, line: Some(line), active: None };
        let wired: heapless::Vec<_, INPUTS> = lines.into_iter().take(INPUTS).map(wired).collect();
        Self { unchecked: wired.len(), wired, check_at: Duration::ZERO }
    }

    /// What happened next; see [`Inputs`](super::inputs::Inputs). `open` asks the system for a line that was lost.
    pub fn next(&mut self, now: Duration, open: impl FnMut(Input) -> Option<L>) -> Option<Event> {
        self.wired.iter_mut().find_map(Wired::next_edge).or_else(|| self.check(now, open))
    }

    /// Looks at one line after the other, once a second.
    fn check(&mut self, now: Duration, mut open: impl FnMut(Input) -> Option<L>) -> Option<Event> {
        if now >= self.check_at {
            self.check_at = now + CHECK;
            self.unchecked = self.wired.len();
        }
        while self.unchecked > 0 {
            self.unchecked -= 1;
            let wired = &mut self.wired[self.unchecked];
            if wired.line.is_none() {
                wired.line = open(wired.input);
            }
            if let Some(event) = wired.look() {
                return Some(event);
            }
        }
        None
    }

    /// The lines that are not lost.
    pub fn iter(&self) -> impl Iterator<Item = &L> {
        self.wired.iter().filter_map(|wired| wired.line.as_ref())
    }

    /// Whether a line is lost.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.wired.iter().any(|wired| wired.line.is_none())
    }
}

impl<L: Line> Wired<L> {
    /// The next edge that changes what is known.
    fn next_edge(&mut self) -> Option<Event> {
        loop {
            match self.line.as_mut()?.next_edge() {
                Ok(Some(active)) => match self.tell(active) {
                    None => {}
                    event => return event,
                },
                Ok(None) => return None,
                Err(_) => return Some(self.lose()),
            }
        }
    }

    /// What no edge told.
    fn look(&mut self) -> Option<Event> {
        match self.line.as_mut()?.is_active() {
            Ok(active) => self.tell(active),
            Err(_) => Some(self.lose()),
        }
    }

    fn tell(&mut self, active: bool) -> Option<Event> {
        (self.active.replace(active) != Some(active)).then(|| self.input.event(active))
    }

    fn lose(&mut self) -> Event {
        (self.line, self.active) = (None, None);
        self.input.lost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    /// A chip's line: its level, its edges that were not read, and how often it was taken; none while it is unplugged.
    #[derive(Debug, Default)]
    struct Chip {
        active: bool,
        edges: VecDeque<bool>,
        unplugged: bool,
        taken: u32,
    }

    impl Chip {
        fn turn(&mut self, active: bool) {
            self.active = active;
            self.edges.push_back(active);
        }
    }

    struct Taken<'a>(&'a RefCell<Chip>, u32);

    impl<'a> Taken<'a> {
        fn open(chip: &'a RefCell<Chip>) -> Option<Self> {
            let mut it = chip.borrow_mut();
            it.taken += 1;
            it.edges.clear();
            (!it.unplugged).then_some(Self(chip, it.taken))
        }

        /// A line that was taken before the chip went away stays lost.
        fn chip(&self) -> Result<std::cell::RefMut<'a, Chip>, ()> {
            let chip = self.0.borrow_mut();
            if chip.unplugged || chip.taken != self.1 { Err(()) } else { Ok(chip) }
        }
    }

    impl Line for Taken<'_> {
        type Error = ();

        fn next_edge(&mut self) -> Result<Option<bool>, ()> {
            Ok(self.chip()?.edges.pop_front())
        }

        fn is_active(&mut self) -> Result<bool, ()> {
            Ok(self.chip()?.active)
        }
    }

    /// Everything that an input's line tells at `second`.
    fn told<'a>(lines: &mut Lines<Taken<'a>>, chip: &'a RefCell<Chip>, second: u64) -> Vec<Event> {
        let now = Duration::from_secs(second);
        std::iter::from_fn(|| lines.next(now, |_| Taken::open(chip))).collect()
    }

    fn lines(input: Input, chip: &RefCell<Chip>) -> Lines<Taken<'_>> {
        Lines::new(Taken::open(chip).map(|line| (input, line)))
    }

    #[test]
    fn the_level_at_the_start_is_told_and_then_each_change() {
        for active in [false, true] {
            let chip = RefCell::new(Chip { active, ..Chip::default() });
            let mut lines = lines(Input::DoorSensor, &chip);
            assert_eq!(told(&mut lines, &chip, 0), [Event::DoorOpen(active)]);
            assert_eq!(told(&mut lines, &chip, 1), []);
            chip.borrow_mut().turn(!active);
            chip.borrow_mut().turn(active);
            assert_eq!(told(&mut lines, &chip, 1), [Event::DoorOpen(!active), Event::DoorOpen(active)]);
        }
    }

    #[test]
    fn a_change_whose_edge_was_lost_is_told_within_a_second() {
        let chip = RefCell::default();
        let mut lines = lines(Input::Tamper, &chip);
        assert_eq!(told(&mut lines, &chip, 0), [Event::Tamper(false)]);
        chip.borrow_mut().active = true;
        assert_eq!(told(&mut lines, &chip, 0), []);
        assert_eq!(told(&mut lines, &chip, 1), [Event::Tamper(true)]);
    }

    #[test]
    fn a_line_that_went_away_is_taken_again_when_it_is_back_and_its_level_is_told_anew() {
        let chip = RefCell::default();
        let mut lines = lines(Input::EnrolButton, &chip);
        chip.borrow_mut().turn(true);
        assert_eq!(told(&mut lines, &chip, 0), [Event::Button(true)]);
        chip.borrow_mut().unplugged = true;
        assert_eq!(told(&mut lines, &chip, 1), [Event::ButtonLost]);
        assert!(lines.is_broken() && told(&mut lines, &chip, 2).is_empty(), "it is told once");
        chip.borrow_mut().unplugged = false;
        assert_eq!(told(&mut lines, &chip, 3), [Event::Button(true)]);
        assert!(!lines.is_broken());
    }

    #[test]
    fn a_line_that_is_back_at_once_was_lost_all_the_same() {
        let chip = RefCell::default();
        let mut lines = lines(Input::EnrolButton, &chip);
        assert_eq!(told(&mut lines, &chip, 0), [Event::Button(false)]);
        chip.borrow_mut().taken += 1;
        assert_eq!(told(&mut lines, &chip, 1), [Event::ButtonLost, Event::Button(false)]);
    }

    #[test]
    fn whoever_holds_the_exit_button_while_its_line_comes_back_is_heard() {
        let chip = RefCell::new(Chip { active: true, ..Chip::default() });
        let mut lines = lines(Input::ExitButton, &chip);
        assert_eq!(told(&mut lines, &chip, 0), [Event::Exit(true)]);
        chip.borrow_mut().taken += 1;
        let told = told(&mut lines, &chip, 1);
        assert_eq!(told.last(), Some(&Event::Exit(true)), "{told:?}");
    }
}
