//! Whether a lock takes a package: everything that is checked before a model may be tried.
//!
//! Order matters: signature and version come before anything else is parsed (see [`super::package`]), cheap
//! checks before the networks are loaded.

use thiserror::Error;

use super::golden;
use super::owner::OwnerId;
use super::package::{Manifest, Model, Package, PackageError, Part};
use crate::inference::{LoadError, LoadOptions, Network, RunError};

/// What a lock takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whose packages.
    pub owner: OwnerId,
    /// Lowest version.
    pub floor: u32,
    /// The board's name.
    pub board: String,
    /// The firmware's version: major, minor, patch.
    pub firmware: [u16; 3],
}

/// This firmware's version: major, minor, patch.
#[must_use]
pub fn firmware_version() -> [u16; 3] {
    let number = |text: &str| text.parse().unwrap_or(0);
    [
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    ]
}

/// A version as people write it.
#[must_use]
pub fn dotted([major, minor, patch]: [u16; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

/// Why a package is not taken.
#[derive(Debug, Error)]
pub enum Refusal {
    /// It is not what the owner signed.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// It is older than what was confirmed already.
    #[error(
        "the package has version {version}, but the lock takes none below {floor}: no way back to an older one"
    )]
    Downgrade {
        /// Its version.
        version: u32,
        /// The lock's floor.
        floor: u32,
    },
    /// It is for other boards.
    #[error("the package is for {wanted}, but this board is {board}")]
    Board {
        /// Its boards.
        wanted: String,
        /// The lock's.
        board: String,
    },
    /// The firmware is too old.
    #[error("the package needs firmware {}, but the lock has {}: update the firmware first", dotted(*needed), dotted(*found))]
    Firmware {
        /// Oldest that will do.
        needed: [u16; 3],
        /// The lock's.
        found: [u16; 3],
    },
    /// A network cannot be run.
    #[error("the {model} cannot be run: {source}")]
    Load {
        /// Which.
        model: Model,
        /// Why.
        source: LoadError,
    },
    /// A network has another input than the manifest says.
    #[error("the {model} reads {found:?} (height, width, channels), but the manifest says {expected:?}")]
    Input {
        /// Which.
        model: Model,
        /// Its input.
        found: [usize; 3],
        /// The manifest's.
        expected: [u32; 3],
    },
    /// A network failed.
    #[error("the {model} failed: {source}")]
    Run {
        /// Which.
        model: Model,
        /// Why.
        source: RunError,
    },
    /// A network answers something else than where the package was made.
    #[error("the {model} computes other answers here than where the package was made (pattern {seed})")]
    Golden {
        /// Which.
        model: Model,
        /// The pattern.
        seed: u32,
    },
    /// The embedder does not look at the picture.
    #[error(
        "the embedder gives the same answer to different pictures: it would take everybody for the same person"
    )]
    Blind,
}

impl Terms {
    /// Checks what the manifest says: version, board, firmware.
    ///
    /// # Errors
    /// The first reason not to take it.
    pub fn accept(&self, manifest: &Manifest) -> Result<(), Refusal> {
        if manifest.version < self.floor {
            return Err(Refusal::Downgrade { version: manifest.version, floor: self.floor });
        }
        if !manifest.boards.is_empty() && !manifest.boards.contains(&self.board) {
            return Err(Refusal::Board { wanted: manifest.boards.join(", "), board: self.board.clone() });
        }
        if manifest.minimum_firmware > self.firmware {
            return Err(Refusal::Firmware { needed: manifest.minimum_firmware, found: self.firmware });
        }
        Ok(())
    }

    /// Checks a whole package: signature, version, board, firmware, digests, and that every network loads and
    /// gives its golden answers.
    ///
    /// # Errors
    /// The first reason not to take it.
    pub fn check<'a>(&self, bytes: &'a [u8]) -> Result<Package<'a>, Refusal> {
        self.accept(&super::package::unseal(bytes, &self.owner)?.manifest)?;
        let package = Package::open(bytes, &self.owner)?;
        for (part, onnx) in package.parts() {
            check_network(part, onnx, LoadOptions::default())?;
        }
        Ok(package)
    }
}

/// Loads the network of `part` and compares its answers with the golden ones.
///
/// # Errors
/// When it does not load, or answers otherwise.
pub fn check_network(part: &Part, onnx: &[u8], options: LoadOptions) -> Result<(), Refusal> {
    let model = part.model;
    let mut network = load(part, onnx, options)?;
    for golden in &part.goldens {
        let found =
            golden::answer(&mut network, golden.seed).map_err(|source| Refusal::Run { model, source })?;
        if found != golden.answer {
            return Err(Refusal::Golden { model, seed: golden.seed });
        }
    }
    let same = part.goldens.windows(2).all(|pair| pair[0].answer == pair[1].answer);
    if model == Model::Embedder && same { Err(Refusal::Blind) } else { Ok(()) }
}

/// Loads the network of `part`, whose input must be as the manifest says.
///
/// # Errors
/// When it does not load or has another input.
pub fn load(part: &Part, onnx: &[u8], options: LoadOptions) -> Result<Network, Refusal> {
    let (model, expected) = (part.model, part.input);
    let input_size = Some([expected[0] as usize, expected[1] as usize]);
    let network = Network::load(onnx, LoadOptions { input_size, ..options })
        .map_err(|source| Refusal::Load { model, source })?;
    let found = network.input_shape();
    if found != expected.map(|side| side as usize) {
        return Err(Refusal::Input { model, found, expected });
    }
    Ok(network)
}
