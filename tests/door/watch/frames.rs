//! What frames say, to a witness.

use std::time::Duration;

use facelatch::door::evidence::MAX_WINDOW;
use facelatch::door::{DoorPolicy, Face, Known, Obstacle, Sighting};

/// One frame, as a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Witness {
    pub(super) track: u32,
    pub(super) person: Option<Known>,
    pub(super) age: Duration,
}

/// What a frame adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// No face, or too old.
    Nothing,
    /// Not newer than the last.
    Again,
    /// A face: whether it is the first of its track, and whether it was good enough to be judged.
    Face { first: bool, judged: bool },
}

/// The last frames with a face, newest last, as many as are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Frames(pub(super) heapless::Vec<Witness, MAX_WINDOW>);

impl Frames {
    pub(super) fn pass(&mut self, policy: &DoorPolicy, time: Duration) {
        self.0.iter_mut().for_each(|frame| frame.age += time);
        if self.0.last().is_some_and(|last| last.age > 2 * policy.agreement.gap) {
            self.0.clear();
        }
    }

    pub(super) fn see(&mut self, policy: &DoorPolicy, sighting: &Sighting, now: Duration) -> Seen {
        let gap = policy.agreement.gap;
        let fresh = |face: &Face| now.checked_sub(face.captured_at).filter(|age| *age <= gap);
        let Some((face, age)) = sighting.face().and_then(|face| Some((face, fresh(face)?))) else {
            self.0.clear();
            return Seen::Nothing;
        };
        let Face { track, obstacle, person, .. } = *face;
        if let Some(last) = self.0.last() {
            if last.track == track && last.age <= age {
                return Seen::Again;
            }
            if last.track != track || last.age - age > gap {
                self.0.clear();
            }
        }
        let first = self.0.is_empty();
        if self.0.len() >= policy.agreement.counted {
            self.0.remove(0);
        }
        let _ = self.0.push(Witness { track, person: person.filter(|_| obstacle.is_none()), age });
        Seen::Face { first, judged: matches!(obstacle, None | Some(Obstacle::NotAlive)) }
    }

    /// Whether the frames agree on somebody: enough of them, the newest and fresh one among them, nobody else.
    pub(super) fn agreed(&self, policy: &DoorPolicy) -> Option<Known> {
        let newest = self.0.last().filter(|newest| newest.age <= policy.agreement.gap)?;
        let mut people = self.0.iter().filter_map(|frame| frame.person);
        let enough = people.clone().count() >= policy.agreement.needed;
        newest.person.filter(|person| enough && people.all(|other| other.id == person.id))
    }
}
