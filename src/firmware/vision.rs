//! Camera and eyes in a thread of their own: whatever they do, the door's loop goes on.
//!
//! ```text
//! camera --frame--> eyes --newest report--> the door's loop
//! ```
//!
//! Only the newest report is kept: one that nobody took in time is worth nothing to a door.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::eyes::{Eyes, FrameError, View};
use crate::camera::{Camera, CameraError};

/// What camera and eyes have to say.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a box would be allocated for each frame")]
pub enum Report {
    /// What a frame shows.
    Seen(View),
    /// A frame told nothing.
    Stumbled(FrameError),
    /// There are no frames.
    Blind(CameraError),
    /// There never will be any.
    Ended(String),
}

/// Camera and eyes at work.
pub struct Vision {
    shared: Arc<Shared>,
    woken: PipeReader,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    clock: fn() -> Duration,
}

struct State {
    newest: Option<Report>,
    /// When the thread last had something to say, or began.
    alive_at: Duration,
    /// Whether the next frame is to be looked at even if nothing moves.
    awake: bool,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the report, if it is the first since the loop looked: then the loop is to be woken.
    fn put(&self, report: Report) -> bool {
        let mut state = self.lock();
        state.alive_at = (self.clock)();
        state.newest.replace(report).is_none()
    }
}

impl Vision {
    /// Begins to look. A camera that gives no frame for `wait` is reported as blind. `clock` is that of the
    /// frames.
    ///
    /// # Errors
    /// When the system has no pipe or thread left.
    pub fn start(
        camera: impl Camera + Send + 'static,
        eyes: Eyes,
        wait: Duration,
        clock: fn() -> Duration,
    ) -> io::Result<Self> {
        let (woken, wake) = io::pipe()?;
        let state = State { newest: None, alive_at: clock(), awake: true, stop: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), clock });
        let theirs = shared.clone();
        let thread = Builder::new()
            .name("vision".to_owned())
            .spawn(move || Looking { camera, eyes, wait, shared: theirs, wake }.work())?;
        Ok(Self { shared, woken, thread: Some(thread) })
    }

    /// The newest report that was not taken before. Call it when [`Vision::handle`] becomes readable.
    pub fn take(&mut self) -> Option<Report> {
        let report = self.shared.lock().newest.take();
        if report.is_some() {
            // There is one byte for each report that began to wait; without it there would be nothing to read.
            let _ = io::Read::read(&mut self.woken, &mut [0]);
        }
        report
    }

    /// Looks at every frame for a while: somebody pressed a button or opened the door.
    pub fn wake(&self) {
        self.shared.lock().awake = true;
    }

    /// Readable while there is a report.
    #[must_use]
    pub fn handle(&self) -> &PipeReader {
        &self.woken
    }

    /// When camera and eyes last said anything. Healthy ones do so at least once in each `wait` and the time
    /// that a frame takes.
    #[must_use]
    pub fn alive_at(&self) -> Duration {
        self.shared.lock().alive_at
    }
}

impl Drop for Vision {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        // A thread that hangs is left behind: the process ends soon.
        drop(self.thread.take());
    }
}

struct Looking<C: Camera> {
    camera: C,
    eyes: Eyes,
    wait: Duration,
    shared: Arc<Shared>,
    wake: PipeWriter,
}

impl<C: Camera> Looking<C> {
    fn work(mut self) {
        while !self.shared.lock().stop {
            let report = catch_unwind(AssertUnwindSafe(|| self.look()))
                .unwrap_or_else(|_| Report::Ended("the analysis panicked".to_owned()));
            let last = matches!(report, Report::Ended(_));
            if self.shared.put(report) && self.wake.write_all(&[0]).is_err() || last {
                return;
            }
        }
    }

    fn look(&mut self) -> Report {
        let frame = loop {
            match self.camera.next_frame(self.wait) {
                Ok(frame) => break frame,
                Err(CameraError::Skipped { .. }) => {}
                Err(error) if error.is_recoverable() => {
                    self.eyes.forget();
                    return Report::Blind(error);
                }
                Err(error) => return Report::Ended(error.to_string()),
            }
        };
        if std::mem::take(&mut self.shared.lock().awake) {
            self.eyes.stay_awake(frame.captured_at);
        }
        let taken_up = (self.shared.clock)();
        match self.eyes.look(&frame) {
            Ok(mut view) => {
                view.times.camera = taken_up.saturating_sub(view.captured_at);
                Report::Seen(view)
            }
            Err(error) => Report::Stumbled(error),
        }
    }
}
