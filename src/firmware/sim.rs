//! The simulated board: a film for a camera, pins that are recorded, time that the film's frames carry.

use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use embedded_hal::digital::{ErrorType, OutputPin};
use thiserror::Error;

use super::device::{Device, Note, Panel, policy_of};
use super::pipeline::{FrameError, Liveness, Pipeline};
use super::report::{Outcome, Report};
use super::scene::{Hand, Scene};
use crate::board::Board;
use crate::camera::replay::{Replay, ReplayOptions};
use crate::camera::{Camera, CameraError, Frame};
use crate::door::pins::StrikeGuard;
use crate::door::signal::Pattern;
use crate::door::{Event, Fault, Sighting};
use crate::face::models::{EmbedderManifest, ModelError, ModelFolder};
use crate::flash::{DeviceKey, FileFlash, FileFlashError, KeyError, Map, MapError};
use crate::gallery::{FarTable, FarTableError, Gallery, GalleryError, MatchPolicy, Rate};

/// Why the simulated device could not run.
#[derive(Debug, Error)]
pub enum SimError {
    /// The models.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// What distances mean.
    #[error("the embedder's manifest: {0}")]
    Far(#[from] FarTableError),
    /// No distance of the table promises the wanted rate.
    #[error(
        "the embedder was not tested well enough for a false accept rate of {wanted}; set recognition.false_accept_rate higher"
    )]
    Promise {
        /// Rate of the board file.
        wanted: f64,
    },
    /// The flash file.
    #[error(transparent)]
    Flash(#[from] FileFlashError),
    /// The device key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Who is enrolled.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// What was kept.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The film.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// A network.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A folder cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
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
    guard: StrikeGuard<SimPin>,
    now: Arc<Mutex<Duration>>,
    record: Record,
    pattern: Pattern,
}

impl SimPanel {
    /// A panel whose strike is released and never driven longer than `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let (now, record) = (Arc::new(Mutex::new(Duration::ZERO)), Record::default());
        let pin = SimPin { level: false, now: now.clone(), record: record.clone() };
        let Ok(guard) = StrikeGuard::new(pin, true, limit);
        Self { guard, now, record, pattern: crate::door::Signal::Rest.pattern() }
    }

    /// Every change of the strike so far.
    #[must_use]
    pub fn strike_record(&self) -> Vec<(Duration, bool)> {
        self.record.0.lock().expect("nobody panics with the record in hand").clone()
    }

    /// What the lights show.
    #[must_use]
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    fn at(&mut self, now: Duration) {
        *self.now.lock().expect("nobody panics with the time in hand") = now;
    }
}

impl Panel for SimPanel {
    fn strike(&mut self, driven: bool, now: Duration) {
        self.at(now);
        let Ok(()) = self.guard.set(driven, now);
    }

    fn show(&mut self, pattern: Pattern, now: Duration) {
        self.at(now);
        self.pattern = pattern;
    }

    fn watch(&mut self, now: Duration) {
        self.at(now);
        let Ok(_) = self.guard.enforce(now);
    }
}

/// The simulated device.
pub type SimDevice = Device<FileFlash, SimPanel>;

/// Loads models, flash and key as on a board, and locks the door.
///
/// # Errors
/// When a model is missing or damaged, or the state cannot be read; what is there is left as it is.
pub fn start(board: &Board, options: &SimOptions) -> Result<(SimDevice, FarTable), SimError> {
    let (analyzer, manifest) = ModelFolder::read(&options.models)?.files().compile()?;
    log::info!("embedder {} from {}", manifest.embedding_id, options.models.display());
    let far = far_table(&manifest)?;
    let wanted = board.recognition.false_accept_rate;
    let threshold = far.threshold(wanted).ok_or(SimError::Promise { wanted })?;
    let policy = MatchPolicy { threshold: threshold as f32, margin: board.recognition.margin as f32 };
    std::fs::create_dir_all(&options.state)
        .map_err(|source| SimError::Folder { path: options.state.clone(), source })?;
    let flash = FileFlash::open(&options.state.join("flash"), board.flash.size)?;
    let key = DeviceKey::load_or_create(&options.state.join("device.key"))?;
    let region = board.flash.gallery;
    let map = Map::new(flash, region.offset..region.offset + region.size)?;
    let gallery = Gallery::load(map, key, board.enrolment.people as usize)?;
    log::info!("{} people enrolled, {} records do not open", gallery.people().len(), gallery.damaged().len());
    let panel = SimPanel::new(Duration::from_millis(board.lock.pulse_limit_ms));
    let pipeline = Pipeline::new(analyzer, policy, options.liveness);
    Ok((Device::new(pipeline, gallery, panel, policy_of(board), Duration::ZERO)?, far))
}

fn far_table(manifest: &EmbedderManifest) -> Result<FarTable, FarTableError> {
    let rate = |row: &crate::face::models::DistanceFar| Rate {
        distance: f64::from(row.distance),
        far: row.far,
        far_upper_95: row.far_upper_95,
    };
    FarTable::new(manifest.distance_far.iter().map(rate).collect())
}

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
    let (device, far) = start(board, options)?;
    let mut player = Player { device, report: Report::new(far), now: Duration::ZERO, scene };
    player.report.head(board, &player.device, out);
    for (name, path) in &options.enrol {
        player.enrol(name, path, board, out)?;
    }
    player.play(options.hold.max(1), out)?;
    let strike = player.device.panel().strike_record();
    Ok(player.report.finish(scene, strike, player.now, out))
}

struct Player<'a> {
    device: SimDevice,
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
                            self.device.happen(&event_of(hand), self.now);
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
                self.now += self.device.door().locked_out_for(self.now);
                self.empty_doorway(board_settle(), out);
            }
            progress.at(self.now);
        }
        progress.done();
        self.empty_doorway(Duration::from_secs(6), out);
        Ok(())
    }

    fn show(&mut self, frame: &Frame<'_>, out: &mut dyn Write) -> Result<(), SimError> {
        self.device.see(frame, self.now)?;
        self.tell(out);
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
            self.device.see(&frame, self.now)?;
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
        self.report.take(&notes, &self.device, self.scene, self.now, out);
    }
}

/// Longer than any face is remembered and any pulse lasts.
fn board_settle() -> Duration {
    Duration::from_secs(5)
}

fn event_of(hand: Hand) -> Event {
    match hand {
        Hand::ButtonPress => Event::Button(true),
        Hand::ButtonRelease => Event::Button(false),
        Hand::ExitPress => Event::Exit(true),
        Hand::ExitRelease => Event::Exit(false),
        Hand::DoorOpen => Event::DoorOpen(true),
        Hand::DoorClose => Event::DoorOpen(false),
    }
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
