//! What frames say about who stands there, and when that is enough.

use core::time::Duration;

use heapless::Deque;

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
    /// The enrolled person that it matches, if any, and whether that person may administer.
    pub person: Option<(PersonId, bool)>,
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
    /// Frames farther apart do not belong together.
    pub gap: Duration,
}

/// What the last frames of one track came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    track: Option<u32>,
    window: Deque<Option<PersonId>, MAX_WINDOW>,
    judged: u32,
    newest: Duration,
}

impl Evidence {
    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a frame; a face of another track begins anew, and so does one that was away for longer than
    /// `gap`: frames agree only when they follow one another. A frame that is not newer than the last says
    /// nothing again. Frames with an obstacle other than
    /// [`Obstacle::NotAlive`] count as seen but not as judged.
    pub fn add(&mut self, face: &Face, window: usize, gap: Duration) {
        let known = self.track == Some(face.track);
        if known && face.captured_at <= self.newest {
            return;
        }
        let away = face.captured_at.saturating_sub(self.newest) > gap;
        if !known || away {
            self.clear();
            self.track = Some(face.track);
        }
        self.newest = face.captured_at;
        let person = face.person.filter(|_| face.obstacle.is_none()).map(|(id, _)| id);
        while self.window.len() >= window.clamp(1, MAX_WINDOW) {
            self.window.pop_front();
        }
        self.window.push_back(person).expect("the oldest was taken out");
        if face.obstacle.is_none() || face.obstacle == Some(Obstacle::NotAlive) {
            self.judged += 1;
        }
    }

    /// The person that at least `needed` of the remembered frames show, the newest among them, if no
    /// other person is among them.
    #[must_use]
    pub fn agreed(&self, needed: usize) -> Option<PersonId> {
        let newest = (*self.window.back()?)?;
        let mut named = self.window.iter().flatten();
        let votes = self.window.iter().flatten().count();
        (named.all(|person| *person == newest) && votes >= needed.max(1)).then_some(newest)
    }

    /// Frames of this track in which a face was good enough to be judged.
    #[must_use]
    pub fn judged(&self) -> u32 {
        self.judged
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

    fn face(track: u32, person: Option<u32>) -> Face {
        Face {
            track,
            captured_at: Duration::ZERO,
            obstacle: None,
            person: person.map(|id| (PersonId(id), false)),
            same_as_pending: true,
        }
    }

    fn after(faces: &[Face]) -> Evidence {
        let mut evidence = Evidence::default();
        for (step, face) in (1..).zip(faces) {
            let captured_at = face.captured_at + Duration::from_millis(10) * step;
            evidence.add(&Face { captured_at, ..*face }, 5, Duration::from_secs(1));
        }
        evidence
    }

    #[test]
    fn three_frames_of_five_agree_even_when_some_match_nobody() {
        let some = face(1, Some(7));
        let none = face(1, None);
        assert_eq!(after(&[some, none, some, none, some]).agreed(3), Some(PersonId(7)));
        assert_eq!(after(&[some, none, some, none, none]).agreed(2), None, "the newest must agree");
    }

    #[test]
    fn another_person_or_another_track_breaks_the_agreement() {
        assert_eq!(
            after(&[face(1, Some(7)), face(1, Some(8)), face(1, Some(7)), face(1, Some(7))]).agreed(3),
            None
        );
        assert_eq!(after(&[face(1, Some(7)), face(1, Some(7)), face(2, Some(7))]).agreed(2), None);
    }

    #[test]
    fn frames_with_a_gap_between_them_do_not_agree() {
        let later = Face { captured_at: Duration::from_millis(1001), ..face(1, Some(7)) };
        assert_eq!(after(&[face(1, Some(7)), face(1, Some(7)), later]).agreed(2), None);
    }

    #[test]
    fn one_frame_that_is_delivered_again_and_again_is_one_vote() {
        let mut evidence = Evidence::default();
        for _ in 0..5 {
            evidence.add(&face(1, Some(7)), 5, Duration::from_secs(1));
        }
        assert_eq!(evidence.agreed(2), None);
    }

    #[test]
    fn a_face_with_an_obstacle_is_no_evidence() {
        let flat = Face { obstacle: Some(Obstacle::NotAlive), ..face(1, Some(7)) };
        assert_eq!(after(&[flat; 5]).agreed(1), None);
        assert_eq!(after(&[flat; 5]).judged(), 5);
        let blurred = Face { obstacle: Some(Obstacle::Blurred), ..face(1, Some(7)) };
        assert_eq!(after(&[blurred; 5]).judged(), 0);
    }
}
