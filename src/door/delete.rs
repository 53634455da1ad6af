//! Deletion by the button: an administrator first, then the person, then one more press.

use core::time::Duration;

use super::countdown::Countdown;
use super::event::Frame;
use super::evidence::{Agreement, Evidence, PersonId, Sighting};
use super::proof::Proof;
use super::signal::Signal;

/// Where a deletion stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeleteStage {
    /// Somebody who may administer has to be recognised first.
    Authorise {
        /// What frames and PIN say so far.
        proof: Proof,
    },
    /// The person has to be recognised.
    Choose {
        /// What the frames say so far.
        evidence: Evidence,
        /// Who authorised it: that person is not chosen, until nobody was in view for this time, and a face that was
        /// theirs is nobody else's. Whoever gives leave and stays must not be the next to go.
        giver: Option<(PersonId, Countdown)>,
        /// Who is to be deleted.
        chosen: Option<PersonId>,
    },
}

impl DeleteStage {
    pub(super) fn begin() -> Self {
        Self::Authorise { proof: Proof::default() }
    }

    /// Who is to be deleted, once that person was recognised.
    pub(super) fn chosen(&self) -> Option<PersonId> {
        match self {
            Self::Authorise { .. } => None,
            Self::Choose { chosen, .. } => *chosen,
        }
    }

    pub(super) fn signal(&self) -> Signal {
        match self {
            Self::Authorise { .. } => Signal::ShowAdministrator,
            Self::Choose { chosen: Some(_), .. } => Signal::Confirm,
            Self::Choose { chosen: None, .. } => Signal::Look,
        }
    }

    /// `time` passes.
    pub(super) fn pass(&mut self, time: Duration, gap: Duration) {
        match self {
            Self::Authorise { proof } => proof.pass(time, gap),
            Self::Choose { evidence, giver, .. } => {
                evidence.pass(time, gap);
                if giver.as_mut().is_some_and(|(_, away)| away.pass(time)) {
                    *giver = None;
                }
            }
        }
    }

    /// The person is to be chosen; `away`: how long nobody must be in view before `giver` may be.
    pub(super) fn choose(giver: PersonId, away: Duration) -> Self {
        let giver = Some((giver, Countdown::new(away)));
        Self::Choose { evidence: Evidence::default(), giver, chosen: None }
    }

    /// Takes a frame; returns whether somebody was recognised. Nothing comes of it before it was authorised.
    pub(super) fn see(&mut self, (sighting, age): Frame<'_>, agreement: &Agreement, away: Duration) -> bool {
        let Self::Choose { evidence, giver, chosen } = self else { return false };
        if let (Some((_, left)), true) = (giver.as_mut(), sighting.face().is_some()) {
            *left = Countdown::new(away);
        }
        let Sighting::One(face) = sighting else {
            evidence.clear();
            return false;
        };
        let passed_over = giver.map(|(person, _)| person);
        evidence.add(face, age, agreement);
        let agreed = evidence.agreed(agreement).filter(|person| Some(*person) != passed_over);
        *chosen = agreed.or(*chosen);
        agreed.is_some()
    }
}
