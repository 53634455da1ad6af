//! The flash fails: power cuts at every byte, images of anything, a chip that wears out.

mod audit;
mod cuts;
mod deletion;
mod images;

use facelatch::face::template::Template;
use facelatch::flash::{DeviceKey, Map, SimFlash};
use facelatch::gallery::{Gallery, GalleryError};

const PAGES: usize = 8;

fn map(flash: SimFlash) -> Map<SimFlash> {
    let size = flash.image().len() as u32;
    Map::new(flash, 0..size).expect("whole pages")
}

fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_bytes([seed; 32])
}

fn gallery(flash: SimFlash, seed: u8) -> Result<Gallery<SimFlash>, GalleryError> {
    Gallery::load(map(flash), key(seed), 100)
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
