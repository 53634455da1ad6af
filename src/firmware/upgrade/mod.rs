//! What the owner's cable reaches: packages, the models in use, who is enrolled, and whose the lock is.
//!
//! ```text
//! blocks -> slot -> checked -> templates computed anew -> on trial --start--> goldens, people --10 s--> confirmed
//!    (each step on an errand beside the door's loop)         '--- anything fails ---> rolled back
//! ```
//!
//! The lock works on while all this happens. What is decided is in the flash before it is told; after a power cut
//! the old models are in use, or the new ones are on trial.

mod backup;
mod boot;
mod embedding;
mod examination;
mod identity;
mod keeper;
mod owner_link;
mod served;

pub use boot::{Booted, Factory, check};
pub use embedding::Embedding;
pub use identity::Identity;
pub use keeper::{Keeper, Site};
pub use owner_link::OwnerLink;
pub use served::Served;

use thiserror::Error;

use super::ready::ReadyError;
use crate::face::embed::EmbedError;
use crate::face::models::ModelError;
use crate::flash::{MapError, SlotError};
use crate::gallery::GalleryError;
use crate::update::acceptance::Refusal;
use crate::update::package::PackageError;

/// Why models cannot be used, or who owns the lock cannot be told.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// The slot.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The package.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A check.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The models.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// The embedder alone.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The package has another embedder than it says.
    #[error("the package says that its embedder is {said}, but it is {found}")]
    Embedder {
        /// The manifest's number.
        said: u32,
        /// The contract's.
        found: u32,
    },
    /// It is another package than the one that was announced.
    #[error("the package is not the one that was announced")]
    Announced,
    /// A template could not be computed anew.
    #[error("the picture of person {person} gives no template: {source}")]
    Embed {
        /// The person's number.
        person: u32,
        /// Why.
        source: EmbedError,
    },
    /// The gallery.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// The map.
    #[error(transparent)]
    Map(#[from] MapError),
    /// There is no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// A step did not end.
    #[error("the {0} failed within")]
    Panicked(&'static str),
    /// There is no thread left.
    #[error("the system has no thread left")]
    Thread(#[from] std::io::Error),
}
