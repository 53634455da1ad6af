//! The lock as its owner's cable serves it, for one turn of the device's loop.

use core::fmt::{Debug, Display};
use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;
use zeroize::Zeroizing;

use super::keeper::Keeper;
use super::{Identity, UpgradeError};
use crate::door::keypad::{Key, NoKey};
use crate::door::panel::Panel;
use crate::door::{Mode, Signal};
use crate::face::template::Template;
use crate::firmware::clock::{calendar, set_calendar};
use crate::firmware::device::Device;
use crate::firmware::monitor::milliseconds;
use crate::flash::{Event, Happening, Partition, Partitions, Record, SlotError};
use crate::gallery::{Access, GalleryError, Hours, Person, Pin, Role, visitors};
use crate::update::acceptance::{Refusal, firmware_version};
use crate::update::link::{Announced, Begin, Lock};
use crate::update::message::{
    About, AccessEntry, Answer, Command, LogEntry, NONCE_BYTES, PersonEntry, PinHash, Status, WireError,
    capability, short,
};
use crate::update::owner::OwnerId;
use crate::update::sealed;
use crate::update::transfer::WINDOW_BYTES;
use crate::update::vitals::{DoorState, FlashPart, MAX_WORDS, Sight, Vitals};

/// Bytes that are handed to the slot at once. A choice: a few erase blocks, and half of the line's window.
const BLOCK_BYTES: usize = WINDOW_BYTES / 2;
/// People in one answer: so many fit into a frame with the longest names.
const PEOPLE_AT_ONCE: usize = 12;
/// People with their hours in one answer: so many fit into a frame with the longest hours.
const HOURS_AT_ONCE: usize = 8;
/// Bytes of the log in one answer; with the answer's own it fits into a frame.
const LOG_BYTES: usize = 1200;
/// Fastest rate of the line, bits a second: what USB adapters and the boards' ports all can.
const FASTEST_BAUD: u32 = 1_500_000;

/// The keeper with what it serves.
pub struct Served<'a, F: NorFlash, P: Panel> {
    /// The keeper.
    pub keeper: &'a mut Keeper<F>,
    /// The rest of the device.
    pub device: &'a mut Device<Partition<F>, P>,
    /// The time of this turn.
    pub now: Duration,
}

pub(super) fn storage(error: impl Display) -> WireError {
    WireError::Storage { reason: short(&error.to_string()) }
}

fn invalid(reason: &dyn Display) -> WireError {
    WireError::Invalid { reason: short(&reason.to_string()) }
}

fn access_entry(person: &Person) -> AccessEntry {
    let Access { pin, hours } = &person.access;
    AccessEntry { person: person.id, pin: pin.is_some(), hours: hours.as_ref().map(ToString::to_string) }
}

pub(super) fn person_error(person: u32, error: &GalleryError) -> WireError {
    match error {
        GalleryError::Nobody { .. } => WireError::Nobody { person },
        error => storage(error),
    }
}

impl<F: NorFlash<Error: Debug> + Send + 'static, P: Panel> Served<'_, F, P> {
    fn entry(&self, person: &Person) -> PersonEntry {
        let in_use = |template: &&Template| template.embedding_id == self.keeper.embedding_id;
        PersonEntry {
            person: person.id,
            name: person.name.to_string(),
            administrator: person.role == Role::Administrator,
            templates: person.templates.iter().filter(in_use).count() as u8,
            pictures: person.crops.is_some(),
        }
    }

    /// Asks for something else of a person besides the face.
    fn change_access(&mut self, person: u32, change: impl FnOnce(&mut Access)) -> Result<Answer, WireError> {
        let gallery = self.device.gallery_mut();
        let mut access = gallery.person(person).map(|known| known.access.clone()).unwrap_or_default();
        change(&mut access);
        gallery.set_access(person, access).map_err(|error| person_error(person, &error))?;
        self.note(Event::AccessChanged.of(person));
        Ok(Answer::Done)
    }

    pub(super) fn note(&mut self, what: impl Into<Happening>) {
        self.device.journal().note(what, self.now);
    }

    fn keep_identity(&mut self, owner: Option<OwnerId>) -> Result<(), WireError> {
        let identity = Identity { owner, ..self.keeper.identity };
        identity.store(self.device.gallery_mut().map()).map_err(storage)?;
        self.keeper.identity = identity;
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Answer, WireError> {
        let Some(picture) = self.keeper.shutter.fetch() else {
            return Err(WireError::Busy { reason: "the next frame is waited for".to_owned() });
        };
        self.parcel(&picture)
    }

    fn visitors(&mut self) -> Result<Answer, WireError> {
        if self.device.gallery().visitors_at_most() == 0 {
            return Err(WireError::NoVisitors);
        }
        let visits = self.device.gallery_mut().visits().map_err(storage)?;
        let parcel = self.parcel(&visitors::encode(&visits))?;
        self.note(Event::VisitorsFetched);
        Ok(parcel)
    }

    /// Seals `content` for the owner, to be fetched in parts.
    pub(super) fn parcel(&mut self, content: &[u8]) -> Result<Answer, WireError> {
        let owner = self.keeper.identity.owner.ok_or(WireError::NoOwner)?;
        let sealed = Zeroizing::new(sealed::seal(&owner, content).map_err(storage)?);
        let parcel = self.keeper.parcel.0.wrapping_add(1);
        let bytes = sealed.len() as u32;
        self.keeper.parcel = (parcel, sealed);
        Ok(Answer::Parcel { parcel, bytes })
    }

    fn sight(&self, now: Duration) -> Option<Sight> {
        let last = self.device.last()?;
        let (agreeing, _) = self.device.door().votes();
        Some(Sight {
            age_ms: milliseconds(now.saturating_sub(last.captured_at)),
            faces: last.faces.len() as u8,
            live: last.live,
            nearest: last.nearest.map(|found| (found.person, found.distance)),
            agreeing: (agreeing as u8, self.device.frames_needed()),
        })
    }
}

impl<F: NorFlash<Error: Debug> + Send + 'static, P: Panel> Lock for Served<'_, F, P> {
    fn about(&self) -> About {
        let keeps_visitors = self.device.gallery().visitors_at_most() > 0;
        let capabilities = capability::FLASH
            | capability::GALLERY
            | capability::LOG
            | capability::CLOCK
            | capability::RATE
            | capability::VITALS
            | capability::SNAPSHOT
            | capability::ACCESS
            | capability::BACKUP
            | if keeps_visitors { capability::VISITORS } else { 0 };
        About {
            board: self.keeper.site.board.clone(),
            firmware: firmware_version(),
            capabilities,
            device: self.keeper.identity.device,
            owner: self.keeper.identity.owner,
            slot_bytes: self.keeper.capacity(),
            window_bytes: WINDOW_BYTES as u32,
            fastest_baud: FASTEST_BAUD,
        }
    }

    fn status(&mut self, now: Duration) -> Status {
        let keeper = &self.keeper;
        let people = self.device.gallery().people();
        let strangers = people.iter().filter(|person| self.entry(person).templates == 0).count();
        Status {
            version: keeper.version,
            embedding_id: keeper.embedding_id,
            floor: keeper.record.floor,
            on_trial: keeper.trial.is_some(),
            people: people.len() as u32,
            enrol_again: strangers as u32,
            up_seconds: now.saturating_sub(keeper.started).as_secs() as u32,
            update: keeper.stage.clone(),
        }
    }

    fn vitals(&mut self, now: Duration) -> Vitals {
        let (device, keeper) = (&self.device, &self.keeper);
        let door = device.door();
        let shows: String = door.signal().words().chars().take(MAX_WORDS).collect();
        Vitals {
            up_ms: now.saturating_sub(keeper.started).as_millis() as u64,
            unix_ms: calendar().map(|time| time.as_millis() as u64),
            door: state_of(door.mode(), door.signal()),
            shows,
            strike_driven: door.is_driven(),
            failures: device.failures(),
            locked_out_ms: milliseconds(door.locked_out_for()),
            frames: device.monitor().frames(),
            sight: self.sight(now),
            stages: device.monitor().stages(),
            flash: flash_parts(&keeper.parts),
            version: keeper.version,
            embedding_id: keeper.embedding_id,
            decisions: device.monitor().decisions(now),
        }
    }

    fn part(&self, parcel: u32, offset: u32, len: usize) -> Result<Vec<u8>, WireError> {
        let (number, bytes) = &self.keeper.parcel;
        let from = bytes.get(offset as usize..).filter(|_| *number == parcel && parcel > 0);
        from.map(|from| from[..len.min(from.len())].to_vec()).ok_or(WireError::NoParcel)
    }

    fn nonce(&mut self) -> Result<[u8; NONCE_BYTES], WireError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| storage(UpgradeError::Random))?;
        Ok(nonce)
    }

    fn take_press(&mut self) -> bool {
        self.device.take_press(self.now)
    }

    fn sealing(&mut self) -> Result<OwnerId, WireError> {
        self.keeper.arrival.sealing()
    }

    fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), WireError> {
        self.keeper.arrival.put(offset, bytes)
    }

    fn own(&mut self, owner: OwnerId) -> Result<(), WireError> {
        self.keep_identity(Some(owner))?;
        self.note(Event::Owned);
        log::info!("the lock belongs to {owner}");
        Ok(())
    }

    fn reset(&mut self) -> Result<(), WireError> {
        let gallery = self.device.gallery();
        let known = gallery.people().iter().map(|person| person.id);
        let everybody: Vec<u32> = known.chain(gallery.damaged().iter().copied()).collect();
        let deleted = everybody.into_iter().try_for_each(|id| self.device.gallery_mut().delete(id));
        self.device.gallery_changed(self.now);
        deleted.map_err(storage)?;
        self.device.gallery_mut().forget_visitors().map_err(storage)?;
        self.keep_identity(None)?;
        self.keeper.renew_record().map_err(storage)?;
        log::warn!("the lock was reset: it has no owner, and nobody is enrolled");
        Ok(())
    }

    fn begin(&mut self, package: &Announced) -> Result<Begin, WireError> {
        let keeper = &mut *self.keeper;
        // A block of a transfer that was left may still be on its way into the flash.
        keeper.stored().map_err(storage)?;
        if let Some(reason) = keeper.is_busy() {
            return Err(WireError::Busy { reason: reason.to_owned() });
        }
        let is_active = keeper.record.active.is_some_and(|image| image.sha256 == package.sha256);
        if is_active && keeper.version == package.version {
            return Ok(Begin::Active);
        }
        let floor = keeper.record.floor;
        if package.version < floor {
            let refusal = Refusal::Downgrade { version: package.version, floor };
            return Err(WireError::Refused { reason: short(&refusal.to_string()) });
        }
        let durable = keeper.receive(package).map_err(|error| match error {
            SlotError::TooLong { len, capacity } => WireError::TooLarge { bytes: len, most: capacity },
            SlotError::OnTrial { .. } => WireError::Busy { reason: short(&error.to_string()) },
            error => storage(error),
        })?;
        let enrol_again = keeper.enrol_again(self.device.gallery(), package.embedding_id);
        Ok(Begin::From { durable, enrol_again })
    }

    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn store(&mut self, offset: u32, bytes: &[u8]) -> Result<(), WireError> {
        self.keeper.store(offset, bytes).map_err(storage)
    }

    fn stored(&mut self) -> Result<Option<u32>, WireError> {
        self.keeper.stored().map_err(storage)
    }

    fn finish(&mut self) -> Result<(), WireError> {
        let owner = self.keeper.identity.owner.ok_or(WireError::NoOwner)?;
        self.keeper.examine(owner).map_err(storage)
    }

    fn type_keys(&mut self, keys: &str, now: Duration) -> Result<(), WireError> {
        let keys: Result<Vec<Key>, NoKey> = keys.chars().map(Key::try_from).collect();
        let keys = keys.map_err(|error| invalid(&error))?;
        if self.device.door().asks_pin_of().is_none() {
            return Err(invalid(&"no PIN is awaited: show your face first"));
        }
        keys.into_iter().for_each(|key| self.device.key(key, now));
        Ok(())
    }

    fn obey(&mut self, command: &Command, now: Duration) -> Result<Answer, WireError> {
        match command {
            Command::People { from } => {
                let wanted = self.device.gallery().people().iter().filter(|person| person.id >= *from);
                Ok(Answer::People(wanted.take(PEOPLE_AT_ONCE).map(|person| self.entry(person)).collect()))
            }
            Command::Rename { person, name } => {
                let renamed = self.device.gallery_mut().rename(*person, name);
                renamed.map_err(|error| person_error(*person, &error))?;
                self.note(Event::Renamed.of(*person));
                Ok(Answer::Done)
            }
            Command::Delete { person } => {
                let deleted = self.device.gallery_mut().delete(*person);
                self.device.gallery_changed(now);
                deleted.map_err(|error| person_error(*person, &error))?;
                self.note(Event::Deleted.of(*person));
                Ok(Answer::Done)
            }
            Command::Access { from } => {
                let wanted = self.device.gallery().people().iter().filter(|person| person.id >= *from);
                Ok(Answer::Access(wanted.take(HOURS_AT_ONCE).map(access_entry).collect()))
            }
            Command::SetPin { person, pin } => {
                let pin = pin.map(|PinHash { salt, hash }| Pin { salt, hash });
                self.change_access(*person, |access| access.pin = pin)
            }
            Command::SetHours { person, hours } => {
                let hours = hours.as_deref().map(str::parse::<Hours>).transpose();
                let hours = hours.map_err(|error| invalid(&error))?;
                self.change_access(*person, |access| access.hours = hours)
            }
            Command::SetTime { unix_ms } => {
                set_calendar(Duration::from_millis(*unix_ms));
                self.note(Event::ClockSet);
                Ok(Answer::Done)
            }
            Command::Snapshot => self.snapshot(),
            Command::Export { person } => self.export(*person),
            Command::Import { sha256 } => self.import(*sha256),
            Command::Visitors => self.visitors(),
            Command::ForgetVisitors => {
                self.device.gallery_mut().forget_visitors().map_err(storage)?;
                self.note(Event::VisitorsForgotten);
                Ok(Answer::Done)
            }
            Command::Log { from } => {
                let records = self.device.journal().page(*from).map_err(storage)?;
                Ok(Answer::Log(that_fit(records)))
            }
            Command::Begin { .. } | Command::Finish { .. } => Err(WireError::Unknown),
        }
    }
}

/// The first records of a page, as many as fit into a frame. Of a damaged one that is too long its beginning.
fn that_fit(records: Vec<Record>) -> Vec<LogEntry> {
    let mut room = LOG_BYTES;
    let entry = |Record { mut body, before, link }: Record| {
        body.truncate(LOG_BYTES / 4);
        LogEntry { body, before, link }
    };
    let fits = |entry: &LogEntry| {
        let len = entry.body.len() + 2 * entry.link.len() + 2;
        room.checked_sub(len).is_some_and(|left| {
            room = left;
            true
        })
    };
    records.into_iter().map(entry).take_while(fits).collect()
}

fn state_of(mode: &Mode, signal: Signal) -> DoorState {
    match mode {
        Mode::Idle if matches!(signal, Signal::Fault | Signal::Alarm) => DoorState::Other,
        Mode::Idle => DoorState::Locked,
        Mode::Unlocked { .. } => DoorState::Open,
        Mode::Settling { .. } => DoorState::Settling,
        Mode::Enrolling { .. } => DoorState::Enrolling,
        Mode::Deleting { .. } => DoorState::Deleting,
    }
}

fn flash_parts<F: NorFlash>(parts: &Partitions<F>) -> Vec<FlashPart> {
    let Partitions { gallery, crops, audit, slot_a, slot_b, boot } = parts;
    let named = [
        ("gallery", gallery),
        ("crops", crops),
        ("audit", audit),
        ("slot_a", slot_a),
        ("slot_b", slot_b),
        ("boot", boot),
    ];
    let told = |(name, part): (&str, &Partition<F>)| FlashPart {
        name: name.to_owned(),
        blocks: part.size() / F::ERASE_SIZE as u32,
        erased: part.erased_blocks(),
        retired: part.failure().is_some(),
    };
    named.map(told).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::frame::MAX_PAYLOAD;
    use crate::update::message::ToHost;

    #[test]
    fn the_longest_hours_of_as_many_as_are_told_at_once_fit_into_a_frame() {
        let hours: Hours = ["mon,tue,thu,fri,sun 10:00-23:59"; 4].join(";").parse().expect("hours");
        let entry = AccessEntry { person: u32::MAX, pin: true, hours: Some(hours.to_string()) };
        let result = Ok(Answer::Access(vec![entry; HOURS_AT_ONCE]));
        let answer = ToHost::Answer { session: u32::MAX, number: u32::MAX, result };
        let bytes = postcard::to_allocvec(&answer).expect("serialisable");
        assert!(bytes.len() <= MAX_PAYLOAD, "{} bytes", bytes.len());
    }
}
