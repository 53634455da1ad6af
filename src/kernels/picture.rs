//! Borrowed 8-bit RGB pictures whose sizes have been checked once.

use thiserror::Error;

/// Why a buffer is not the picture that it is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PictureError {
    /// Width or height is zero, or above [`MAX_SIDE`].
    #[error("{width}x{height} is no picture size (each side 1 to {MAX_SIDE})")]
    Size {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// A row is shorter than its pixels.
    #[error("a stride of {stride} bytes is too short for a row of {row} bytes")]
    Stride {
        /// Bytes from one row to the next.
        stride: usize,
        /// Bytes that a row needs.
        row: usize,
    },
    /// The buffer ends before the picture does.
    #[error("the buffer has {len} bytes, the picture needs {needed}")]
    TooShort {
        /// Bytes there are.
        len: usize,
        /// Bytes needed.
        needed: usize,
    },
}

/// Longest side of a picture, in pixels; a choice that keeps fixed-point coordinates (16.16) exact.
pub const MAX_SIDE: usize = 16_384;

/// Checks that `len` bytes hold `height` rows of `row` bytes, `stride` bytes apart.
///
/// The last row may end without its padding.
pub(crate) fn check_rows(len: usize, row: usize, height: usize, stride: usize) -> Result<(), PictureError> {
    if stride < row {
        return Err(PictureError::Stride { stride, row });
    }
    let needed = stride.saturating_mul(height - 1).saturating_add(row);
    if len < needed {
        return Err(PictureError::TooShort { len, needed });
    }
    Ok(())
}

/// Checks that both sides are in `1..=MAX_SIDE`.
pub(crate) fn check_size(width: usize, height: usize) -> Result<(), PictureError> {
    let fits = |side: usize| (1..=MAX_SIDE).contains(&side);
    if fits(width) && fits(height) { Ok(()) } else { Err(PictureError::Size { width, height }) }
}

/// A picture to read: rows of `width` interleaved RGB pixels, `stride` bytes apart.
#[derive(Debug, Clone, Copy)]
pub struct Rgb<'a> {
    pixels: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
}

impl<'a> Rgb<'a> {
    /// A picture over `pixels`; `stride` is in bytes and at least `3 * width`.
    ///
    /// # Errors
    /// When a side is zero or too long, the stride too short, or the buffer too short.
    pub fn new(pixels: &'a [u8], width: usize, height: usize, stride: usize) -> Result<Self, PictureError> {
        check_size(width, height)?;
        check_rows(pixels.len(), 3 * width, height, stride)?;
        Ok(Self { pixels, width, height, stride })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The `3 * width` bytes of row `y`.
    ///
    /// # Panics
    /// When `y` is not below the height.
    pub fn row(&self, y: usize) -> &'a [u8] {
        assert!(y < self.height, "row {y} of {}", self.height);
        &self.pixels[y * self.stride..][..3 * self.width]
    }
}

/// A picture to write: rows of `width` interleaved RGB pixels, `stride` bytes apart.
#[derive(Debug)]
pub struct RgbMut<'a> {
    pixels: &'a mut [u8],
    width: usize,
    height: usize,
    stride: usize,
}

impl<'a> RgbMut<'a> {
    /// A picture over `pixels`; `stride` is in bytes and at least `3 * width`.
    ///
    /// # Errors
    /// As [`Rgb::new`].
    pub fn new(
        pixels: &'a mut [u8],
        width: usize,
        height: usize,
        stride: usize,
    ) -> Result<Self, PictureError> {
        check_size(width, height)?;
        check_rows(pixels.len(), 3 * width, height, stride)?;
        Ok(Self { pixels, width, height, stride })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The `3 * width` bytes of row `y`.
    ///
    /// # Panics
    /// When `y` is not below the height.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        assert!(y < self.height, "row {y} of {}", self.height);
        &mut self.pixels[y * self.stride..][..3 * self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_one_byte_short_is_refused() {
        let pixels = [0; 10 * 2 + 9];
        assert!(Rgb::new(&pixels, 3, 3, 10).is_ok());
        assert_eq!(
            Rgb::new(&pixels[1..], 3, 3, 10).unwrap_err(),
            PictureError::TooShort { len: 28, needed: 29 }
        );
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        assert!(Rgb::new(&[0; 64], usize::MAX, 2, usize::MAX).is_err());
        assert!(Rgb::new(&[0; 64], 2, 2, usize::MAX).is_err());
        assert!(Rgb::new(&[0; 64], 0, 2, 9).is_err());
    }
}
