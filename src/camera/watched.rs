//! A camera whose driver may block for as long as it likes, kept to its deadline.
//!
//! ```text
//! driver's thread: open, read, read, ... --newest frame--> next_frame(wait)
//!                     '- silent for too long: left behind; another thread opens it again, later and later
//! ```
//!
//! It does not know what the driver is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::{Camera, CameraError, Frame, PixelFormat};

/// First pause before a camera is opened again; it doubles up to [`LONGEST_PAUSE`]. A choice.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause grows beyond this: how long a camera that was plugged in again may stay unnoticed. A choice.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// What a camera may take from being opened to its first frame. A choice: USB cameras take up to two seconds.
const OPENING: Duration = Duration::from_secs(5);

/// A frame with bytes of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedFrame {
    /// The encoded pixels.
    pub bytes: Vec<u8>,
    /// How they are encoded.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// When it was taken.
    pub captured_at: Duration,
}

impl OwnedFrame {
    fn empty() -> Self {
        let captured_at = Duration::ZERO;
        Self { bytes: Vec::new(), format: PixelFormat::Gray8, width: 0, height: 0, stride: 0, captured_at }
    }

    fn borrow(&self) -> Frame<'_> {
        let Self { bytes, format, width, height, stride, captured_at } = self;
        Frame {
            bytes,
            format: *format,
            width: *width,
            height: *height,
            stride: *stride,
            captured_at: *captured_at,
        }
    }
}

/// A driver. Each lives and dies in one thread, and may block there.
pub trait Driver: Sized + 'static {
    /// What it needs to know.
    type Settings: Clone + Send + 'static;

    /// The camera in words.
    fn name(settings: &Self::Settings) -> String;

    /// Opens the camera and begins to stream.
    ///
    /// # Errors
    /// When that fails; it is tried again later.
    fn open(settings: &Self::Settings) -> Result<Self, CameraError>;

    /// Waits for the next frame and puts it into `frame`, whose bytes are reused.
    ///
    /// # Errors
    /// [`CameraError::Skipped`] for a damaged frame; after any other the camera is closed and opened again.
    fn read(&mut self, frame: &mut OwnedFrame) -> Result<(), CameraError>;

    /// Makes a call that blocks in `thread` return, if that can be done.
    fn interrupt(_thread: &JoinHandle<()>) {}
}

/// What the driver's thread and the caller share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    newest: OwnedFrame,
    fresh: bool,
    ended: Option<CameraError>,
    left_behind: bool,
}

impl Shared {
    fn new() -> Self {
        let state = State { newest: OwnedFrame::empty(), fresh: false, ended: None, left_behind: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the driver's thread had for the caller.
enum Taken {
    Frame,
    Ended(CameraError),
    Nothing,
}

struct Worker {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// A camera that answers in time, whatever its driver `D` does.
pub struct WatchedCamera<D: Driver> {
    settings: D::Settings,
    name: String,
    deadline: Duration,
    worker: Option<Worker>,
    lent: OwnedFrame,
    silent_at: Instant,
    open_at: Instant,
    pause: Duration,
    gone: String,
}

impl<D: Driver> WatchedCamera<D> {
    /// A camera that counts as dead after `deadline` without a frame. It is opened by the first
    /// [`Camera::next_frame`].
    #[must_use]
    pub fn new(settings: D::Settings, deadline: Duration) -> Self {
        let now = Instant::now();
        Self {
            name: D::name(&settings),
            settings,
            deadline,
            worker: None,
            lent: OwnedFrame::empty(),
            silent_at: now,
            open_at: now,
            pause: FIRST_PAUSE,
            gone: "it was not opened yet".to_owned(),
        }
    }

    fn open(&mut self) -> Result<(), CameraError> {
        let shared = Arc::new(Shared::new());
        let (theirs, settings) = (shared.clone(), self.settings.clone());
        let thread = Builder::new()
            .name("camera".to_owned())
            .spawn(move || work::<D>(&settings, &theirs))
            .map_err(|error| self.is_gone(error.to_string()))?;
        self.silent_at = Instant::now() + OPENING.max(self.deadline);
        self.worker = Some(Worker { shared, thread });
        Ok(())
    }

    fn is_gone(&self, reason: String) -> CameraError {
        CameraError::Gone { name: self.name.clone(), reason }
    }

    /// Closes the camera, or leaves its thread behind when that hangs. It is opened again after a pause.
    fn close(&mut self, reason: String) {
        if let Some(worker) = self.worker.take() {
            worker.shared.lock().left_behind = true;
            if !worker.thread.is_finished() {
                D::interrupt(&worker.thread);
            }
        }
        self.gone = reason;
        self.open_at = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
    }

    fn take(&mut self, until: Instant) -> Taken {
        let Some(worker) = &self.worker else { return Taken::Nothing };
        let mut state = worker.shared.lock();
        loop {
            if state.fresh {
                state.fresh = false;
                std::mem::swap(&mut state.newest, &mut self.lent);
                return Taken::Frame;
            }
            if let Some(error) = state.ended.take() {
                return Taken::Ended(error);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            let waited = worker.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `until` for a frame that lies in `lent` afterwards.
    fn wait(&mut self, until: Instant, wait: Duration) -> Result<(), CameraError> {
        if self.worker.is_none() {
            sleep(self.open_at.min(until).saturating_duration_since(Instant::now()));
            if Instant::now() < self.open_at {
                return Err(self.is_gone(self.gone.clone()));
            }
            self.open()?;
        }
        match self.take(until.min(self.silent_at)) {
            Taken::Frame => {
                self.pause = FIRST_PAUSE;
                self.silent_at = Instant::now() + self.deadline;
                Ok(())
            }
            Taken::Ended(error) => {
                self.close(error.to_string());
                Err(error)
            }
            Taken::Nothing if Instant::now() >= self.silent_at => {
                self.close("it is silent".to_owned());
                Err(CameraError::Late { name: self.name.clone(), waited: self.deadline })
            }
            Taken::Nothing => Err(CameraError::Late { name: self.name.clone(), waited: wait }),
        }
    }
}

impl<D: Driver> Camera for WatchedCamera<D> {
    fn next_frame(&mut self, wait: Duration) -> Result<Frame<'_>, CameraError> {
        self.wait(Instant::now() + wait, wait)?;
        Ok(self.lent.borrow())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl<D: Driver> Drop for WatchedCamera<D> {
    fn drop(&mut self) {
        self.close("it was closed".to_owned());
    }
}

/// The driver's thread. The camera is closed before its end is told, so that it can be opened again.
fn work<D: Driver>(settings: &D::Settings, shared: &Shared) {
    let ended = catch_unwind(AssertUnwindSafe(|| stream::<D>(settings, shared)));
    let gone = |reason: &str| CameraError::Gone { name: D::name(settings), reason: reason.to_owned() };
    let error = match ended {
        Ok(Ok(())) => gone("it was closed"),
        Ok(Err(error)) => error,
        Err(_) => gone("its driver panicked"),
    };
    shared.lock().ended = Some(error);
    shared.changed.notify_one();
}

fn stream<D: Driver>(settings: &D::Settings, shared: &Shared) -> Result<(), CameraError> {
    let mut driver = D::open(settings)?;
    let mut frame = OwnedFrame::empty();
    while !shared.lock().left_behind {
        match driver.read(&mut frame) {
            Ok(()) => {}
            Err(CameraError::Skipped { .. }) => continue,
            Err(error) => return Err(error),
        }
        let mut state = shared.lock();
        std::mem::swap(&mut state.newest, &mut frame);
        state.fresh = true;
        drop(state);
        shared.changed.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// What the driver of a test does with its next call.
    enum Order {
        Frame(u8),
        Damaged,
        Fail,
        Panic,
    }

    /// Tells when it is opened, and does what it is ordered to; without an order it blocks.
    struct Obedient(Arc<Mutex<Receiver<Order>>>);

    #[derive(Clone)]
    struct Orders {
        orders: Arc<Mutex<Receiver<Order>>>,
        opened: Sender<()>,
    }

    impl Driver for Obedient {
        type Settings = Orders;

        fn name(_: &Orders) -> String {
            "test camera".to_owned()
        }

        fn open(settings: &Orders) -> Result<Self, CameraError> {
            settings.opened.send(()).expect("the test listens");
            Ok(Self(settings.orders.clone()))
        }

        fn read(&mut self, frame: &mut OwnedFrame) -> Result<(), CameraError> {
            let gone = || CameraError::Gone { name: String::new(), reason: "unplugged".to_owned() };
            let Ok(orders) = self.0.try_lock() else {
                sleep(Duration::from_secs(3600));
                return Err(gone());
            };
            let order = orders.recv();
            drop(orders);
            match order {
                Ok(Order::Frame(value)) => {
                    frame.bytes.clear();
                    frame.bytes.push(value);
                    Ok(())
                }
                Ok(Order::Damaged) => {
                    Err(CameraError::Skipped { name: String::new(), reason: String::new() })
                }
                Ok(Order::Fail) | Err(_) => Err(gone()),
                Ok(Order::Panic) => panic!("a driver's bug"),
            }
        }
    }

    const DEADLINE: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_secs(30);

    fn camera(deadline: Duration) -> (WatchedCamera<Obedient>, Sender<Order>, Receiver<()>) {
        let (order, orders) = channel();
        let (opened, opens) = channel();
        let orders = Orders { orders: Arc::new(Mutex::new(orders)), opened };
        (WatchedCamera::new(orders, deadline), order, opens)
    }

    fn value(camera: &mut WatchedCamera<Obedient>) -> Result<u8, CameraError> {
        camera.next_frame(LONG).map(|frame| frame.bytes[0])
    }

    #[test]
    fn a_frame_is_returned_once_and_a_damaged_one_is_passed_over() {
        let (mut camera, order, _opens) = camera(DEADLINE);
        for what in [Order::Frame(1), Order::Damaged] {
            order.send(what).expect("the camera lives");
        }
        assert_eq!(value(&mut camera).expect("a frame"), 1);
        order.send(Order::Frame(2)).expect("the camera lives");
        assert_eq!(value(&mut camera).expect("a frame"), 2);
        let late = camera.next_frame(Duration::from_millis(1)).expect_err("nothing new");
        assert!(matches!(late, CameraError::Late { .. }), "{late}");
    }

    #[test]
    fn a_camera_that_hangs_is_told_within_its_deadline_and_opened_again() {
        let (mut camera, order, opens) = camera(DEADLINE);
        order.send(Order::Frame(1)).expect("the camera lives");
        value(&mut camera).expect("a frame");
        let started = Instant::now();
        let late = camera.next_frame(LONG).expect_err("it hangs");
        assert!(matches!(late, CameraError::Late { waited: DEADLINE, .. }), "{late}");
        assert!(started.elapsed() < LONG / 2, "told by the deadline, not by the caller's patience");
        camera.next_frame(Duration::from_millis(1)).expect_err("not opened yet");
        camera.next_frame(2 * FIRST_PAUSE).expect_err("opened, but silent");
        for _ in 0..2 {
            opens.recv_timeout(LONG).expect("opened twice");
        }
    }

    #[test]
    fn an_unplugged_camera_and_one_whose_driver_panics_come_back() {
        let (mut camera, order, opens) = camera(LONG);
        for failure in [Order::Fail, Order::Panic] {
            order.send(failure).expect("the camera lives");
            let gone = camera.next_frame(LONG).expect_err("gone");
            assert!(gone.is_recoverable(), "{gone}");
            order.send(Order::Frame(9)).expect("the camera lives");
            assert_eq!(value(&mut camera).expect("it is back"), 9);
        }
        assert_eq!(opens.try_iter().count(), 3);
    }
}
