//! Camera pixel formats to interleaved RGB.
//!
//! YUV is ITU-R BT.601 in the limited range (Y 16..=235, U and V 16..=240), which is what V4L2 means by
//! its YUYV and NV12 unless a driver says otherwise. Integers only, so every CPU gives the same bytes.

use super::picture::{PictureError, check_rows, check_size};

/// One YUV pixel as RGB.
///
/// # Source
/// ITU-R BT.601-7, section 2.5, inverted, times 256 and rounded to integers:
/// 298 = 256 * 255/219, 409 = 256 * 1.596, 100 = 256 * 0.392, 208 = 256 * 0.813, 516 = 256 * 2.017.
#[inline(always)]
fn yuv_to_rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let luma = 298 * (i32::from(y) - 16) + 128;
    let u = i32::from(u) - 128;
    let v = i32::from(v) - 128;
    let byte = |x: i32| (x >> 8).clamp(0, 255) as u8;
    [byte(luma + 409 * v), byte(luma - 100 * u - 208 * v), byte(luma + 516 * u)]
}

/// Converts YUYV (4:2:2, two pixels in four bytes `y0 u y1 v`) to RGB.
///
/// `src` has `height` rows of `4 * ceil(width / 2)` bytes, `stride` bytes apart; `dst` gets
/// `width * height * 3` bytes, row after row without padding. What lies behind is left alone.
///
/// # Errors
/// When the sizes are impossible or a buffer is too short; then nothing was written.
pub fn yuyv_to_rgb(
    src: &[u8],
    width: usize,
    height: usize,
    stride: usize,
    dst: &mut [u8],
) -> Result<(), PictureError> {
    check_size(width, height)?;
    let row_bytes = 4 * width.div_ceil(2);
    check_rows(src.len(), row_bytes, height, stride)?;
    check_rows(dst.len(), 3 * width, height, 3 * width)?;
    for (y, out) in dst.chunks_exact_mut(3 * width).take(height).enumerate() {
        let row = &src[y * stride..][..row_bytes];
        for (pair, rgb) in row.chunks_exact(4).zip(out.chunks_mut(6)) {
            rgb[..3].copy_from_slice(&yuv_to_rgb(pair[0], pair[1], pair[3]));
            if let Some(second) = rgb.get_mut(3..6) {
                second.copy_from_slice(&yuv_to_rgb(pair[2], pair[1], pair[3]));
            }
        }
    }
    Ok(())
}

/// Converts NV12 (4:2:0, a luma plane, then a plane of `u v` pairs for 2x2 pixels) to RGB.
///
/// Both planes have rows `stride` bytes apart; the second begins at `stride * height` and has
/// `ceil(height / 2)` rows of `2 * ceil(width / 2)` bytes. `dst` as in [`yuyv_to_rgb`].
///
/// # Errors
/// As [`yuyv_to_rgb`].
pub fn nv12_to_rgb(
    src: &[u8],
    width: usize,
    height: usize,
    stride: usize,
    dst: &mut [u8],
) -> Result<(), PictureError> {
    check_size(width, height)?;
    let row_bytes = 2 * width.div_ceil(2);
    check_rows(src.len(), row_bytes, height + height.div_ceil(2), stride)?;
    check_rows(dst.len(), 3 * width, height, 3 * width)?;
    let (luma, chroma) = src.split_at(stride * height);
    for (y, out) in dst.chunks_exact_mut(3 * width).take(height).enumerate() {
        let luma_row = &luma[y * stride..][..width];
        let chroma_row = &chroma[y / 2 * stride..][..row_bytes];
        let pairs = luma_row.chunks(2).zip(chroma_row.chunks_exact(2));
        for ((lumas, uv), rgb) in pairs.zip(out.chunks_mut(6)) {
            for (&l, pixel) in lumas.iter().zip(rgb.chunks_exact_mut(3)) {
                pixel.copy_from_slice(&yuv_to_rgb(l, uv[0], uv[1]));
            }
        }
    }
    Ok(())
}

/// Converts 8-bit grey (full range) to RGB: each value three times. `dst` as in [`yuyv_to_rgb`].
///
/// # Errors
/// As [`yuyv_to_rgb`].
pub fn gray_to_rgb(
    src: &[u8],
    width: usize,
    height: usize,
    stride: usize,
    dst: &mut [u8],
) -> Result<(), PictureError> {
    check_size(width, height)?;
    check_rows(src.len(), width, height, stride)?;
    check_rows(dst.len(), 3 * width, height, 3 * width)?;
    for (y, out) in dst.chunks_exact_mut(3 * width).take(height).enumerate() {
        for (&gray, pixel) in src[y * stride..][..width].iter().zip(out.chunks_exact_mut(3)) {
            pixel.fill(gray);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RGB of the BT.601 colour bars, rounded; computed from the standard's formula in floating point.
    const BARS: [([u8; 3], [u8; 3]); 5] = [
        ([16, 128, 128], [0, 0, 0]),
        ([235, 128, 128], [255, 255, 255]),
        ([82, 90, 240], [255, 1, 0]),
        ([145, 54, 34], [0, 255, 1]),
        ([41, 240, 110], [0, 0, 255]),
    ];

    #[test]
    fn colour_bars_come_out_within_one_step() {
        for (yuv, rgb) in BARS {
            let got = yuv_to_rgb(yuv[0], yuv[1], yuv[2]);
            for (g, want) in got.iter().zip(rgb) {
                assert!(g.abs_diff(want) <= 1, "{yuv:?}: {got:?} instead of {rgb:?}");
            }
        }
    }

    #[test]
    fn every_yuv_value_stays_near_the_floating_point_formula() {
        for y in (0..=255).step_by(5) {
            for u in (0..=255).step_by(5) {
                for v in (0..=255).step_by(5) {
                    let luma = 255.0 / 219.0 * (f64::from(y) - 16.0);
                    let (cb, cr) = (f64::from(u) - 128.0, f64::from(v) - 128.0);
                    let want = [luma + 1.596 * cr, luma - 0.392 * cb - 0.813 * cr, luma + 2.017 * cb];
                    for (got, want) in yuv_to_rgb(y as u8, u as u8, v as u8).iter().zip(want) {
                        assert!((f64::from(*got) - want.clamp(0.0, 255.0)).abs() < 1.5);
                    }
                }
            }
        }
    }

    #[test]
    fn yuyv_and_nv12_agree_on_the_same_picture_at_odd_sizes() {
        let (width, height) = (5, 3);
        let luma = |x: usize, y: usize| (40 * x + 17 * y) as u8;
        let chroma = |x: usize, y: usize| [(90 + 20 * (x / 2) + y / 2) as u8, (60 + 30 * (x / 2)) as u8];
        let mut yuyv = vec![0; 14 * height];
        let mut nv12 = vec![0; 8 * (height + 2)];
        for y in 0..height {
            for x in 0..width {
                let [u, v] = chroma(x, y);
                yuyv[14 * y + 2 * x] = luma(x, y);
                yuyv[14 * y + 4 * (x / 2) + 1] = u;
                yuyv[14 * y + 4 * (x / 2) + 3] = v;
                nv12[8 * y + x] = luma(x, y);
                nv12[8 * (height + y / 2) + 2 * (x / 2)] = u;
                nv12[8 * (height + y / 2) + 2 * (x / 2) + 1] = v;
            }
        }
        let mut a = vec![0; 45];
        let mut b = vec![1; 45];
        yuyv_to_rgb(&yuyv, width, height, 14, &mut a).unwrap();
        nv12_to_rgb(&nv12, width, height, 8, &mut b).unwrap();
        assert_eq!(a, b);
        assert_eq!(a[..3], yuv_to_rgb(0, 90, 60));
        assert_eq!(a[42..], yuv_to_rgb(luma(4, 2), 131, 120));
    }

    #[test]
    fn short_frames_are_refused_by_every_conversion() {
        let mut dst = [0; 4 * 2 * 3];
        assert!(yuyv_to_rgb(&[0; 15], 4, 2, 8, &mut dst).is_err());
        assert!(nv12_to_rgb(&[0; 11], 4, 2, 4, &mut dst).is_err());
        assert!(gray_to_rgb(&[0; 7], 4, 2, 4, &mut dst).is_err());
        assert!(yuyv_to_rgb(&[0; 16], 4, 2, 8, &mut dst[1..]).is_err());
    }
}
