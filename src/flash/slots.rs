//! Two slots for model packages, and the boot record that says which one is used.
//!
//! ```text
//! begin -> write ... -> finish -> (verify the signature, compile, golden vectors) -> try_out
//! start: on trial, 1st to 3rd time -> self-test, people embedded anew -> confirm, or roll_back
//!        on trial, 4th time        -> rolled back
//!
//! boot record, one record of a map: version 1 | postcard of (active, trial, floor)
//! ```
//!
//! The slot in use is never written. Every step ends with one record of a power-safe map: after a power cut it
//! was made or it was not. Knows no signatures and no models.

use core::fmt::Debug;

use embedded_storage_async::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::map::{self, Map, MapError};
use super::partition::{Partition, Partitions};
use super::ready;
use super::slot::{Content, Hash, SlotFlash};

const VERSION: u8 = 1;
/// The map's key of the boot record.
const BOOT: u32 = 0;

/// Starts of a package on trial without a confirmation, after which it is rolled back. A choice: one may be a
/// power cut, two a coincidence.
pub const TRIAL_STARTS: u8 = 3;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A whole package in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it is.
    pub slot: Slot,
    /// Its own version, as its manifest says.
    pub version: u32,
    /// Bytes.
    pub len: u32,
    /// Of all its bytes.
    pub sha256: Hash,
}

/// A package that must prove itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The package.
    pub image: Image,
    /// How often the device started with it.
    pub starts: u8,
}

/// What the boot record says. A new device has an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BootRecord {
    /// The package in use; `None`: the models that came with the firmware.
    pub active: Option<Image>,
    /// The package on trial.
    pub trial: Option<Trial>,
    /// No package of a lower version is ever tried: the highest that was confirmed.
    pub floor: u32,
}

/// What the device shall start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The models that came with the firmware.
    Factory,
    /// The confirmed package.
    Active(Image),
    /// A package on trial: test it, then [`Slots::confirm`] or [`Slots::roll_back`].
    Trial(Trial),
    /// A package that failed its trial was taken back by this very start.
    RolledBack {
        /// What failed.
        failed: Image,
        /// What is used instead; `None`: the models that came with the firmware.
        active: Option<Image>,
    },
}

/// Why a slot or the boot record could not be used.
#[derive(Debug, Error)]
pub enum SlotError {
    /// It would never fit.
    #[error("the package has {len} bytes, a slot of this board holds {capacity}")]
    TooLong {
        /// Bytes of the package.
        len: u32,
        /// Bytes that fit.
        capacity: u32,
    },
    /// The other slot is on trial.
    #[error("package {version} is on trial; another one can come after it is confirmed or rolled back")]
    OnTrial {
        /// Version of the package on trial.
        version: u32,
    },
    /// Nothing is on trial.
    #[error("no package is on trial")]
    NoTrial,
    /// A package below the floor.
    #[error("package {version} is older than {floor}, the newest that this device has confirmed")]
    Older {
        /// Its version.
        version: u32,
        /// The lowest that is taken.
        floor: u32,
    },
    /// Nothing was announced.
    #[error("no package was announced")]
    NotReceiving,
    /// Bytes are left out.
    #[error("bytes came for offset {offset}, expected {expected}")]
    Gap {
        /// Where they belong.
        offset: u32,
        /// Where the next ones belong.
        expected: u32,
    },
    /// More bytes than were announced.
    #[error("bytes came beyond the {len} that were announced")]
    Beyond {
        /// Bytes of the package.
        len: u32,
    },
    /// It is not there yet.
    #[error("{durable} of the package's {len} bytes are stored")]
    Incomplete {
        /// Bytes that are there.
        durable: u32,
        /// Bytes of the package.
        len: u32,
    },
    /// What is stored is something else.
    #[error("slot {slot:?} does not hold the package that was announced: send it again")]
    Mismatch {
        /// The slot.
        slot: Slot,
    },
    /// The port failed.
    #[error("slot {slot:?} cannot be used: {reason}")]
    Hardware {
        /// The slot.
        slot: Slot,
        /// The port's word.
        reason: String,
    },
    /// The boot record could not be read or written.
    #[error("the boot record: {0}")]
    Boot(#[source] MapError),
    /// Newer firmware wrote the boot record.
    #[error("the boot record has version {found}, known up to {VERSION}: newer firmware wrote it")]
    Newer {
        /// Its version.
        found: u8,
    },
}

/// A package on its way into a slot.
struct Incoming {
    slot: Slot,
    content: Content,
    durable: u32,
    pending: Vec<u8>,
}

/// The slots and their boot record.
pub struct Slots<F: NorFlash> {
    a: SlotFlash<Partition<F>>,
    b: SlotFlash<Partition<F>>,
    boot: Map<Partition<F>>,
    record: BootRecord,
    incoming: Option<Incoming>,
}

impl<F: NorFlash<Error: Debug>> Slots<F> {
    /// The slots of a divided flash.
    ///
    /// # Errors
    /// When the boot record cannot be read.
    pub fn open(parts: &Partitions<F>) -> Result<Self, SlotError> {
        let (a, b) = (SlotFlash::new(parts.slot_a.clone()), SlotFlash::new(parts.slot_b.clone()));
        let mut boot = Map::new(parts.boot.clone(), 0..parts.boot.size()).map_err(SlotError::Boot)?;
        let record = match boot.get(BOOT).map_err(SlotError::Boot)? {
            None => BootRecord::default(),
            Some(bytes) => parse(&bytes)?,
        };
        Ok(Self { a, b, boot, record, incoming: None })
    }

    /// The slots with an empty boot record, whatever it is now.
    ///
    /// # Errors
    /// When the flash fails.
    pub fn renew(parts: &Partitions<F>) -> Result<Self, SlotError> {
        let mut boot = parts.boot.clone();
        let erased = ready(boot.erase(0, boot.size())).map_err(map::from_port);
        erased.map_err(SlotError::Boot)?;
        Self::open(parts)
    }

    /// What the boot record says.
    #[must_use]
    pub fn record(&self) -> &BootRecord {
        &self.record
    }

    /// Bytes of the longest package.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.a.capacity().min(self.b.capacity())
    }

    /// What to start with. To be asked once for each start: a start on trial is counted before it is tried, so
    /// that a package which hangs or crashes is rolled back all the same.
    ///
    /// # Errors
    /// When the boot record cannot be written; then start with [`BootRecord::active`].
    pub fn start(&mut self) -> Result<Start, SlotError> {
        let active = self.record.active;
        match self.record.trial {
            None => Ok(active.map_or(Start::Factory, Start::Active)),
            Some(trial) if trial.starts >= TRIAL_STARTS => {
                let failed = self.roll_back()?;
                Ok(Start::RolledBack { failed, active })
            }
            Some(trial) => {
                let trial = Trial { starts: trial.starts + 1, ..trial };
                self.keep(BootRecord { trial: Some(trial), ..self.record })?;
                Ok(Start::Trial(trial))
            }
        }
    }

    /// Announces a package for the slot that is not in use. Returns the bytes of it that are there already,
    /// from a transfer that was cut: the next ones belong at that offset.
    ///
    /// # Errors
    /// When it is too long, another one is on trial, or the flash fails. Nothing in use is harmed.
    pub fn begin(&mut self, len: u32, sha256: Hash) -> Result<u32, SlotError> {
        let capacity = self.capacity();
        if len > capacity {
            return Err(SlotError::TooLong { len, capacity });
        }
        if let Some(trial) = self.record.trial {
            return Err(SlotError::OnTrial { version: trial.image.version });
        }
        let slot = self.record.active.map_or(Slot::A, |image| image.slot.other());
        let (content, port) = (Content { len, sha256 }, self.slot(slot));
        let there = port.content().map_err(hardware(slot))?;
        if there != Some(content) {
            port.announce(&content).map_err(hardware(slot))?;
        }
        let durable = port.durable(len).map_err(hardware(slot))?;
        self.incoming = Some(Incoming { slot, content, durable, pending: Vec::new() });
        Ok(durable)
    }

    /// Takes the bytes of the package from `offset` on; what was taken before is passed over. Returns how many
    /// bytes of the package no power cut can take away: whole units of a few blocks, and all of them at the end.
    ///
    /// # Errors
    /// When nothing was announced, bytes are left out or too many, or the flash fails.
    pub fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<u32, SlotError> {
        let mut incoming = self.incoming.take().ok_or(SlotError::NotReceiving)?;
        let taken = self.take(&mut incoming, offset, bytes);
        let durable = incoming.durable;
        self.incoming = Some(incoming);
        taken.map(|()| durable)
    }

    /// Reads the announced package back and compares its hash. The image can then be verified and tried out.
    ///
    /// # Errors
    /// When bytes are missing, or what is stored is not what was announced: then it must be sent again.
    pub fn finish(&mut self, version: u32) -> Result<Image, SlotError> {
        let incoming = self.incoming.take().ok_or(SlotError::NotReceiving)?;
        let Incoming { slot, content: Content { len, sha256 }, durable, .. } = incoming;
        if durable < len {
            self.incoming = Some(incoming);
            return Err(SlotError::Incomplete { durable, len });
        }
        let image = Image { slot, version, len, sha256 };
        if let Err(error) = self.read(&image) {
            self.slot(slot).clear().map_err(hardware(slot))?;
            return Err(error);
        }
        Ok(image)
    }

    /// The bytes of a package, verified by its hash.
    ///
    /// # Errors
    /// When the slot holds something else or is damaged, or the flash fails.
    pub fn read(&mut self, image: &Image) -> Result<Vec<u8>, SlotError> {
        let Image { slot, len, sha256, .. } = *image;
        if len > self.capacity() {
            return Err(SlotError::Mismatch { slot });
        }
        let content = Content { len, sha256 };
        self.slot(slot).read(&content).map_err(hardware(slot))?.ok_or(SlotError::Mismatch { slot })
    }

    /// Puts a package on trial: the next start is with it.
    ///
    /// # Errors
    /// When it is older than the floor or in the slot in use, another one is on trial, its slot does not hold
    /// it, or the record cannot be written. Then nothing has changed.
    pub fn try_out(&mut self, image: Image) -> Result<(), SlotError> {
        let BootRecord { active, trial, floor } = self.record;
        if image.version < floor {
            return Err(SlotError::Older { version: image.version, floor });
        }
        if let Some(trial) = trial {
            return Err(SlotError::OnTrial { version: trial.image.version });
        }
        if active.is_some_and(|active| active.slot == image.slot) {
            return Err(SlotError::Mismatch { slot: image.slot });
        }
        self.read(&image)?;
        self.keep(BootRecord { trial: Some(Trial { image, starts: 0 }), ..self.record })
    }

    /// The package on trial passed: it is in use from now on, and nothing older ever again.
    ///
    /// # Errors
    /// When nothing is on trial or the record cannot be written; then it stays on trial.
    pub fn confirm(&mut self) -> Result<Image, SlotError> {
        let image = self.record.trial.ok_or(SlotError::NoTrial)?.image;
        let floor = self.record.floor.max(image.version);
        self.keep(BootRecord { active: Some(image), trial: None, floor })?;
        Ok(image)
    }

    /// The package on trial failed: what was in use before stays so. Returns what failed.
    ///
    /// # Errors
    /// When nothing is on trial or the record cannot be written; then it stays on trial.
    pub fn roll_back(&mut self) -> Result<Image, SlotError> {
        let image = self.record.trial.ok_or(SlotError::NoTrial)?.image;
        self.keep(BootRecord { trial: None, ..self.record })?;
        Ok(image)
    }

    fn slot(&mut self, slot: Slot) -> &mut SlotFlash<Partition<F>> {
        match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        }
    }

    fn take(&mut self, incoming: &mut Incoming, offset: u32, bytes: &[u8]) -> Result<(), SlotError> {
        let len = incoming.content.len;
        let expected = incoming.durable + incoming.pending.len() as u32;
        let Some(known) = expected.checked_sub(offset) else {
            return Err(SlotError::Gap { offset, expected });
        };
        let mut new = bytes.get(known as usize..).unwrap_or_default();
        if new.len() > (len - expected) as usize {
            return Err(SlotError::Beyond { len });
        }
        let unit = self.slot(incoming.slot).unit();
        while !new.is_empty() {
            let room = unit - incoming.pending.len();
            let (now, later) = new.split_at(room.min(new.len()));
            incoming.pending.extend_from_slice(now);
            new = later;
            let at_end = incoming.durable + incoming.pending.len() as u32 == len;
            if incoming.pending.len() == unit || at_end {
                self.slot(incoming.slot)
                    .store(incoming.durable, &incoming.pending)
                    .map_err(hardware(incoming.slot))?;
                incoming.durable += incoming.pending.len() as u32;
                incoming.pending.clear();
            }
        }
        Ok(())
    }

    fn keep(&mut self, record: BootRecord) -> Result<(), SlotError> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(&record).expect("these types are always serialisable"));
        self.boot.set(BOOT, &bytes).map_err(SlotError::Boot)?;
        self.record = record;
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<BootRecord, SlotError> {
    let damaged = |reason: String| SlotError::Boot(MapError::Damaged { reason });
    match bytes.split_first() {
        Some((&VERSION, record)) => postcard::from_bytes(record).map_err(|error| damaged(error.to_string())),
        Some((&found, _)) => Err(SlotError::Newer { found }),
        None => Err(damaged("it is empty".to_owned())),
    }
}

fn hardware<E: Debug>(slot: Slot) -> impl Fn(E) -> SlotError {
    move |error| SlotError::Hardware { slot, reason: format!("{error:?}") }
}
