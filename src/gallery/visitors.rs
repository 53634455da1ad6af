//! Unknown visitors: the last faces that were refused, if the owner wants them kept. Off unless the board file says so.
//!
//! ```text
//! VisitorKey | 0   32 random bytes, sealed by the device's key; not there while nobody is kept
//! VisitorKey | 1   one byte while that key is being destroyed, else empty or not there
//! Visitor | place  version 1 | postcard of (number, moment, template, nearest person), sealed by that key
//!
//! parcel           version 1 | postcard of visits, oldest first: what the owner fetches
//! ```
//!
//! A ring: the newest visit takes the place of the oldest. All are forgotten together, by overwriting their key wherever
//! the flash holds it: what is left of them opens no more. What the ring alone gave up can be read by nobody but who has
//! flash and device key, until its block is erased.

use core::fmt::Debug;
use std::collections::BTreeMap;

use embedded_storage_async::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::people::{Gallery, GalleryError};
use crate::face::template::Template;
use crate::flash::{DeviceKey, KeyError, Map, MapError, Moment, Namespace};

const VERSION: u8 = 1;

/// Faces that are remembered as kept already, by their tracks. A choice: more than stand before a door at once.
const TRACKS: usize = 8;

/// Where the key is, and where it is said that it is being destroyed.
const KEY: u32 = 0;
const DESTROYING: u32 = 1;

/// An unknown face that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// Counts from 0 since visitors are kept.
    pub number: u32,
    /// When.
    pub at: Moment,
    /// The face, as the frame shows it for which it was refused.
    pub template: Template,
    /// The enrolled person who is most like it, and the squared distance, `0.0..=4.0`.
    pub nearest: Option<(u32, f32)>,
}

/// Visits as the owner fetches them.
#[must_use]
pub fn encode(visits: &[Visit]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![VERSION]);
    bytes.extend(postcard::to_allocvec(visits).expect("these types are always serialisable"));
    bytes
}

/// The visits that [`encode`] made bytes of; `None` when they are of a newer version or damaged.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Vec<Visit>> {
    let (&VERSION, visits) = bytes.split_first()? else { return None };
    postcard::from_bytes(visits).ok()
}

/// The ring, without its templates: those stay in the flash.
#[derive(Default)]
pub(super) struct Visitors {
    key: Option<DeviceKey>,
    /// The number of the visit in each place. Without places nobody is kept.
    places: Vec<Option<u32>>,
    tracks: heapless::Deque<u32, TRACKS>,
}

impl Visitors {
    /// The place of the next visit: a free one, or that of the oldest.
    fn next_place(&self) -> Option<usize> {
        (0..self.places.len()).min_by_key(|place| self.places[*place])
    }

    fn next_number(&self) -> u32 {
        self.places.iter().flatten().max().map_or(0, |newest| newest.saturating_add(1))
    }

    /// Whether this track is a new one; it is remembered.
    fn is_new(&mut self, track: u32) -> bool {
        if self.tracks.iter().any(|known| *known == track) {
            return false;
        }
        if self.tracks.is_full() {
            self.tracks.pop_front();
        }
        let _there_is_room = self.tracks.push_back(track);
        true
    }
}

impl<F: NorFlash<Error: Debug>> Gallery<F> {
    /// Keeps the last `most` unknown visitors from now on. With 0, everything that is kept is destroyed; with fewer than
    /// before, the places beyond are emptied.
    ///
    /// # Errors
    /// When the storage is damaged or does not answer; then nobody is kept until the next start.
    pub fn keep_visitors(&mut self, most: usize) -> Result<(), GalleryError> {
        self.visitors = Visitors::default();
        if most == 0
            || self.map.get(Namespace::VisitorKey.key(DESTROYING))?.is_some_and(|mark| !mark.is_empty())
        {
            self.destroy_visitors()?;
        }
        let mut visitors = Visitors { places: vec![None; most], ..Visitors::default() };
        visitors.key = if most > 0 { self.visitor_key()? } else { None };
        if let Some(key) = &visitors.key {
            for (place, visit) in visits_in(&mut self.map, key)? {
                match visitors.places.get_mut(place as usize) {
                    Some(number) => *number = Some(visit.number),
                    None => self.map.set(Namespace::Visitor.key(place), &[])?,
                }
            }
        }
        self.visitors = visitors;
        Ok(())
    }

    /// Visitors that are kept at most; 0: none are.
    #[must_use]
    pub fn visitors_at_most(&self) -> usize {
        self.visitors.places.len()
    }

    /// Keeps the face of `track`, which was refused, unless that was done already. Returns whether it is kept.
    ///
    /// # Errors
    /// When the storage fails; then what was kept before is kept still.
    pub fn keep_visit(&mut self, track: u32, at: Moment, template: &Template) -> Result<bool, GalleryError> {
        let Some(place) = self.visitors.next_place() else { return Ok(false) };
        if !self.visitors.is_new(track) {
            return Ok(false);
        }
        let key = match &self.visitors.key {
            Some(key) => key.clone(),
            None => self.new_visitor_key()?,
        };
        let nearest = self.nearest(template).map(|found| (found.person, found.distance));
        let number = self.visitors.next_number();
        let visit = Visit { number, at, template: template.clone(), nearest };
        self.map.set(Namespace::Visitor.key(place as u32), &sealed(&key, place as u32, &visit)?)?;
        self.visitors.places[place] = Some(number);
        Ok(true)
    }

    /// The visits that are kept, oldest first. Records that do not open are passed over.
    ///
    /// # Errors
    /// When the storage is damaged or does not answer.
    pub fn visits(&mut self) -> Result<Vec<Visit>, GalleryError> {
        let Some(key) = self.visitor_key()? else { return Ok(Vec::new()) };
        let found = visits_in(&mut self.map, &key)?;
        let mut visits: Vec<Visit> = found.into_values().collect();
        visits.sort_unstable_by_key(|visit| visit.number);
        Ok(visits)
    }

    /// Destroys the key of all visits that are kept. Later ones are kept with a new key, if any are to be.
    ///
    /// # Errors
    /// When the storage fails; then the next start goes on.
    pub fn forget_visitors(&mut self) -> Result<(), GalleryError> {
        let most = self.visitors.places.len();
        self.visitors = Visitors { places: vec![None; most], ..Visitors::default() };
        self.destroy_visitors()
    }

    /// The key of those that are kept.
    fn visitor_key(&mut self) -> Result<Option<DeviceKey>, GalleryError> {
        let place = Namespace::VisitorKey.key(KEY);
        Ok(self.map.get(place)?.and_then(|sealed| self.key.open_key(place, &sealed).ok()))
    }

    fn new_visitor_key(&mut self) -> Result<DeviceKey, GalleryError> {
        let (key, place) = (DeviceKey::random()?, Namespace::VisitorKey.key(KEY));
        self.map.set(place, &self.key.seal_key(place, &key)?)?;
        self.visitors.key = Some(key.clone());
        Ok(key)
    }

    /// Overwrites the key, after it is written down that this is under way.
    fn destroy_visitors(&mut self) -> Result<(), GalleryError> {
        let (key, mark) = (Namespace::VisitorKey.key(KEY), Namespace::VisitorKey.key(DESTROYING));
        let is_marked = self.map.get(mark)?.is_some_and(|mark| !mark.is_empty());
        let is_there = self.map.get(key)?.is_some_and(|key| !key.is_empty());
        if !is_marked && !is_there {
            return Ok(());
        }
        if !is_marked {
            self.map.set(mark, &[1])?;
        }
        let copies = self.map.copies()?;
        let secrets = copies.iter().filter(|(at, _)| *at == key).map(|(_, sealed)| sealed.as_slice());
        self.map.destroy(&secrets.collect::<Vec<_>>())?;
        Ok(self.map.set(mark, &[])?)
    }
}

/// The visits that open with `key`, by their places.
fn visits_in<F: NorFlash<Error: Debug>>(
    map: &mut Map<F>,
    key: &DeviceKey,
) -> Result<BTreeMap<u32, Visit>, MapError> {
    let records = map.all()?.into_iter();
    let visit = |(at, sealed): (u32, Vec<u8>)| {
        let place = Namespace::Visitor.number(at)?;
        Some((place, opened(key, place, &sealed)?))
    };
    Ok(records.filter_map(visit).collect())
}

fn sealed(key: &DeviceKey, place: u32, visit: &Visit) -> Result<Vec<u8>, KeyError> {
    let mut bytes = Zeroizing::new(vec![VERSION]);
    bytes.extend(postcard::to_allocvec(visit).expect("these types are always serialisable"));
    key.seal(Namespace::Visitor.key(place), &bytes)
}

/// What [`sealed`] sealed; `None` when it does not open or is of a newer version.
fn opened(key: &DeviceKey, place: u32, sealed: &[u8]) -> Option<Visit> {
    let bytes = key.open(Namespace::Visitor.key(place), sealed).ok()?;
    let (&VERSION, visit) = bytes.split_first()? else { return None };
    postcard::from_bytes(visit).ok()
}
