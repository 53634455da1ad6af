//! Whether anything moves before the door: nine frames of ten in an empty doorway are not worth the networks' power.
//!
//! A frame is compared with the last one that was looked at, so that whoever creeps is noticed as well as whoever runs.

use std::time::Duration;

use crate::face::image::RgbImage;

/// Cells across and down. A choice: a face that can be recognised covers several.
const CELLS: (usize, usize) = (32, 24);
/// Every so many pixels one is measured. A choice: 25 of a cell at 320x240.
const STEP: usize = 2;
/// By how much the mean luma of a cell must change, of 255. A choice: several times the noise that is left of 25 pixels
/// of a dark picture.
const CHANGE: u32 = 10;
/// For how long all is looked at after something moved or a face was there. A choice: longer than anybody stands still
/// without a face that is found.
const AWAKE: Duration = Duration::from_secs(5);
/// How often it is looked at even so. A choice.
const GLANCE: Duration = Duration::from_secs(1);

/// What was seen of motion so far.
pub struct Motion {
    cells: [u8; CELLS.0 * CELLS.1],
    looked_at: Option<Duration>,
    awake_until: Duration,
}

impl Default for Motion {
    fn default() -> Self {
        Self { cells: [0; CELLS.0 * CELLS.1], looked_at: None, awake_until: Duration::ZERO }
    }
}

impl Motion {
    /// Whether a picture that was taken at `now` is worth to be looked at.
    pub fn is_worth(&mut self, picture: &RgbImage, now: Duration) -> bool {
        let cells = cells_of(picture);
        let moved = cells.iter().zip(&self.cells).any(|(a, b)| u32::from(a.abs_diff(*b)) > CHANGE);
        if moved {
            self.stay_awake(now);
        }
        let due = self.looked_at.is_none_or(|at| now >= at.saturating_add(GLANCE) || now < at);
        let worth = due || now < self.awake_until;
        if worth {
            (self.cells, self.looked_at) = (cells, Some(now));
        }
        worth
    }

    /// Looks at everything for a while: there was a face, or somebody pressed a button.
    pub fn stay_awake(&mut self, now: Duration) {
        self.awake_until = now.saturating_add(AWAKE);
    }
}

/// Mean luma of each cell.
fn cells_of(picture: &RgbImage) -> [u8; CELLS.0 * CELLS.1] {
    let (width, height) = (picture.width(), picture.height());
    let mut sums = [(0_u32, 0_u32); CELLS.0 * CELLS.1];
    for (y, row) in picture.pixels().chunks_exact(3 * width).enumerate().step_by(STEP) {
        for (x, pixel) in row.as_chunks::<3>().0.iter().enumerate().step_by(STEP) {
            let [red, green, blue] = pixel.map(u32::from);
            let (sum, count) = &mut sums[y * CELLS.1 / height * CELLS.0 + x * CELLS.0 / width];
            // Green counts twice: luma by a power of two, and near enough for what moves.
            (*sum, *count) = (*sum + (red + 2 * green + blue) / 4, *count + 1);
        }
    }
    sums.map(|(sum, count)| (sum / count.max(1)) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(100);

    fn picture(paint: impl Fn(usize, usize) -> u8) -> RgbImage {
        let mut picture = RgbImage::new(320, 240).expect("a picture");
        for (place, pixel) in picture.pixels_mut().chunks_exact_mut(3).enumerate() {
            pixel.fill(paint(place % 320, place / 320));
        }
        picture
    }

    fn looks(motion: &mut Motion, pictures: impl Iterator<Item = RgbImage>, from: Duration) -> usize {
        let worth =
            |(place, picture): (usize, RgbImage)| motion.is_worth(&picture, from + FRAME * place as u32);
        pictures.enumerate().map(worth).filter(|worth| *worth).count()
    }

    fn noise(x: usize, y: usize, frame: usize) -> u8 {
        100 + ((x * 7919 + y * 104_729 + frame * 1_299_709) % 31) as u8
    }

    #[test]
    fn an_empty_doorway_with_a_noisy_camera_is_looked_at_once_a_second() {
        let mut motion = Motion::default();
        assert!(motion.is_worth(&picture(|_, _| 115), Duration::ZERO));
        let frames = (0..300).map(|frame| picture(|x, y| noise(x, y, frame)));
        let looked = looks(&mut motion, frames, Duration::from_secs(60));
        assert!((29..=31).contains(&looked), "{looked} of 300");
    }

    #[test]
    fn whoever_comes_is_looked_at_in_the_same_frame_and_for_as_long_as_anything_moves() {
        let mut motion = Motion::default();
        let still = Duration::from_secs(60);
        looks(&mut motion, (0..100).map(|_| picture(|_, _| 100)), still);
        let head = |at: usize| {
            move |x: usize, y: usize| if (at..at + 24).contains(&x) && y > 100 { 140 } else { 100 }
        };
        let walks = (0..60).map(|frame| picture(head(4 * frame)));
        assert_eq!(looks(&mut motion, walks, still + 100 * FRAME), 60);
    }

    #[test]
    fn whoever_creeps_is_noticed_too() {
        let mut motion = Motion::default();
        let still = Duration::from_secs(60);
        looks(&mut motion, (0..100).map(|_| picture(|_, _| 100)), still);
        let creeping =
            (0..40).map(|frame| picture(|x, y| if x < 40 && y < 60 { 100 + 2 * frame as u8 } else { 100 }));
        assert!(looks(&mut motion, creeping, still + 100 * FRAME) > 30);
    }

    #[test]
    fn a_face_or_a_button_keeps_it_awake() {
        let mut motion = Motion::default();
        let still = Duration::from_secs(60);
        looks(&mut motion, (0..100).map(|_| picture(|_, _| 100)), still);
        motion.stay_awake(still + 100 * FRAME);
        assert_eq!(looks(&mut motion, (0..50).map(|_| picture(|_, _| 100)), still + 100 * FRAME), 50);
    }
}
