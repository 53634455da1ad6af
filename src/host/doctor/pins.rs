//! The pins: GPIO chips, and the lines that the board file names.

use super::finding::Finding;
use super::{Drivers, Site};
use crate::board::schema::Keypad;

const CHIPS: &str = "/sys/bus/gpio/devices";
/// Who takes the lines while the lock runs.
const CONSUMER: &str = "facelatch";

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Name of the chip, such as `gpiochip0`.
    pub chip: String,
    /// Number of the line on it.
    pub offset: u32,
    /// Who uses it; `None` when nobody does or that is not known.
    pub consumer: Option<String>,
}

/// Looks at every line of the board.
pub(super) fn look(site: &Site<'_>, drivers: &dyn Drivers) -> Vec<Finding> {
    let wired = wired(site);
    let chips = site.machine.names("/dev", "gpiochip");
    if chips.is_empty() {
        let lines: Vec<String> = wired.iter().map(|(_, name, line)| format!("{name} ({line})")).collect();
        let found =
            format!("there is no GPIO chip (/dev/gpiochip*), so there are no pins for {}", lines.join(", "));
        let remedy = "run this on the board itself; if this is the board, its kernel needs CONFIG_GPIO_CDEV and the driver of its pins";
        return vec![Finding::wrong("pins", found, remedy)];
    }
    let device = format!("/dev/{}", chips[0]);
    let mut findings = Vec::new();
    if let Some(file) = site.machine.metadata(&device).filter(|file| !site.user.may_use(file)) {
        let found = format!("{device} may not be used by {}", site.user.name);
        findings.push(Finding::wrong("pins", found, site.user.remedy(&file, site.machine)));
    }
    findings.extend(wired.into_iter().map(|(key, name, line)| look_at(site, drivers, (key, name, line))));
    findings
}

/// A key of the board file, the pin in words, the line's name.
type Wired = (&'static str, &'static str, &'static str);

fn wired(site: &Site<'_>) -> Vec<Wired> {
    let board = site.board;
    let (inputs, outputs) = (&board.inputs, &board.outputs);
    let lines = [
        ("lock.line", "strike", &board.lock.line.name),
        ("inputs.exit_button", "exit button", &inputs.exit_button.name),
        ("inputs.enrol_button", "enrol button", &inputs.enrol_button.name),
        ("inputs.door_sensor", "door sensor", &inputs.door_sensor.name),
        ("inputs.tamper", "tamper", &inputs.tamper.name),
        ("outputs.green", "green light", &outputs.green.name),
        ("outputs.red", "red light", &outputs.red.name),
        ("outputs.buzzer", "buzzer", &outputs.buzzer.name),
    ];
    let keypad =
        board.access.keypad.iter().flat_map(Keypad::lines).map(|line| ("access.keypad", "keypad", line));
    lines
        .into_iter()
        .chain(keypad)
        .map(|(key, name, line)| (key, name, line.0))
        .filter(|wired| !wired.2.is_empty())
        .collect()
}

fn look_at(site: &Site<'_>, drivers: &dyn Drivers, (key, name, line): Wired) -> Finding {
    let part = format!("pin {name}");
    let lost = || {
        let found = format!("no GPIO line is called \"{line}\"");
        Finding::wrong(
            &part,
            found,
            format!("gpioinfo lists the lines; set {key} in the board file to the right one"),
        )
    };
    let located = match drivers.line(line) {
        Some(Some(located)) => located,
        Some(None) => return lost(),
        None => match named(site, line) {
            Some(located) => located,
            None if site
                .machine
                .names(CHIPS, "gpiochip")
                .iter()
                .any(|chip| !line_names(site, chip).is_empty()) =>
            {
                return lost();
            }
            None => {
                let found = format!("\"{line}\" cannot be looked up: this system names no lines in /sys");
                return Finding::note(&part, found, format!("gpioinfo | grep {line}"));
            }
        },
    };
    let Located { chip, offset, consumer } = located;
    match consumer.filter(|consumer| consumer != CONSUMER) {
        Some(other) => Finding::wrong(
            &part,
            format!("{line} ({chip}, line {offset}) is in use by \"{other}\""),
            format!("end that program or remove its overlay, or set {key} in the board file to another line"),
        ),
        None => Finding::fine(&part, format!("{line} is line {offset} of {chip}")),
    }
}

/// The line by what the device tree says.
fn named(site: &Site<'_>, line: &str) -> Option<Located> {
    let chips = site.machine.names(CHIPS, "gpiochip");
    if let Some((label, offset)) = line.split_once(':') {
        let offset = offset.parse().ok()?;
        let parent = |chip: &String| {
            let path = std::fs::canonicalize(site.machine.place(&format!("{CHIPS}/{chip}"))).ok()?;
            path.parent()?.file_name()?.to_str().map(str::to_owned)
        };
        let chip = chips.into_iter().find(|chip| chip == label || parent(chip).as_deref() == Some(label))?;
        return Some(Located { chip, offset, consumer: None });
    }
    chips.into_iter().find_map(|chip| {
        let offset = line_names(site, &chip).iter().position(|name| name == line)?;
        Some(Located { chip, offset: offset as u32, consumer: None })
    })
}

/// Names of a chip's lines in their order, as its node of the device tree has them.
///
/// # Source
/// Linux, `Documentation/devicetree/bindings/gpio/gpio.txt`, `gpio-line-names`.
fn line_names(site: &Site<'_>, chip: &str) -> Vec<String> {
    let path = site.machine.place(&format!("{CHIPS}/{chip}/of_node/gpio-line-names"));
    let bytes = std::fs::read(path).unwrap_or_default();
    let names = bytes.strip_suffix(&[0]).unwrap_or(&bytes).split(|byte| *byte == 0);
    names.map(|name| String::from_utf8_lossy(name).into_owned()).filter(|_| !bytes.is_empty()).collect()
}
