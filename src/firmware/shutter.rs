//! A picture of what the camera sees, taken when somebody who may asks for it.
//!
//! It stays in memory until it is fetched, and goes nowhere else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use zeroize::Zeroizing;

use crate::face::image::RgbImage;

/// JPEG quality, 1 to 100. A choice: faces are judged by eye, and the line is slow.
const QUALITY: u8 = 85;

#[derive(Default)]
enum State {
    #[default]
    Closed,
    Wanted,
    Taken(Zeroizing<Vec<u8>>),
}

/// One camera's; its clones are the same one.
#[derive(Clone, Default)]
pub struct Shutter(Arc<Mutex<State>>);

impl Shutter {
    /// The picture that was asked for before; `None` asks for the next one.
    #[must_use]
    pub fn fetch(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut state = self.lock();
        match core::mem::replace(&mut *state, State::Wanted) {
            State::Taken(picture) => {
                *state = State::Closed;
                Some(picture)
            }
            State::Closed | State::Wanted => None,
        }
    }

    /// Shows a frame; it is kept if somebody asked.
    pub fn show(&self, picture: &RgbImage) {
        if matches!(*self.lock(), State::Wanted)
            && let Some(bytes) = jpeg(picture)
        {
            *self.lock() = State::Taken(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn jpeg(picture: &RgbImage) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    JpegEncoder::new_with_quality(&mut *bytes, QUALITY)
        .encode(picture.pixels(), width, height, ExtendedColorType::Rgb8)
        .ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_taken_only_when_asked_for_and_given_once() {
        let shutter = Shutter::default();
        let picture = RgbImage::new(32, 16).expect("a picture");
        shutter.show(&picture);
        assert!(shutter.fetch().is_none());
        shutter.clone().show(&picture);
        let bytes = shutter.fetch().expect("taken");
        let read = image::load_from_memory(&bytes).expect("a JPEG");
        assert_eq!((read.width(), read.height()), (32, 16));
        assert!(shutter.fetch().is_none());
    }
}
