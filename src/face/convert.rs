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

/// Stuffed ones that are put before a JPEG's end marker. No Huffman code is all ones (T.81, annex C.2): when
/// rows are missing, the decoder runs into them and fails, where it would fill the rest with grey. It reads
/// ahead by less than this.
const TRIPWIRE: [u8; 32] = [
    0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF,
    0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0,
];

/// A JPEG's end marker.
const END: [u8; 2] = [0xFF, 0xD9];

/// Decodes one JPEG whose size must be the frame's. A picture with damaged or missing rows is refused.
fn decode_jpeg(frame: &EncodedFrame<'_>, pixels: &mut [u8]) -> Result<(), ConvertError> {
    let end = frame.bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let Some(body) = frame.bytes[..end].strip_suffix(&END) else {
        return Err(ConvertError::JpegCutOff { len: frame.bytes.len() });
    };
    let bytes = [body, &TRIPWIRE, &END].concat();
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

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::{ExtendedColorType, codecs::jpeg::JpegEncoder};
    use proptest::prelude::*;

    const WIDTH: usize = 40;
    const HEIGHT: usize = 24;

    fn smooth() -> Vec<u8> {
        (0..WIDTH * HEIGHT).flat_map(|i| [(6 * (i % WIDTH)) as u8, (10 * (i / WIDTH)) as u8, 90]).collect()
    }

    fn jpeg() -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 95)
            .encode(&smooth(), WIDTH as u32, HEIGHT as u32, ExtendedColorType::Rgb8)
            .unwrap();
        bytes
    }

    fn frame(bytes: &[u8], encoding: Encoding, stride: usize) -> EncodedFrame<'_> {
        EncodedFrame { bytes, encoding, width: WIDTH, height: HEIGHT, stride }
    }

    fn converted(frame: &EncodedFrame<'_>) -> Result<RgbImage, ConvertError> {
        let mut picture = RgbImage::new(1, 1).unwrap();
        to_rgb(frame, &mut picture).map(|()| picture)
    }

    #[test]
    fn a_jpeg_comes_out_nearly_as_it_went_in_also_with_zeros_behind_it() {
        let mut bytes = jpeg();
        bytes.extend([0; 5000]);
        let picture = converted(&frame(&bytes, Encoding::Jpeg, 0)).unwrap();
        assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
        let worst = picture.pixels().iter().zip(smooth()).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(worst < 24, "{worst}");
    }

    #[test]
    fn a_grey_jpeg_becomes_grey_rgb() {
        let grey: Vec<u8> = (0..WIDTH * HEIGHT).map(|i| (6 * (i % WIDTH)) as u8).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 95)
            .encode(&grey, WIDTH as u32, HEIGHT as u32, ExtendedColorType::L8)
            .unwrap();
        let picture = converted(&frame(&bytes, Encoding::Jpeg, 0)).unwrap();
        assert!(picture.pixels().chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));
        assert!(picture.pixels()[0] < 12 && picture.pixels()[3 * (WIDTH - 1)] > 220);
    }

    #[test]
    fn a_jpeg_that_is_cut_off_is_refused_at_every_length() {
        let bytes = jpeg();
        for length in 0..bytes.len() {
            let error = converted(&frame(&bytes[..length], Encoding::Jpeg, 0)).unwrap_err();
            assert!(matches!(error, ConvertError::JpegCutOff { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn a_jpeg_whose_rows_are_missing_is_refused_though_it_has_an_end() {
        let (width, height) = (64, 256);
        let noise: Vec<u8> = (0..3 * width * height).map(|i: usize| (i * i * 31 % 251) as u8).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90)
            .encode(&noise, width as u32, height as u32, ExtendedColorType::Rgb8)
            .unwrap();
        let whole =
            EncodedFrame { bytes: &bytes.clone(), encoding: Encoding::Jpeg, width, height, stride: 0 };
        assert!(converted(&whole).is_ok());
        bytes.drain(bytes.len() / 2..bytes.len() - 2);
        assert!(matches!(
            converted(&EncodedFrame { bytes: &bytes, ..whole }),
            Err(ConvertError::Jpeg { .. })
        ));
    }

    #[test]
    fn a_jpeg_of_another_size_is_refused_before_it_is_decoded() {
        let bytes = jpeg();
        let other = EncodedFrame { width: WIDTH + 1, ..frame(&bytes, Encoding::Jpeg, 0) };
        let expected = (WIDTH + 1, HEIGHT);
        assert_eq!(
            converted(&other).unwrap_err(),
            ConvertError::JpegSize { found: (WIDTH, HEIGHT), expected }
        );
    }

    #[test]
    fn rgb_rows_lose_their_padding() {
        let padded: Vec<u8> =
            smooth().chunks_exact(3 * WIDTH).flat_map(|row| [row, &[1; 8]].concat()).collect();
        let picture = converted(&frame(&padded, Encoding::Rgb8, 3 * WIDTH + 8)).unwrap();
        assert_eq!(picture.pixels(), smooth());
    }

    #[test]
    fn frames_that_are_too_short_are_refused_in_every_encoding() {
        let cases = [
            (Encoding::Yuyv, 2 * WIDTH, 2 * WIDTH * HEIGHT),
            (Encoding::Nv12, WIDTH, WIDTH * HEIGHT * 3 / 2),
            (Encoding::Gray8, WIDTH, WIDTH * HEIGHT),
            (Encoding::Rgb8, 3 * WIDTH, 3 * WIDTH * HEIGHT),
        ];
        for (encoding, stride, needed) in cases {
            let bytes = vec![128; needed];
            assert!(converted(&frame(&bytes, encoding, stride)).is_ok(), "{encoding:?}");
            assert!(converted(&frame(&bytes[1..], encoding, stride)).is_err(), "{encoding:?}");
            assert!(converted(&frame(&bytes, encoding, stride - 1)).is_err(), "{encoding:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_of_any_size_convert_or_are_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..3000),
            encoding in prop::sample::select(vec![
                Encoding::Yuyv, Encoding::Nv12, Encoding::Jpeg, Encoding::Rgb8, Encoding::Gray8,
            ]),
            width in 0_usize..70, height in 0_usize..70, stride in 0_usize..200
        ) {
            let _ = converted(&EncodedFrame { bytes: &bytes, encoding, width, height, stride });
        }

        #[test]
        fn a_jpeg_with_changed_bytes_converts_or_is_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
        ) {
            let mut bytes = jpeg();
            for (place, value) in changes {
                *place.get_mut(&mut bytes) = value;
            }
            let _ = converted(&frame(&bytes, Encoding::Jpeg, 0));
        }
    }
}
