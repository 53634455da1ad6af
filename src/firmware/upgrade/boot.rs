//! Which models a start begins with.
//!
//! ```text
//! on trial, 1st to 3rd start --checked again--> on trial     --fails--> rolled back -.
//! on trial, 4th start        ----------------------------------------> rolled back -.
//! confirmed                  <-------------------------------------------------------'
//!     '--- damaged, or there is none ---> the models that came with the firmware
//! boot record of newer firmware, or not to be read ---^
//! ```

use core::fmt::Debug;

use embedded_storage_async::nor_flash::NorFlash;

use super::UpgradeError;
use super::keeper::Site;
use crate::face::embed::Embedder;
use crate::face::models::{ModelError, ModelFiles, ModelFolder};
use crate::firmware::ready::{Ready, files_of};
use crate::flash::{Image, SlotError, Slots, Start, Trial};
use crate::update::acceptance::Terms;
use crate::update::message::{Stage, short};
use crate::update::package::{Package, claims};

/// Reads the models that came with the firmware.
pub type Factory<'a> = &'a dyn Fn() -> Result<ModelFolder, ModelError>;

/// Where the models of a start came from.
enum Source {
    Factory(ModelFolder),
    /// All bytes of a package.
    Package(Vec<u8>),
}

impl Source {
    fn with_files<T, E>(
        &self,
        use_them: impl FnOnce(&ModelFiles<'_>) -> Result<T, E>,
    ) -> Result<T, UpgradeError>
    where
        UpgradeError: From<E>,
    {
        match self {
            Self::Factory(folder) => Ok(use_them(&folder.files())?),
            Self::Package(bytes) => {
                let (owner, _) = claims(bytes)?;
                Ok(use_them(&files_of(&Package::open(bytes, &owner)?))?)
            }
        }
    }
}

/// What a start came to.
pub struct Booted {
    /// The models.
    pub ready: Ready,
    /// Version of their package; 0: they came with the firmware.
    pub version: u32,
    /// They are on trial.
    pub trial: Option<Trial>,
    /// What became of the last update.
    pub stage: Stage,
    source: Source,
}

impl Booted {
    /// Its embedder once more, for the pictures that are kept.
    pub(super) fn embedder(&self) -> Result<Embedder, UpgradeError> {
        self.source.with_files(|files| files.compile_embedder().map(|(embedder, _)| embedder))
    }
}

/// Chooses and compiles the models for this start.
///
/// # Errors
/// When not even the models that came with the firmware can be used.
pub(super) fn boot<F: NorFlash<Error: Debug>>(
    slots: &mut Slots<F>,
    site: &Site,
    factory: Factory<'_>,
) -> Result<Booted, UpgradeError> {
    let stage = match slots.start() {
        Ok(Start::Trial(trial)) => match on_trial(slots, &trial.image, site) {
            Ok((ready, source)) => {
                let version = trial.image.version;
                log::info!("package {version} is on trial, start {}", trial.starts);
                return Ok(Booted { ready, version, trial: Some(trial), stage: Stage::Trial, source });
            }
            Err(error) => taken_back(slots, &error)?,
        },
        Ok(Start::RolledBack { failed, .. }) => {
            log::error!("package {} did not prove itself and was taken back", failed.version);
            Stage::RolledBack { reason: "it did not prove itself in three starts".to_owned() }
        }
        Ok(Start::Factory | Start::Active(_)) => Stage::None,
        Err(error) => {
            log::error!("{error}; the start goes on with what was confirmed");
            Stage::None
        }
    };
    confirmed(slots, site, factory, stage)
}

/// The models of a start that cannot read which package is used.
pub(super) fn without_record(
    site: &Site,
    factory: Factory<'_>,
    error: &SlotError,
) -> Result<Booted, UpgradeError> {
    log::error!("{error}; the models that came with the firmware are used, and no package is taken");
    from_factory(site, factory, Stage::Refused { reason: short(&error.to_string()) })
}

fn from_factory(site: &Site, factory: Factory<'_>, stage: Stage) -> Result<Booted, UpgradeError> {
    let folder = factory()?;
    let ready = Ready::of(&folder.files(), site.false_accept_rate)?;
    Ok(Booted { ready, version: 0, trial: None, stage, source: Source::Factory(folder) })
}

fn taken_back<F: NorFlash<Error: Debug>>(
    slots: &mut Slots<F>,
    error: &UpgradeError,
) -> Result<Stage, SlotError> {
    log::error!("the package on trial is taken back: {error}");
    slots.roll_back()?;
    Ok(Stage::RolledBack { reason: short(&error.to_string()) })
}

fn confirmed<F: NorFlash<Error: Debug>>(
    slots: &mut Slots<F>,
    site: &Site,
    factory: Factory<'_>,
    stage: Stage,
) -> Result<Booted, UpgradeError> {
    if let Some(image) = slots.record().active {
        match in_slot(slots, &image, site) {
            Ok((ready, source)) => {
                return Ok(Booted { ready, version: image.version, trial: None, stage, source });
            }
            Err(error) => log::error!(
                "package {} cannot be used, the models that came with the firmware are: {error}",
                image.version
            ),
        }
    }
    from_factory(site, factory, stage)
}

/// The networks of a package that was confirmed: what it must answer was checked then.
fn in_slot<F: NorFlash<Error: Debug>>(
    slots: &mut Slots<F>,
    image: &Image,
    site: &Site,
) -> Result<(Ready, Source), UpgradeError> {
    let source = Source::Package(slots.read(image)?);
    Ok((source.with_files(|files| Ready::of(files, site.false_accept_rate))?, source))
}

/// The networks of a package on trial, every golden answer checked on this very machine.
fn on_trial<F: NorFlash<Error: Debug>>(
    slots: &mut Slots<F>,
    image: &Image,
    site: &Site,
) -> Result<(Ready, Source), UpgradeError> {
    let bytes = slots.read(image)?;
    // Whose it is was checked before it came on trial; the boot record holds its hash.
    let (owner, _) = claims(&bytes)?;
    let ready = check(&bytes, &site.terms(owner, slots.record().floor), site.false_accept_rate)?;
    Ok((ready, Source::Package(bytes)))
}

/// Checks a package as a whole: signature, version, board, firmware, digests and golden answers, in this order;
/// then its networks must be those that it says, and good for a door with this false accept rate.
///
/// # Errors
/// The first reason not to take it.
pub fn check(bytes: &[u8], terms: &Terms, false_accept_rate: f64) -> Result<Ready, UpgradeError> {
    let package = terms.check(bytes)?;
    let ready = Ready::of(&files_of(&package), false_accept_rate)?;
    let (said, found) = (package.manifest.embedding_id, ready.embedding_id);
    if said == found { Ok(ready) } else { Err(UpgradeError::Embedder { said, found }) }
}
