//! The simulated board: a film for a camera, pins that are recorded, time that the film's frames carry.

use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use embedded_hal::digital::{ErrorType, OutputPin};
use thiserror::Error;

use super::device::{Device, Note, policy_of};
use super::errand::Where;
use super::eyes::{Eyes, FrameError};
use super::judge::Liveness;
use super::report::{self, Moment, Outcome, Report};
use super::scene::{Hand, Scene};
use super::start::{Parts, Places, StartError, opens_at_high, start};
use super::storage::DeviceFlash;
use crate::board::Board;
use crate::board::schema::{Active, Line, Outputs};
use crate::camera::replay::{Replay, ReplayOptions};
use crate::camera::{Camera, CameraError, Frame};
use crate::door::lights::{Light, Lights};
use crate::door::panel::{Panel, PinPanel};
use crate::door::pins::StrikeGuard;
use crate::door::signal::Pattern;
use crate::door::{Event, Fault, Sighting};
use crate::flash::Partition;

/// Why the simulated device could not run.
#[derive(Debug, Error)]
pub enum SimError {
    /// Models, flash or key.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The film.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A network.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// What to play, and how.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// Folder of the models.
    pub models: PathBuf,
    /// Folder of the flash file and the device key.
    pub state: PathBuf,
    /// Whether faces must be alive.
    pub liveness: Liveness,
    /// How often each frame is shown: pictures of a folder need several, films one.
    pub hold: u32,
    /// Pictures or films of people who are enrolled before the scene, with their names.
    pub enrol: Vec<(String, PathBuf)>,
    /// Whether it is told what each stage from a frame to the strike took.
    pub latencies: bool,
}

/// Levels of the simulated strike, with the times of their changes.
#[derive(Debug, Clone, Default)]
struct Record(Arc<Mutex<Vec<(Duration, bool)>>>);

/// A pin that records. Time is what the panel last said.
#[derive(Debug)]
struct SimPin {
    level: bool,
    now: Arc<Mutex<Duration>>,
    record: Record,
}

impl ErrorType for SimPin {
    type Error = Infallible;
}

impl SimPin {
    fn set(&mut self, level: bool) -> Result<(), Infallible> {
        if level != self.level {
            self.level = level;
            let now = *self.now.lock().expect("nobody panics with the time in hand");
            self.record.0.lock().expect("nobody panics with the record in hand").push((now, level));
        }
        Ok(())
    }
}

impl OutputPin for SimPin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true)
    }
}

/// The simulated strike and lights.
pub struct SimPanel {
    pins: PinPanel<SimPin>,
    now: Arc<Mutex<Duration>>,
    record: Record,
}

impl SimPanel {
    /// A panel of recording pins with the board's wiring, whose strike is released.
    #[must_use]
    pub fn new(board: &Board) -> Self {
        let (now, record) = (Arc::new(Mutex::new(Duration::ZERO)), Record::default());
        let pin = |record: &Record| SimPin { level: false, now: now.clone(), record: record.clone() };
        let limit = Duration::from_millis(board.lock.pulse_limit_ms);
        let Ok(guard) = StrikeGuard::new(pin(&record), opens_at_high(&board.lock), limit);
        let light = |line: &Line| {
            line.is_wired().then(|| Light::new(pin(&Record::default()), line.active == Active::High))
        };
        let Outputs { green, red, buzzer } = &board.outputs;
        let lights = Lights::new(light(green), light(red), light(buzzer));
        Self { pins: PinPanel::new(guard, lights), now, record }
    }

    /// Every change of the strike so far.
    #[must_use]
    pub fn strike_record(&self) -> Vec<(Duration, bool)> {
        self.record.0.lock().expect("nobody panics with the record in hand").clone()
    }

    fn at(&mut self, now: Duration) {
        *self.now.lock().expect("nobody panics with the time in hand") = now;
    }
}

impl Panel for SimPanel {
    fn strike(&mut self, driven: bool, now: Duration) {
        self.at(now);
        self.pins.strike(driven, now);
    }

    fn show(&mut self, pattern: Pattern, now: Duration) {
        self.at(now);
        self.pins.show(pattern, now);
    }

    fn watch(&mut self, now: Duration) {
        self.at(now);
        self.pins.watch(now);
    }

    fn is_broken(&self) -> bool {
        self.pins.is_broken()
    }
}

/// The simulated device.
pub type SimDevice = Device<Partition<DeviceFlash>, SimPanel>;

/// Plays a scene to its end; what happens goes to `out`, line by line. Returns what it came to.
///
/// # Errors
/// As [`start`]; when the frames cannot be played; when `out` does not take the lines.
pub fn play(
    board: &Board,
    scene: &Scene,
    options: &SimOptions,
    out: &mut dyn Write,
) -> Result<Outcome, SimError> {
    let places = Places { models: options.models.clone(), state: options.state.clone() };
    let flash = places.state.join("flash");
    let began = (Where::Here, Duration::ZERO);
    let Parts { eyes, judge, kept, far, .. } = start(board, &places, &flash, options.liveness, began)?;
    let mut device = Device::new(judge, kept, SimPanel::new(board), policy_of(board), Duration::ZERO)
        .map_err(StartError::from)?;
    device.happen(&Event::Button(false), Duration::ZERO);
    let mut player = Player { device, eyes, report: Report::new(far), now: Duration::ZERO, scene };
    player.report.head(board, &player.device, out);
    for (name, path) in &options.enrol {
        player.enrol(name, path, board, out)?;
    }
    player.play(options.hold.max(1), out)?;
    player.device.stop(player.now);
    let strike = player.device.panel().strike_record();
    let outcome = player.report.finish(scene, strike, player.now, out);
    if options.latencies {
        report::line(out, format_args!("\n{}", player.device.latencies()));
    }
    Ok(outcome)
}

struct Player<'a> {
    device: SimDevice,
    eyes: Eyes,
    report: Report,
    now: Duration,
    scene: &'a Scene,
}

impl Player<'_> {
    fn play(&mut self, hold: u32, out: &mut dyn Write) -> Result<(), SimError> {
        let period = Duration::from_secs(1) / self.scene.fps;
        let replay = ReplayOptions { period: Some(period), start: Duration::ZERO, looping: false };
        let mut camera = Replay::open(&self.scene.frames, replay)?;
        let mut hands = self.scene.hands.clone().into_iter().peekable();
        let total = self.scene.chapters.last().map_or(Duration::ZERO, |chapter| chapter.to);
        let mut progress = Progress::new(total);
        let started = self.now;
        let mut shown = 0;
        loop {
            match camera.next_frame(period) {
                Ok(frame) => {
                    self.device.happen(&Event::Fault(Fault::Camera, false), self.now);
                    for _ in 0..hold {
                        let film = self.now - started;
                        while let Some((_, hand)) = hands.next_if(|(at, _)| *at <= film) {
                            self.lay_on(hand);
                        }
                        self.show(&Frame { captured_at: self.now, ..frame }, out)?;
                        self.now += period;
                    }
                }
                Err(CameraError::Ended { .. }) if shown > 0 => break,
                Err(error) if error.is_recoverable() => {
                    self.report.complain(&error.to_string(), self.now, out)
                }
                Err(error) => return Err(error.into()),
            }
            shown += 1;
            if hold > 1 {
                self.report.picture(shown, &self.device, out);
                self.now += self.device.door().locked_out_for();
                self.empty_doorway(board_settle(), out);
            }
            progress.at(self.now);
        }
        progress.done();
        self.empty_doorway(Duration::from_secs(6), out);
        Ok(())
    }

    fn lay_on(&mut self, hand: Hand) {
        if let Hand::Key(key) = hand {
            self.device.key(key, self.now);
        }
        if let Some(event) = hand.event() {
            self.device.happen(&event, self.now);
        }
    }

    fn show(&mut self, frame: &Frame<'_>, out: &mut dyn Write) -> Result<(), SimError> {
        self.look(frame)?;
        self.tell(out);
        Ok(())
    }

    fn look(&mut self, frame: &Frame<'_>) -> Result<(), SimError> {
        match self.eyes.look(frame) {
            Ok(view) => self.device.see(view, self.now),
            Err(error @ FrameError::Convert(_)) => self.device.stumble(&error, self.now),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Nobody before the camera for a while: the strike's pulse ends, faces leave.
    fn empty_doorway(&mut self, time: Duration, out: &mut dyn Write) {
        let step = Duration::from_millis(100);
        let end = self.now + time;
        while self.now < end {
            self.device.happen(&Event::Seen(Sighting::Nobody), self.now);
            self.tell(out);
            self.now += step;
        }
    }

    fn enrol(
        &mut self,
        name: &str,
        path: &std::path::Path,
        board: &Board,
        out: &mut dyn Write,
    ) -> Result<(), SimError> {
        let period = Duration::from_millis(board.enrolment.spacing_ms.max(100));
        let replay = ReplayOptions { period: Some(period), start: Duration::ZERO, looping: true };
        let mut camera = Replay::open(path, replay)?;
        self.device.name_next(name);
        self.device.happen(&Event::OwnerEnrol, self.now);
        for _ in 0..4 * board.enrolment.templates {
            let frame = camera.next_frame(period)?;
            let frame = Frame { captured_at: self.now, ..frame };
            self.look(&frame)?;
            self.now += period;
            if !self.device.is_enrolling() {
                break;
            }
        }
        self.device.happen(&Event::Tick, self.now + Duration::from_millis(board.enrolment.patience_ms));
        self.now += Duration::from_millis(board.enrolment.patience_ms);
        self.tell(out);
        self.empty_doorway(board_settle(), out);
        Ok(())
    }

    fn tell(&mut self, out: &mut dyn Write) {
        let notes: Vec<Note> = self.device.notes().collect();
        let moment = Moment { device: &self.device, picture: self.eyes.picture(), now: self.now };
        self.report.take(&notes, moment, self.scene, out);
    }
}

/// Longer than any face is remembered and any pulse lasts.
fn board_settle() -> Duration {
    Duration::from_secs(5)
}

/// One line on a terminal that says how far the film is; silent elsewhere.
struct Progress {
    total: Duration,
    started: Instant,
    terminal: bool,
}

impl Progress {
    fn new(total: Duration) -> Self {
        Self { total, started: Instant::now(), terminal: io::stderr().is_terminal() }
    }

    fn at(&mut self, now: Duration) {
        if self.terminal && !self.total.is_zero() {
            let took = self.started.elapsed().as_secs_f64();
            let share = now.as_secs_f64() / self.total.as_secs_f64();
            let left = took * (1.0 / share.max(1e-3) - 1.0);
            eprint!("\r{:3.0} % of the scene, {left:.0} s left ", (100.0 * share).min(100.0));
        }
    }

    fn done(&self) {
        if self.terminal {
            eprint!("\r{:40}\r", "");
        }
    }
}
