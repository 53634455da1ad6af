//! What happens at the door at this moment, for whoever watches over the cable.
//!
//! Anybody may ask: people are numbers here, and there is no picture. A picture is a parcel, for the owner only.

use serde::{Deserialize, Serialize};

/// Decisions that are told at most: so many fit into a frame with the longest reasons.
pub const MAX_DECISIONS: usize = 8;
/// Longest text of a decision or of the lights, in bytes.
pub const MAX_WORDS: usize = 64;

/// How the door and the parts of the lock are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// Milliseconds since the lock was started.
    pub up_ms: u64,
    /// Milliseconds since 1970-01-01 00:00 UTC; `None`: the lock does not know the time.
    pub unix_ms: Option<u64>,
    /// What the door does.
    pub door: DoorState,
    /// What lights and buzzer say, in words.
    pub shows: String,
    /// Whether the strike is driven.
    pub strike_driven: bool,
    /// Failures since the last success.
    pub failures: u32,
    /// Milliseconds until anybody is let in again; 0: no lockout.
    pub locked_out_ms: u32,
    /// Frames that were looked at since the start.
    pub frames: u32,
    /// What the newest frame shows; `None`: there is none yet.
    pub sight: Option<Sight>,
    /// What each stage of the newest frames takes, in the order of the stages.
    pub stages: Vec<StageTime>,
    /// The parts of the flash.
    pub flash: Vec<FlashPart>,
    /// Version of the active package; 0: the models that came with the firmware.
    pub version: u32,
    /// The active embedder.
    pub embedding_id: u32,
    /// The last decisions, the newest first, at most [`MAX_DECISIONS`].
    pub decisions: Vec<Decision>,
}

/// What the door does. New ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoorState {
    /// Locked, looking for somebody.
    Locked,
    /// The strike is driven, or was for the person who stands there.
    Open,
    /// Something is over; the face in view must leave first.
    Settling,
    /// A person is being enrolled.
    Enrolling,
    /// A person is being deleted.
    Deleting,
    /// Something else, which [`Vitals::shows`] tells.
    Other,
}

/// What the newest frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// Its age in milliseconds.
    pub age_ms: u32,
    /// Faces in it.
    pub faces: u8,
    /// Liveness score of the largest face, `0.0..=1.0`.
    pub live: Option<f32>,
    /// The person nearest to the largest face, accepted or not, and the squared distance, `0.0..=4.0`.
    pub nearest: Option<(u32, f32)>,
    /// Frames that agree on a person, and how many must.
    pub agreeing: (u8, u8),
}

/// What one stage of a frame takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTime {
    /// Its name: decode, detect, look, embed, liveness.
    pub stage: String,
    /// Microseconds of a frame on the average of the newest ones.
    pub mean_us: u32,
    /// The longest since the start, in microseconds.
    pub worst_us: u32,
}

/// A part of the flash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlashPart {
    /// Its name in the board file: gallery, crops, audit, slot_a, slot_b, boot.
    pub name: String,
    /// Its erase blocks.
    pub blocks: u32,
    /// Blocks erased since the start; divided by `blocks` it says how fast the part wears.
    pub erased: u32,
    /// It failed and is not written any more.
    pub retired: bool,
}

/// Something that was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Counts up from 1 since the start: a number that is left out was not told.
    pub number: u32,
    /// Milliseconds since then.
    pub ago_ms: u32,
    /// What.
    pub verdict: Verdict,
    /// Whom it concerns, or who is nearest.
    pub person: Option<u32>,
    /// Squared distance, `0.0..=4.0`.
    pub distance: Option<f32>,
    /// Why, in words.
    pub reason: String,
}

/// What was decided. New ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The door was opened for a person.
    Opened,
    /// Somebody was not let in.
    Refused,
    /// A person was enrolled.
    Enrolled,
    /// An enrolment ended without a person.
    NotEnrolled,
    /// A person was deleted.
    Deleted,
    /// Something else, which the reason tells.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::frame::MAX_PAYLOAD;
    use crate::update::message::{Answer, ToHost};

    #[test]
    fn the_longest_vitals_fit_into_a_frame() {
        let words = "x".repeat(MAX_WORDS);
        let decision = Decision {
            number: u32::MAX,
            ago_ms: u32::MAX,
            verdict: Verdict::Other,
            person: Some(u32::MAX),
            distance: Some(4.0),
            reason: words.clone(),
        };
        let stage = StageTime { stage: "liveness".to_owned(), mean_us: u32::MAX, worst_us: u32::MAX };
        let part = FlashPart { name: "gallery".to_owned(), blocks: 4096, erased: u32::MAX, retired: true };
        let sight = Sight {
            age_ms: u32::MAX,
            faces: 8,
            live: Some(1.0),
            nearest: Some((u32::MAX, 4.0)),
            agreeing: (16, 16),
        };
        let vitals = Vitals {
            up_ms: u64::MAX,
            unix_ms: Some(u64::MAX),
            door: DoorState::Other,
            shows: words,
            strike_driven: true,
            failures: u32::MAX,
            locked_out_ms: u32::MAX,
            frames: u32::MAX,
            sight: Some(sight),
            stages: vec![stage; 6],
            flash: vec![part; 6],
            version: u32::MAX,
            embedding_id: u32::MAX,
            decisions: vec![decision; MAX_DECISIONS],
        };
        let result = Ok(Answer::Vitals(vitals));
        let answer = ToHost::Answer { session: u32::MAX, number: u32::MAX, result };
        let bytes = postcard::to_allocvec(&answer).expect("serialisable");
        assert!(bytes.len() <= MAX_PAYLOAD, "{} bytes", bytes.len());
    }
}
