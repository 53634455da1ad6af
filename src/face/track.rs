//! The same face over frames: who was where, seen how often, how alive.
//!
//! A track is one face that moves little from frame to frame. It ends when it was not seen for a while, or
//! when the templates say that somebody else stands there now. Time is an argument.

use super::geometry::{Bounds, Landmarks, Point};
use super::liveness::combined_score;
use super::nms::Detection;
use super::template::Template;
use heapless::Vec;
use heapless::history_buf::HistoryBuf;
use std::time::Duration;

/// Faces that are followed at once. A choice: a doorway holds fewer.
pub const MAX_TRACKS: usize = 8;

/// Frames whose liveness a track remembers. A choice: a second at eight frames a second.
pub const HISTORY: usize = 8;

/// A track's number: never used again while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u32);

/// When two pictures show the same face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackSettings {
    /// Least overlap of the boxes in consecutive frames, intersection over union.
    pub least_overlap: f32,
    /// Greatest squared distance of the templates, `0.0..=4.0`: beyond it somebody else stands there.
    pub most_distance: f32,
    /// A face that was not seen for this long is gone.
    pub gone_after: Duration,
}

impl Default for TrackSettings {
    /// Choices: a face that walks moves by half of its width in 200 ms; the squared distance of strangers is
    /// around 2, of one person's neighbouring frames far below 1.
    fn default() -> Self {
        Self { least_overlap: 0.3, most_distance: 1.6, gone_after: Duration::from_millis(700) }
    }
}

/// One face over frames.
#[derive(Debug, Clone)]
pub struct Track {
    id: TrackId,
    bounds: Bounds,
    landmarks: Landmarks,
    first_seen: Duration,
    last_seen: Duration,
    frames: u32,
    logits: HistoryBuf<f32, HISTORY>,
    template: Option<Template>,
}

impl Track {
    fn new(id: TrackId, face: &Detection, now: Duration) -> Self {
        Self {
            id,
            bounds: face.bounds,
            landmarks: face.landmarks,
            first_seen: now,
            last_seen: now,
            frames: 1,
            logits: HistoryBuf::new(),
            template: None,
        }
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> TrackId {
        self.id
    }

    /// The newest box.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The landmarks, smoothed over frames while the face stands still.
    #[must_use]
    pub fn landmarks(&self) -> &Landmarks {
        &self.landmarks
    }

    /// When its first frame was taken.
    #[must_use]
    pub fn first_seen(&self) -> Duration {
        self.first_seen
    }

    /// When its newest frame was taken.
    #[must_use]
    pub fn last_seen(&self) -> Duration {
        self.last_seen
    }

    /// In how many frames it was seen.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Its newest template.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        self.template.as_ref()
    }

    /// How many frames speak in [`Track::liveness`], at most [`HISTORY`].
    #[must_use]
    pub fn liveness_frames(&self) -> usize {
        self.logits.len()
    }

    /// Score of a living face over its newest frames, `0.0..=1.0`; `None` before the first.
    #[must_use]
    pub fn liveness(&self) -> Option<f32> {
        combined_score(self.logits.oldest_ordered().copied())
    }

    /// Takes in a face of the next frame. Landmarks follow at once when the face moves by more than a tenth
    /// of the distance between the eyes, and are smoothed the more the stiller it is: jitter is noise of the
    /// detector, a walk is not.
    fn follow(&mut self, face: &Detection, now: Duration) {
        let eyes = face.landmarks.eye_distance().max(1.0);
        let pairs = || self.landmarks.0.iter().zip(&face.landmarks.0);
        let moved = pairs().map(|(old, new)| old.distance(*new)).sum::<f32>() / (5.0 * eyes);
        let share = (10.0 * moved).clamp(0.3, 1.0);
        self.landmarks.0 = std::array::from_fn(|i| {
            let (old, new): (Point, Point) = (self.landmarks.0[i], face.landmarks.0[i]);
            old.towards(new, share)
        });
        self.bounds = face.bounds;
        self.last_seen = now;
        self.frames = self.frames.saturating_add(1);
    }
}

/// All tracks of one camera.
#[derive(Debug, Default)]
pub struct Tracker {
    settings: TrackSettings,
    tracks: Vec<Track, MAX_TRACKS>,
    next: u32,
}

impl Tracker {
    /// A tracker without tracks.
    #[must_use]
    pub fn new(settings: TrackSettings) -> Self {
        Self { settings, tracks: Vec::new(), next: 0 }
    }

    /// The tracks that are not gone.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The track `id`; `None` when it is gone.
    #[must_use]
    pub fn get(&self, id: TrackId) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == id)
    }

    /// Forgets all tracks; their numbers stay used.
    pub fn clear(&mut self) {
        self.tracks.clear();
    }

    /// Assigns the faces of one frame to tracks, the pair that overlaps most first; a face that fits none
    /// begins one. Returns the faces' tracks in the faces' order, without those that found no place.
    pub fn assign<'a>(
        &mut self,
        faces: impl Iterator<Item = &'a Detection> + Clone,
        now: Duration,
    ) -> Vec<Option<TrackId>, { super::nms::MAX_FACES }> {
        let gone_after = self.settings.gone_after;
        self.tracks
            .retain(|track| now.saturating_sub(track.last_seen) <= gone_after && now >= track.last_seen);
        let mut assigned: Vec<Option<TrackId>, _> =
            faces.clone().take(super::nms::MAX_FACES).map(|_| None).collect();
        while let Some((face, track)) = self.best_pair(faces.clone(), &assigned) {
            assigned[face] = Some(self.tracks[track].id);
            if let Some(detection) = faces.clone().nth(face) {
                self.tracks[track].follow(detection, now);
            }
        }
        for (face, place) in faces.zip(&mut assigned) {
            if place.is_none() {
                *place = self.begin(face, now);
            }
        }
        assigned
    }

    /// The face and the track, both not assigned, whose boxes overlap most.
    fn best_pair<'a>(
        &self,
        faces: impl Iterator<Item = &'a Detection>,
        assigned: &[Option<TrackId>],
    ) -> Option<(usize, usize)> {
        let mut best = (self.settings.least_overlap, None);
        for (i, face) in faces.enumerate().take(assigned.len()).filter(|(i, _)| assigned[*i].is_none()) {
            for (j, track) in self.tracks.iter().enumerate().filter(|(_, t)| !assigned.contains(&Some(t.id)))
            {
                let overlap = face.bounds.overlap(&track.bounds);
                if overlap > best.0 {
                    best = (overlap, Some((i, j)));
                }
            }
        }
        best.1
    }

    /// Begins a track; `None` when all places are taken.
    fn begin(&mut self, face: &Detection, now: Duration) -> Option<TrackId> {
        let id = TrackId(self.next);
        self.tracks.push(Track::new(id, face, now)).ok()?;
        self.next = self.next.wrapping_add(1);
        Some(id)
    }

    /// Adds one frame's liveness logit to a track.
    pub fn add_liveness(&mut self, id: TrackId, logit: f32) {
        if let Some(track) = self.tracks.iter_mut().find(|track| track.id == id) {
            track.logits.write(logit);
        }
    }

    /// Adds one frame's template to a track. When it is too far from the track's last one, somebody else
    /// stands there: the track ends, a new one begins in its place without any of its evidence, and its
    /// number is returned.
    pub fn add_template(&mut self, id: TrackId, template: &Template) -> Option<TrackId> {
        let most = self.settings.most_distance;
        let track = self.tracks.iter_mut().find(|track| track.id == id)?;
        if track.template.as_ref().is_none_or(|last| last.distance(template) <= most) {
            track.template = Some(template.clone());
            return Some(id);
        }
        let face = Detection { bounds: track.bounds, landmarks: track.landmarks, score: 0.0 };
        let new = TrackId(self.next);
        *track = Track { template: Some(template.clone()), ..Track::new(new, &face, track.last_seen) };
        self.next = self.next.wrapping_add(1);
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(left: f32, top: f32) -> Detection {
        let bounds = Bounds { left, top, right: left + 40.0, bottom: top + 40.0 };
        let at = |x: f32, y: f32| Point::new(left + x, top + y);
        let landmarks =
            Landmarks([at(12.0, 15.0), at(28.0, 15.0), at(20.0, 23.0), at(14.0, 31.0), at(26.0, 31.0)]);
        Detection { bounds, landmarks, score: 0.9 }
    }

    fn template(seed: i32) -> Template {
        let output: [i8; 128] =
            std::array::from_fn(|i| ((i as i32 + 1) * (37 + 55 * seed) % 201 - 100) as i8);
        Template::from_output(&output, 0, 255, 1).unwrap()
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_face_that_moves_slowly_keeps_its_track() {
        let mut tracker = Tracker::default();
        for frame in 0..20 {
            let ids = tracker.assign([face(5.0 * frame as f32, 0.0)].iter(), ms(100 * frame));
            assert_eq!(ids[0], Some(TrackId(0)));
        }
        assert_eq!(tracker.tracks()[0].frames(), 20);
        assert_eq!(tracker.tracks()[0].last_seen(), ms(1900));
    }

    #[test]
    fn two_faces_that_pass_each_other_s_order_keep_their_tracks() {
        let mut tracker = Tracker::default();
        let first = tracker.assign([face(0.0, 0.0), face(60.0, 0.0)].iter(), ms(0));
        let second = tracker.assign([face(58.0, 0.0), face(3.0, 0.0)].iter(), ms(100));
        assert_eq!((first[0], first[1]), (second[1], second[0]));
    }

    #[test]
    fn a_jump_and_a_long_absence_begin_new_tracks() {
        let mut tracker = Tracker::default();
        let ids = [(0.0, 0), (200.0, 100), (200.0, 2000)]
            .map(|(left, at)| tracker.assign([face(left, 0.0)].iter(), ms(at))[0].unwrap());
        assert_eq!(ids, [TrackId(0), TrackId(1), TrackId(2)]);
        assert_eq!(tracker.tracks().len(), 1);
    }

    #[test]
    fn another_person_in_the_same_place_inherits_no_evidence() {
        let mut tracker = Tracker::default();
        let id = tracker.assign([face(0.0, 0.0)].iter(), ms(0))[0].unwrap();
        tracker.add_liveness(id, 5.0);
        assert_eq!(tracker.add_template(id, &template(0)), Some(id));
        assert_eq!(tracker.add_template(id, &template(0)), Some(id));
        let other = tracker.add_template(id, &template(1)).unwrap();
        assert_ne!(other, id);
        assert_eq!(tracker.get(id).map(Track::id), None);
        let track = tracker.get(other).unwrap();
        assert_eq!((track.frames(), track.liveness()), (1, None));
    }

    #[test]
    fn liveness_is_the_mean_of_the_newest_frames() {
        let mut tracker = Tracker::default();
        let id = tracker.assign([face(0.0, 0.0)].iter(), ms(0))[0].unwrap();
        assert_eq!(tracker.get(id).unwrap().liveness(), None);
        (0..HISTORY).for_each(|_| tracker.add_liveness(id, -9.0));
        (0..HISTORY).for_each(|_| tracker.add_liveness(id, 2.0));
        let score = tracker.get(id).unwrap().liveness().unwrap();
        assert!((score - super::super::decode::sigmoid(2.0)).abs() < 1e-6);
    }

    #[test]
    fn landmarks_jitter_less_than_their_detections_and_follow_a_walk() {
        let mut tracker = Tracker::default();
        let (mut raw, mut smooth) = (0.0, 0.0);
        let mut last: Option<(f32, f32)> = None;
        for frame in 0..40_u64 {
            let jitter = [0.4, -0.4, 0.2, -0.3][frame as usize % 4];
            let id = tracker.assign([face(jitter, 0.0)].iter(), ms(100 * frame))[0].unwrap();
            let now = (jitter, tracker.get(id).unwrap().landmarks().nose().x);
            if let Some(before) = last {
                raw += (now.0 - before.0).abs();
                smooth += (now.1 - before.1).abs();
            }
            last = Some(now);
        }
        assert!(smooth < 0.6 * raw, "{smooth} of {raw}");
        tracker.assign([face(12.0, 0.0)].iter(), ms(4000));
        assert_eq!(tracker.tracks()[0].landmarks(), &face(12.0, 0.0).landmarks);
    }

    #[test]
    fn a_crowd_beyond_the_capacity_is_left_without_tracks() {
        let crowd: std::vec::Vec<_> = (0..12).map(|i| face(100.0 * i as f32, 0.0)).collect();
        let mut tracker = Tracker::default();
        let ids = tracker.assign(crowd.iter(), ms(0));
        assert_eq!(ids.iter().flatten().count(), MAX_TRACKS);
    }

    #[test]
    fn a_clock_that_runs_backwards_begins_anew() {
        let mut tracker = Tracker::default();
        tracker.assign([face(0.0, 0.0)].iter(), ms(5000));
        assert_eq!(tracker.assign([face(0.0, 0.0)].iter(), ms(10))[0], Some(TrackId(1)));
    }
}
