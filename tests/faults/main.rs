//! The flash fails: power cuts at every byte, images of anything, a chip that wears out.

mod audit;
mod board;
mod budget;
mod capacity;
mod cuts;
mod deletion;
mod golden;
mod images;
mod kills;
mod slots;
mod visitors;
mod wear;
mod worn;

use facelatch::face::align::CROP_BYTES;
use facelatch::face::template::Template;
use facelatch::flash::sim::ERASE_SIZE;
use facelatch::flash::{DeviceKey, Layout, Map, Partition, Partitions, SimFlash};
use facelatch::gallery::{Crop, CropStore, Enrolment, Gallery, GalleryError, Role};

/// Pages of the gallery's part, which comes first.
const PAGES: usize = 8;
/// Pages of the whole flash.
const ALL_PAGES: usize = 60;

type TestGallery = Gallery<Partition<SimFlash>>;

/// A flash of [`ALL_PAGES`] as small as a board's could be.
fn layout() -> Layout {
    let pages = |from: usize, to: usize| (from * ERASE_SIZE) as u32..(to * ERASE_SIZE) as u32;
    Layout {
        gallery: pages(0, PAGES),
        audit: pages(8, 16),
        boot: pages(16, 18),
        slot_a: pages(18, 27),
        slot_b: pages(27, 36),
        crops: pages(36, ALL_PAGES),
    }
}

fn blank() -> SimFlash {
    SimFlash::new(ALL_PAGES)
}

fn parts(flash: SimFlash) -> Partitions<SimFlash> {
    layout().divide(flash).expect("the layout fits")
}

fn flash_of(part: &Partition<SimFlash>) -> SimFlash {
    part.with_flash(|flash| flash.clone())
}

fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_bytes([seed; 32])
}

fn map(parts: &Partitions<SimFlash>) -> Map<Partition<SimFlash>> {
    Map::new(parts.gallery.clone(), 0..parts.gallery.size()).expect("whole pages")
}

fn gallery(flash: SimFlash, seed: u8) -> Result<TestGallery, GalleryError> {
    let parts = parts(flash);
    Gallery::load(map(&parts), CropStore::new(parts.crops), key(seed), 100)
}

/// The flash, after the gallery is done with it.
fn flash_after(gallery: TestGallery) -> SimFlash {
    flash_of(&gallery.into_storage().1.into_flash())
}

/// Enrols somebody with two templates and one picture.
fn enrol(gallery: &mut TestGallery, name: &str, seed: u8) -> Result<u32, GalleryError> {
    let templates = [template(seed), template(seed + 1)];
    let crops = [crop(seed)];
    gallery.enrol(&Enrolment { name, role: Role::Resident, templates: &templates, crops: &crops })
}

fn crop(shade: u8) -> Crop {
    Crop { quality: 200, pixels: Box::new([shade; CROP_BYTES]) }
}

/// Numbers that are the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number of `0..end`.
    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 32) % end
    }
}

fn template(seed: u8) -> Template {
    let mut state = u32::from(seed) + 1;
    let output: Vec<i8> = (0..128)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 as i8
        })
        .collect();
    Template::from_output(&output, 0, 200, 1).expect("not zero")
}
