//! Between a camera's thread and who asks for frames: the newest frame, or what is wrong.
//!
//! The thread overwrites what nobody took; the taker waits no longer than it says. Both sides keep their
//! buffers, so that no frame allocates.

use super::{CameraError, Frame, PixelFormat};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A frame that owns its bytes.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) bytes: Vec<u8>,
    pub(super) format: PixelFormat,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) stride: usize,
    pub(super) captured_at: Duration,
}

impl Owned {
    pub(super) fn empty() -> Self {
        let format = PixelFormat::Gray8;
        Self { bytes: Vec::new(), format, width: 0, height: 0, stride: 0, captured_at: Duration::ZERO }
    }

    fn copy(&mut self, frame: &Frame<'_>) {
        let Frame { bytes, format, width, height, stride, captured_at } = *frame;
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        (self.format, self.width, self.height) = (format, width, height);
        (self.stride, self.captured_at) = (stride, captured_at);
    }

    pub(super) fn borrow(&self) -> Frame<'_> {
        let Self { ref bytes, format, width, height, stride, captured_at } = *self;
        Frame { bytes, format, width, height, stride, captured_at }
    }
}

/// The place where one frame waits.
#[derive(Debug)]
pub(super) struct Newest {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug)]
struct Slot {
    frame: Owned,
    is_new: bool,
    trouble: Option<CameraError>,
    closed: bool,
}

/// What was waited for.
#[derive(Debug)]
pub(super) enum Taken {
    /// A frame, now in the taker's buffer.
    Frame,
    /// What is wrong with the camera.
    Trouble(CameraError),
    /// Neither came in time.
    Nothing,
}

impl Newest {
    pub(super) fn new() -> Self {
        let slot = Slot { frame: Owned::empty(), is_new: false, trouble: None, closed: false };
        Self { slot: Mutex::new(slot), changed: Condvar::new() }
    }

    /// The slot; a thread that panicked left it whole, as each change is one assignment of valid values.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a frame, over one that nobody took; what was wrong before is over.
    pub(super) fn put(&self, frame: &Frame<'_>) {
        let mut slot = self.lock();
        slot.frame.copy(frame);
        (slot.is_new, slot.trouble) = (true, None);
        self.changed.notify_all();
    }

    /// Leaves word of what is wrong.
    pub(super) fn report(&self, trouble: CameraError) {
        self.lock().trouble = Some(trouble);
        self.changed.notify_all();
    }

    /// Takes the frame or the word that is there, waiting for one up to `wait`.
    pub(super) fn take(&self, wait: Duration, into: &mut Owned) -> Taken {
        let slot = self.lock();
        let waiting = |slot: &mut Slot| !slot.is_new && slot.trouble.is_none();
        let waited = self.changed.wait_timeout_while(slot, wait, waiting);
        let (mut slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if slot.is_new {
            slot.is_new = false;
            std::mem::swap(&mut slot.frame, into);
            return Taken::Frame;
        }
        slot.trouble.take().map_or(Taken::Nothing, Taken::Trouble)
    }

    /// Tells the camera's thread to end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Whether the camera's thread should end.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets time pass, but no more once it is closed.
    pub(super) fn pause(&self, time: Duration) {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |slot| !slot.closed);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &[u8], millis: u64) -> Frame<'_> {
        let captured_at = Duration::from_millis(millis);
        Frame {
            bytes,
            format: PixelFormat::Gray8,
            width: bytes.len(),
            height: 1,
            stride: bytes.len(),
            captured_at,
        }
    }

    fn trouble() -> CameraError {
        CameraError::Gone { name: "camera".into(), reason: "unplugged".into() }
    }

    #[test]
    fn each_frame_is_taken_once_and_the_newest_first() {
        let (newest, mut mine) = (Newest::new(), Owned::empty());
        newest.put(&frame(&[1], 10));
        newest.put(&frame(&[2, 2], 20));
        assert!(matches!(newest.take(Duration::ZERO, &mut mine), Taken::Frame));
        assert_eq!(
            (mine.borrow().bytes, mine.borrow().captured_at),
            (&[2, 2][..], Duration::from_millis(20))
        );
        assert!(matches!(newest.take(Duration::ZERO, &mut mine), Taken::Nothing));
    }

    #[test]
    fn trouble_is_told_once_and_forgotten_when_frames_come_again() {
        let (newest, mut mine) = (Newest::new(), Owned::empty());
        newest.report(trouble());
        assert!(matches!(newest.take(Duration::ZERO, &mut mine), Taken::Trouble(CameraError::Gone { .. })));
        newest.report(trouble());
        newest.put(&frame(&[3], 30));
        assert!(matches!(newest.take(Duration::ZERO, &mut mine), Taken::Frame));
        assert!(matches!(newest.take(Duration::ZERO, &mut mine), Taken::Nothing));
    }

    #[test]
    fn a_waiting_taker_is_woken_by_a_frame_from_another_thread() {
        let (newest, mut mine) = (Newest::new(), Owned::empty());
        std::thread::scope(|scope| {
            scope.spawn(|| newest.put(&frame(&[7], 1)));
            assert!(matches!(newest.take(Duration::from_secs(60), &mut mine), Taken::Frame));
        });
    }

    #[test]
    fn a_pause_ends_when_it_is_closed() {
        let newest = Newest::new();
        std::thread::scope(|scope| {
            scope.spawn(|| newest.close());
            newest.pause(Duration::from_secs(600));
        });
        assert!(newest.is_closed());
    }
}
