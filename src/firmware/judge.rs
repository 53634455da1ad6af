//! What is seen to what the door should know of it: who it is, and what stands in the way.

use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;

use super::eyes::{AlignedCrop, View};
use super::week::WeekClock;
use crate::door::{Face, Known, Obstacle, PersonId, Sighting};
use crate::face::analyze::{Close, Observation};
use crate::face::nms::MAX_FACES;
use crate::face::quality::{Flaw, Gate};
use crate::face::template::Template;
use crate::gallery::{Gallery, Hours, Match, MatchPolicy, Person, Role};

/// A second face counts as "two at once" when its eyes are at least this share as far apart as the first's.
/// A choice: somebody in the background is passed over, somebody beside is not.
const BESIDE: f32 = 0.6;

/// Whether a face must be alive. Only the simulated board can be told to do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// As on every device.
    Required,
    /// To show what it is good for.
    Off,
}

/// What one frame came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// When it was taken.
    pub captured_at: Duration,
    /// All faces, the largest first.
    pub faces: heapless::Vec<Observation, MAX_FACES>,
    /// What the door is told.
    pub sighting: Sighting,
    /// The person nearest to the largest face, accepted or not.
    pub nearest: Option<Match>,
    /// Liveness score of the largest face over its track, `0.0..=1.0`.
    pub live: Option<f32>,
    /// Template of the largest face.
    pub template: Option<Template>,
    /// Its aligned picture; meaningful only when it has a template.
    pub crop: AlignedCrop,
}

impl Judgement {
    /// Track and template of the largest face, when it has both.
    pub(super) fn followed(&self) -> Option<(u32, &Template)> {
        Some((self.faces.first()?.track?.0, self.template.as_ref()?))
    }
}

/// The rules by which a view is judged.
#[derive(Debug, Clone)]
pub struct Judge {
    policy: MatchPolicy,
    liveness: Liveness,
    clock: Option<WeekClock>,
}

impl Judge {
    /// A judge who accepts a person by `policy`. Without a clock, whoever has hours is out of them.
    #[must_use]
    pub fn new(policy: MatchPolicy, liveness: Liveness) -> Self {
        Self { policy, liveness, clock: None }
    }

    /// The same judge, who looks at `clock` for people's hours.
    #[must_use]
    pub fn with_clock(self, clock: WeekClock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// By which distance a person is accepted.
    #[must_use]
    pub fn policy(&self) -> &MatchPolicy {
        &self.policy
    }

    /// Judges a view. `pending`: the templates of an enrolment that is under way, when there is one.
    #[must_use]
    pub fn judge<F: NorFlash<Error: core::fmt::Debug>>(
        &self,
        view: View,
        gallery: &Gallery<F>,
        pending: Option<&[Template]>,
    ) -> Judgement {
        let View { captured_at, faces, live, alive, crop, .. } = view;
        let (sighting, nearest, template) = (Sighting::Nobody, None, None);
        let mut judgement = Judgement { captured_at, sighting, nearest, live, template, faces, crop };
        let Some((largest, close)) = judgement.faces.first().and_then(|f| Some((f, f.close.as_ref()?)))
        else {
            return judgement;
        };
        judgement.template.clone_from(&close.template);
        judgement.nearest = close.template.as_ref().and_then(|template| gallery.nearest(template));
        let accepted = judgement.nearest.filter(|found| found.is_accepted(&self.policy));
        let person = accepted.and_then(|found| gallery.person(found.person)).map(|person| self.known(person));
        let nearest = Face {
            track: largest.track.map_or(u32::MAX, |id| id.0),
            captured_at,
            obstacle: self.obstacle(close, alive, pending.is_some()),
            person: person.filter(|_| largest.track.is_some()),
            same_as_pending: self.is_same(judgement.template.as_ref(), pending.unwrap_or_default()),
        };
        judgement.sighting =
            if several(&judgement.faces) { Sighting::Several { nearest } } else { Sighting::One(nearest) };
        judgement
    }

    /// Whoever has hours is out of them while nobody knows the time.
    fn known(&self, person: &Person) -> Known {
        let Person { id, role, access, .. } = person;
        let now = || self.clock.as_ref().and_then(WeekClock::now);
        let in_hours = |hours: &Hours| now().is_some_and(|time| hours.include(time));
        Known {
            id: PersonId(*id),
            administers: *role == Role::Administrator,
            in_hours: access.hours.as_ref().is_none_or(in_hours),
            needs_pin: access.pin.is_some(),
        }
    }

    fn obstacle(&self, close: &Close, alive: bool, enrolling: bool) -> Option<Obstacle> {
        let stricter = || if enrolling { Gate::ENROLMENT.flaw(&close.measures) } else { None };
        if let Some(flaw) = close.flaw.or_else(stricter) {
            return Some(obstacle_of(flaw));
        }
        (self.liveness == Liveness::Required && !alive).then_some(Obstacle::NotAlive)
    }

    fn is_same(&self, template: Option<&Template>, pending: &[Template]) -> bool {
        let Some(template) = template else { return false };
        pending.iter().all(|taken| taken.distance(template) <= self.policy.threshold)
    }
}

fn several(faces: &[Observation]) -> bool {
    let eyes = |face: &Observation| face.landmarks.eye_distance();
    matches!(faces, [first, second, ..] if eyes(second) >= BESIDE * eyes(first))
}

fn obstacle_of(flaw: Flaw) -> Obstacle {
    match flaw {
        Flaw::TooFar => Obstacle::TooFar,
        Flaw::TurnedAway | Flaw::NotLevel | Flaw::Tilted => Obstacle::Turned,
        Flaw::Covered => Obstacle::Covered,
        Flaw::TooDark => Obstacle::TooDark,
        Flaw::TooBright | Flaw::NoContrast | Flaw::LitFromOneSide => Obstacle::TooBright,
        Flaw::Blurred => Obstacle::Blurred,
    }
}
