//! Whether somebody proved to be a person: by face, within their hours, and by PIN where one is asked for.
//!
//! Everything is joined by "and". A right PIN opens nothing by itself: frames must agree on that person again, or
//! still. A wrong one takes away what the frames said.

use core::time::Duration;

use super::countdown::Countdown;
use super::evidence::{Agreement, Evidence, Face, PersonId};

/// How long a PIN is awaited on a board. A choice: time for eight digits and a second try.
pub const PIN_PATIENCE: Duration = Duration::from_secs(20);

/// What is known of the person whom a face matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Known {
    /// Who it is.
    pub id: PersonId,
    /// Whether that person lets others be enrolled and deleted.
    pub administers: bool,
    /// Whether that person may come at this time.
    pub in_hours: bool,
    /// Whether a PIN is asked for as well.
    pub needs_pin: bool,
}

/// What frames and PIN say so far of the face in view.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Proof {
    /// What the frames say.
    pub(super) evidence: Evidence,
    pin: Option<Pin>,
}

/// A PIN that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pin {
    of: PersonId,
    /// The face that was asked.
    track: u32,
    patience: Countdown,
    right: bool,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody, so far.
    Open,
    /// It is this person, whose PIN is needed.
    AskPin(PersonId),
    /// It is somebody whose PIN was asked for.
    PinAwaited,
    /// It is this person, who may not come at this time.
    OutOfHours(PersonId),
    /// It is this person.
    Proven(PersonId),
}

impl Proof {
    /// `time` passes.
    pub(super) fn pass(&mut self, time: Duration, gap: Duration) {
        self.evidence.pass(time, gap);
        if self.pin.as_mut().is_some_and(|pin| pin.patience.pass(time)) {
            self.pin = None;
        }
    }

    /// What the newest frame, which was added to the evidence, makes of it. A PIN is awaited for `patience`.
    pub(super) fn verdict(&mut self, face: &Face, agreement: &Agreement, patience: Duration) -> Verdict {
        let agreed = self.evidence.agreed(agreement);
        let Some(known) = face.person.filter(|known| agreed == Some(known.id)) else { return Verdict::Open };
        if !known.in_hours {
            return Verdict::OutOfHours(known.id);
        }
        match self.pin.filter(|pin| pin.of == known.id) {
            _ if !known.needs_pin => Verdict::Proven(known.id),
            Some(pin) if pin.right => Verdict::Proven(known.id),
            Some(_) => Verdict::PinAwaited,
            None => {
                let (track, patience) = (face.track, Countdown::new(patience));
                self.pin = Some(Pin { of: known.id, track, patience, right: false });
                Verdict::AskPin(known.id)
            }
        }
    }

    /// Whose PIN is awaited.
    pub(super) fn asks_pin_of(&self) -> Option<PersonId> {
        self.pin.filter(|pin| !pin.right).map(|pin| pin.of)
    }

    /// Whether a PIN was asked of a face a short while ago: whoever types does not look into the camera.
    pub(super) fn has_asked(&self, face: &Face) -> bool {
        self.pin.is_some_and(|pin| pin.track == face.track)
    }

    /// A PIN of the person who was asked was entered. A wrong one ends the asking.
    pub(super) fn enter(&mut self, right: bool) {
        match &mut self.pin {
            Some(pin) if right => pin.right = true,
            _ => *self = Self::default(),
        }
    }
}
