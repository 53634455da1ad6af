//! A package over a line that loses frames: both ends of the window, without clock and line.
//!
//! ```text
//! |== durable ==|-- received --|  gap  |- beyond -|    not sent    | room
//!                        '-------------- window of the lock --------'
//! ```
//!
//! The lock says with every segment what is durable, what it has without a gap, and which of the segments behind the
//! gap. The computer repeats a segment when one that was sent after it has arrived (a line does not reorder), or when
//! nothing was heard for a while. While the lock is still storing all that it was sent, the first of that is sent again now
//! and then, to hear that it is there. Segments may come twice and late; each goes to its place or is passed over.

use std::time::Duration;

use super::message::SEGMENT_BYTES;

/// Segments that the lock holds beyond those that it handed to its storage.
pub const WINDOW_SEGMENTS: usize = 32;
/// Bytes of the window.
pub const WINDOW_BYTES: usize = WINDOW_SEGMENTS * SEGMENT_BYTES;
/// Longest wait before everything that is under way is sent again.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// How far a transfer is, as the lock says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes from the start that a power cut cannot take away.
    pub durable: u32,
    /// Bytes from the start that are there without a gap.
    pub received: u32,
    /// Bit n: segment n behind the first missing one is there.
    pub beyond: u32,
    /// Bytes from the start for which there is room.
    pub room: u32,
}

/// The lock's end: puts segments into order.
#[derive(Debug, Clone)]
pub struct Inbox {
    bytes: u32,
    durable: u32,
    /// Bytes from the start that were handed to the storage.
    base: u32,
    /// Bit n: segment n behind the base is there.
    present: u64,
    window: Vec<u8>,
}

impl Inbox {
    /// For a package of `bytes`, of which `durable` are there; a multiple of [`SEGMENT_BYTES`], or all.
    #[must_use]
    pub fn new(bytes: u32, durable: u32) -> Self {
        let durable = durable.min(bytes);
        Self { bytes, durable, base: durable, present: 0, window: vec![0; WINDOW_BYTES] }
    }

    /// Takes a segment, unless it came before, is not within the window, or has not the length that it should.
    pub fn take(&mut self, offset: u32, segment: &[u8]) {
        let size = SEGMENT_BYTES as u32;
        let Some(ahead) = offset.checked_sub(self.base) else { return };
        let place = (ahead / size) as usize;
        let expected = self.bytes.saturating_sub(offset).min(size) as usize;
        if !ahead.is_multiple_of(size)
            || place >= WINDOW_SEGMENTS
            || expected == 0
            || segment.len() != expected
        {
            return;
        }
        self.window[place * SEGMENT_BYTES..][..expected].copy_from_slice(segment);
        self.present |= 1 << place;
    }

    /// What can be stored next: its offset and bytes, a whole block of `block` bytes or what is left at the end.
    #[must_use]
    pub fn ready(&self, block: usize) -> Option<(u32, &[u8])> {
        let there = (self.received() - self.base) as usize;
        let last = self.received() == self.bytes;
        let len = if last { there } else { there / block * block };
        (len > 0).then(|| (self.base, &self.window[..len.min(block)]))
    }

    /// `len` bytes of what was ready were handed to the storage.
    pub fn handed_on(&mut self, len: usize) {
        self.base += len as u32;
        self.window.copy_within(len.min(WINDOW_BYTES).., 0);
        self.present = self.present.checked_shr(len.div_ceil(SEGMENT_BYTES) as u32).unwrap_or(0);
    }

    /// The first `durable` bytes of the package are there for good.
    pub fn settled(&mut self, durable: u32) {
        self.durable = durable.clamp(self.durable, self.base);
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let run = self.present.trailing_ones();
        let beyond = (self.present >> run >> 1) as u32;
        let room = self.base.saturating_add(WINDOW_BYTES as u32).min(self.bytes);
        Progress { durable: self.durable, received: self.received(), beyond, room }
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Whether all of it is durable.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.durable == self.bytes
    }

    fn received(&self) -> u32 {
        (self.base + self.present.trailing_ones() * SEGMENT_BYTES as u32).min(self.bytes)
    }
}

/// Where a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// To be sent.
    Waiting,
    /// Sent as the so-manieth.
    Sent(u64),
    /// At the lock.
    Arrived,
}

/// The computer's end: says what to send when.
#[derive(Debug, Clone)]
pub struct Outbox {
    bytes: u32,
    under_way_most: u32,
    progress: Progress,
    /// Of the segments behind the durable bytes.
    segments: std::collections::VecDeque<Segment>,
    sent: u64,
    repeated: u64,
    wait: Duration,
    first_wait: Duration,
    /// When something new was heard or sent last.
    moved_at: Duration,
}

impl Outbox {
    /// For a package of `bytes`, of which the lock has `durable` and has room for `window` more. `byte_time`:
    /// what one byte takes on the line.
    #[must_use]
    pub fn new(bytes: u32, durable: u32, window: u32, byte_time: Duration, now: Duration) -> Self {
        let segment = SEGMENT_BYTES as u32;
        let window = window.clamp(segment, WINDOW_BYTES as u32) / segment * segment;
        let quarter_second = 250_000_000 / (byte_time.as_nanos() as u32).max(1);
        let under_way_most = quarter_second.clamp(4 * segment, window.max(4 * segment));
        let first_wait = byte_time * (2 * under_way_most) + Duration::from_millis(300);
        let room = durable.saturating_add(window).min(bytes);
        let progress = Progress { durable, received: durable, beyond: 0, room };
        let segments = std::collections::VecDeque::new();
        let (sent, repeated, wait, moved_at) = (0, 0, first_wait, now);
        Self { bytes, under_way_most, progress, segments, sent, repeated, wait, first_wait, moved_at }
    }

    /// The offset and length of the segment to send next, if any may be sent before more is heard.
    pub fn to_send(&mut self) -> Option<(u32, usize)> {
        let size = SEGMENT_BYTES as u32;
        let place = self.segments.iter().position(|segment| *segment == Segment::Waiting);
        let place = place.unwrap_or(self.segments.len());
        let offset = self.progress.durable + place as u32 * size;
        let under_way = self.segments.iter().filter(|segment| matches!(segment, Segment::Sent(_))).count();
        let is_full = under_way as u32 * size >= self.under_way_most;
        let len = self.bytes.saturating_sub(offset).min(size);
        if len == 0 || offset + len > self.progress.room || is_full {
            return None;
        }
        self.sent += 1;
        match self.segments.get_mut(place) {
            Some(segment) => *segment = Segment::Sent(self.sent),
            None => self.segments.push_back(Segment::Sent(self.sent)),
        }
        Some((offset, len as usize))
    }

    /// What was to be sent is on its way.
    pub fn sent(&mut self, now: Duration) {
        self.moved_at = now;
    }

    /// Takes what the lock said.
    pub fn heard(&mut self, progress: Progress, now: Duration) {
        let Progress { durable, received, beyond, room } = progress;
        let known = self.progress;
        let late = durable < known.durable || received < known.received || room < known.room;
        if late || received < durable || received > self.bytes || room > self.bytes {
            return;
        }
        let size = SEGMENT_BYTES as u32;
        let gone = (durable - self.progress.durable).div_ceil(size) as usize;
        let mut newest = 0;
        self.segments
            .drain(..gone.min(self.segments.len()))
            .for_each(|segment| newest = newest.max(order(segment)));
        let run = (received - durable).div_ceil(size) as usize;
        for (place, segment) in self.segments.iter_mut().enumerate() {
            let arrived =
                place < run || (place > run && place - run - 1 < 32 && beyond >> (place - run - 1) & 1 == 1);
            if arrived {
                newest = newest.max(order(*segment));
                *segment = Segment::Arrived;
            }
        }
        for segment in &mut self.segments {
            if matches!(segment, Segment::Sent(order) if *order < newest) {
                *segment = Segment::Waiting;
                self.repeated += 1;
            }
        }
        if newest > 0 || durable > self.progress.durable {
            (self.moved_at, self.wait) = (now, self.first_wait);
        }
        self.progress = progress;
    }

    /// When everything that is under way counts as lost.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.moved_at + self.wait
    }

    /// Nothing was heard until the deadline: what is under way is sent again, and waited for longer. When nothing is, the
    /// lock is storing what it has; a flash takes seconds to erase a large block.
    pub fn timed_out(&mut self, now: Duration) {
        let is_under_way = |segment: &Segment| matches!(segment, Segment::Sent(_));
        if !self.segments.iter().any(is_under_way)
            && let Some(first) = self.segments.front_mut()
        {
            *first = Segment::Waiting;
        }
        for segment in self.segments.iter_mut().filter(|segment| is_under_way(segment)) {
            *segment = Segment::Waiting;
            self.repeated += 1;
        }
        (self.moved_at, self.wait) = (now, (self.wait * 2).min(LONGEST_WAIT));
    }

    /// What the lock said last.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Segments that had to be sent again so far.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Whether the lock has all of it for good.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.progress.durable == self.bytes
    }
}

fn order(segment: Segment) -> u64 {
    if let Segment::Sent(order) = segment { order } else { 0 }
}
