//! The device on a Linux board: its pins, its camera, its service manager.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use thiserror::Error;

use super::clock::monotonic;
use super::device::{Device, policy_of};
use super::errand::Where;
use super::judge::Liveness;
use super::service::{self, Ending, Service, ServiceError};
use super::start::{self, Places, StartError, opens_at_high, start};
use super::supervisor::Supervisor;
use super::upgrade::OwnerLink;
use super::vision::Vision;
use crate::board::Board;
use crate::board::schema::{self, Active, Bias, Line, Outputs};
use crate::camera::v4l::{V4l, V4lSettings};
use crate::camera::watched::WatchedCamera;
use crate::camera::{Camera, CameraError};
use crate::door::gpio::{self, GpioError, GpioInputs, Pull, Wire};
use crate::door::inputs::Input;
use crate::door::keypad::{Keypad, Keys};
use crate::door::lights::{Light, Lights};
use crate::door::panel::PinPanel;
use crate::door::pins::StrikeGuard;
use crate::door::renewed::Lost;

pub use crate::door::gpio::look_up;

/// Why the device does not run.
#[derive(Debug, Error)]
pub enum LinuxError {
    /// Models, flash or key.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A pin.
    #[error(transparent)]
    Gpio(#[from] GpioError),
    /// The strike cannot be released.
    #[error("the strike's line cannot be set")]
    Strike(#[source] Lost),
    /// The loop.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The system has no thread or pipe left, or refuses a signal.
    #[error("the system refuses")]
    System(#[from] io::Error),
}

impl LinuxError {
    /// Whether it never began.
    #[must_use]
    pub fn is_at_start(&self) -> bool {
        !matches!(self, Self::Service(_))
    }
}

/// Runs the device until it is asked to stop by SIGTERM, SIGINT or SIGHUP, or to be started with other models.
///
/// # Errors
/// When it cannot begin or go on. The strike is released in any case.
pub fn run(board: &Board, places: &Places) -> Result<Ending, LinuxError> {
    let (stop, asked) = io::pipe()?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, OwnedFd::from(asked.try_clone()?))?;
    }
    let panel = panel(board)?;
    let inputs = inputs(board)?;
    let flash = Path::new(&*board.flash.path);
    let began = (Where::Beside, monotonic());
    let start::Parts { eyes, judge, kept, keeper, .. } =
        start(board, places, flash, Liveness::Required, began)?;
    let device = Device::new(judge, kept, panel, policy_of(board), monotonic()).map_err(StartError::from)?;
    let wait = Duration::from_millis(board.camera.deadline_ms);
    let camera = WatchedCamera::<V4l>::new(camera(board), wait);
    let serial = &board.serial;
    let parts = service::Parts {
        device,
        vision: Vision::start(camera, eyes, wait, monotonic)?,
        inputs: Box::new(inputs),
        keys: keypad(board)?,
        link: Box::new(OwnerLink::new(keeper, serial.baud)),
        port: (!serial.device.is_empty()).then(|| (PathBuf::from(&*serial.device), serial.baud)),
        supervisor: Box::new(Systemd::default()),
        clock: monotonic,
    };
    log::info!("board {}: the door is locked and attended to", &*board.name);
    Ok(Service::new(parts).run(&stop)?)
}

/// Releases the strike and ends: for the service manager, after the device was killed.
///
/// # Errors
/// When the strike's line cannot be used.
pub fn release(board: &Board) -> Result<(), LinuxError> {
    strike(board).map(drop)
}

/// How long a camera may take to its first frame. A choice: USB cameras take up to two seconds.
const FIRST_FRAME: Duration = Duration::from_secs(6);

/// Waits for one frame of the board's camera, and says in words what it is.
///
/// # Errors
/// When none comes.
pub fn frame_in_words(board: &Board) -> Result<String, CameraError> {
    let deadline = Duration::from_millis(board.camera.deadline_ms);
    let mut watched = WatchedCamera::<V4l>::new(camera(board), deadline);
    let frame = watched.next_frame(FIRST_FRAME)?;
    Ok(format!("{}x{} pixels of {:?}", frame.width, frame.height, frame.format))
}

fn wire(line: &Line) -> Wire {
    let pull = match line.bias {
        Bias::AsIs => Pull::AsIs,
        Bias::Disabled => Pull::None,
        Bias::PullUp => Pull::Up,
        Bias::PullDown => Pull::Down,
    };
    Wire { line: line.name.0, active_low: line.active == Active::Low, pull }
}

fn strike(board: &Board) -> Result<StrikeGuard<gpio::Output>, LinuxError> {
    let opens_at_high = opens_at_high(&board.lock);
    let pin = wire(&board.lock.line).output(!opens_at_high, monotonic)?;
    let limit = Duration::from_millis(board.lock.pulse_limit_ms);
    StrikeGuard::new(pin, opens_at_high, limit).map_err(LinuxError::Strike)
}

fn panel(board: &Board) -> Result<PinPanel<gpio::Output>, LinuxError> {
    let light = |line: &Line| -> Result<Option<Light<gpio::Output>>, GpioError> {
        if !line.is_wired() {
            return Ok(None);
        }
        let lit_is_high = line.active == Active::High;
        wire(line).output(!lit_is_high, monotonic).map(|pin| Some(Light::new(pin, lit_is_high)))
    };
    let Outputs { green, red, buzzer } = &board.outputs;
    let lights = Lights::new(light(green)?, light(red)?, light(buzzer)?);
    Ok(PinPanel::new(strike(board)?, lights))
}

fn inputs(board: &Board) -> Result<GpioInputs, GpioError> {
    let inputs = &board.inputs;
    let lines = [
        (Input::ExitButton, &inputs.exit_button),
        (Input::EnrolButton, &inputs.enrol_button),
        (Input::DoorSensor, &inputs.door_sensor),
        (Input::Tamper, &inputs.tamper),
    ];
    let wired = lines.into_iter().filter(|(_, line)| line.is_wired());
    GpioInputs::open(
        wired.map(|(input, line)| (input, wire(line))),
        Duration::from_millis(inputs.debounce_ms),
    )
}

fn keypad(board: &Board) -> Result<Option<Box<dyn Keys>>, GpioError> {
    let Some(schema::Keypad { rows: [a, b, c, d], columns: [e, f, g] }) = board.access.keypad else {
        return Ok(None);
    };
    let (row, column) = (|line| gpio::row(line, monotonic), |line| gpio::column(line, monotonic));
    let rows = [row(a.0)?, row(b.0)?, row(c.0)?, row(d.0)?];
    Ok(Some(Box::new(Keypad::new(rows, [column(e.0)?, column(f.0)?, column(g.0)?]))))
}

fn camera(board: &Board) -> V4lSettings {
    let camera = &board.camera;
    V4lSettings {
        device: PathBuf::from(&*camera.device),
        width: camera.width,
        height: camera.height,
        frames_per_second: camera.frames_per_second,
        clock: monotonic,
    }
}

/// systemd, or whoever listens on `$NOTIFY_SOCKET`; without one nobody is told.
#[derive(Default)]
struct Systemd {
    told_at: Option<Duration>,
}

impl Systemd {
    /// How often it is told that all is well: a fraction of any sensible `WatchdogSec`. A choice.
    const PAUSE: Duration = Duration::from_secs(1);

    fn tell(state: NotifyState<'_>) {
        if let Err(error) = sd_notify::notify(&[state]) {
            log::debug!("the service manager does not listen: {error}");
        }
    }
}

impl Supervisor for Systemd {
    fn ready(&mut self) {
        Self::tell(NotifyState::Ready);
    }

    fn alive(&mut self) {
        let now = monotonic();
        if self.told_at.is_none_or(|at| now >= at + Self::PAUSE) {
            self.told_at = Some(now);
            Self::tell(NotifyState::Watchdog);
        }
    }

    fn status(&mut self, words: &str) {
        Self::tell(NotifyState::Status(words));
    }

    fn stopping(&mut self) {
        Self::tell(NotifyState::Stopping);
    }
}
