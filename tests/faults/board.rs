//! A lock's storage on a simulated chip that is divided as the simulated board's file says.

use super::{key, template};
use facelatch::board::BOARD;
use facelatch::face::align::CROP_BYTES;
use facelatch::face::template::Template;
use facelatch::firmware::storage::layout_of;
use facelatch::flash::sim::ERASE_SIZE;
use facelatch::flash::{AuditLog, Event, Happening, Map, Moment, Namespace, Partition, SimFlash, Slots};
use facelatch::gallery::{Crop, CropStore, Enrolment, Gallery, Role};
use sha2::{Digest, Sha256};

pub type Part = Partition<SimFlash>;

/// What a lock keeps, loaded.
pub struct Lock {
    pub flash: Part,
    pub gallery: Gallery<Part>,
    pub log: AuditLog<Part>,
    pub slots: Slots<SimFlash>,
    pub decisions: u64,
    tracks: u32,
}

/// An erased chip of the board's size.
pub fn blank() -> SimFlash {
    SimFlash::new(BOARD.flash.size as usize / ERASE_SIZE)
}

impl Lock {
    /// Reads everything, as at the device's start.
    pub fn start(flash: SimFlash) -> Self {
        Self::start_with(flash, 0)
    }

    /// The same, and the last so many unknown visitors are kept.
    pub fn start_with(flash: SimFlash, visitors: usize) -> Self {
        let parts = layout_of(&BOARD).divide(flash).expect("the board's own size");
        let map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).expect("whole pages");
        let crops = CropStore::new(parts.crops.clone());
        let mut gallery = Gallery::load(map, crops, key(1), BOARD.enrolment.people as usize).expect("loads");
        gallery.keep_visitors(visitors).expect("read");
        let log = AuditLog::open(parts.audit.clone(), 0..parts.audit.size()).expect("opens");
        let slots = Slots::open(&parts).expect("opens");
        Self { flash: parts.audit, gallery, log, slots, decisions: 0, tracks: 0 }
    }

    /// The chip, as it is when the power goes.
    pub fn stop(self) -> SimFlash {
        self.flash.with_flash(|flash| flash.clone())
    }

    /// The same device, started anew.
    pub fn restart(&mut self) {
        let flash = self.flash.with_flash(|flash| std::mem::replace(flash, SimFlash::new(0)));
        let visitors = self.gallery.visitors_at_most();
        *self = Self { decisions: self.decisions, ..Self::start_with(flash, visitors) };
        self.note(Event::Started);
    }

    pub fn note(&mut self, what: impl Into<Happening>) {
        let at = Moment { uptime_ms: 86_400_000, unix_ms: Some(1_790_000_000_000) };
        self.log.push(at, what).expect("logged");
    }

    /// Somebody is let in or refused; every tenth is a stranger, whose failure is kept until the next success.
    pub fn decide(&mut self) {
        self.decisions += 1;
        let refused = self.decisions.is_multiple_of(10);
        let event = if refused { Event::Unknown } else { Event::Opened };
        self.note(Happening { distance: Some(0.5), ..event.of(7) });
        if refused || self.decisions % 10 == 1 {
            self.keep_failures(u8::from(refused));
        }
        if refused {
            self.keep_visit(self.decisions as u8);
        }
    }

    /// A stranger's face is kept, if any is.
    pub fn keep_visit(&mut self, seed: u8) {
        let at = Moment { uptime_ms: 86_400_000, unix_ms: Some(1_790_000_000_000) };
        self.tracks += 1;
        self.gallery.keep_visit(self.tracks, at, &template(seed)).expect("kept");
    }

    pub fn keep_failures(&mut self, failures: u8) {
        self.gallery.map().set(Namespace::Lockout.key(0), &[1, failures, 0, 0]).expect("kept");
    }

    pub fn enrol(&mut self, seed: u8) -> u32 {
        let (templates, crops) = face(seed);
        let who = Enrolment { name: "somebody", role: Role::Resident, templates: &templates, crops: &crops };
        let id = self.gallery.enrol(&who).expect("enrolled");
        self.note(Event::Enrolled.of(id));
        id
    }

    pub fn delete(&mut self, id: u32) {
        self.gallery.delete(id).expect("deleted");
        self.note(Event::Deleted.of(id));
    }

    /// A package of `len` bytes arrives, is tried and confirmed.
    pub fn update(&mut self, version: u32, len: usize) {
        let package: Vec<u8> = (0..len).map(|at| (at / 7) as u8 ^ version as u8).collect();
        let hash = Sha256::digest(&package);
        self.slots.begin(len as u32, std::array::from_fn(|at| hash[at])).expect("announced");
        self.slots.write(0, &package).expect("written");
        let image = self.slots.finish(version).expect("whole");
        self.slots.try_out(image).expect("on trial");
        self.slots.start().expect("started");
        self.slots.confirm().expect("confirmed");
        self.note(Event::Updated);
    }
}

/// Five templates and their pictures, which are about as hard to compress as faces.
pub fn face(seed: u8) -> (Vec<Template>, Vec<Crop>) {
    let mut state = u32::from(seed) + 1;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u8
    };
    let mut picture = || Box::new(std::array::from_fn::<u8, CROP_BYTES, _>(|at| (at / 400) as u8 + noise()));
    let crops = (0..5).map(|_| Crop { quality: 200, pixels: picture() }).collect();
    ((0..5).map(|moment| template(seed.wrapping_add(moment))).collect(), crops)
}
