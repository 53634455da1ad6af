//! Enrolment by the button: several templates of one person, from different moments.

use core::time::Duration;

use super::countdown::Countdown;
use super::event::Frame;
use super::evidence::{Obstacle, PersonId, Sighting};
use super::proof::Proof;
use super::signal::Signal;

/// How an enrolment runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolPolicy {
    /// Templates of a person.
    pub templates: u8,
    /// Least time between two of them: templates of one moment say the same thing.
    pub spacing: Duration,
    /// How long each stage waits for a face.
    pub patience: Duration,
}

/// Why an enrolment ended without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnrolFailure {
    /// Nobody who may administer came.
    NotAuthorised,
    /// Nobody looked into the camera.
    NobodyCame,
    /// The last thing that stood in the way until time was up.
    Hindered(Obstacle),
    /// Two faces at once.
    TwoFaces,
    /// The face is enrolled already.
    AlreadyEnrolled,
    /// Another person came while templates were taken.
    SomebodyElse,
    /// There is no place for another person.
    Full,
    /// The templates could not be stored.
    Storage,
    /// The button was pressed again.
    Cancelled,
}

impl EnrolFailure {
    /// What happened and what to do.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotAuthorised => "failed: no administrator showed",
            Self::NobodyCame => "failed: nobody looked into the camera",
            Self::Hindered(obstacle) => match obstacle {
                Obstacle::TooFar => "failed: too far away",
                Obstacle::TooNear => "failed: too near",
                Obstacle::Turned => "failed: head turned",
                Obstacle::Blurred => "failed: blurred",
                Obstacle::TooDark => "failed: too dark",
                Obstacle::TooBright => "failed: too bright",
                Obstacle::Covered => "failed: face covered",
                Obstacle::NotAlive => "failed: not a living face",
            },
            Self::TwoFaces => "failed: two faces at once",
            Self::AlreadyEnrolled => "failed: this face is enrolled already",
            Self::SomebodyElse => "failed: somebody else came into view",
            Self::Full => "failed: no room for another person",
            Self::Storage => "failed: could not be stored",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where an enrolment stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EnrolStage {
    /// Somebody who may administer has to be recognised first.
    Authorise {
        /// What frames and PIN say so far.
        proof: Proof,
    },
    /// Templates are taken.
    Take {
        /// Who authorised it: that face is passed over.
        authorised_by: Option<PersonId>,
        /// Templates taken so far.
        taken: u8,
        /// For how long no other is taken.
        spacing: Countdown,
        /// What was last in the way.
        obstacle: Option<Obstacle>,
    },
}

/// What a frame does to an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing new.
    Waiting,
    /// Take this frame's template.
    Take,
    /// Take it; it is the last: store the person.
    TakeLast,
    /// It is over.
    Failed(EnrolFailure),
}

impl EnrolStage {
    /// The stage at which an enrolment begins: the first person needs nobody's leave.
    pub(super) fn begin(people: usize) -> Self {
        if people == 0 { Self::take(None) } else { Self::Authorise { proof: Proof::default() } }
    }

    pub(super) fn take(authorised_by: Option<PersonId>) -> Self {
        Self::Take { authorised_by, taken: 0, spacing: Countdown::default(), obstacle: None }
    }

    /// `time` passes.
    pub(super) fn pass(&mut self, time: Duration, gap: Duration) {
        match self {
            Self::Authorise { proof } => proof.pass(time, gap),
            Self::Take { spacing, .. } => {
                spacing.pass(time);
            }
        }
    }

    pub(super) fn signal(&self) -> Signal {
        match self {
            Self::Authorise { .. } => Signal::ShowAdministrator,
            Self::Take { obstacle: Some(obstacle), .. } => Signal::Hindered(*obstacle),
            Self::Take { taken: 0, .. } => Signal::Look,
            Self::Take { .. } => Signal::HoldStill,
        }
    }

    /// Why it failed when time is up now.
    pub(super) fn timed_out(&self) -> EnrolFailure {
        match self {
            Self::Authorise { .. } => EnrolFailure::NotAuthorised,
            Self::Take { obstacle: Some(obstacle), .. } => EnrolFailure::Hindered(*obstacle),
            Self::Take { obstacle: None, .. } => EnrolFailure::NobodyCame,
        }
    }

    /// What a frame that was taken `age` ago does to the templates; nothing before it was authorised.
    pub(super) fn see(&mut self, (sighting, age): Frame<'_>, policy: &EnrolPolicy) -> Progress {
        let Self::Take { authorised_by, taken, spacing, obstacle } = self else { return Progress::Waiting };
        let face = match sighting {
            Sighting::Nobody => return Progress::Waiting,
            Sighting::Several { .. } => return Progress::Failed(EnrolFailure::TwoFaces),
            Sighting::One(face) => face,
        };
        *obstacle = face.obstacle;
        if face.obstacle.is_some() {
            return Progress::Waiting;
        }
        if let Some(known) = face.person {
            let passed_over = *authorised_by == Some(known.id) && *taken == 0;
            let failed = Progress::Failed(EnrolFailure::AlreadyEnrolled);
            return if passed_over { Progress::Waiting } else { failed };
        }
        if !face.same_as_pending {
            return Progress::Failed(EnrolFailure::SomebodyElse);
        }
        take_in_turn(taken, spacing, age, policy)
    }
}

fn take_in_turn(taken: &mut u8, spacing: &mut Countdown, age: Duration, policy: &EnrolPolicy) -> Progress {
    if spacing.left() > age {
        return Progress::Waiting;
    }
    *spacing = Countdown::new(policy.spacing);
    *taken += 1;
    if *taken >= policy.templates { Progress::TakeLast } else { Progress::Take }
}
