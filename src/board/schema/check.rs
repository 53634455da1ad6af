//! What is possible for a board: ranges, lines, the flash map.

use super::{Board, Flash, Keypad};

/// A key, and what is wrong with its value.
pub(super) type Complaint = (&'static str, String);

/// The first thing about a board that cannot be: its key, and what was found and is expected.
pub(super) fn check(board: &Board) -> Result<(), Complaint> {
    check_ranges(board)?;
    check_lines(board)?;
    check_flash(&board.flash)?;
    check_capacity(board)
}

fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), Complaint> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err((key, format!("{key} is {value}; expected {least} to {most}")))
}

fn check_ranges(board: &Board) -> Result<(), Complaint> {
    let Board { camera, lock, inputs, recognition, enrolment, lockout, log, .. } = board;
    within("camera.width", camera.width.into(), 160, 1920)?;
    within("camera.height", camera.height.into(), 120, 1080)?;
    within("camera.frames_per_second", camera.frames_per_second.into(), 1, 60)?;
    within("camera.deadline_ms", camera.deadline_ms, 100, 5_000)?;
    within("lock.pulse_limit_ms", lock.pulse_limit_ms, 100, 30_000)?;
    within("lock.pulse_ms", lock.pulse_ms, 100, lock.pulse_limit_ms)?;
    within("lock.held_open_ms", lock.held_open_ms, 1_000, 3_600_000)?;
    within("lock.settle_ms", lock.settle_ms, 200, 60_000)?;
    within("inputs.debounce_ms", inputs.debounce_ms, 1, 200)?;
    within("inputs.long_press_ms", inputs.long_press_ms, 1_000, 30_000)?;
    within("recognition.frames_counted", recognition.frames_counted.into(), 1, 16)?;
    within(
        "recognition.frames_needed",
        recognition.frames_needed.into(),
        1,
        recognition.frames_counted.into(),
    )?;
    within("recognition.newest_frame_max_age_ms", recognition.newest_frame_max_age_ms, 50, 2_000)?;
    within("recognition.frames_to_refuse", recognition.frames_to_refuse.into(), 1, 1_000)?;
    within("enrolment.templates", enrolment.templates.into(), 1, 5)?;
    within("enrolment.patience_ms", enrolment.patience_ms, 1_000, 300_000)?;
    within("enrolment.people", enrolment.people.into(), 1, 1_000)?;
    within("lockout.failures", lockout.failures.into(), 1, 20)?;
    within("lockout.first_delay_ms", lockout.first_delay_ms, 30_000, lockout.longest_delay_ms)?;
    within("lockout.retry_ms", lockout.retry_ms, 1_000, 600_000)?;
    within("log.visitors", log.visitors.into(), 0, 1_000)?;
    let rate = recognition.false_accept_rate;
    if !(rate > 0.0 && rate <= 0.01) {
        let reason = format!("recognition.false_accept_rate is {rate}; expected above 0 and at most 0.01");
        return Err(("recognition.false_accept_rate", reason));
    }
    if !(0.0..=1.0).contains(&recognition.margin) {
        let reason = format!("recognition.margin is {}; expected 0 to 1", recognition.margin);
        return Err(("recognition.margin", reason));
    }
    Ok(())
}

fn check_lines(board: &Board) -> Result<(), Complaint> {
    let (inputs, outputs) = (&board.inputs, &board.outputs);
    let mut lines = vec![
        ("lock.line", board.lock.line.name.0),
        ("inputs.enrol_button", inputs.enrol_button.name.0),
        ("inputs.exit_button", inputs.exit_button.name.0),
        ("inputs.door_sensor", inputs.door_sensor.name.0),
        ("inputs.tamper", inputs.tamper.name.0),
        ("outputs.green", outputs.green.name.0),
        ("outputs.red", outputs.red.name.0),
        ("outputs.buzzer", outputs.buzzer.name.0),
    ];
    for needed in &lines[..3] {
        if needed.1.is_empty() {
            return Err((needed.0, format!("{} has no name; expected that of a line", needed.0)));
        }
    }
    let keypad = board.access.keypad.iter().flat_map(Keypad::lines).map(|line| ("access.keypad", line.0));
    lines.extend(keypad);
    if let Some((key, _)) = lines.iter().skip(8).find(|(_, line)| line.is_empty()) {
        return Err((key, format!("{key} has a line without a name; expected four rows and three columns")));
    }
    for (index, (key, line)) in lines.iter().enumerate() {
        if let Some((_, offset)) = line.split_once(':')
            && offset.parse::<u16>().is_err()
        {
            return Err((
                key,
                format!("{key} is \"{line}\"; expected CHIP:OFFSET with a number behind the colon"),
            ));
        }
        if let Some((other, _)) = lines[..index].iter().find(|(_, used)| used == line && !line.is_empty()) {
            return Err((
                key,
                format!("{key} is \"{line}\", which {other} uses already; expected another line"),
            ));
        }
        if let Some(number) = line.strip_prefix("GPIO")
            && !number.parse::<u8>().is_ok_and(|number| number <= 27)
        {
            return Err((
                key,
                format!("{key} is \"{line}\"; expected GPIO0 to GPIO27, the pins of the header"),
            ));
        }
    }
    Ok(())
}

fn check_flash(flash: &Flash) -> Result<(), Complaint> {
    if !flash.erase_size.is_power_of_two() || !(4096..=0x4_0000).contains(&flash.erase_size) {
        let reason =
            format!("flash.erase_size is {}; expected a power of two, 4096 to 262144", flash.erase_size);
        return Err(("flash.erase_size", reason));
    }
    let mut regions = vec![
        ("flash.gallery", flash.gallery),
        ("flash.audit", flash.audit),
        ("flash.slot_a", flash.slot_a),
        ("flash.slot_b", flash.slot_b),
        ("flash.boot", flash.boot),
    ];
    if flash.crops.size > 0 {
        regions.push(("flash.crops", flash.crops));
    }
    for (index, (key, region)) in regions.iter().enumerate() {
        let (offset, size) = (u64::from(region.offset), u64::from(region.size));
        if offset % u64::from(flash.erase_size) != 0 || size % u64::from(flash.erase_size) != 0 {
            let reason = format!("{key} is not made of whole erase blocks of {} bytes", flash.erase_size);
            return Err((key, reason));
        }
        if size < 2 * u64::from(flash.erase_size) || offset + size > u64::from(flash.size) {
            let reason = format!(
                "{key} is {size} bytes at {offset:#x}; expected at least two erase blocks within {} bytes",
                flash.size
            );
            return Err((key, reason));
        }
        for (other, used) in &regions[..index] {
            let (start, end) = (u64::from(used.offset), u64::from(used.offset) + u64::from(used.size));
            if offset < end && start < offset + size {
                return Err((key, format!("{key} overlaps {other}, which ends at {end:#x}")));
            }
        }
    }
    if flash.slot_a.size != flash.slot_b.size {
        return Err((
            "flash.slot_b",
            "flash.slot_b and flash.slot_a differ in size; expected the same".to_owned(),
        ));
    }
    Ok(())
}

/// Bytes of the gallery's region for each person: a record of five templates, with its head, key and share of a
/// block's unused end, once for the embedder in use and once for one on trial.
const BYTES_PER_PERSON: u64 = 2_000;
/// Bytes of it for each unknown visitor: one template with time and seal, its head and share of a block's end.
const BYTES_PER_VISITOR: u64 = 250;

fn check_capacity(board: &Board) -> Result<(), Complaint> {
    let Board { enrolment, flash, log, .. } = board;
    let of_people = u64::from(enrolment.people) * BYTES_PER_PERSON;
    let of_visitors = u64::from(log.visitors) * BYTES_PER_VISITOR;
    let needed = of_people + of_visitors + 2 * u64::from(flash.erase_size);
    if u64::from(flash.gallery.size) < needed {
        let reason = format!(
            "flash.gallery has {} bytes; expected at least {needed} for enrolment.people = {} and log.visitors = {}",
            flash.gallery.size, enrolment.people, log.visitors
        );
        return Err(("flash.gallery", reason));
    }
    if enrolment.keep_crops && flash.crops.size == 0 {
        let reason = "flash.crops has no bytes; expected some, since enrolment.keep_crops is true".to_owned();
        return Err(("flash.crops", reason));
    }
    Ok(())
}
