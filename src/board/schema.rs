//! The board file: its keys, their units, and what is possible.
//!
//! Read by the build script, which writes the values into the firmware as constants, and by the firmware
//! for `--check-config`. Knows no other room.

use serde::{Deserialize, Deserializer};
use thiserror::Error;

#[path = "schema/check.rs"]
mod check;

use check::{Complaint, check};

/// What is wrong with a board file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {reason}")]
pub struct BoardError {
    /// The file's name.
    pub file: String,
    /// Line of the value, counted from 1.
    pub line: usize,
    /// What was found and what is expected.
    pub reason: String,
}

/// A text that lives as long as the program: a board is read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text(pub &'static str);

impl core::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.leak()))
    }
}

/// One board.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// The file's stem.
    pub name: Text,
    /// In words.
    pub description: Text,
    /// What sees.
    pub camera: Camera,
    /// What opens.
    pub lock: Lock,
    /// What is pressed.
    pub inputs: Inputs,
    /// What shines and sounds.
    pub outputs: Outputs,
    /// Who is recognised when.
    pub recognition: Recognition,
    /// How people are enrolled.
    pub enrolment: Enrolment,
    /// What failures cost.
    pub lockout: LockoutTimes,
    /// What is written down of the door.
    #[serde(default)]
    pub log: Log,
    /// Where everything is kept.
    pub flash: Flash,
    /// The owner's cable.
    pub serial: Serial,
    /// What people may need besides a face.
    #[serde(default)]
    pub access: Access,
}

impl Board {
    /// Whether it is played rather than wired.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.camera.device.is_empty()
    }
}

/// What a camera delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameraKind {
    /// Colours.
    Colour,
    /// Grey.
    Grey,
    /// Infrared with its own light: grey.
    Infrared,
}

/// The camera.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// Device file; empty on a simulated board.
    pub device: Text,
    /// What it delivers.
    pub kind: CameraKind,
    /// Width of a frame in pixels, 160..=1920.
    pub width: u32,
    /// Height of a frame in pixels, 120..=1080.
    pub height: u32,
    /// Frames a second, 1..=60.
    pub frames_per_second: u32,
    /// A camera that is silent for this long counts as gone; 100..=5000.
    pub deadline_ms: u64,
}

/// What the strike does without current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wiring {
    /// It locks: current opens.
    FailSecure,
    /// It opens: current locks (magnetic locks).
    FailSafe,
}

/// The level at which a line does what it is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Active {
    /// At the supply's voltage.
    High,
    /// At ground: a button between line and ground, a relay board with inverted inputs.
    Low,
}

/// The resistor that the chip puts between a line and a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bias {
    /// Whatever the chip was left with.
    #[default]
    AsIs,
    /// None.
    Disabled,
    /// To the supply's voltage.
    PullUp,
    /// To ground.
    PullDown,
}

/// One line of a GPIO chip.
///
/// `name` is the line's own (`gpioinfo` lists them), or `CHIP:OFFSET` where the kernel has no names: `CHIP` is
/// `gpiochipN` or the chip's label, such as `300b000.pinctrl:73`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its name; empty: there is none.
    pub name: Text,
    /// When it is active: pressed, open, shining, under current.
    #[serde(default = "Line::active_high")]
    pub active: Active,
    /// Its resistor.
    #[serde(default)]
    pub bias: Bias,
}

impl Line {
    fn active_high() -> Active {
        Active::High
    }

    /// Whether the board has it.
    #[must_use]
    pub fn is_wired(&self) -> bool {
        !self.name.is_empty()
    }
}

/// The strike.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The line that puts the coil under current.
    pub line: Line,
    /// What it does without current.
    pub wiring: Wiring,
    /// How long it is driven for one opening.
    pub pulse_ms: u64,
    /// It is never driven longer, whatever the software believes; at most 30,000.
    pub pulse_limit_ms: u64,
    /// How long the door may stand open before it is an alarm.
    pub held_open_ms: u64,
    /// How long a face must be away before it is looked at anew.
    pub settle_ms: u64,
}

/// The inputs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The enrol button.
    pub enrol_button: Line,
    /// The exit button.
    pub exit_button: Line,
    /// The door's contact; active: the door is open.
    pub door_sensor: Line,
    /// The case's contact; active: the case is open.
    pub tamper: Line,
    /// Level changes that are shorter are bounces; 1..=200.
    pub debounce_ms: u64,
    /// A press at least this long asks for a deletion; 1,000..=30,000.
    pub long_press_ms: u64,
}

/// The outputs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The green light.
    pub green: Line,
    /// The red light.
    pub red: Line,
    /// The buzzer.
    pub buzzer: Line,
}

/// When a face counts as recognised.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recognition {
    /// Frames that must agree, 1..=`frames_counted`.
    pub frames_needed: u32,
    /// Frames among which they are counted, at most 16.
    pub frames_counted: u32,
    /// A frame older than this opens nothing; 50..=2,000.
    pub newest_frame_max_age_ms: u64,
    /// Judged frames without agreement that count as a failure.
    pub frames_to_refuse: u32,
    /// Wanted false accept rate for one comparison, above 0 and at most 0.01. The distance comes from the embedder's table.
    pub false_accept_rate: f64,
    /// By how much the nearest person must be nearer than the second (squared distance), 0..=1.
    pub margin: f64,
}

/// How people are enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Templates of a person, 1..=5.
    pub templates: u32,
    /// Least time between two of them.
    pub spacing_ms: u64,
    /// How long each step waits for a face.
    pub patience_ms: u64,
    /// How long a result is shown.
    pub show_result_ms: u64,
    /// Whether aligned pictures are kept (encrypted), so that a new embedder needs no new enrolment.
    pub keep_crops: bool,
    /// People that fit, 1..=1,000.
    pub people: u32,
}

/// What failures cost.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockoutTimes {
    /// Failures from which on there is a delay, 1..=20.
    pub failures: u32,
    /// The first delay; it doubles with every failure. At least 30,000.
    pub first_delay_ms: u64,
    /// No delay grows beyond this.
    pub longest_delay_ms: u64,
    /// A face that stays without being recognised is one more failure each time that this has passed;
    /// 1,000..=600,000.
    pub retry_ms: u64,
}

/// What is written down of the door beside its log of decisions, which is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Templates of the last unknown visitors that are kept, 0..=1,000. 0, which is the default: none, and all that
    /// were kept before are destroyed. A template of a passer-by is biometric data without that person's consent.
    pub visitors: u32,
}

/// What the flash is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlashKind {
    /// A file or a raw partition.
    File,
    /// A memory technology device (`/dev/mtdN`).
    Mtd,
}

/// Where the key is that seals what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum KeyHome {
    /// A file in the state folder that only the device's user may read.
    #[default]
    #[serde(rename = "file")]
    KeyFile,
    /// The kernel's keyring, into which something else puts it at every start.
    #[serde(rename = "keyring")]
    Keyring,
}

/// A part of the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// First byte.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// The flash and its map; offsets and sizes are multiples of `erase_size`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    /// What it is made of.
    pub kind: FlashKind,
    /// File or device.
    pub path: Text,
    /// Bytes.
    pub size: u32,
    /// Bytes that are erased together.
    pub erase_size: u32,
    /// Where its key is; a file when nothing is said.
    #[serde(default)]
    pub key: KeyHome,
    /// Enrolled people.
    pub gallery: Region,
    /// Pictures of enrolments; without bytes when none are kept.
    pub crops: Region,
    /// What happened.
    pub audit: Region,
    /// One set of networks.
    pub slot_a: Region,
    /// The other.
    pub slot_b: Region,
    /// Which of them is used.
    pub boot: Region,
}

/// The owner's cable.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// Device file; empty: there is none.
    pub device: Text,
    /// Bits a second at the start of a session.
    pub baud: u32,
}

/// What people may need besides a face.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// POSIX time zone in which people's hours are, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub time_zone: Text,
    /// Where PINs are typed.
    pub keypad: Option<Keypad>,
}

impl Default for Access {
    fn default() -> Self {
        Self { time_zone: Text("UTC0"), keypad: None }
    }
}

/// A keypad of twelve keys, by the names of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keypad {
    /// Its rows, from the top: driven to ground one after the other.
    pub rows: [Text; 4],
    /// Its columns, from the left: read, with the chip's resistor to the supply.
    pub columns: [Text; 3],
}

impl Keypad {
    /// The names of all its lines.
    pub fn lines(&self) -> impl Iterator<Item = &Text> {
        self.rows.iter().chain(&self.columns)
    }
}

/// Reads and checks a board file. `file` names it in errors.
///
/// # Errors
/// For unknown keys, missing keys, values that are out of range, a line used twice, and flash regions that
/// overlap, are not aligned or do not fit.
pub fn read(file: &str, text: &str) -> Result<Board, BoardError> {
    let board: Board = toml::from_str(text).map_err(|error| BoardError {
        file: file.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        reason: error.message().trim().replace('\n', "; "),
    })?;
    let failed = check(&board).err().or_else(|| name_differs(file, &board));
    match failed {
        None => Ok(board),
        Some((key, reason)) => {
            Err(BoardError { file: file.to_owned(), line: line_of_key(text, key), reason })
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// The line of `table.key`; 1 if it cannot be found.
fn line_of_key(text: &str, key: &str) -> usize {
    let (table, key) = key.split_once('.').unwrap_or(("", key));
    let mut inside = table.is_empty();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            inside = header.trim_end_matches(']') == table;
        } else if inside && line.split('=').next().is_some_and(|name| name.trim() == key) {
            return index + 1;
        }
    }
    1
}

fn name_differs(file: &str, board: &Board) -> Option<Complaint> {
    let stem = file.rsplit('/').next().and_then(|name| name.strip_suffix(".toml"))?;
    (stem != board.name.0)
        .then(|| ("name", format!("name is \"{}\"; expected \"{stem}\", as the file", board.name.0)))
}
