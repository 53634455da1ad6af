//! Pictures as the face room sees them: interleaved 8-bit RGB.
//!
//! A picture to read is a [`RgbView`]; whoever makes one has its sizes checked once. An [`RgbImage`] owns
//! its bytes and keeps them when it is reshaped, so that frame after frame allocates nothing.

use crate::kernels::picture::RgbMut;
pub use crate::kernels::picture::{MAX_SIDE, PictureError, Rgb as RgbView};

/// An owned RGB picture, `[height, width, 3]` u8 without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    pixels: Vec<u8>,
    width: usize,
    height: usize,
}

impl RgbImage {
    /// A black picture of `width` x `height` pixels.
    ///
    /// # Errors
    /// When a side is zero or above [`MAX_SIDE`].
    pub fn new(width: usize, height: usize) -> Result<Self, PictureError> {
        check_sides(width, height)?;
        Ok(Self { pixels: vec![0; 3 * width * height], width, height })
    }

    /// A picture from `pixels`, `[height, width, 3]` without gaps.
    ///
    /// # Errors
    /// When a side is zero or too long, or `pixels` has another length.
    pub fn from_pixels(pixels: Vec<u8>, width: usize, height: usize) -> Result<Self, PictureError> {
        check_sides(width, height)?;
        let needed = 3 * width * height;
        if pixels.len() != needed {
            return Err(PictureError::TooShort { len: pixels.len(), needed });
        }
        Ok(Self { pixels, width, height })
    }

    /// Gives it another size; allocates only when it was never that large. The pixels' values are undefined.
    ///
    /// # Errors
    /// As [`RgbImage::new`]; then it stays as it was.
    pub fn reshape(&mut self, width: usize, height: usize) -> Result<(), PictureError> {
        check_sides(width, height)?;
        self.pixels.resize(3 * width * height, 0);
        (self.width, self.height) = (width, height);
        Ok(())
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// All bytes, `[height, width, 3]`.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All bytes to write, `[height, width, 3]`.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Swaps left and right.
    pub(crate) fn mirror(&mut self) {
        for row in self.pixels.chunks_exact_mut(3 * self.width) {
            let (pixels, _) = row.as_chunks_mut::<3>();
            pixels.reverse();
        }
    }

    /// Takes its colours away: what a grey or infrared camera shows, whatever its driver makes of it.
    ///
    /// # Source
    /// ITU-R BT.601-7, section 2.5.1, in 256ths.
    pub fn make_grey(&mut self) {
        let (pixels, _) = self.pixels.as_chunks_mut::<3>();
        for pixel in pixels {
            let [red, green, blue] = pixel.map(u32::from);
            *pixel = [((77 * red + 150 * green + 29 * blue + 128) >> 8) as u8; 3];
        }
    }

    /// The picture to read.
    #[must_use]
    pub fn view(&self) -> RgbView<'_> {
        RgbView::new(&self.pixels, self.width, self.height, 3 * self.width)
            .expect("the sides were checked when they were set")
    }

    /// The picture to write.
    pub(crate) fn view_mut(&mut self) -> RgbMut<'_> {
        let (width, height) = (self.width, self.height);
        RgbMut::new(&mut self.pixels, width, height, 3 * width)
            .expect("the sides were checked when they were set")
    }
}

fn check_sides(width: usize, height: usize) -> Result<(), PictureError> {
    let fits = |side: usize| (1..=MAX_SIDE).contains(&side);
    if fits(width) && fits(height) { Ok(()) } else { Err(PictureError::Size { width, height }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_keeps_black_white_and_grey_and_weighs_green_most() {
        let colours = vec![0, 0, 0, 255, 255, 255, 90, 90, 90, 255, 0, 0, 0, 255, 0, 0, 0, 255];
        let mut picture = RgbImage::from_pixels(colours, 3, 2).unwrap();
        picture.make_grey();
        let grey: Vec<u8> = picture.pixels().chunks_exact(3).map(|pixel| pixel[0]).collect();
        assert_eq!(grey, [0, 255, 90, 77, 149, 29]);
        assert!(picture.pixels().chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));
    }

    #[test]
    fn reshaping_to_a_smaller_size_and_back_keeps_the_buffer() {
        let mut picture = RgbImage::new(8, 4).unwrap();
        let buffer = picture.pixels().as_ptr();
        picture.reshape(2, 2).unwrap();
        assert_eq!(picture.pixels().len(), 12);
        picture.reshape(4, 8).unwrap();
        assert_eq!(picture.pixels().as_ptr(), buffer);
        assert_eq!((picture.view().width(), picture.view().height()), (4, 8));
    }

    #[test]
    fn mirroring_swaps_the_pixels_of_every_row() {
        let mut picture = RgbImage::from_pixels((0..18).collect(), 3, 2).unwrap();
        picture.mirror();
        assert_eq!(picture.pixels()[..9], [6, 7, 8, 3, 4, 5, 0, 1, 2]);
        assert_eq!(picture.pixels()[9..12], [15, 16, 17]);
    }

    #[test]
    fn impossible_sizes_are_refused_and_change_nothing() {
        let mut picture = RgbImage::new(3, 2).unwrap();
        assert!(picture.reshape(0, 2).is_err());
        assert!(picture.reshape(2, MAX_SIDE + 1).is_err());
        assert_eq!((picture.width(), picture.height()), (3, 2));
        assert!(RgbImage::from_pixels(vec![0; 17], 3, 2).is_err());
        assert!(RgbImage::new(usize::MAX, usize::MAX).is_err());
    }
}
