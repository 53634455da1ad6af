//! What the door did, in a ring that tells when an entry is missing or altered.
//!
//! ```text
//! entry: version 1 | link before, 16 bytes | link, 16 bytes | postcard of (number, at_ms, event, person, distance)
//! link = first 16 bytes of SHA-256(link before | postcard)
//! ```
//!
//! Holds no template, no picture and no name. The oldest entries give way to new ones. The chain has no key: it
//! shows damage and clumsy hands, not somebody who writes the whole flash anew or takes the newest entries away.

use core::fmt::Debug;
use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::queue::{QueueConfig, QueueStorage};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::map::{MapError, from_storage};
use super::ready;

const VERSION: u8 = 1;
const LINK: usize = 16;
const HEAD: usize = 1 + 2 * LINK;
/// Longer than any entry.
const MAX_ENTRY: usize = 128;

type Link = [u8; LINK];
/// An entry, the link before it and its own.
type Stored = (Entry, Link, Link);

/// What happened. New events are added at the end, none is ever moved or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The device started.
    Started,
    /// The door was opened for a person.
    Opened,
    /// A face was refused: nobody is near enough.
    Unknown,
    /// A face was refused: two people are nearly as near.
    Ambiguous,
    /// A face was refused: it is not alive.
    NotAlive,
    /// A person was enrolled.
    Enrolled,
    /// A person was deleted.
    Deleted,
    /// The door is locked out after failures.
    LockedOut,
    /// The tamper switch moved.
    Tampered,
    /// A model was updated.
    Updated,
    /// A model on trial was taken back.
    RolledBack,
    /// The exit button opened the door.
    ExitButton,
    /// A part failed.
    Fault,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 0 over the life of the log.
    pub number: u32,
    /// When, in milliseconds of the caller's clock.
    pub at_ms: u64,
    /// What.
    pub event: Event,
    /// Who, by number.
    pub person: Option<u32>,
    /// Squared distance of the decision, `0.0..=4.0`.
    pub distance: Option<f32>,
}

/// What is wrong with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The entries of these numbers are not there: the first and the last of them.
    Missing(u32, u32),
    /// The entry at this place, counted from the oldest, is not what was written.
    Altered(usize),
    /// This entry is whole, but not the successor of the one before it.
    Unlinked(u32),
}

/// The log in one region of a flash.
pub struct AuditLog<F: NorFlash> {
    queue: QueueStorage<F, Cache<Uncached, Uncached, Uncached>>,
    last: Link,
    next: u32,
}

impl<F: NorFlash<Error: Debug>> AuditLog<F> {
    /// The log in `region` of `flash`, in bytes.
    ///
    /// # Errors
    /// When the region is not made of whole erase blocks, is damaged or does not answer.
    pub fn open(flash: F, region: Range<u32>) -> Result<Self, MapError> {
        let config = QueueConfig::try_new(region)
            .map_err(|error| MapError::Damaged { reason: format!("the region: {error:?}") })?;
        let queue = QueueStorage::new(flash, config, Cache::new_uncached());
        let mut log = Self { queue, last: [0; LINK], next: 0 };
        for (entry, _, link) in log.stored()?.into_iter().flatten() {
            (log.last, log.next) = (link, entry.number.saturating_add(1));
        }
        Ok(log)
    }

    /// Adds an entry; the oldest ones give way. After a power cut it is there or not.
    ///
    /// # Errors
    /// When the storage is damaged or does not answer.
    pub fn push(
        &mut self,
        at_ms: u64,
        event: Event,
        person: Option<u32>,
        distance: Option<f32>,
    ) -> Result<(), MapError> {
        let entry = Entry { number: self.next, at_ms, event, person, distance };
        let body = postcard::to_allocvec(&entry).expect("these types are always serialisable");
        let link = link(&self.last, &body);
        let bytes = [&[VERSION][..], &self.last, &link, &body].concat();
        ready(self.queue.push(&bytes, true)).map_err(from_storage)?;
        (self.last, self.next) = (link, self.next.saturating_add(1));
        Ok(())
    }

    /// All whole entries, oldest first, and what is wrong between them.
    ///
    /// # Errors
    /// When the storage is damaged or does not answer.
    pub fn entries(&mut self) -> Result<(Vec<Entry>, Vec<Gap>), MapError> {
        let (mut entries, mut gaps) = (Vec::<Entry>::new(), Vec::new());
        let mut before: Option<Link> = None;
        for (place, stored) in self.stored()?.into_iter().enumerate() {
            let Some((entry, previous, link)) = stored else {
                gaps.push(Gap::Altered(place));
                continue;
            };
            match entries.last().map(|last| last.number.saturating_add(1)) {
                Some(expected) if expected < entry.number => {
                    gaps.push(Gap::Missing(expected, entry.number - 1));
                }
                Some(expected) if expected > entry.number => gaps.push(Gap::Unlinked(entry.number)),
                Some(_) if before != Some(previous) => gaps.push(Gap::Unlinked(entry.number)),
                _ => {}
            }
            before = Some(link);
            entries.push(entry);
        }
        Ok((entries, gaps))
    }

    /// The flash, after the log is done with it.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.queue.destroy().0
    }

    /// Every item of the queue: an entry with the link before it and its own, or what is none.
    fn stored(&mut self) -> Result<Vec<Option<Stored>>, MapError> {
        let mut buffer = [0; MAX_ENTRY];
        let mut found = Vec::new();
        let mut items = ready(self.queue.iter()).map_err(from_storage)?;
        while let Some(item) = ready(items.next(&mut buffer)).map_err(from_storage)? {
            found.push(parse(&item));
        }
        Ok(found)
    }
}

fn parse(bytes: &[u8]) -> Option<Stored> {
    let (head, body) = bytes.split_at_checked(HEAD)?;
    let previous: Link = head[1..1 + LINK].try_into().ok()?;
    let stored: Link = head[1 + LINK..].try_into().ok()?;
    let whole = head[0] == VERSION && link(&previous, body) == stored;
    whole.then(|| postcard::from_bytes(body).ok()).flatten().map(|entry| (entry, previous, stored))
}

fn link(before: &Link, body: &[u8]) -> Link {
    let digest = Sha256::new().chain_update(before).chain_update(body).finalize();
    std::array::from_fn(|i| digest[i])
}
