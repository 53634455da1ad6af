//! A picture at halved sizes, and sharp small pictures of any part of it.
//!
//! Bilinear sampling sees 2x2 pixels: drawn at less than half its size a picture aliases. So every window is
//! drawn from the level at which it shrinks by less than two.

use super::align::Similarity;
use super::geometry::{Bounds, Point};
use super::image::{RgbImage, RgbView};
use crate::kernels::picture::RgbMut;
use crate::kernels::resample::{halve, resize_bilinear, warp_similarity};
use std::ops::Range;

/// How often a picture is halved at most: 16 times smaller serves a picture of 2560x1920.
const HALVINGS: usize = 4;

/// Halved copies of a picture; their buffers stay from frame to frame.
#[derive(Debug)]
pub struct Pyramid {
    halves: [RgbImage; HALVINGS],
    levels: usize,
}

/// A picture and its halved copies.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    picture: RgbView<'a>,
    halves: &'a [RgbImage],
}

impl Default for Pyramid {
    fn default() -> Self {
        let one = || RgbImage::new(1, 1).expect("one pixel is a picture");
        Self { halves: [one(), one(), one(), one()], levels: 0 }
    }
}

impl Pyramid {
    /// Halves `picture` as often as it stays at least `least_side` pixels wide and high.
    pub fn build<'a>(&'a mut self, picture: RgbView<'a>, least_side: usize) -> Layers<'a> {
        self.levels = 0;
        let (mut width, mut height) = (picture.width() / 2, picture.height() / 2);
        while self.levels < HALVINGS && width.min(height) >= least_side.max(1) {
            let (done, rest) = self.halves.split_at_mut(self.levels);
            let source = done.last().map_or(picture, RgbImage::view);
            rest[0].reshape(width, height).expect("half of a picture's sides are a picture's sides");
            halve(&source, &mut rest[0].view_mut());
            self.levels += 1;
            (width, height) = (width / 2, height / 2);
        }
        Layers { picture, halves: &self.halves[..self.levels] }
    }
}

impl<'a> Layers<'a> {
    /// The picture itself.
    #[must_use]
    pub fn picture(&self) -> RgbView<'a> {
        self.picture
    }

    /// The level at which something that shrinks `shrink` times shrinks by less than two, and how often that
    /// is halved.
    fn level(&self, shrink: f32) -> (RgbView<'a>, u32) {
        let wanted = if shrink >= 2.0 { shrink.log2().floor() as usize } else { 0 };
        let halvings = wanted.min(self.halves.len());
        let view = if halvings == 0 { self.picture } else { self.halves[halvings - 1].view() };
        (view, halvings as u32)
    }

    /// Draws the whole picture into `target`.
    pub fn draw_all(&self, target: &mut RgbMut<'_>) {
        let across = self.picture.width() as f32 / target.width() as f32;
        let down = self.picture.height() as f32 / target.height() as f32;
        resize_bilinear(&self.level(across.min(down) + 1e-3).0, target);
    }

    /// Draws `target` through `map`, which takes its pixels to the picture's (both with integer centres).
    /// Outside of the picture it is black.
    pub fn draw(&self, map: &Similarity, target: &mut RgbMut<'_>) {
        let (view, halvings) = self.level(map.scale());
        let size = 2_f32.powi(halvings as i32).recip();
        let shifted = |offset: f32| (offset + 0.5) * size - 0.5;
        let rows =
            [map.a * size, -map.b * size, shifted(map.dx), map.b * size, map.a * size, shifted(map.dy)];
        warp_similarity(&view, &rows, target);
    }

    /// As [`Layers::draw`], but `padding` outside of the picture.
    pub fn draw_padded(&self, map: &Similarity, padding: u8, target: &mut RgbMut<'_>) {
        self.draw(map, target);
        let (width, height) = (self.picture.width() as f32, self.picture.height() as f32);
        for y in 0..target.height() {
            for (x, pixel) in target.row_mut(y).chunks_exact_mut(3).enumerate() {
                let place = map.apply(Point::new(x as f32, y as f32));
                let inside = (0.0..width).contains(&place.x) && (0.0..height).contains(&place.y);
                if !inside {
                    pixel.fill(padding);
                }
            }
        }
    }

    /// Draws the part `window` of the picture into `target`; both should have the same proportions, the
    /// width counts. Outside of the picture its border goes on.
    pub fn draw_window(&self, window: &Bounds, target: &mut RgbMut<'_>) {
        let scale = window.width() / target.width() as f32;
        let map = Similarity { a: scale, b: 0.0, dx: window.left, dy: window.top }.of_pixels();
        self.draw(&map, target);
        let halves = self.level(scale).1;
        let inside = |offset: f32, source: usize, side: usize| {
            let last = (source >> halves << halves) as f32 - 0.5 - 0.5 * (1 << halves) as f32;
            let first = 0.5 * (1 << halves) as f32 - 0.5;
            let from = ((first - offset) / scale).ceil().max(0.0) as usize;
            let to = ((last - offset) / scale).floor() + 1.0;
            from.min(side)..(to.max(0.0) as usize).min(side)
        };
        let columns = inside(map.dx, self.picture.width(), target.width());
        let rows = inside(map.dy, self.picture.height(), target.height());
        extend_border(target, columns, rows);
    }
}

/// Repeats the outermost pixels of the part `columns` x `rows` of `picture` up to its edges; an empty part
/// leaves it as it is.
fn extend_border(picture: &mut RgbMut<'_>, columns: Range<usize>, rows: Range<usize>) {
    if columns.is_empty() || rows.is_empty() {
        return;
    }
    let pixel = |row: &[u8], x: usize| [row[3 * x], row[3 * x + 1], row[3 * x + 2]];
    for y in rows.clone() {
        let row = picture.row_mut(y);
        let (first, last) = (pixel(row, columns.start), pixel(row, columns.end - 1));
        row[..3 * columns.start].chunks_exact_mut(3).for_each(|p| p.copy_from_slice(&first));
        row[3 * columns.end..].chunks_exact_mut(3).for_each(|p| p.copy_from_slice(&last));
    }
    let (width, height) = (picture.width(), picture.height());
    for (from, to) in [(rows.start, 0..rows.start), (rows.end - 1, rows.end..height)] {
        for (y, x) in to.flat_map(|y| (0..width).map(move |x| (y, x))) {
            let above = pixel(picture.row_mut(from), x);
            picture.row_mut(y)[3 * x..3 * x + 3].copy_from_slice(&above);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A picture whose red is its column and whose green is its row.
    fn ruler(width: usize, height: usize) -> RgbImage {
        let mut picture = RgbImage::new(width, height).unwrap();
        for (i, pixel) in picture.pixels_mut().chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[(i % width) as u8, (i / width) as u8, 77]);
        }
        picture
    }

    fn window(left: f32, top: f32, width: f32, height: f32) -> Bounds {
        Bounds { left, top, right: left + width, bottom: top + height }
    }

    fn drawn(picture: &RgbImage, part: &Bounds, width: usize, height: usize) -> RgbImage {
        let mut target = RgbImage::new(width, height).unwrap();
        Pyramid::default().build(picture.view(), 8).draw_window(part, &mut target.view_mut());
        target
    }

    #[test]
    fn what_is_drawn_lies_where_a_map_of_places_says() {
        let map = Similarity { a: 1.6, b: 0.3, dx: 20.0, dy: 9.0 };
        let mut target = RgbImage::new(40, 30).unwrap();
        Pyramid::default().build(ruler(120, 90).view(), 8).draw(&map.of_pixels(), &mut target.view_mut());
        for (x, y) in [(0, 0), (39, 0), (7, 29), (39, 29)] {
            let place = map.apply(Point::new(x as f32 + 0.5, y as f32 + 0.5));
            let [column, row, _]: [u8; 3] = target.pixels()[3 * (40 * y + x)..][..3].try_into().unwrap();
            let seen = Point::new(f32::from(column) + 0.5, f32::from(row) + 0.5);
            assert!(seen.distance(place) < 0.8, "({x}, {y}) shows {seen:?} instead of {place:?}");
        }
    }

    #[test]
    fn a_window_at_full_size_is_a_copy() {
        let target = drawn(&ruler(64, 48), &window(10.0, 5.0, 20.0, 10.0), 20, 10);
        for (i, pixel) in target.pixels().chunks_exact(3).enumerate() {
            assert_eq!(pixel, [(10 + i % 20) as u8, (5 + i / 20) as u8, 77]);
        }
    }

    #[test]
    fn a_window_shrunk_eight_times_lies_where_it_should() {
        let target = drawn(&ruler(240, 200), &window(40.0, 24.0, 160.0, 80.0), 20, 10);
        for (i, pixel) in target.pixels().chunks_exact(3).enumerate() {
            let (x, y) = (40.0 + 8.0 * (i % 20) as f32 + 3.5, 24.0 + 8.0 * (i / 20) as f32 + 3.5);
            assert!((f32::from(pixel[0]) - x).abs() <= 1.5, "{pixel:?} at {x}");
            assert!((f32::from(pixel[1]) - y).abs() <= 1.5, "{pixel:?} at {y}");
        }
    }

    #[test]
    fn beyond_the_picture_its_border_goes_on() {
        let target = drawn(&ruler(32, 24), &window(-10.0, -8.0, 60.0, 50.0), 60, 50);
        let at = |x: usize, y: usize| &target.pixels()[3 * (60 * y + x)..][..2];
        assert_eq!([at(0, 0), at(59, 0), at(0, 49), at(59, 49)], [[0, 0], [31, 0], [0, 23], [31, 23]]);
        assert_eq!([at(5, 20), at(50, 20), at(20, 3), at(20, 45)], [[0, 12], [31, 12], [10, 0], [10, 23]]);
    }

    #[test]
    fn the_whole_picture_is_drawn_into_any_size() {
        for (width, height) in [(1, 1), (7, 5), (160, 120), (250, 250), (1000, 3)] {
            let mut target = RgbImage::new(50, 40).unwrap();
            target.pixels_mut().fill(9);
            let mut pyramid = Pyramid::default();
            pyramid.build(ruler(width, height).view(), 8).draw_all(&mut target.view_mut());
            assert!(target.pixels().chunks_exact(3).all(|p| p[2] == 77), "{width}x{height}");
        }
    }

    proptest! {
        #[test]
        fn any_window_is_drawn(left in any::<f32>(), top in any::<f32>(), width in any::<f32>()) {
            drawn(&ruler(40, 30), &window(left, top, width, width), 20, 20);
            drawn(&ruler(40, 30), &window(left % 90.0, top % 90.0, width % 90.0, 1.0), 20, 20);
        }
    }
}
