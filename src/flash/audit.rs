//! What the door did, in a ring that tells when an entry is missing or altered.
//!
//! ```text
//! entry: version 2 | link before, 16 bytes | link, 16 bytes | postcard of (number, uptime_ms, unix_ms, event,
//!                    person, distance, reason), zeros up to a whole word
//!        version 1 | link before | link | postcard of (number, uptime_ms, event, person, distance)
//!                    : read, never written
//! body = version | postcard
//! link = first 16 bytes of SHA-256(link before | body), in version 1 of (link before | postcard)
//! ```
//!
//! Holds no template, no picture and no name. The oldest entries give way to new ones. The chain has no key: it
//! shows damage and clumsy hands, not somebody who writes the whole flash anew or takes the newest entries away.
//! Whoever keeps an export can tell that too: the log must go on from its last link.

use core::fmt::Debug;
use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::cache::page_pointers::HeapPagePointers;
use sequential_storage::cache::page_states::HeapPageStates;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::queue::{QueueConfig, QueueStorage};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::{Event, Happening};
use super::map::{MapError, from_port, from_storage};
use super::ready;
use super::rehearsal::Rehearsal;
use super::survey::is_marked;

const VERSION: u8 = 2;
const LINK: usize = 16;
const HEAD: usize = 1 + 2 * LINK;

/// An entry's place in the chain.
pub type Link = [u8; LINK];

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Moment {
    /// Milliseconds of the device's own clock, which never jumps and begins anew with the power.
    pub uptime_ms: u64,
    /// Milliseconds since 1970-01-01 00:00 UTC; `None` when the device does not know.
    pub unix_ms: Option<u64>,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 0 over the life of the log.
    pub number: u32,
    /// When.
    pub at: Moment,
    /// What.
    pub what: Happening,
}

#[derive(Deserialize)]
struct EntryV1 {
    number: u32,
    uptime_ms: u64,
    event: Event,
    person: Option<u32>,
    distance: Option<f32>,
}

/// What is wrong with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The entries of these numbers are not there: the first and the last of them.
    Missing(u32, u32),
    /// The entry at this place, counted from the oldest, is not what was written, or is of a newer version.
    Altered(usize),
    /// This entry is whole, but not the successor of the one before it.
    Unlinked(u32),
}

/// An entry as it is stored and exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Version and entry.
    pub body: Vec<u8>,
    /// Link of the entry before.
    pub before: Link,
    /// Its own link.
    pub link: Link,
}

impl Record {
    /// `entry`, chained to the one whose link is `before`. Its length is one with which it fills whole words.
    fn new(entry: &Entry, before: Link, word: usize) -> Self {
        let mut body = vec![VERSION];
        body.extend(postcard::to_allocvec(entry).expect("these types are always serialisable"));
        body.resize((2 * LINK + body.len()).next_multiple_of(word) - 2 * LINK, 0);
        let link = link(&before, &body);
        Self { body, before, link }
    }

    /// The entry; `None` when it is not the one to which the link belongs, or of a newer version.
    #[must_use]
    pub fn entry(&self) -> Option<Entry> {
        let (version, entry) = self.body.split_first()?;
        let linked = |bytes| link(&self.before, bytes) == self.link;
        match version {
            &VERSION if linked(&self.body) => postcard::from_bytes(entry).ok(),
            1 if linked(entry) => {
                let EntryV1 { number, uptime_ms, event, person, distance } =
                    postcard::from_bytes(entry).ok()?;
                let at = Moment { uptime_ms, unix_ms: None };
                Some(Entry { number, at, what: Happening { event, person, distance, reason: None } })
            }
            _ => None,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        [&self.body[..1], &self.before, &self.link, &self.body[1..]].concat()
    }

    /// Of what was stored; bytes that are too few are a body that no link fits.
    fn from_bytes(bytes: &[u8]) -> Self {
        let Some((head, entry)) = bytes.split_first_chunk::<HEAD>() else {
            return Self { body: bytes.to_vec(), before: [0; LINK], link: [0; LINK] };
        };
        let link = |at| core::array::from_fn(|i| head[at + i]);
        Self { body: [&head[..1], entry].concat(), before: link(1), link: link(1 + LINK) }
    }
}

/// All whole entries of `records`, oldest first, and what is wrong between them.
#[must_use]
pub fn verify(records: &[Record]) -> (Vec<Entry>, Vec<Gap>) {
    let (mut entries, mut gaps) = (Vec::<Entry>::new(), Vec::new());
    let mut before: Option<Link> = None;
    for (place, record) in records.iter().enumerate() {
        let Some(entry) = record.entry() else {
            gaps.push(Gap::Altered(place));
            continue;
        };
        match entries.last().map(|last| last.number.saturating_add(1)) {
            Some(expected) if expected < entry.number => {
                gaps.push(Gap::Missing(expected, entry.number - 1));
            }
            Some(expected) if expected > entry.number => gaps.push(Gap::Unlinked(entry.number)),
            Some(_) if before != Some(record.before) => gaps.push(Gap::Unlinked(entry.number)),
            _ => {}
        }
        before = Some(record.link);
        entries.push(entry);
    }
    (entries, gaps)
}

/// The log in one region of a flash.
pub struct AuditLog<F: NorFlash> {
    queue: QueueStorage<F, LogCache>,
    last: Link,
    next: u32,
    /// The block that comes next has an erase to be ended.
    half_erased: Option<usize>,
}

type LogCache = Cache<HeapPageStates, HeapPagePointers, Uncached>;

/// Bytes at the beginning of a block in which its first entry lies whole.
const FIRST: usize = 160;

impl<F: NorFlash<Error: Debug>> AuditLog<F> {
    /// The log in `region` of `flash`, in bytes. Reads only.
    ///
    /// # Errors
    /// When the region is not made of whole erase blocks, holds something that is no log, or the flash does not
    /// answer.
    pub fn open(flash: F, region: Range<u32>) -> Result<Self, MapError> {
        let pages = region.len() / F::ERASE_SIZE;
        let cache = Cache::new(HeapPageStates::new(pages), HeapPagePointers::new(pages), Uncached);
        let queue = QueueStorage::new(flash, config(region)?, cache);
        let mut log = Self { queue, last: [0; LINK], next: 0, half_erased: None };
        let (mut newest, mut is_log) = (None, true);
        for block in 0..pages {
            let bytes = log.read(block, F::ERASE_SIZE)?;
            // A first entry that was cut may be there.
            is_log &= is_blank(&bytes[if block == 0 { FIRST } else { 0 }..]);
            for record in records_of::<F>(&bytes) {
                let Some(entry) = record.entry().filter(|entry| entry.number >= log.next) else { continue };
                (log.last, log.next, newest) = (record.link, entry.number.saturating_add(1), Some(block));
            }
        }
        let Some(newest) = newest else {
            let reason = || "it holds no entry of a log, and is not empty".to_owned();
            return is_log.then_some(log).ok_or_else(|| MapError::Damaged { reason: reason() });
        };
        let following = (newest + 1) % pages;
        let bytes = log.read(following, F::ERASE_SIZE)?;
        let (first, last) = (bytes[0], bytes[F::ERASE_SIZE - 1]);
        let looks_unused = !is_marked(first) && !is_marked(last);
        log.half_erased = (looks_unused && !is_blank(&bytes)).then_some(following);
        Ok(log)
    }

    /// Adds an entry; the oldest ones give way. After a power cut it is there or not.
    ///
    /// # Errors
    /// When the storage is damaged or does not answer.
    pub fn push(&mut self, at: Moment, what: impl Into<Happening>) -> Result<(), MapError> {
        if let Some(block) = self.half_erased {
            let at = self.start_of(block);
            ready(self.queue.flash().erase(at, at + F::ERASE_SIZE as u32)).map_err(from_port)?;
            self.half_erased = None;
        }
        let entry = Entry { number: self.next, at, what: what.into() };
        let record = Record::new(&entry, self.last, F::WRITE_SIZE);
        ready(self.queue.push(&record.to_bytes(), true)).map_err(from_storage)?;
        (self.last, self.next) = (record.link, self.next.saturating_add(1));
        Ok(())
    }

    /// The number that the next entry will have.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.next
    }

    /// The entries from number `from` on that lie in one erase block; empty when there are none. Whoever asks again
    /// with the number after the last one gets the whole log, oldest first, and each answer costs about as many
    /// reads as there are blocks. Damaged entries come between whole ones.
    ///
    /// # Errors
    /// When the flash does not answer.
    pub fn page(&mut self, from: u32) -> Result<Vec<Record>, MapError> {
        let mut starts = Vec::new();
        for block in 0..self.blocks() {
            let head = self.read(block, FIRST)?;
            let mut records = records_of::<F>(&head);
            if records.is_empty() && !is_blank(&head) {
                records = records_of::<F>(&self.read(block, F::ERASE_SIZE)?);
            }
            starts.extend(records.iter().find_map(Record::entry).map(|entry| (entry.number, block)));
        }
        starts.sort_unstable();
        let first = starts.partition_point(|(number, _)| *number <= from).saturating_sub(1);
        for (_, block) in starts.split_off(first.min(starts.len())) {
            let records = records_of::<F>(&self.read(block, F::ERASE_SIZE)?);
            let wanted = |record: &Record| record.entry().is_some_and(|entry| entry.number >= from);
            let Some(first) = records.iter().position(wanted) else { continue };
            let leading = !records[..first].iter().any(|record| record.entry().is_some());
            return Ok(records.into_iter().skip(if leading { 0 } else { first }).collect());
        }
        Ok(Vec::new())
    }

    /// Everything that is stored, oldest first. What is damaged is read past, and not repaired.
    ///
    /// # Errors
    /// When the flash does not answer.
    pub fn records(&mut self) -> Result<Vec<Record>, MapError> {
        let mut blocks = Vec::new();
        for block in 0..self.blocks() {
            blocks.push(records_of::<F>(&self.read(block, F::ERASE_SIZE)?));
        }
        let newest =
            |records: &Vec<Record>| records.iter().filter_map(Record::entry).map(|entry| entry.number).max();
        let last = (0..blocks.len()).max_by_key(|&block| newest(&blocks[block]));
        let oldest = last.map_or(0, |last| (last + 1) % blocks.len());
        blocks.rotate_left(oldest);
        Ok(blocks.concat())
    }

    /// All whole entries, oldest first, and what is wrong between them.
    ///
    /// # Errors
    /// As [`AuditLog::records`].
    pub fn entries(&mut self) -> Result<(Vec<Entry>, Vec<Gap>), MapError> {
        Ok(verify(&self.records()?))
    }

    /// The flash, after the log is done with it.
    #[must_use]
    pub fn into_flash(self) -> F {
        self.queue.destroy().0
    }

    fn blocks(&self) -> usize {
        self.queue.flash_range().len() / F::ERASE_SIZE
    }

    fn start_of(&self, block: usize) -> u32 {
        self.queue.flash_range().start + (block * F::ERASE_SIZE) as u32
    }

    /// The first `len` bytes of a block.
    fn read(&mut self, block: usize, len: usize) -> Result<Vec<u8>, MapError> {
        let (at, mut bytes) = (self.start_of(block), vec![0; len]);
        ready(self.queue.flash().read(at, &mut bytes)).map_err(from_port)?;
        Ok(bytes)
    }
}

/// What a block holds whose first bytes are `bytes`. Each is read on its own, as if it alone were the log: damage in
/// one makes no other unreadable, and nothing is repaired.
fn records_of<F: NorFlash>(bytes: &[u8]) -> Vec<Record> {
    if is_blank(bytes) {
        return Vec::new();
    }
    let mut block = vec![0xFF; F::ERASE_SIZE];
    block[..bytes.len()].copy_from_slice(bytes);
    block[..F::WRITE_SIZE].fill(0);
    block[F::ERASE_SIZE - F::WRITE_SIZE..].fill(0xFF);
    let Ok(config) = config(0..F::ERASE_SIZE as u32) else { return Vec::new() };
    let mut queue = QueueStorage::new(Rehearsal::<F>::new(block), config, Cache::new_uncached());
    let mut buffer = vec![0; F::ERASE_SIZE];
    let mut records = Vec::new();
    if let Ok(mut items) = ready(queue.iter()) {
        while let Ok(Some(item)) = ready(items.next(&mut buffer)) {
            records.push(Record::from_bytes(&item));
        }
    }
    records
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0xFF)
}

fn config<F: NorFlash>(region: Range<u32>) -> Result<QueueConfig<F>, MapError> {
    QueueConfig::try_new(region)
        .map_err(|error| MapError::Damaged { reason: format!("the region: {error:?}") })
}

fn link(before: &Link, bytes: &[u8]) -> Link {
    let digest = Sha256::new().chain_update(before).chain_update(bytes).finalize();
    core::array::from_fn(|i| digest[i])
}
