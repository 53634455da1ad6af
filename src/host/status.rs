//! `facelatch status`, `owner` and `set-time`: how a lock is, whose it is, and what time it is there.

use std::fmt;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use serde::Serialize;

use super::cable::{Cable, CableError};
use super::info::hexadecimal;
use super::keygen::Owner;
use super::output::{Form, Json};
use crate::update::acceptance::dotted;
use crate::update::message::{Command, Request, Stage, capability};

/// What to do about whose the lock is.
#[derive(Debug, Subcommand)]
pub enum OwnerCommand {
    /// Makes this computer's key the owner of a lock that has none. Hold the lock's button meanwhile.
    Enrol,
    /// Makes the lock as new: no owner, and everybody is deleted. Hold the lock's button meanwhile.
    Reset,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Shown {
    board: String,
    firmware: String,
    device: String,
    owner: Option<String>,
    version: u32,
    embedding_id: u32,
    floor: u32,
    on_trial: bool,
    update: String,
    people: u32,
    enrol_again: u32,
    keeps_visitors: bool,
    up_seconds: u32,
    time: Option<String>,
    door: String,
    locked_out_seconds: u32,
    flash: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Part {
    name: String,
    blocks: u32,
    erased: u32,
    retired: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner.as_deref().unwrap_or("nobody yet; run: facelatch owner enrol");
        writeln!(f, "lock       {} on {}, firmware {}", self.device, self.board, self.firmware)?;
        writeln!(f, "owner      {owner}")?;
        let origin = if self.version == 0 { " (came with the firmware)" } else { "" };
        let trial = if self.on_trial { ", on trial" } else { "" };
        writeln!(
            f,
            "models     version {}{origin}{trial}, embedder {}; takes {} and newer",
            self.version, self.embedding_id, self.floor
        )?;
        writeln!(f, "update     {}", self.update)?;
        writeln!(f, "people     {}, of whom {} have to enrol again", self.people, self.enrol_again)?;
        if self.keeps_visitors {
            writeln!(f, "visitors   unknown faces are kept; see: facelatch visitors --help")?;
        }
        writeln!(f, "door       {}", self.door)?;
        if self.locked_out_seconds > 0 {
            writeln!(f, "lockout    {} s left", self.locked_out_seconds)?;
        }
        let time = self.time.as_deref().unwrap_or("not known; run: facelatch set-time");
        write!(f, "time       {time}, up for {} s", self.up_seconds)?;
        for Part { name, blocks, erased, retired } in &self.flash {
            let state = if *retired { ", FAILED: it is not written any more" } else { "" };
            write!(f, "\nflash      {name}: {erased} of {blocks} blocks erased since the start{state}")?;
        }
        Ok(())
    }
}

/// Shows how the lock is. No key is needed.
///
/// # Errors
/// When there is no lock.
pub fn run(cable: &Cable, form: &Json, out: &mut dyn Write) -> Result<(), CableError> {
    let shown = cable.with(|client| {
        let (status, vitals, about) = (client.status()?, client.vitals()?, client.about());
        let parts = vitals.flash.into_iter().map(|part| Part {
            name: part.name,
            blocks: part.blocks,
            erased: part.erased,
            retired: part.retired,
        });
        Ok(Shown {
            board: about.board.clone(),
            firmware: dotted(about.firmware),
            device: hexadecimal(&about.device),
            owner: about.owner.map(|owner| owner.to_string()),
            version: status.version,
            embedding_id: status.embedding_id,
            floor: status.floor,
            on_trial: status.on_trial,
            update: words_of(&status.update),
            people: status.people,
            enrol_again: status.enrol_again,
            keeps_visitors: about.capabilities & capability::VISITORS != 0,
            up_seconds: status.up_seconds,
            time: vitals.unix_ms.and_then(moment),
            door: vitals.shows,
            locked_out_seconds: vitals.locked_out_ms.div_ceil(1000),
            flash: parts.collect(),
        })
    })?;
    Ok(Form::of(form.json).tell(&shown, out)?)
}

fn moment(unix_ms: u64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    Some(moment.to_string())
}

fn words_of(stage: &Stage) -> String {
    match stage {
        Stage::None => "none since the start".to_owned(),
        Stage::Receiving { durable, bytes } => format!("{durable} of {bytes} bytes are there"),
        Stage::Checking => "the package is checked".to_owned(),
        Stage::Embedding { done, people } => format!("templates of {done} of {people} people are there"),
        Stage::Trial => "the new models are on trial".to_owned(),
        Stage::Confirmed => "the new models are confirmed".to_owned(),
        Stage::Refused { reason } => format!("refused: {reason}"),
        Stage::RolledBack { reason } => format!("taken back: {reason}"),
    }
}

/// Enrols this computer's key, or makes the lock as new.
///
/// # Errors
/// When there is no lock, it has another owner, or its button is not held.
pub fn owner(
    command: &OwnerCommand,
    cable: &Cable,
    owner: &Owner,
    out: &mut dyn Write,
) -> Result<(), CableError> {
    match command {
        OwnerCommand::Enrol => {
            let key = owner.read()?.public();
            cable.with(|client| Ok(client.ask(&Request::Own { owner: key })?))?;
            writeln!(out, "the lock belongs to {key}")?;
        }
        OwnerCommand::Reset => {
            cable.with(|client| Ok(client.ask(&Request::Reset)?))?;
            writeln!(out, "the lock has no owner, and nobody is enrolled")?;
        }
    }
    Ok(())
}

/// Sets the lock's clock to this computer's.
///
/// # Errors
/// When there is no lock or it refuses.
pub fn set_time(cable: &Cable, owner: &Owner, out: &mut dyn Write) -> Result<(), CableError> {
    let key = owner.read()?;
    let time = cable.with(|client| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = now.as_millis() as u64;
        client.order(&key, &Command::SetTime { unix_ms })?;
        Ok(unix_ms)
    })?;
    writeln!(
        out,
        "the lock's clock is set to {}; it knows that until its power goes (a battery clock of the board's system lasts longer)",
        moment(time).unwrap_or_default()
    )?;
    Ok(())
}
