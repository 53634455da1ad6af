//! A lock that stores what it is sent in memory: what the line serves in tests of the line.

use std::time::Duration;

use facelatch::update::link::{Announced, Begin, Link, Lock};
use facelatch::update::message::{
    About, Answer, Command, NONCE_BYTES, PersonEntry, Stage, Status, WireError, capability,
};
use facelatch::update::owner::OwnerId;
use facelatch::update::sealed;
use facelatch::update::transfer::WINDOW_BYTES;
use facelatch::update::vitals::{DoorState, Vitals};
use sha2::{Digest, Sha256};

use crate::line::{FarEnd, Faults, Line};

pub const BLOCK: usize = 4096;

/// Its flash outlives restarts; the rest does not.
pub struct MemoryLock {
    pub owner: Option<OwnerId>,
    pub button: bool,
    /// SHA-256 of the package in use.
    pub active: [u8; 32],
    pub slot: Vec<u8>,
    pub durable: u32,
    pub announced: Option<Announced>,
    pub stage: Stage,
    pub store_time: Duration,
    /// What the flash takes for a block beside the lock's loop.
    pub block_time: Duration,
    pub enrol_again: u32,
    /// Names, by number from 1.
    pub people: Vec<String>,
    pub unix_ms: u64,
    /// Blocks stored so far.
    pub stored: u64,
    /// Bytes that become durable together.
    pub unit: usize,
    pending: Vec<u8>,
    on_trial: Option<[u8; 32]>,
    checking_until: Option<Duration>,
    now: Duration,
    storing_until: Duration,
    nonces: u64,
    picture: Vec<u8>,
    parcel: Vec<u8>,
}

impl MemoryLock {
    pub fn new(owner: Option<OwnerId>) -> Self {
        Self {
            owner,
            button: false,
            active: [0; 32],
            slot: Vec::new(),
            durable: 0,
            announced: None,
            stage: Stage::None,
            store_time: Duration::from_millis(20),
            block_time: Duration::ZERO,
            enrol_again: 0,
            people: vec!["Anna".to_owned(), "Ben".to_owned()],
            unix_ms: 0,
            stored: 0,
            unit: BLOCK,
            pending: Vec::new(),
            on_trial: None,
            checking_until: None,
            now: Duration::ZERO,
            storing_until: Duration::ZERO,
            nonces: 0,
            picture: Vec::new(),
            parcel: Vec::new(),
        }
    }
}

impl Lock for MemoryLock {
    fn about(&self) -> About {
        About {
            board: "sim".to_owned(),
            firmware: [0, 1, 0],
            capabilities: capability::FLASH | capability::GALLERY | capability::RATE,
            device: *b"a device",
            owner: self.owner,
            slot_bytes: 0x28_0000,
            window_bytes: WINDOW_BYTES as u32,
            fastest_baud: 921_600,
        }
    }

    fn status(&mut self, now: Duration) -> Status {
        Status {
            version: 1,
            embedding_id: 2,
            floor: 1,
            on_trial: self.on_trial.is_some(),
            people: self.people.len() as u32,
            enrol_again: 0,
            up_seconds: now.as_secs() as u32,
            update: self.stage.clone(),
        }
    }

    fn vitals(&mut self, now: Duration) -> Vitals {
        Vitals {
            up_ms: now.as_millis() as u64,
            unix_ms: None,
            door: DoorState::Locked,
            shows: "rest".to_owned(),
            strike_driven: false,
            failures: 0,
            locked_out_ms: 0,
            frames: 7,
            sight: None,
            stages: Vec::new(),
            flash: Vec::new(),
            version: 1,
            embedding_id: 2,
            decisions: Vec::new(),
        }
    }

    fn part(&self, parcel: u32, offset: u32, len: usize) -> Result<Vec<u8>, WireError> {
        if parcel != 1 {
            return Err(WireError::NoParcel);
        }
        Ok(self.parcel.iter().skip(offset as usize).take(len).copied().collect())
    }

    fn nonce(&mut self) -> Result<[u8; NONCE_BYTES], WireError> {
        self.nonces += 1;
        let digest = Sha256::digest(self.nonces.to_le_bytes());
        Ok(std::array::from_fn(|i| digest[i]))
    }

    fn take_press(&mut self) -> bool {
        self.button
    }

    fn sealing(&mut self) -> Result<OwnerId, WireError> {
        Err(WireError::Unknown)
    }

    fn put(&mut self, _: u32, _: &[u8]) -> Result<(), WireError> {
        Err(WireError::Unknown)
    }

    fn own(&mut self, owner: OwnerId) -> Result<(), WireError> {
        self.owner = Some(owner);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), WireError> {
        self.owner = None;
        self.people.clear();
        Ok(())
    }

    fn begin(&mut self, package: &Announced) -> Result<Begin, WireError> {
        let most = self.about().slot_bytes;
        if package.bytes > most {
            return Err(WireError::TooLarge { bytes: package.bytes, most });
        }
        if self.on_trial.is_some() || self.checking_until.is_some() {
            return Err(WireError::Busy { reason: "a package is on trial".to_owned() });
        }
        if self.now < self.storing_until {
            return Err(WireError::Busy { reason: "a block is being stored".to_owned() });
        }
        if self.active == package.sha256 {
            return Ok(Begin::Active);
        }
        if self.announced.map(|known| known.sha256) != Some(package.sha256) {
            (self.announced, self.durable) = (Some(*package), 0);
            self.slot = vec![0xFF; package.bytes as usize];
        }
        self.pending.clear();
        self.stage = Stage::Receiving { durable: self.durable, bytes: package.bytes };
        Ok(Begin::From { durable: self.durable, enrol_again: self.enrol_again })
    }

    fn block_bytes(&self) -> usize {
        BLOCK
    }

    fn store(&mut self, offset: u32, bytes: &[u8]) -> Result<(), WireError> {
        assert_eq!(offset as usize, self.durable as usize + self.pending.len(), "blocks come in order");
        self.pending.extend_from_slice(bytes);
        self.stored += 1;
        self.storing_until = self.now + self.block_time;
        let end = self.durable as usize + self.pending.len();
        if self.pending.len() >= self.unit || end == self.slot.len() {
            self.slot[self.durable as usize..end].copy_from_slice(&self.pending);
            (self.durable, self.pending) = (end as u32, Vec::new());
        }
        Ok(())
    }

    fn stored(&mut self) -> Result<Option<u32>, WireError> {
        Ok((self.now >= self.storing_until).then_some(self.durable))
    }

    fn finish(&mut self) -> Result<(), WireError> {
        self.stage = Stage::Checking;
        self.checking_until = Some(Duration::ZERO);
        Ok(())
    }

    fn type_keys(&mut self, _: &str, _: Duration) -> Result<(), WireError> {
        Err(WireError::Unknown)
    }

    fn obey(&mut self, command: &Command, _: Duration) -> Result<Answer, WireError> {
        let nobody = |person: &u32| WireError::Nobody { person: *person };
        match command {
            Command::People { from } => {
                let entry = |(place, name): (usize, &String)| PersonEntry {
                    person: place as u32 + 1,
                    name: name.clone(),
                    administrator: place == 0,
                    templates: 4,
                    pictures: true,
                };
                let from = from.saturating_sub(1) as usize;
                Ok(Answer::People(self.people.iter().enumerate().skip(from).take(10).map(entry).collect()))
            }
            Command::Rename { person, name } => {
                let place = (*person as usize).checked_sub(1).ok_or_else(|| nobody(person))?;
                *self.people.get_mut(place).ok_or_else(|| nobody(person))? = name.clone();
                Ok(Answer::Done)
            }
            Command::SetTime { unix_ms } => {
                self.unix_ms = *unix_ms;
                Ok(Answer::Done)
            }
            Command::Snapshot if self.picture.is_empty() => {
                self.picture = vec![7; 5_000];
                Err(WireError::Busy { reason: "no frame yet".to_owned() })
            }
            Command::Snapshot => {
                let owner = self.owner.expect("somebody ordered it");
                self.parcel = sealed::seal(&owner, &self.picture).expect("sealed");
                Ok(Answer::Parcel { parcel: 1, bytes: self.parcel.len() as u32 })
            }
            _ => Err(WireError::Unknown),
        }
    }
}

/// The lock with its cable.
pub struct Wired<'a> {
    lock: &'a mut MemoryLock,
    link: Link,
    base_baud: u32,
}

impl MemoryLock {
    /// A computer's end of a line to this lock.
    pub fn line(&mut self, seed: u64, faults: Faults, baud: u32) -> Line<Wired<'_>> {
        let link = Link::new(baud);
        // Each line has a time of its own.
        self.storing_until = Duration::ZERO;
        Line::new(seed, faults, baud, Wired { lock: self, link, base_baud: baud })
    }

    /// Goes on with storing, and with checking what was stored.
    fn tick(&mut self, now: Duration) {
        self.now = now;
        let Some(until) = self.checking_until else { return };
        if until == Duration::ZERO {
            self.checking_until = Some(now + Duration::from_secs(2));
            return;
        }
        if now < until {
            return;
        }
        self.checking_until = None;
        let found: [u8; 32] = Sha256::digest(&self.slot).into();
        let announced = self.announced.expect("a transfer was announced").sha256;
        if found == announced {
            (self.on_trial, self.stage) = (Some(found), Stage::Trial);
        } else {
            self.stage = Stage::Refused { reason: "damaged".to_owned() };
        }
    }
}

impl FarEnd for Wired<'_> {
    fn receive(&mut self, bytes: &[u8], now: Duration) {
        self.link.receive(bytes, now, self.lock);
    }

    fn work(&mut self, now: Duration) -> bool {
        self.lock.tick(now);
        self.link.poll(now, self.lock)
    }

    fn output(&mut self) -> Vec<u8> {
        self.link.output()
    }

    fn baud(&self) -> u32 {
        self.link.baud()
    }

    fn wants_restart(&self) -> bool {
        self.lock.on_trial.is_some()
    }

    fn restart(&mut self, _: Duration) {
        self.link = Link::new(self.base_baud);
        self.lock.checking_until = None;
        self.lock.pending.clear();
        match self.lock.on_trial.take() {
            Some(package) => (self.lock.active, self.lock.stage) = (package, Stage::Confirmed),
            None if self.lock.stage != Stage::Confirmed => self.lock.stage = Stage::None,
            None => {}
        }
    }

    fn store_time(&self) -> Duration {
        self.lock.store_time
    }
}
