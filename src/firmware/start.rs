//! From files to a device that could begin: models, flash, key, gallery.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::clock::calendar;
use super::device::Kept;
use super::errand::Where;
use super::eyes::Eyes;
use super::journal::Journal;
use super::judge::{Judge, Liveness};
use super::ready::Ready;
use super::storage::{DeviceFlash, key_place, layout_of, open_flash};
use super::upgrade::{Keeper, Site, UpgradeError};
use super::week::{WeekClock, ZoneError};
use crate::board::Board;
use crate::board::schema::{Active, Lock, Wiring};
use crate::face::models::ModelFolder;
use crate::flash::{AuditLog, BoardFlashError, KeyError, LayoutError, Map, MapError, Partition, Partitions};
use crate::gallery::{Calibrated, CropStore, FarTable, Gallery, GalleryError, MatchPolicy};

/// Why the device cannot begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// The models.
    #[error(transparent)]
    Models(#[from] UpgradeError),
    /// The flash.
    #[error(transparent)]
    Flash(#[from] BoardFlashError),
    /// Its parts.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The device key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Who is enrolled.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// The board's time zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// What was kept.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A folder cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
}

/// Where everything lies.
#[derive(Debug, Clone)]
pub struct Places {
    /// Folder of the models.
    pub models: PathBuf,
    /// Folder of the device key.
    pub state: PathBuf,
}

/// What a device is made of, besides camera and pins.
pub struct Parts {
    /// The networks.
    pub eyes: Eyes,
    /// The rules by which people are recognised.
    pub judge: Judge,
    /// Who is enrolled, and what happened.
    pub kept: Kept<Partition<DeviceFlash>>,
    /// What distances mean.
    pub far: FarTable,
    /// Packages of models, and whose the lock is.
    pub keeper: Keeper<DeviceFlash>,
}

/// Loads models, flash and key, at `now`. Long work is done at `place`.
///
/// # Errors
/// When a model is missing or damaged, or the state cannot be read; what is there is left as it is.
pub fn start(
    board: &Board,
    places: &Places,
    flash: &Path,
    liveness: Liveness,
    (place, now): (Where, Duration),
) -> Result<Parts, StartError> {
    std::fs::create_dir_all(&places.state)
        .map_err(|source| StartError::Folder { path: places.state.clone(), source })?;
    let parts = open_parts(board, flash)?;
    let mut gallery = gallery_in(&parts, board, &places.state)?;
    let journal = Journal::open(parts.audit.clone(), calendar);
    if !board.enrolment.keep_crops {
        gallery.forget_crops()?;
    }
    if let Err(error) = gallery.keep_visitors(board.log.visitors as usize) {
        log::error!("unknown visitors are neither kept nor destroyed: {error}");
    }
    if board.log.visitors > 0 {
        log::warn!("templates of the last {} unknown visitors are kept (log.visitors)", board.log.visitors);
    }
    let factory = || ModelFolder::read(&places.models);
    let (mut keeper, ready) = Keeper::start(parts, &mut gallery, Site::of(board, place), &factory, now)?;
    let Ready { analyzer, embedding_id, far, threshold } = ready;
    log::info!("embedder {embedding_id} of package {} (0: of the firmware)", keeper.version());
    let threshold = Calibrated::threshold_in(gallery.map(), embedding_id, threshold as f32)?;
    log::info!("threshold {threshold}");
    let policy = MatchPolicy { threshold, margin: board.recognition.margin as f32 };
    log::info!("{} people enrolled, {} records do not open", gallery.people().len(), gallery.damaged().len());
    let kept = Kept { gallery, journal };
    let eyes = Eyes::new(analyzer).through(board.camera.kind);
    keeper.set_shutter(eyes.shutter().clone());
    let clock = WeekClock::new(&board.access.time_zone, calendar)?;
    let judge = Judge::new(policy, liveness).with_clock(clock);
    Ok(Parts { eyes, judge, kept, far, keeper })
}

/// The gallery of a device.
pub type DeviceGallery = Gallery<Partition<DeviceFlash>>;

/// Reads who is enrolled from a flash, with the key in the folder `state`.
///
/// # Errors
/// When flash or key cannot be read; what is there is left as it is.
pub fn open_gallery(board: &Board, state: &Path, flash: &Path) -> Result<DeviceGallery, StartError> {
    gallery_in(&open_parts(board, flash)?, board, state)
}

/// Gives the lock whose flash is `flash` another device key, and seals everybody's key with it.
///
/// # Errors
/// When flash or key cannot be used; the next start ends what was begun.
pub fn change_key(board: &Board, state: &Path, flash: &Path) -> Result<(), StartError> {
    let part = open_parts(board, flash)?.gallery;
    let mut map = Map::new(part.clone(), 0..part.size())?;
    DeviceGallery::change_device_key(&mut map, &mut key_place(board, state)?)?;
    Ok(())
}

/// The log in a flash.
///
/// # Errors
/// When the flash or the log cannot be read; what is there is left as it is.
pub fn open_log(board: &Board, flash: &Path) -> Result<AuditLog<Partition<DeviceFlash>>, StartError> {
    let audit = open_parts(board, flash)?.audit;
    let region = 0..audit.size();
    Ok(AuditLog::open(audit, region)?)
}

fn open_parts(board: &Board, flash: &Path) -> Result<Partitions<DeviceFlash>, StartError> {
    Ok(layout_of(board).divide(open_flash(board, flash)?)?)
}

fn gallery_in(
    parts: &Partitions<DeviceFlash>,
    board: &Board,
    state: &Path,
) -> Result<DeviceGallery, StartError> {
    let mut map = Map::new(parts.gallery.clone(), 0..parts.gallery.size())?;
    let key = DeviceGallery::device_key(&mut map, &mut key_place(board, state)?)?;
    let crops = CropStore::new(parts.crops.clone());
    Ok(Gallery::load(map, crops, key, board.enrolment.people as usize)?)
}

/// Whether a high level of the strike's line opens: current opens a fail-secure lock and locks a fail-safe one.
#[must_use]
pub fn opens_at_high(lock: &Lock) -> bool {
    (lock.wiring == Wiring::FailSecure) == (lock.line.active == Active::High)
}
