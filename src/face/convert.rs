//! A camera's frame to RGB: checked sizes, every pixel format, JPEG decoded into the caller's buffer.
//!
//! The room does not know cameras: whoever joins the rooms maps its pixel format to an [`Encoding`].

use super::image::{MAX_SIDE, PictureError, RgbImage};
use crate::kernels::colour::{gray_to_rgb, nv12_to_rgb, yuyv_to_rgb};
use thiserror::Error;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// How a frame's bytes encode its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 4:2:2, two pixels in four bytes `y0 u y1 v`, BT.601 limited range.
    Yuyv,
    /// 4:2:0, a plane of luma, then a plane of `u v`, BT.601 limited range.
    Nv12,
    /// One JPEG picture; what lies behind its end is ignored if it is zero.
    Jpeg,
    /// Interleaved RGB.
    Rgb8,
    /// Grey, full range: also what an infrared camera delivers.
    Gray8,
}

/// A frame as it came from a camera.
#[derive(Debug, Clone, Copy)]
pub struct EncodedFrame<'a> {
    /// The encoded pixels.
    pub bytes: &'a [u8],
    /// How they are encoded.
    pub encoding: Encoding,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Bytes from one row to the next; without meaning for JPEG.
    pub stride: usize,
}

/// Why a frame has no picture.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ConvertError {
    /// The sizes are impossible, or the bytes too few for them.
    #[error("the frame is damaged: {0}")]
    Picture(#[from] PictureError),
    /// The JPEG's end marker is missing.
    #[error("the JPEG frame of {len} bytes is cut off (no end marker); check the camera's cable and power")]
    JpegCutOff {
        /// Bytes there are.
        len: usize,
    },
    /// The JPEG has another size than was agreed with the camera.
    #[error("the JPEG frame is {found:?} pixels, but the camera was set to {expected:?}")]
    JpegSize {
        /// Width and height in its header.
        found: (usize, usize),
        /// Width and height that were expected.
        expected: (usize, usize),
    },
    /// The JPEG cannot be decoded.
    #[error("the JPEG frame is damaged: {reason}")]
    Jpeg {
        /// The decoder's words.
        reason: String,
    },
}

/// Converts `frame` to RGB into `picture`, which takes the frame's size.
///
/// # Errors
/// When the frame is damaged or not what it is said to be; then what is in `picture` is undefined.
pub fn to_rgb(frame: &EncodedFrame<'_>, picture: &mut RgbImage) -> Result<(), ConvertError> {
    let EncodedFrame { bytes, encoding, width, height, stride } = *frame;
    picture.reshape(width, height)?;
    let pixels = picture.pixels_mut();
    match encoding {
        Encoding::Yuyv => yuyv_to_rgb(bytes, width, height, stride, pixels)?,
        Encoding::Nv12 => nv12_to_rgb(bytes, width, height, stride, pixels)?,
        Encoding::Gray8 => gray_to_rgb(bytes, width, height, stride, pixels)?,
        Encoding::Rgb8 => copy_rows(frame, pixels)?,
        Encoding::Jpeg => decode_jpeg(frame, pixels)?,
    }
    Ok(())
}

/// Copies RGB rows without their padding.
fn copy_rows(frame: &EncodedFrame<'_>, pixels: &mut [u8]) -> Result<(), PictureError> {
    let source = super::image::RgbView::new(frame.bytes, frame.width, frame.height, frame.stride)?;
    for (y, row) in pixels.chunks_exact_mut(3 * frame.width).enumerate() {
        row.copy_from_slice(source.row(y));
    }
    Ok(())
}

/// Decodes one JPEG whose size must be the frame's. The decoder is strict: a picture with damaged rows is
/// refused rather than filled with grey.
fn decode_jpeg(frame: &EncodedFrame<'_>, pixels: &mut [u8]) -> Result<(), ConvertError> {
    let end = frame.bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let bytes = &frame.bytes[..end];
    if !bytes.ends_with(&[0xFF, 0xD9]) {
        return Err(ConvertError::JpegCutOff { len: frame.bytes.len() });
    }
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let damaged = |error: zune_jpeg::errors::DecodeErrors| ConvertError::Jpeg { reason: error.to_string() };
    decoder.decode_headers().map_err(damaged)?;
    let found = decoder.dimensions().unwrap_or((0, 0));
    let expected = (frame.width, frame.height);
    if found != expected {
        return Err(ConvertError::JpegSize { found, expected });
    }
    decoder.decode_into(pixels).map_err(damaged)
}
