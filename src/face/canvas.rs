//! A picture that `embedded-graphics` can draw on: boxes, landmarks, captions.
//!
//! Knows nothing of faces or doors: it draws what it is told in the colours that it is told.

use embedded_graphics::mono_font::{MonoTextStyle, ascii};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use image::{Rgb, RgbImage};

/// Height of a line of [`Canvas::text`] in pixels.
pub const LINE_HEIGHT: i32 = 14;

/// An RGB picture with drawing on it; what lies outside is cut off.
pub struct Canvas {
    picture: RgbImage,
}

impl Canvas {
    /// A picture of `width` x `height` pixels in one colour.
    #[must_use]
    pub fn new(width: u32, height: u32, background: Rgb888) -> Self {
        let colour = Rgb([background.r(), background.g(), background.b()]);
        Self { picture: RgbImage::from_pixel(width, height, colour) }
    }

    /// A picture from `pixels`, `[height, width, 3]` u8 RGB without gaps; `None` if their number does not fit.
    #[must_use]
    pub fn from_pixels(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        RgbImage::from_raw(width, height, pixels).map(|picture| Self { picture })
    }

    /// Puts another picture with its top left corner at `(x, y)`.
    pub fn paste(&mut self, other: &Canvas, x: u32, y: u32) {
        image::imageops::replace(&mut self.picture, &other.picture, i64::from(x), i64::from(y));
    }

    /// A rectangle's outline, two pixels strong. `bounds` is left, top, right, bottom in pixels.
    pub fn outline(&mut self, bounds: [f32; 4], colour: Rgb888) {
        let style = PrimitiveStyle::with_stroke(colour, 2);
        draw(rectangle(bounds).into_styled(style), self);
    }

    /// A filled rectangle. `bounds` is left, top, right, bottom in pixels.
    pub fn fill(&mut self, bounds: [f32; 4], colour: Rgb888) {
        draw(rectangle(bounds).into_styled(PrimitiveStyle::with_fill(colour)), self);
    }

    /// A dot of five pixels around `(x, y)`.
    pub fn dot(&mut self, x: f32, y: f32, colour: Rgb888) {
        let dot = Circle::with_center(Point::new(x.round() as i32, y.round() as i32), 5);
        draw(dot.into_styled(PrimitiveStyle::with_fill(colour)), self);
    }

    /// One line of text with its top left corner at `(x, y)`.
    pub fn text(&mut self, line: &str, x: i32, y: i32, colour: Rgb888) {
        let style = MonoTextStyle::new(&ascii::FONT_7X13, colour);
        draw(Text::with_baseline(line, Point::new(x, y), style, Baseline::Top), self);
    }

    /// The picture itself.
    #[must_use]
    pub fn into_picture(self) -> RgbImage {
        self.picture
    }
}

fn rectangle([left, top, right, bottom]: [f32; 4]) -> Rectangle {
    let corner = |x: f32, y: f32| Point::new(x.round() as i32, y.round() as i32);
    Rectangle::with_corners(corner(left, top), corner(right, bottom))
}

fn draw<D: Drawable<Color = Rgb888>>(thing: D, canvas: &mut Canvas) {
    let Ok(_) = thing.draw(canvas);
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.picture.width(), self.picture.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = core::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        for Pixel(at, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y)) else { continue };
            if let Some(pixel) = self.picture.get_pixel_mut_checked(x, y) {
                *pixel = Rgb([colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut canvas = Canvas::new(8, 8, Rgb888::BLACK);
        canvas.outline([-5.0, -5.0, 20.0, 20.0], Rgb888::RED);
        canvas.text("beyond", 100, -100, Rgb888::RED);
        canvas.fill([2.0, 2.0, 3.0, 3.0], Rgb888::GREEN);
        let picture = canvas.into_picture();
        assert_eq!(picture.get_pixel(2, 3).0, [0, 255, 0]);
        assert_eq!(picture.get_pixel(5, 5).0, [0, 0, 0]);
    }

    #[test]
    fn pixels_of_the_wrong_number_make_no_picture() {
        assert!(Canvas::from_pixels(4, 4, vec![0; 47]).is_none());
        assert!(Canvas::from_pixels(4, 4, vec![0; 48]).is_some());
    }
}
