//! Aligned crops side by side in one picture.

use image::{Rgb, RgbImage, imageops};

use crate::face::align::{CROP_BYTES, CROP_SIDE};

/// Pixels between crops.
const GAP: u32 = 4;
const PAPER: Rgb<u8> = Rgb([24, 26, 30]);

/// A picture of `crops`, `columns` in a row, in their order.
#[must_use]
pub fn sheet(crops: &[Box<[u8; CROP_BYTES]>], columns: usize) -> RgbImage {
    let columns = columns.clamp(1, crops.len().max(1));
    let rows = crops.len().div_ceil(columns).max(1);
    let cell = CROP_SIDE as u32 + GAP;
    let mut sheet = RgbImage::from_pixel(columns as u32 * cell + GAP, rows as u32 * cell + GAP, PAPER);
    for (index, crop) in crops.iter().enumerate() {
        let side = CROP_SIDE as u32;
        let face = RgbImage::from_raw(side, side, crop.to_vec()).expect("a crop has this size");
        let place = |n: usize| i64::from(GAP + n as u32 * cell);
        imageops::replace(&mut sheet, &face, place(index % columns), place(index / columns));
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_stand_in_rows() {
        let crops: Vec<_> = (0..5).map(|i| Box::new([50 * i as u8; CROP_BYTES])).collect();
        let picture = sheet(&crops, 3);
        assert_eq!(picture.dimensions(), (3 * 116 + 4, 2 * 116 + 4));
        assert_eq!(picture.get_pixel(4 + 116, 4 + 116).0, [200; 3]);
        assert_eq!(picture.get_pixel(4 + 2 * 116, 4 + 116), &PAPER);
        assert_eq!(sheet(&[], 3).dimensions(), (120, 120));
    }
}
