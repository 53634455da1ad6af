//! How much fine detail a picture has for the coarse that it has.
//!
//! A screen or a print shows a face through two lenses, two grids of pixels and often a codec. Each takes from the
//! finest detail and leaves the coarse. A living face before a camera in focus keeps both, in any light.
//! It does not know what is done with the number.

use super::image::RgbImage;

/// Sides of the two boxes whose difference is coarse detail, pixels: detail of the size of an eye in a square around a
/// face.
const NARROW: usize = 9;
const WIDE: usize = 17;

/// Share of the square, as one over it, that is left out at each side: there is the background.
const OUTSIDE: usize = 8;

/// Least side of a picture: the wide box around the outermost pixel that counts must lie within.
pub const LEAST_SIDE: usize = OUTSIDE * (WIDE / 2);

/// Added to both deviations, grey levels: in a flat picture neither says anything. A choice.
const FLOOR: f32 = 0.1;

/// Measures square pictures of one size.
#[derive(Debug)]
pub struct DetailMeter {
    side: usize,
    luma: Vec<u8>,
    /// Sum of all luma above and left of a corner, `[side + 1, side + 1]`.
    sums: Vec<u32>,
}

impl DetailMeter {
    /// A meter of pictures of `side` times `side` pixels; `None` below [`LEAST_SIDE`].
    #[must_use]
    pub fn new(side: usize) -> Option<Self> {
        let corners = (side + 1) * (side + 1);
        (side >= LEAST_SIDE).then(|| Self { side, luma: vec![0; side * side], sums: vec![0; corners] })
    }

    /// The logarithm of the deviation of fine detail over that of coarse detail.
    ///
    /// Fine is what a (1, 2, 1) filter along rows and columns takes away; coarse is the difference of two boxes. About
    /// -0.9 for a living face in focus, -1.4 for most screens; noise raises it. All but the last step is exact.
    ///
    /// # Panics
    /// When `picture` has another size than this meter's.
    pub fn detail(&mut self, picture: &RgbImage) -> f32 {
        assert_eq!((picture.width(), picture.height()), (self.side, self.side), "a meter of another size");
        self.take(picture.pixels());
        let within = self.side / OUTSIDE..self.side - self.side / OUTSIDE;
        let (mut fine, mut coarse) = (0_u64, 0_u64);
        for y in within.clone() {
            for x in within.clone() {
                fine += u64::from(self.fine(x, y).unsigned_abs()).pow(2);
                coarse += u64::from(self.coarse(x, y).unsigned_abs()).pow(2);
            }
        }
        let deviation =
            |sum: u64, scale: f64| (sum as f64 / (within.len() * within.len()) as f64).sqrt() / scale;
        let boxes = (NARROW * NARROW * WIDE * WIDE) as f64;
        (deviation(fine, 16.0) as f32 + FLOOR).ln() - (deviation(coarse, boxes) as f32 + FLOOR).ln()
    }

    /// Luma and its sums.
    ///
    /// # Source
    /// ITU-R BT.601-7, section 2.5.1, in 256ths.
    fn take(&mut self, pixels: &[u8]) {
        for (luma, rgb) in self.luma.iter_mut().zip(pixels.chunks_exact(3)) {
            let sum = 77 * u32::from(rgb[0]) + 150 * u32::from(rgb[1]) + 29 * u32::from(rgb[2]);
            *luma = ((sum + 128) >> 8) as u8;
        }
        let corners = self.side + 1;
        for (y, row) in self.luma.chunks_exact(self.side).enumerate() {
            let mut sum = 0;
            for (x, &luma) in row.iter().enumerate() {
                sum += u32::from(luma);
                self.sums[(y + 1) * corners + x + 1] = self.sums[y * corners + x + 1] + sum;
            }
        }
    }

    /// 16 times what the filter takes from the pixel.
    fn fine(&self, x: usize, y: usize) -> i32 {
        let across = |y: usize| {
            let at = |x: usize| i32::from(self.luma[y * self.side + x]);
            at(x - 1) + 2 * at(x) + at(x + 1)
        };
        16 * i32::from(self.luma[y * self.side + x]) - across(y - 1) - 2 * across(y) - across(y + 1)
    }

    /// The difference of the boxes' means times both areas; below 2^23.
    fn coarse(&self, x: usize, y: usize) -> i32 {
        (WIDE * WIDE) as i32 * self.sum(x, y, NARROW) - (NARROW * NARROW) as i32 * self.sum(x, y, WIDE)
    }

    /// Sum of the luma in a box around the pixel.
    fn sum(&self, x: usize, y: usize, side: usize) -> i32 {
        let (reach, corners) = (side / 2, self.side + 1);
        let at = |x: usize, y: usize| self.sums[y * corners + x];
        let (left, right, top, bottom) = (x - reach, x + reach + 1, y - reach, y + reach + 1);
        (at(right, bottom) + at(left, top) - at(right, top) - at(left, bottom)) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 96;

    fn grey(luma: impl Fn(usize, usize) -> u8) -> RgbImage {
        let pixels = (0..SIDE * SIDE).flat_map(|i| [luma(i % SIDE, i / SIDE); 3]).collect();
        RgbImage::from_pixels(pixels, SIDE, SIDE).unwrap()
    }

    fn detail(luma: impl Fn(usize, usize) -> u8) -> f32 {
        DetailMeter::new(SIDE).unwrap().detail(&grey(luma))
    }

    /// Broad waves with a fine chequer of `fine` grey levels on them.
    fn waves(fine: i32) -> impl Fn(usize, usize) -> u8 {
        move |x, y| {
            let wave = 40.0 * (x as f32 / 4.0).sin() * (y as f32 / 5.0).cos();
            (128 + wave as i32 + if (x + y).is_multiple_of(2) { fine } else { -fine }) as u8
        }
    }

    #[test]
    fn it_rises_with_fine_detail_and_falls_with_coarse() {
        let [none, some, more] = [0, 3, 9].map(|fine| detail(waves(fine)));
        assert!(none < some - 0.5 && some < more - 0.5, "{none} {some} {more}");
    }

    #[test]
    fn it_is_the_ratio_of_the_two_deviations() {
        let chequer = detail(|x, y| if (x + y).is_multiple_of(2) { 130 } else { 126 });
        let coarse = 2.0_f32 * (1.0 / 81.0 - 1.0 / 289.0);
        assert!((chequer - ((2.0_f32 + FLOOR).ln() - (coarse + FLOOR).ln())).abs() < 1e-3, "{chequer}");
    }

    #[test]
    fn flat_black_and_white_pictures_have_a_number() {
        for luma in [0, 90, 255] {
            assert_eq!(detail(move |_, _| luma), 0.0);
        }
        assert!(detail(|x, _| if x.is_multiple_of(2) { 0 } else { 255 }).is_finite());
        assert!(detail(|x, y| if x / 12 % 2 == y / 12 % 2 { 0 } else { 255 }).is_finite());
    }

    #[test]
    fn a_meter_forgets_the_picture_before_and_refuses_to_be_too_small() {
        let mut meter = DetailMeter::new(SIDE).unwrap();
        let first = meter.detail(&grey(waves(3)));
        meter.detail(&grey(|_, _| 255));
        assert_eq!(meter.detail(&grey(waves(3))), first);
        assert!(DetailMeter::new(LEAST_SIDE - 1).is_none() && DetailMeter::new(LEAST_SIDE).is_some());
    }
}
