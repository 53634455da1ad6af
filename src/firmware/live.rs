//! The simulated board at its own pace: the loop, the cable and the threads of a real one, before a film that
//! begins anew at its end.
//!
//! The film's hands act once, in its first round. Whoever sits at the terminal can press buttons as well.

use std::collections::VecDeque;
use std::io::{self, BufRead, PipeWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::clock::monotonic;
use super::device::{Device, policy_of};
use super::errand::Where;
use super::port::Port;
use super::scene::{Hand, Scene};
use super::service::{self, Ending, Service, ServiceError};
use super::sim::{SimOptions, SimPanel};
use super::start::{Parts, Places, StartError, start};
use super::storage::DeviceFlash;
use super::supervisor::Unattended;
use super::upgrade::OwnerLink;
use super::vision::Vision;
use crate::board::Board;
use crate::camera::replay::{Replay, ReplayOptions};
use crate::camera::{Camera, CameraError, Frame};
use crate::door::Event;
use crate::door::inputs::{Handles, Input, Inputs};
use crate::door::keypad::{Key, Keys};
use crate::flash::Partition;
use crate::update::serial::SerialError;

/// Why the simulated device does not run.
#[derive(Debug, Error)]
pub enum LiveError {
    /// Models, flash or key.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The film.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// The cable.
    #[error(transparent)]
    Cable(#[from] SerialError),
    /// The loop.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The system has no thread or pipe left.
    #[error("the system refuses")]
    System(#[from] io::Error),
}

type LiveService = Service<Partition<DeviceFlash>, SimPanel>;

/// Serves the simulated door until `q` is typed. `link`: a serial port for the owner's cable, or the name of a
/// pseudo-terminal to be made. What is typed: `b` presses and releases the enrol button, `x` the exit button, `d`
/// opens and closes the door; digits, `*` and `#` are the keypad's.
///
/// # Errors
/// When it cannot begin or go on.
pub fn attend(board: &Board, scene: &Scene, options: &SimOptions, link: &Path) -> Result<(), LiveError> {
    let is_port = link.exists() && !link.is_symlink();
    let mut port = if is_port { None } else { Some(Port::pseudo_terminal(link)?) };
    let (stop, quit) = io::pipe()?;
    let waiting = Arc::new(Mutex::new(scene.hands.clone().into()));
    let typed = typed(quit.try_clone()?)?;
    let hands = Hands { waiting, began: monotonic(), typed, began_to_tell: false };
    loop {
        let mut service = service(board, scene, options, is_port.then_some(link), hands.clone())?;
        if let Some(port) = port.take() {
            service.plug(port);
        }
        if service.run(&stop)? == Ending::Asked {
            return Ok(());
        }
        port = service.unplug().filter(|_| !is_port);
        log::info!("started anew");
    }
}

fn service(
    board: &Board,
    scene: &Scene,
    options: &SimOptions,
    port: Option<&Path>,
    hands: Hands,
) -> Result<LiveService, LiveError> {
    let places = Places { models: options.models.clone(), state: options.state.clone() };
    let began = (Where::Beside, monotonic());
    let parts = start(board, &places, &places.state.join("flash"), options.liveness, began)?;
    let Parts { eyes, judge, kept, keeper, .. } = parts;
    let device = Device::new(judge, kept, SimPanel::new(board), policy_of(board), monotonic())
        .map_err(StartError::from)?;
    let period = Duration::from_secs(1) / scene.fps;
    let replay = ReplayOptions { period: Some(period), start: Duration::ZERO, looping: true };
    let camera = Paced { film: Replay::open(&scene.frames, replay)?, next_at: monotonic() };
    let wait = Duration::from_millis(board.camera.deadline_ms);
    let baud = board.serial.baud;
    Ok(Service::new(service::Parts {
        device,
        vision: Vision::start(camera, eyes, wait, monotonic)?,
        keys: Some(Box::new(Keypad(hands.typed.clone()))),
        inputs: Box::new(hands),
        link: Box::new(OwnerLink::new(keeper, baud)),
        port: port.map(|path| (path.to_owned(), baud)),
        supervisor: Box::new(Unattended),
        clock: monotonic,
    }))
}

/// A film at its own pace. A frame whose time is over when it is asked for is lost, as with any camera.
struct Paced {
    film: Replay,
    next_at: Duration,
}

impl Camera for Paced {
    fn next_frame(&mut self, wait: Duration) -> Result<Frame<'_>, CameraError> {
        let period = self.film.period();
        while self.next_at + period < monotonic() {
            self.next_at += period;
            self.film.next_frame(wait)?;
        }
        std::thread::sleep(self.next_at.saturating_sub(monotonic()).min(wait));
        self.next_at += period;
        let frame = self.film.next_frame(wait)?;
        Ok(Frame { captured_at: monotonic(), ..frame })
    }

    fn name(&self) -> &str {
        self.film.name()
    }
}

/// Buttons that the scene and the terminal press, each once: a restart of the device takes none of it back.
#[derive(Clone)]
struct Hands {
    waiting: Arc<Mutex<VecDeque<(Duration, Hand)>>>,
    began: Duration,
    typed: Typed,
    /// Whether this start of the device knows how the enrol button is.
    began_to_tell: bool,
}

/// What was typed at the terminal.
#[derive(Clone, Default)]
struct Typed(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    keys: VecDeque<Key>,
    /// Whether the enrol button is down after what was taken.
    is_pressed: bool,
}

impl Typed {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The terminal as a keypad.
struct Keypad(Typed);

impl Keys for Keypad {
    fn next(&mut self, _now: Duration) -> Option<Key> {
        self.0.lock().keys.pop_front()
    }

    fn is_broken(&self) -> bool {
        false
    }
}

impl Inputs for Hands {
    fn next(&mut self, now: Duration) -> Option<Event> {
        let mut typed = self.typed.lock();
        if !std::mem::replace(&mut self.began_to_tell, true) {
            return Some(Event::Button(typed.is_pressed));
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let due = waiting.front().is_some_and(|(at, _)| self.began + *at <= now);
        let hand = if due { waiting.pop_front().map(|(_, hand)| hand) } else { None };
        if let Some(Hand::Key(key)) = hand {
            typed.keys.push_back(key);
        }
        let event = hand.and_then(Hand::event).or_else(|| typed.events.pop_front());
        if let Some(Event::Button(down)) = event {
            typed.is_pressed = down;
        }
        event
    }

    fn handles(&self) -> Handles<'_> {
        Handles::new()
    }

    fn is_broken(&self) -> bool {
        false
    }
}

/// What is typed from now on. Each word changes its input.
fn typed(mut quit: PipeWriter) -> io::Result<Typed> {
    let typed = Typed::default();
    let theirs = typed.clone();
    let read = move || {
        let mut levels = [false; 3];
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let (place, input) = match line.trim() {
                "b" => (0, Input::EnrolButton),
                "x" => (1, Input::ExitButton),
                "d" => (2, Input::DoorSensor),
                "q" => return quit.write_all(&[0]).unwrap_or(()),
                keys => {
                    theirs.lock().keys.extend(keys.chars().filter_map(|key| Key::try_from(key).ok()));
                    continue;
                }
            };
            levels[place] = !levels[place];
            theirs.lock().events.push_back(input.event(levels[place]));
        }
    };
    std::thread::Builder::new().name("terminal".to_owned()).spawn(read)?;
    Ok(typed)
}
