//! Keeps packages, models, and whose the lock is.

use core::fmt::Debug;
use std::collections::BTreeSet;
use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;
use zeroize::Zeroizing;

use super::UpgradeError;
use super::backup::Arrival;
use super::boot::{Booted, Factory, boot, without_record};
use super::embedding::Embedding;
use super::examination::{Checked, Examined, examine};
use super::identity::Identity;
use crate::board::Board;
use crate::firmware::errand::{Errand, Where};
use crate::firmware::ready::Ready;
use crate::firmware::shutter::Shutter;
use crate::flash::{BootRecord, Image, Partition, Partitions, SlotError, Slots, Trial};
use crate::gallery::Gallery;
use crate::update::acceptance::{Terms, firmware_version};
use crate::update::link::Announced;
use crate::update::message::{Stage, short};
use crate::update::owner::OwnerId;

/// How long new models must do well before they are confirmed. A choice: some hundred frames.
const PROOF: Duration = Duration::from_secs(10);
/// Without frames (the camera may be covered or gone, which is not the models' fault) it is this long.
const PROOF_BLIND: Duration = Duration::from_secs(60);

/// How long after somebody came from a backup the device starts anew. A choice: longer than from one to the next.
const CATCH_UP_PAUSE: Duration = Duration::from_secs(5);

/// Where the lock stands, as its board file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Name of the board.
    pub board: String,
    /// Wanted false accept rate of one comparison.
    pub false_accept_rate: f64,
    /// Where long work is done.
    pub place: Where,
}

impl Site {
    /// That of `board`.
    #[must_use]
    pub fn of(board: &Board, place: Where) -> Self {
        let false_accept_rate = board.recognition.false_accept_rate;
        Self { board: board.name.to_string(), false_accept_rate, place }
    }

    pub(super) fn terms(&self, owner: OwnerId, floor: u32) -> Terms {
        Terms { owner, floor, board: self.board.clone(), firmware: firmware_version() }
    }
}

type Storing<F> = Errand<(Slots<F>, Result<u32, SlotError>)>;
type Checking<F> = Errand<(Slots<F>, Result<Examined, UpgradeError>)>;

/// What happens when everybody's templates are there.
#[derive(Debug, Clone, Copy)]
enum Then {
    TryOut(Image),
    Serve,
}

enum Work<F: NorFlash> {
    None,
    Storing(Storing<F>),
    Checking(Checking<F>),
    Embedding(Box<Embedding>, Then),
}

/// What the rest of the device says in each turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surroundings {
    /// Frames that were looked at since the start.
    pub frames: u32,
    /// A network failed.
    pub models_fail: bool,
}

/// Keeps packages, models, and whose the lock is.
pub struct Keeper<F: NorFlash> {
    pub(super) parts: Partitions<F>,
    /// Whether the boot record could be read.
    is_readable: bool,
    /// Away on an errand when there are none.
    slots: Option<Slots<F>>,
    pub(super) record: BootRecord,
    pub(super) identity: Identity,
    pub(super) site: Site,
    pub(super) shutter: Shutter,
    pub(super) version: u32,
    pub(super) trial: Option<Trial>,
    pub(super) stage: Stage,
    pub(super) embedding_id: u32,
    pub(super) started: Duration,
    pub(super) parcel: (u32, Zeroizing<Vec<u8>>),
    pub(super) arrival: Arrival,
    announced: Option<Announced>,
    durable: u32,
    /// Frames that were looked at since the start, and before the package was announced.
    frames: u32,
    frames_before: u32,
    work: Work<F>,
    /// Templates of a confirmed embedder are being made people's own, one person in each turn.
    settling: bool,
    /// When the device starts anew, to compute templates of people who came from a backup.
    catch_up_at: Option<Duration>,
    restart: bool,
}

impl<F: NorFlash<Error: Debug> + Send + 'static> Keeper<F> {
    /// Chooses the models to start with, and makes everybody known to their embedder: takes the templates that
    /// were computed for it; those that are missing are computed from the pictures while the door is served.
    ///
    /// # Errors
    /// When the lock's identity cannot be read, or no models can be used. A boot record that cannot be read costs the
    /// packages, not the start.
    pub fn start(
        parts: Partitions<F>,
        gallery: &mut Gallery<Partition<F>>,
        site: Site,
        factory: Factory<'_>,
        now: Duration,
    ) -> Result<(Self, Ready), UpgradeError> {
        let identity = Identity::load(gallery.map())?;
        let (slots, booted) = match Slots::open(&parts) {
            Ok(mut slots) => {
                let booted = boot(&mut slots, &site, factory)?;
                (Some(slots), booted)
            }
            Err(error) => (None, without_record(&site, factory, &error)?),
        };
        let embedding_id = booted.ready.embedding_id;
        let work = catch_up(gallery, &booted, &site)?;
        let settling = matches!(work, Work::None) && booted.trial.is_none();
        let Booted { ready, version, trial, stage, .. } = booted;
        let keeper = Self {
            record: slots.as_ref().map(|slots| *slots.record()).unwrap_or_default(),
            parts,
            is_readable: slots.is_some(),
            slots,
            identity,
            site,
            shutter: Shutter::default(),
            version,
            trial,
            stage,
            embedding_id,
            started: now,
            parcel: (0, Zeroizing::default()),
            arrival: Arrival::default(),
            announced: None,
            durable: 0,
            frames: 0,
            frames_before: 0,
            work,
            settling,
            catch_up_at: None,
            restart: false,
        };
        Ok((keeper, ready))
    }

    /// Takes pictures with this shutter from now on.
    pub fn set_shutter(&mut self, shutter: Shutter) {
        self.shutter = shutter;
    }

    /// Whether the device is to start anew, with other models.
    #[must_use]
    pub fn wants_restart(&self) -> bool {
        self.restart
    }

    /// How far an update is.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Version of the package in use; 0: the models that came with the firmware.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Whether there is work that goes on by itself.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.settling || !matches!(self.work, Work::None)
    }

    /// Goes on with what is to be done, without waiting.
    pub fn work(&mut self, gallery: &mut Gallery<Partition<F>>, around: Surroundings, now: Duration) {
        self.frames = around.frames;
        self.settle(gallery);
        let result = match core::mem::replace(&mut self.work, Work::None) {
            Work::None => {
                self.catch_up(now);
                self.prove(around, now)
            }
            // Templates of yet another embedder are staged only when the last ones are settled.
            Work::Checking(errand) if errand.is_over() && !self.settling => self.checked(errand, gallery),
            Work::Embedding(embedding, then) => self.embed(embedding, then, gallery),
            under_way => {
                self.work = under_way;
                Ok(())
            }
        };
        if let Err(error) = result {
            log::error!("the package is refused: {error}");
            self.stage = Stage::Refused { reason: short(&error.to_string()) };
        }
    }

    /// Announces a package to its slot; returns what is there of it.
    pub(super) fn receive(&mut self, package: &Announced) -> Result<u32, SlotError> {
        if self.slots.is_none() {
            self.slots = Some(Slots::open(&self.parts)?);
        }
        let slots = self.slots.as_mut().ok_or(SlotError::NotReceiving)?;
        let durable = slots.begin(package.bytes, package.sha256)?;
        (self.announced, self.durable, self.frames_before) = (Some(*package), durable, self.frames);
        self.stage = Stage::Receiving { durable, bytes: package.bytes };
        Ok(durable)
    }

    /// Begins to store a block.
    pub(super) fn store(&mut self, offset: u32, bytes: &[u8]) -> Result<(), UpgradeError> {
        let mut slots = self.slots.take().ok_or(SlotError::NotReceiving)?;
        let bytes = bytes.to_vec();
        let work = move || {
            let stored = slots.write(offset, &bytes);
            (slots, stored)
        };
        self.work = Work::Storing(self.begin("storing", work)?);
        Ok(())
    }

    /// What is durable; `None` while a block is being stored.
    pub(super) fn stored(&mut self) -> Result<Option<u32>, UpgradeError> {
        match core::mem::replace(&mut self.work, Work::None) {
            Work::Storing(errand) if errand.is_over() => {
                let stored = self.fetch(errand, "storing").and_then(|stored| Ok(stored?));
                let durable = stored.inspect_err(|error| {
                    log::error!("a package cannot be stored: {error}");
                    self.stage = Stage::Refused { reason: short(&error.to_string()) };
                })?;
                self.durable = durable;
                let bytes = self.announced.map_or(0, |package| package.bytes);
                self.stage = Stage::Receiving { durable, bytes };
            }
            under_way @ Work::Storing(_) => {
                self.work = under_way;
                return Ok(None);
            }
            other => self.work = other,
        }
        Ok(Some(self.durable))
    }

    /// Begins to check the package that was stored.
    pub(super) fn examine(&mut self, owner: OwnerId) -> Result<(), UpgradeError> {
        let package = self.announced.take().ok_or(SlotError::NotReceiving)?;
        let mut slots = self.slots.take().ok_or(SlotError::NotReceiving)?;
        let terms = self.site.terms(owner, self.record.floor);
        let (rate, in_use) = (self.site.false_accept_rate, self.embedding_id);
        let work = move || {
            let examined = examine(&mut slots, &package, &terms, rate, in_use);
            (slots, examined)
        };
        self.work = Work::Checking(self.begin("checking", work)?);
        self.stage = Stage::Checking;
        Ok(())
    }

    fn checked(
        &mut self,
        errand: Checking<F>,
        gallery: &mut Gallery<Partition<F>>,
    ) -> Result<(), UpgradeError> {
        match self.fetch(errand, "checking")?? {
            Examined::Again => {
                log::warn!("what is stored is not what was announced; it is to be sent again");
                self.stage = Stage::None;
                Ok(())
            }
            Examined::Good(Checked { image, embedder: None }) => self.try_out(image),
            Examined::Good(Checked { image, embedder: Some(embedder) }) => {
                let embedding = Embedding::new(embedder, BTreeSet::new(), self.site.place);
                self.stage = Stage::Embedding { done: 0, people: with_pictures(gallery) };
                self.work = Work::Embedding(Box::new(embedding), Then::TryOut(image));
                Ok(())
            }
        }
    }

    fn embed(
        &mut self,
        mut embedding: Box<Embedding>,
        then: Then,
        gallery: &mut Gallery<Partition<F>>,
    ) -> Result<(), UpgradeError> {
        let done = match (embedding.step(gallery), then) {
            (Err(error), Then::Serve) => {
                log::error!("somebody has to enrol again: {error}");
                embedding.is_lost()
            }
            (step, _) => step?,
        };
        if !done {
            if let Then::TryOut(_) = then {
                self.stage = Stage::Embedding { done: embedding.done(), people: with_pictures(gallery) };
            }
            self.work = Work::Embedding(embedding, then);
            return Ok(());
        }
        match then {
            Then::TryOut(image) => self.try_out(image),
            Then::Serve => {
                let without = gallery.use_embedder(self.embedding_id)?;
                log::info!("templates were computed anew; {} people have to enrol again", without.len());
                self.settling = self.trial.is_none();
                Ok(())
            }
        }
    }

    fn try_out(&mut self, image: Image) -> Result<(), UpgradeError> {
        let slots = self.slots.as_mut().ok_or(SlotError::NotReceiving)?;
        slots.try_out(image)?;
        self.record = *slots.record();
        (self.stage, self.restart) = (Stage::Trial, true);
        log::info!("package {} is on trial from the next start on", image.version);
        let frames = self.frames.saturating_sub(self.frames_before);
        log::info!("{frames} frames were looked at since it was announced");
        Ok(())
    }

    /// Confirms the models on trial when they did well for long enough, and takes them back when they fail.
    fn prove(&mut self, around: Surroundings, now: Duration) -> Result<(), UpgradeError> {
        let (Some(trial), Some(slots)) = (self.trial, self.slots.as_mut()) else { return Ok(()) };
        if around.models_fail {
            self.trial = None;
            slots.roll_back()?;
            self.record = *slots.record();
            let reason = "a network failed on a frame".to_owned();
            log::error!("package {} is taken back: {reason}", trial.image.version);
            (self.stage, self.restart) = (Stage::RolledBack { reason }, true);
            return Ok(());
        }
        let ran = now.saturating_sub(self.started);
        if ran < PROOF || (around.frames == 0 && ran < PROOF_BLIND) {
            return Ok(());
        }
        slots.confirm()?;
        self.record = *slots.record();
        (self.trial, self.stage) = (None, Stage::Confirmed);
        log::info!("package {} is confirmed", trial.image.version);
        self.settling = true;
        Ok(())
    }

    /// Makes the templates of a confirmed embedder one more person's own.
    fn settle(&mut self, gallery: &mut Gallery<Partition<F>>) {
        if !self.settling {
            return;
        }
        self.settling = gallery.settle_one().unwrap_or_else(|error| {
            log::error!("the templates of before could not be replaced; the next start does it: {error}");
            false
        });
    }

    /// Starts anew when nobody came from a backup for a while: then the start computes the templates that are missing.
    fn catch_up(&mut self, now: Duration) {
        if self.catch_up_at.is_some_and(|at| now >= at) {
            log::info!(
                "people came from a backup with templates of another embedder: the device starts anew"
            );
            (self.catch_up_at, self.restart) = (None, true);
        }
    }

    /// Somebody came from a backup, whose templates are to be computed anew.
    pub(super) fn catch_up_later(&mut self, now: Duration) {
        self.catch_up_at = Some(now + CATCH_UP_PAUSE);
    }

    /// Empties a boot record that cannot be read; one that can is left as it is.
    pub(super) fn renew_record(&mut self) -> Result<(), SlotError> {
        if self.is_readable {
            return Ok(());
        }
        let slots = Slots::renew(&self.parts)?;
        (self.record, self.slots, self.is_readable) = (*slots.record(), Some(slots), true);
        self.stage = Stage::None;
        Ok(())
    }

    /// People who would have to enrol again for embedder `embedding_id`.
    pub(super) fn enrol_again(&self, gallery: &Gallery<Partition<F>>, embedding_id: u32) -> u32 {
        if embedding_id == self.embedding_id {
            return 0;
        }
        gallery.people().len() as u32 - with_pictures(gallery)
    }

    /// Bytes of the longest package.
    pub(super) fn capacity(&self) -> u32 {
        self.parts.slot_a.size().min(self.parts.slot_b.size()).saturating_sub(F::ERASE_SIZE as u32)
    }

    /// Why no package can be taken now.
    pub(super) fn is_busy(&self) -> Option<&'static str> {
        match self.work {
            _ if self.restart => Some("it starts anew in a moment"),
            _ if self.trial.is_some() => Some("a package is on trial"),
            Work::Storing(_) => Some("a block is being stored"),
            Work::Checking(_) => Some("a package is checked"),
            Work::Embedding(..) => Some("templates are computed anew"),
            Work::None => None,
        }
    }

    fn begin<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Errand<T>, UpgradeError> {
        Ok(Errand::begin(self.site.place, name, work)?)
    }

    /// Takes the slots back from an errand; from the flash, when it did not end.
    fn fetch<R: Send + 'static>(
        &mut self,
        errand: Errand<(Slots<F>, R)>,
        name: &'static str,
    ) -> Result<R, UpgradeError> {
        let Some((slots, result)) = errand.fetch() else {
            self.slots = Some(Slots::open(&self.parts)?);
            return Err(UpgradeError::Panicked(name));
        };
        self.slots = Some(slots);
        Ok(result)
    }
}

/// What is to be done before everybody is known to the embedder of this start.
fn catch_up<F: NorFlash<Error: Debug>>(
    gallery: &mut Gallery<Partition<F>>,
    booted: &Booted,
    site: &Site,
) -> Result<Work<F>, UpgradeError> {
    let embedding_id = booted.ready.embedding_id;
    let without: BTreeSet<u32> = gallery.use_embedder(embedding_id)?.into_iter().collect();
    let mut people = gallery.people().iter();
    if !people.any(|person| without.contains(&person.id) && person.crops.is_some()) {
        if !without.is_empty() {
            log::warn!("{} people have to enrol again: no pictures of them are kept", without.len());
        }
        return Ok(Work::None);
    }
    log::info!("templates of {} people are computed anew", without.len());
    let known = gallery.people().iter().map(|person| person.id).filter(|id| !without.contains(id)).collect();
    let embedding = Embedding::new(booted.embedder()?, known, site.place);
    Ok(Work::Embedding(Box::new(embedding), Then::Serve))
}

fn with_pictures<F: NorFlash<Error: Debug>>(gallery: &Gallery<Partition<F>>) -> u32 {
    gallery.people().iter().filter(|person| person.crops.is_some()).count() as u32
}
