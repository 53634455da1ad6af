//! The flash of a board, divided as the board file says.

use std::path::Path;

use crate::board::ERASE_SIZE;
use crate::board::schema::{Board, FlashKind, KeyHome, Region};
use crate::flash::{BoardFlash, BoardFlashError, KeyError, KeyFile, KeyPlace, Layout, Medium};

/// The flash of the board for which this firmware was built.
pub type DeviceFlash = BoardFlash<ERASE_SIZE>;

/// Opens the flash of `board`; `path` may be another one than that of the board file, on a simulated board.
///
/// # Errors
/// When it is not what the board file says, is in use, or the system refuses.
pub fn open_flash(board: &Board, path: &Path) -> Result<DeviceFlash, BoardFlashError> {
    let medium = match board.flash.kind {
        FlashKind::File => Medium::File,
        FlashKind::Mtd => Medium::Mtd,
    };
    DeviceFlash::open(medium, path, board.flash.size)
}

/// Where the key of `board` is kept; `state`: the folder of a key in a file.
///
/// # Errors
/// When this program has no such place.
pub fn key_place(board: &Board, state: &Path) -> Result<Box<dyn KeyPlace>, KeyError> {
    match board.flash.key {
        KeyHome::KeyFile => Ok(Box::new(KeyFile::new(&state.join("device.key")))),
        #[cfg(feature = "device")]
        KeyHome::Keyring => Ok(Box::new(crate::flash::key_ring::RingPlace::of_user()?)),
        #[cfg(not(feature = "device"))]
        KeyHome::Keyring => Err(KeyError::Unfit {
            path: "in the kernel's keyring".into(),
            reason: "this program was built without it; build with --features device",
        }),
    }
}

/// Where everything lies in the flash of `board`.
#[must_use]
pub fn layout_of(board: &Board) -> Layout {
    let range = |region: Region| region.offset..region.offset + region.size;
    let flash = &board.flash;
    Layout {
        gallery: range(flash.gallery),
        crops: range(flash.crops),
        audit: range(flash.audit),
        slot_a: range(flash.slot_a),
        slot_b: range(flash.slot_b),
        boot: range(flash.boot),
    }
}
