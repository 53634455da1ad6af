//! What frames say about who stands there, and when that is enough.

use core::time::Duration;

use heapless::Vec;

use super::proof::Known;

/// Frames that can be remembered: the most that `n` of "k of n" may be.
pub const MAX_WINDOW: usize = 16;

/// A person's number in the gallery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(pub u32);

/// Why a face cannot be recognised by this frame. The order is that in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// It is too small: come nearer.
    TooFar,
    /// It is cut off by the picture's edge or does not fit: step back.
    TooNear,
    /// Head turned or bent: look into the camera.
    Turned,
    /// Motion or focus: hold still.
    Blurred,
    /// Too little light.
    TooDark,
    /// Too much light.
    TooBright,
    /// Something covers it.
    Covered,
    /// It is a picture of a face rather than a face.
    NotAlive,
}

/// One face as one frame shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Which face it is, from frame to frame.
    pub track: u32,
    /// When the frame was taken.
    pub captured_at: Duration,
    /// Why this frame cannot be used; `None` when the face is good and alive.
    pub obstacle: Option<Obstacle>,
    /// The enrolled person that it matches, if any.
    pub person: Option<Known>,
    /// During an enrolment: whether it is the person whose templates were taken so far.
    pub same_as_pending: bool,
}

/// What one frame shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sighting {
    /// Nobody near enough to matter.
    Nobody,
    /// Several people near the door.
    Several {
        /// The largest face.
        nearest: Face,
    },
    /// One person.
    One(Face),
}

impl Sighting {
    /// The nearest face.
    #[must_use]
    pub fn face(&self) -> Option<&Face> {
        match self {
            Self::Nobody => None,
            Self::Several { nearest } | Self::One(nearest) => Some(nearest),
        }
    }
}

/// When frames agree on a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// Frames that must show the person ("k").
    pub needed: usize,
    /// Frames among which they are counted ("n"), at most [`MAX_WINDOW`].
    pub counted: usize,
    /// Frames that were judged without agreement, after which a face counts as a failure.
    pub refused_after: u32,
    /// Frames farther apart do not belong together.
    pub gap: Duration,
}

/// What the last frames of one track came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Evidence {
    track: Option<u32>,
    window: Vec<Option<PersonId>, MAX_WINDOW>,
    judged: u32,
    /// How long ago the newest frame was taken.
    age: Duration,
}

impl Evidence {
    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// `time` passes. Frames so old that no frame can follow them, none being older than `gap`, are forgotten.
    pub(super) fn pass(&mut self, time: Duration, gap: Duration) {
        self.age = self.age.saturating_add(time);
        if self.track.is_none() || self.age > gap.saturating_mul(2) {
            self.clear();
        }
    }

    /// Adds a frame that was taken `age` ago; a face of another track begins anew, and so does one that was away
    /// for longer than the gap: frames agree only when they follow one another. A frame that is not newer than
    /// the last says nothing again: then it returns false. Frames with an obstacle other than [`Obstacle::NotAlive`] count as seen but
    /// not as judged.
    pub fn add(&mut self, face: &Face, age: Duration, agreement: &Agreement) -> bool {
        let known = self.track == Some(face.track);
        if known && age >= self.age {
            return false;
        }
        let away = self.age.saturating_sub(age) > agreement.gap;
        if !known || away {
            self.clear();
            self.track = Some(face.track);
        }
        self.age = age;
        let person = face.person.filter(|_| face.obstacle.is_none()).map(|known| known.id);
        while self.window.len() >= agreement.counted.clamp(1, MAX_WINDOW) {
            self.window.remove(0);
        }
        self.window.push(person).expect("the oldest was taken out");
        if face.obstacle.is_none() || face.obstacle == Some(Obstacle::NotAlive) {
            self.judged = agreement.refused_after.min(self.judged + 1);
        }
        true
    }

    /// Counts judged frames anew: those so far were one failure.
    pub(super) fn begin_another_try(&mut self) {
        self.judged = 0;
    }

    /// The person that enough of the remembered frames show, the newest among them, if no other person is among
    /// them.
    #[must_use]
    pub fn agreed(&self, agreement: &Agreement) -> Option<PersonId> {
        let newest = (*self.window.last()?)?;
        let mut named = self.window.iter().flatten();
        let votes = self.window.iter().flatten().count();
        (named.all(|person| *person == newest) && votes >= agreement.needed.max(1)).then_some(newest)
    }

    /// Whether the face was good enough to be judged in any frame.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.judged > 0
    }

    /// Whether it was judged so often that it is a failure.
    #[must_use]
    pub fn is_failure(&self, agreement: &Agreement) -> bool {
        self.judged >= agreement.refused_after
    }

    /// Frames of the window that show `agreed`'s person, and frames in it.
    #[must_use]
    pub fn votes(&self) -> (usize, usize) {
        (self.window.iter().flatten().count(), self.window.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGREEMENT: Agreement =
        Agreement { needed: 3, counted: 5, refused_after: 5, gap: Duration::from_secs(1) };
    const LESS: Agreement = Agreement { needed: 2, ..AGREEMENT };

    fn face(track: u32, person: Option<u32>) -> Face {
        Face {
            track,
            captured_at: Duration::ZERO,
            obstacle: None,
            person: person.map(|id| Known {
                id: PersonId(id),
                administers: false,
                in_hours: true,
                needs_pin: false,
            }),
            same_as_pending: true,
        }
    }

    fn after(faces: &[Face]) -> Evidence {
        let mut evidence = Evidence::default();
        for face in faces {
            evidence.pass(Duration::from_millis(10), AGREEMENT.gap);
            evidence.add(face, Duration::ZERO, &AGREEMENT);
        }
        evidence
    }

    #[test]
    fn three_frames_of_five_agree_even_when_some_match_nobody() {
        let some = face(1, Some(7));
        let none = face(1, None);
        assert_eq!(after(&[some, none, some, none, some]).agreed(&AGREEMENT), Some(PersonId(7)));
        assert_eq!(after(&[some, none, some, none, none]).agreed(&LESS), None, "the newest must agree");
    }

    #[test]
    fn another_person_or_another_track_breaks_the_agreement() {
        let mixed = [face(1, Some(7)), face(1, Some(8)), face(1, Some(7)), face(1, Some(7))];
        assert_eq!(after(&mixed).agreed(&AGREEMENT), None);
        assert_eq!(after(&[face(1, Some(7)), face(1, Some(7)), face(2, Some(7))]).agreed(&LESS), None);
    }

    #[test]
    fn frames_with_a_gap_between_them_do_not_agree() {
        let mut evidence = after(&[face(1, Some(7)), face(1, Some(7))]);
        evidence.pass(Duration::from_millis(1001), AGREEMENT.gap);
        evidence.add(&face(1, Some(7)), Duration::ZERO, &AGREEMENT);
        assert_eq!(evidence.agreed(&LESS), None);
    }

    #[test]
    fn frames_that_were_looked_at_late_agree_as_they_were_taken() {
        let mut evidence = after(&[face(1, Some(7))]);
        evidence.pass(Duration::from_millis(1500), AGREEMENT.gap);
        evidence.add(&face(1, Some(7)), Duration::from_millis(600), &AGREEMENT);
        assert_eq!(evidence.agreed(&LESS), Some(PersonId(7)));
    }

    #[test]
    fn one_frame_that_is_delivered_again_and_again_is_one_vote() {
        let mut evidence = Evidence::default();
        for _ in 0..5 {
            evidence.add(&face(1, Some(7)), Duration::ZERO, &AGREEMENT);
        }
        assert_eq!(evidence.agreed(&LESS), None);
    }

    #[test]
    fn a_face_with_an_obstacle_is_no_evidence() {
        let flat = Face { obstacle: Some(Obstacle::NotAlive), ..face(1, Some(7)) };
        assert_eq!(after(&[flat; 5]).agreed(&Agreement { needed: 1, ..AGREEMENT }), None);
        assert!(after(&[flat; 5]).is_failure(&AGREEMENT));
        let blurred = Face { obstacle: Some(Obstacle::Blurred), ..face(1, Some(7)) };
        assert!(!after(&[blurred; 5]).is_judged());
    }
}
