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
use gpiocdev_embedded_hal::{InputPin, OutputPin};
use thiserror::Error;

use super::event::Event;
use super::inputs::{Handles, Input, Inputs};
use super::lines::{INPUTS, Line, Lines};
use super::renewed::Renewed;

/// An output of a chip that may go away and come back.
pub type Output = Renewed<OutputPin>;

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

    /// Takes the line as an output, which has the level `high` from the first moment on. `clock`: monotonic.
    ///
    /// # Errors
    /// When there is no such line, or it is in use.
    pub fn output(self, high: bool, clock: fn() -> Duration) -> Result<Output, GpioError> {
        self.driven(high, Drive::PushPull, clock)
    }

    fn driven(self, high: bool, drive: Drive, clock: fn() -> Duration) -> Result<Output, GpioError> {
        let open = move |high| {
            let level = if high { Value::Active } else { Value::Inactive };
            let request = self.request(|builder| {
                builder.as_output(level).with_drive(drive);
            })?;
            OutputPin::try_from(request).map_err(|source| self.unfit(source))
        };
        Ok(Renewed::new(open(high)?, clock, move |high| open(high).ok()))
    }

    fn unfit(&self, source: gpiocdev_embedded_hal::Error) -> GpioError {
        GpioError::Unfit { line: self.line.to_owned(), source }
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
pub fn row(line: &'static str, clock: fn() -> Duration) -> Result<Output, GpioError> {
    Wire { line, active_low: false, pull: Pull::AsIs }.driven(true, Drive::OpenDrain, clock)
}

/// Takes a line as the column of a keypad, with a resistor to the supply.
///
/// # Errors
/// When there is no such line, or it is in use.
pub fn column(line: &'static str, clock: fn() -> Duration) -> Result<Renewed<InputPin>, GpioError> {
    let wire = Wire { line, active_low: false, pull: Pull::Up };
    let open = move || {
        let request = wire.request(|builder| {
            builder.as_input();
        })?;
        InputPin::try_from(request).map_err(|source| wire.unfit(source))
    };
    Ok(Renewed::new(open()?, clock, move |_| open().ok()))
}

/// The chip whose device file or label has this name.
fn chip_called(name: &str) -> Option<PathBuf> {
    gpiocdev::chip::chips().ok()?.into_iter().find(|path| {
        let label = gpiocdev::Chip::from_path(path).and_then(|chip| chip.info()).map(|info| info.label);
        path.file_name().is_some_and(|file| file == name) || label.is_ok_and(|label| label == name)
    })
}

impl Line for Request {
    type Error = gpiocdev::Error;

    fn next_edge(&mut self) -> Result<Option<bool>, gpiocdev::Error> {
        if !self.has_edge_event()? {
            return Ok(None);
        }
        self.read_edge_event().map(|edge| Some(edge.kind == EdgeKind::Rising))
    }

    fn is_active(&mut self) -> Result<bool, gpiocdev::Error> {
        self.lone_value().map(|value| value == Value::Active)
    }
}

/// The inputs that a board has.
pub struct GpioInputs {
    wires: heapless::Vec<(Input, Wire), INPUTS>,
    debounce: Duration,
    lines: Lines<Request>,
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
        let wires: heapless::Vec<_, INPUTS> = wires.into_iter().take(INPUTS).collect();
        let take = |(input, wire): &(Input, Wire)| Ok((*input, wire.input(debounce)?));
        let lines = wires.iter().map(take).collect::<Result<heapless::Vec<_, INPUTS>, GpioError>>()?;
        Ok(Self { wires, debounce, lines: Lines::new(lines) })
    }
}

impl Inputs for GpioInputs {
    fn next(&mut self, now: Duration) -> Option<Event> {
        let Self { wires, debounce, lines } = self;
        lines.next(now, |lost| {
            let (_, wire) = wires.iter().find(|(input, _)| *input == lost)?;
            wire.input(*debounce).ok()
        })
    }

    fn handles(&self) -> Handles<'_> {
        self.lines.iter().map(AsFd::as_fd).collect()
    }

    fn is_broken(&self) -> bool {
        self.lines.is_broken()
    }
}
