//! Storage that a power cut cannot spoil.
//!
//! ```text
//! flash (file, /dev/mtdN, simulated) -> partitions -> map (sequential-storage) -> sealed records
//!                                                  -> audit log, a ring
//!                                                  -> two slots and their boot record
//! ```
//!
//! It does not know what is stored: keys are numbers, values are bytes.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

pub mod audit;
pub mod event;
pub mod file;
pub mod key;
pub mod key_place;
#[cfg(feature = "device")]
pub mod key_ring;
pub mod map;
pub mod medium;
pub mod mtd;
pub mod partition;
mod rehearsal;
pub mod sim;
mod slot;
pub mod slots;
mod survey;

pub use audit::{AuditLog, Entry, Gap, Moment, Record};
pub use event::{Event, Happening, Reason};
pub use file::{FileFlash, FileFlashError};
pub use key::{DeviceKey, KeyError};
pub use key_place::{KeyFile, KeyPlace};
pub use map::{Map, MapError, Namespace};
pub use medium::{BoardFlash, BoardFlashError, Medium};
pub use mtd::{MtdError, MtdFlash};
pub use partition::{Layout, LayoutError, Partition, PartitionError, Partitions};
pub use sim::{SimFlash, SimFlashError};
pub use slot::Hash;
pub use slots::{BootRecord, Image, Slot, SlotError, Slots, Start, Trial};

/// The result of a future that never waits.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
    }
}
