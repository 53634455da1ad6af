//! Resizing and the similarity warp: bilinear, in fixed point, the same bytes on every CPU.
//!
//! Pixel centres lie at half-integers when resizing (as in OpenCV and PIL) and at integers when warping
//! (as `cv2.warpAffine`). Coordinates are 16.16; the upper 8 bits of the fraction are the weight.

use super::picture::{Rgb, RgbMut};

/// One in 16.16 fixed point.
const ONE: i64 = 1 << 16;

/// Weighted mean of four values; `fx`, `fy` in `0..=255` are 256ths towards `b` and downwards.
#[inline(always)]
fn blend(a: u8, b: u8, c: u8, d: u8, fx: u32, fy: u32) -> u8 {
    let top = (256 - fx) * u32::from(a) + fx * u32::from(b);
    let bottom = (256 - fx) * u32::from(c) + fx * u32::from(d);
    (((256 - fy) * top + fy * bottom + (1 << 15)) >> 16) as u8
}

/// Where the centre of target pixel `index` lies in the source, 16.16, clamped to its pixels.
fn source_position(index: usize, source: usize, target: usize) -> (usize, u32) {
    let (index, source, target) = (index as i64, source as i64, target as i64);
    let centre = (2 * index + 1) * source * ONE / (2 * target) - ONE / 2;
    let clamped = centre.clamp(0, (source - 1) * ONE);
    ((clamped / ONE) as usize, ((clamped % ONE) >> 8) as u32)
}

/// Resizes `src` to the size of `dst`, bilinear.
///
/// It looks at 2x2 source pixels only: to shrink by more than two, [`halve`] first.
pub fn resize_bilinear(src: &Rgb<'_>, dst: &mut RgbMut<'_>) {
    let (width, height) = (dst.width(), dst.height());
    for y in 0..height {
        let (top, fy) = source_position(y, src.height(), height);
        let upper = src.row(top);
        let lower = src.row((top + 1).min(src.height() - 1));
        for (x, pixel) in dst.row_mut(y).chunks_exact_mut(3).enumerate() {
            let (left, fx) = source_position(x, src.width(), width);
            let right = (left + 1).min(src.width() - 1);
            for (c, out) in pixel.iter_mut().enumerate() {
                let (l, r) = (3 * left + c, 3 * right + c);
                *out = blend(upper[l], upper[r], lower[l], lower[r], fx, fy);
            }
        }
    }
}

/// Halves `src`: each pixel of `dst` is the rounded mean of 2x2 pixels.
///
/// `dst` must be `floor(width / 2) x floor(height / 2)`; an odd last row or column is left out.
///
/// # Panics
/// When `dst` has another size.
pub fn halve(src: &Rgb<'_>, dst: &mut RgbMut<'_>) {
    assert_eq!((dst.width(), dst.height()), (src.width() / 2, src.height() / 2), "half the source's size");
    for y in 0..dst.height() {
        let (upper, lower) = (src.row(2 * y), src.row(2 * y + 1));
        let rows = upper.chunks_exact(6).zip(lower.chunks_exact(6));
        for ((up, low), pixel) in rows.zip(dst.row_mut(y).chunks_exact_mut(3)) {
            for (c, out) in pixel.iter_mut().enumerate() {
                let sum: u32 = [up[c], up[c + 3], low[c], low[c + 3]].map(u32::from).iter().sum();
                *out = ((sum + 2) >> 2) as u8;
            }
        }
    }
}

/// A coefficient in 16.16; what is out of all reason saturates, so that sums cannot overflow.
fn fixed(value: f32, limit: i64) -> i64 {
    ((f64::from(value) * ONE as f64).round() as i64).clamp(-limit, limit)
}

/// Draws `src` into `dst` through an affine map (for faces: a similarity).
///
/// `map` takes target to source coordinates, both in pixels with integer centres:
/// `source_x = map[0] * x + map[1] * y + map[2]`, `source_y = map[3] * x + map[4] * y + map[5]`.
/// It is rounded to 16.16 first. Outside of `src` everything is black, as with `cv2.warpAffine`.
/// Not-a-number counts as zero.
pub fn warp_similarity(src: &Rgb<'_>, map: &[f32; 6], dst: &mut RgbMut<'_>) {
    let slope = |value| fixed(value, 1 << 40);
    let offset = |value| fixed(value, 1 << 56);
    let (xx, xy, x0) = (slope(map[0]), slope(map[1]), offset(map[2]));
    let (yx, yy, y0) = (slope(map[3]), slope(map[4]), offset(map[5]));
    for y in 0..dst.height() {
        let mut sx = x0 + xy * y as i64;
        let mut sy = y0 + yy * y as i64;
        for pixel in dst.row_mut(y).chunks_exact_mut(3) {
            pixel.copy_from_slice(&sample(src, sx, sy));
            sx += xx;
            sy += yx;
        }
    }
}

/// The pixel of `src` at a 16.16 position; black outside.
#[inline(always)]
fn sample(src: &Rgb<'_>, x: i64, y: i64) -> [u8; 3] {
    let (left, top) = (x >> 16, y >> 16);
    let (fx, fy) = (((x & (ONE - 1)) >> 8) as u32, ((y & (ONE - 1)) >> 8) as u32);
    let (width, height) = (src.width() as i64, src.height() as i64);
    if left >= 0 && top >= 0 && left + 1 < width && top + 1 < height {
        let (upper, lower) = (src.row(top as usize), src.row(top as usize + 1));
        let at = 3 * left as usize;
        let (upper, lower) = (&upper[at..at + 6], &lower[at..at + 6]);
        return std::array::from_fn(|c| blend(upper[c], upper[c + 3], lower[c], lower[c + 3], fx, fy));
    }
    let tap = |x: i64, y: i64, c: usize| -> u8 {
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        if inside { src.row(y as usize)[3 * x as usize + c] } else { 0 }
    };
    std::array::from_fn(|c| {
        let upper = (tap(left, top, c), tap(left + 1, top, c));
        let lower = (tap(left, top + 1, c), tap(left + 1, top + 1, c));
        blend(upper.0, upper.1, lower.0, lower.1, fx, fy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(width: usize, height: usize) -> Vec<u8> {
        (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect()
    }

    #[test]
    fn resizing_to_the_same_size_copies() {
        let src = painted(17, 9);
        let mut dst = vec![0; src.len()];
        resize_bilinear(&Rgb::new(&src, 17, 9, 51).unwrap(), &mut RgbMut::new(&mut dst, 17, 9, 51).unwrap());
        assert_eq!(src, dst);
    }

    #[test]
    fn resizing_keeps_a_flat_picture_flat() {
        let src = vec![201; 13 * 7 * 3];
        for (width, height) in [(1, 1), (26, 14), (5, 3), (40, 2)] {
            let mut dst = vec![0; width * height * 3];
            let mut target = RgbMut::new(&mut dst, width, height, 3 * width).unwrap();
            resize_bilinear(&Rgb::new(&src, 13, 7, 39).unwrap(), &mut target);
            assert!(dst.iter().all(|&x| x == 201), "{width}x{height}");
        }
    }

    #[test]
    fn halving_and_resizing_to_half_agree() {
        let src = painted(16, 8);
        let src = Rgb::new(&src, 16, 8, 48).unwrap();
        let mut a = vec![0; 8 * 4 * 3];
        let mut b = a.clone();
        halve(&src, &mut RgbMut::new(&mut a, 8, 4, 24).unwrap());
        resize_bilinear(&src, &mut RgbMut::new(&mut b, 8, 4, 24).unwrap());
        assert_eq!(a, b);
    }

    #[test]
    fn the_identity_warp_copies_and_a_shift_shifts_in_black() {
        let src = painted(11, 6);
        let view = Rgb::new(&src, 11, 6, 33).unwrap();
        let mut dst = vec![9; src.len()];
        warp_similarity(
            &view,
            &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            &mut RgbMut::new(&mut dst, 11, 6, 33).unwrap(),
        );
        assert_eq!(src, dst);
        warp_similarity(
            &view,
            &[1.0, 0.0, 2.0, 0.0, 1.0, -1.0],
            &mut RgbMut::new(&mut dst, 11, 6, 33).unwrap(),
        );
        assert_eq!(dst[..33], [0; 33]);
        assert_eq!(dst[33..60], src[6..33]);
        assert_eq!(dst[60..66], [0; 6]);
    }

    #[test]
    fn a_half_pixel_shift_is_the_mean_of_neighbours() {
        let src = [10, 20, 30, 20, 40, 60];
        let view = Rgb::new(&src, 2, 1, 6).unwrap();
        let mut dst = [0; 3];
        warp_similarity(&view, &[1.0, 0.0, 0.5, 0.0, 1.0, 0.0], &mut RgbMut::new(&mut dst, 1, 1, 3).unwrap());
        assert_eq!(dst, [15, 30, 45]);
    }

    #[test]
    fn senseless_maps_draw_without_panic() {
        let src = painted(4, 4);
        let view = Rgb::new(&src, 4, 4, 12).unwrap();
        let mut dst = vec![0; 9 * 9 * 3];
        for value in [f32::NAN, f32::INFINITY, f32::MIN, 1e30, -1e-30] {
            warp_similarity(&view, &[value; 6], &mut RgbMut::new(&mut dst, 9, 9, 27).unwrap());
        }
    }
}
