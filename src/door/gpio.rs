//! Pins of Linux: the GPIO character device.
//!
//! Lines are found by their names. While the device runs, nobody else can drive them; when it ends, however it
//! ends, the kernel takes them back. What level they have then is the chip's affair: see `boards/README.md`.

use core::time::Duration;
use std::os::fd::AsFd;
use std::path::PathBuf;

use gpiocdev::Request;
use gpiocdev::line::{Bias, Drive, EdgeDetection, EdgeKind, Value};
use gpiocdev::request::Builder;
pub use gpiocdev_embedded_hal::{InputPin, OutputPin};
use thiserror::Error;

use super::inputs::{Handles, Input, Inputs};

/// How often levels are read anew, and lines that failed are asked for again. A choice.
const CHECK: Duration = Duration::from_secs(1);
/// Inputs of a board.
const INPUTS: usize = 4;

/// Why a pin cannot be used.
#[derive(Debug, Error)]
pub enum GpioError {
    /// There is no such line.
    #[error("no GPIO line is called \"{line}\"; `gpioinfo` lists them; set the right one in the board file")]
    Unknown {
        /// Its name in the board file.
        line: String,
    },
    /// The kernel does not give the line.
    #[error(
        "GPIO line \"{line}\" cannot be used; is another program using it, is this user in the group gpio, and can the chip do the bias of the board file?"
    )]
    Refused {
        /// Its name in the board file.
        line: String,
        /// The kernel's word.
        #[source]
        source: gpiocdev::Error,
    },
    /// The line is not what it was asked to be.
    #[error("GPIO line \"{line}\" cannot be used as the board file says")]
    Unfit {
        /// Its name in the board file.
        line: String,
        /// The driver's word.
        #[source]
        source: gpiocdev_embedded_hal::Error,
    },
}

/// The resistor between a line and a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Whatever the chip was left with.
    AsIs,
    /// None.
    None,
    /// To the supply's voltage.
    Up,
    /// To ground.
    Down,
}

/// How a line is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// The line's name, or `CHIP:OFFSET`.
    pub line: &'static str,
    /// Whether ground is its active level.
    pub active_low: bool,
    /// Its resistor.
    pub pull: Pull,
}

/// The chip's device file and the line's number on it, of a line's name or `CHIP:OFFSET`.
fn find(line: &str) -> Option<(PathBuf, u32)> {
    let Some((chip, offset)) = line.split_once(':') else {
        let found = gpiocdev::find_named_line(line)?;
        return Some((found.chip, found.info.offset));
    };
    Some((chip_called(chip)?, offset.parse().ok()?))
}

/// Where a line is, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The chip's device file.
    pub chip: PathBuf,
    /// The line's number on it.
    pub offset: u32,
    /// What whoever uses it calls itself.
    pub consumer: Option<String>,
}

/// Looks for a line without taking it. `line` is its name or `CHIP:OFFSET`; `None`: there is none.
#[must_use]
pub fn look_up(line: &str) -> Option<Place> {
    let (chip, offset) = find(line)?;
    let info = gpiocdev::Chip::from_path(&chip).ok()?.line_info(offset).ok()?;
    Some(Place { chip, offset, consumer: info.used.then_some(info.consumer) })
}

impl Wire {
    fn request(&self, configure: impl FnOnce(&mut Builder)) -> Result<Request, GpioError> {
        let (chip, offset) =
            find(self.line).ok_or_else(|| GpioError::Unknown { line: self.line.to_owned() })?;
        let mut builder = Request::builder();
        builder.with_consumer("facelatch").on_chip(chip).with_line(offset);
        configure(&mut builder);
        builder.with_bias(match self.pull {
            Pull::AsIs => None,
            Pull::None => Some(Bias::Disabled),
            Pull::Up => Some(Bias::PullUp),
            Pull::Down => Some(Bias::PullDown),
        });
        builder.request().map_err(|source| GpioError::Refused { line: self.line.to_owned(), source })
    }

    /// Takes the line as an output, which has the level `high` from the first moment on.
    ///
    /// # Errors
    /// When there is no such line, or it is in use.
    pub fn output(&self, high: bool) -> Result<OutputPin, GpioError> {
        let level = if high { Value::Active } else { Value::Inactive };
        let request = self.request(|builder| {
            builder.as_output(level);
        })?;
        OutputPin::try_from(request).map_err(|source| GpioError::Unfit { line: self.line.to_owned(), source })
    }

    /// Takes the line as an input whose changes are told, without those shorter than `debounce`.
    fn input(&self, debounce: Duration) -> Result<Request, GpioError> {
        self.request(|builder| {
            builder.as_input().with_edge_detection(EdgeDetection::BothEdges).with_debounce_period(debounce);
            if self.active_low {
                builder.as_active_low();
            }
        })
    }
}

/// Takes a line as the row of a keypad: to ground or released.
///
/// # Errors
/// When there is no such line, or it is in use.
pub fn row(line: &'static str) -> Result<OutputPin, GpioError> {
    let request = Wire { line, active_low: false, pull: Pull::AsIs }.request(|builder| {
        builder.as_output(Value::Active).with_drive(Drive::OpenDrain);
    })?;
    OutputPin::try_from(request).map_err(|source| GpioError::Unfit { line: line.to_owned(), source })
}

/// Takes a line as the column of a keypad, with a resistor to the supply.
///
/// # Errors
/// When there is no such line, or it is in use.
pub fn column(line: &'static str) -> Result<InputPin, GpioError> {
    let request = Wire { line, active_low: false, pull: Pull::Up }.request(|builder| {
        builder.as_input();
    })?;
    InputPin::try_from(request).map_err(|source| GpioError::Unfit { line: line.to_owned(), source })
}

/// The chip whose device file or label has this name.
fn chip_called(name: &str) -> Option<PathBuf> {
    gpiocdev::chip::chips().ok()?.into_iter().find(|path| {
        let label = gpiocdev::Chip::from_path(path).and_then(|chip| chip.info()).map(|info| info.label);
        path.file_name().is_some_and(|file| file == name) || label.is_ok_and(|label| label == name)
    })
}

struct Wired {
    input: Input,
    wire: Wire,
    request: Option<Request>,
    active: bool,
}

impl Wired {
    /// The next edge that changes what is known. Fails when the line is gone.
    fn next(&mut self) -> Result<Option<bool>, gpiocdev::Error> {
        let Some(request) = &self.request else { return Ok(None) };
        while request.has_edge_event()? {
            let active = request.read_edge_event()?.kind == EdgeKind::Rising;
            if active != self.active {
                self.active = active;
                return Ok(Some(active));
            }
        }
        Ok(None)
    }

    /// Whether the level is another than that of the last edge.
    fn check(&mut self) -> Result<Option<bool>, gpiocdev::Error> {
        let Some(request) = &self.request else { return Ok(None) };
        if request.has_edge_event()? {
            return Ok(None);
        }
        let active = request.lone_value()? == Value::Active;
        let changed = active != self.active;
        self.active = active;
        Ok(changed.then_some(active))
    }
}

/// The inputs that a board has.
pub struct GpioInputs {
    wired: heapless::Vec<Wired, INPUTS>,
    debounce: Duration,
    unchecked: usize,
    check_at: Duration,
}

impl GpioInputs {
    /// Takes the lines.
    ///
    /// # Errors
    /// When one cannot be used. (One that fails later is told by [`Inputs::is_broken`].)
    pub fn open(
        wires: impl IntoIterator<Item = (Input, Wire)>,
        debounce: Duration,
    ) -> Result<Self, GpioError> {
        let mut wired = heapless::Vec::new();
        for (input, wire) in wires.into_iter().take(INPUTS) {
            let request = Some(wire.input(debounce)?);
            let _ = wired.push(Wired { input, wire, request, active: false });
        }
        Ok(Self { unchecked: wired.len(), wired, debounce, check_at: Duration::ZERO })
    }

    /// Looks at one input after the other, once a second.
    fn check(&mut self, now: Duration) -> Option<(Input, bool)> {
        if now >= self.check_at {
            self.check_at = now + CHECK;
            self.unchecked = self.wired.len();
        }
        while self.unchecked > 0 {
            self.unchecked -= 1;
            let wired = &mut self.wired[self.unchecked];
            if wired.request.is_none() {
                wired.request = wired.wire.input(self.debounce).ok();
            }
            match wired.check() {
                Ok(Some(active)) => return Some((wired.input, active)),
                Ok(None) => {}
                Err(_) => wired.request = None,
            }
        }
        None
    }
}

impl Inputs for GpioInputs {
    fn next(&mut self, now: Duration) -> Option<(Input, bool)> {
        for wired in &mut self.wired {
            match wired.next() {
                Ok(Some(active)) => return Some((wired.input, active)),
                Ok(None) => {}
                Err(_) => wired.request = None,
            }
        }
        self.check(now)
    }

    fn handles(&self) -> Handles<'_> {
        self.wired.iter().filter_map(|wired| Some(wired.request.as_ref()?.as_fd())).collect()
    }

    fn is_broken(&self) -> bool {
        self.wired.iter().any(|wired| wired.request.is_none())
    }
}
