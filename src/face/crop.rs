//! A picture at halved sizes, and sharp small pictures of any part of it.
//!
//! Bilinear sampling sees 2x2 pixels: drawn at less than half its size a picture aliases. So every window is
//! drawn from the level at which it shrinks by less than two.

use super::align::Similarity;
use super::geometry::Bounds;
use super::image::{RgbImage, RgbView};
use crate::kernels::picture::RgbMut;
use crate::kernels::resample::{halve, resize_bilinear, warp_similarity};

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

    /// Draws the part `window` of the picture into `target`; both should have the same proportions, the
    /// width counts. Outside of the picture it is black.
    pub fn draw_window(&self, window: &Bounds, target: &mut RgbMut<'_>) {
        let scale = window.width() / target.width() as f32;
        let edge = |from: f32| from + 0.5 * scale - 0.5;
        let map = Similarity { a: scale, b: 0.0, dx: edge(window.left), dy: edge(window.top) };
        self.draw(&map, target);
    }
}
