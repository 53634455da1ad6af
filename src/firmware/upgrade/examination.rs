//! A package that was stored, read back and checked before it may be tried.

use core::fmt::Debug;

use embedded_storage_async::nor_flash::NorFlash;

use super::UpgradeError;
use super::boot::check;
use crate::face::embed::Embedder;
use crate::firmware::ready::files_of;
use crate::flash::{Image, SlotError, Slots};
use crate::update::acceptance::Terms;
use crate::update::link::Announced;
use crate::update::package::Package;

/// A package whose checks are over.
pub(super) struct Checked {
    pub(super) image: Image,
    /// Its embedder, unless it is that in use.
    pub(super) embedder: Option<Embedder>,
}

/// What came of the checks.
pub(super) enum Examined {
    Good(Checked),
    /// What was sent is not what was announced: it is to be sent again.
    Again,
}

/// Everything that is checked before a package may be tried, in the flash where it lies.
///
/// # Errors
/// The first reason not to take it.
pub(super) fn examine<F: NorFlash<Error: Debug>>(
    slots: &mut Slots<F>,
    package: &Announced,
    terms: &Terms,
    false_accept_rate: f64,
    in_use: u32,
) -> Result<Examined, UpgradeError> {
    let image = match slots.finish(package.version) {
        Err(SlotError::Mismatch { .. }) => return Ok(Examined::Again),
        other => other?,
    };
    let bytes = slots.read(&image)?;
    check(&bytes, terms, false_accept_rate)?;
    let opened = Package::open(&bytes, &terms.owner)?;
    let manifest = &opened.manifest;
    if (manifest.version, manifest.embedding_id) != (package.version, package.embedding_id) {
        return Err(UpgradeError::Announced);
    }
    let is_new = manifest.embedding_id != in_use;
    let embedder = is_new.then(|| files_of(&opened).compile_embedder()).transpose()?;
    Ok(Examined::Good(Checked { image, embedder: embedder.map(|(embedder, _)| embedder) }))
}
