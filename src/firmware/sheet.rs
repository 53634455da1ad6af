//! The contact sheet of a run: annotated frames, and below them the strike over time.

use core::time::Duration;

use embedded_graphics::pixelcolor::Rgb888;
use image::RgbImage;

use crate::face::canvas::{Canvas, LINE_HEIGHT};

const COLUMNS: usize = 4;
const GAP: u32 = 8;
const CAPTION_LINES: u32 = 2;
const TIMELINE_HEIGHT: u32 = 96;
const PAPER: Rgb888 = Rgb888::new(24, 26, 30);
const INK: Rgb888 = Rgb888::new(225, 225, 220);
const FAINT: Rgb888 = Rgb888::new(110, 112, 118);
/// Colour of what opens the door.
pub const OPEN: Rgb888 = Rgb888::new(70, 200, 110);
/// Colour of what is refused.
pub const REFUSED: Rgb888 = Rgb888::new(235, 90, 80);
/// Colour of what is still being looked at.
pub const PENDING: Rgb888 = Rgb888::new(240, 190, 70);

/// One face as it is drawn: box (left, top, right, bottom), five landmarks, colour; in pixels of the frame.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Left, top, right, bottom.
    pub bounds: [f32; 4],
    /// Eyes, nose, mouth corners; x and y.
    pub landmarks: [[f32; 2]; 5],
    /// What the face came to.
    pub colour: Rgb888,
}

/// One frame for the sheet.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Size in pixels.
    pub width: u32,
    /// Size in pixels.
    pub height: u32,
    /// `[height, width, 3]` u8 RGB.
    pub pixels: Vec<u8>,
    /// The faces found in it.
    pub marks: Vec<Mark>,
    /// Up to two lines below the frame.
    pub caption: [String; 2],
}

/// What stood at the door from one time to another, named below the timeline.
#[derive(Clone, Debug)]
pub struct Span {
    /// When it begins.
    pub from: Duration,
    /// When it ends.
    pub to: Duration,
    /// A few words.
    pub title: String,
}

/// The strike's changes (time, driven or not), what happened meanwhile, and how long the run took.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Every change of the strike, in order of time.
    pub strike: Vec<(Duration, bool)>,
    /// What stood at the door.
    pub spans: Vec<Span>,
    /// End of the run.
    pub end: Duration,
}

/// Draws the sheet.
#[must_use]
pub fn draw(shots: &[Shot], timeline: &Timeline) -> RgbImage {
    let (frame_width, frame_height) =
        shots.iter().fold((320, 60), |(w, h), s| (s.width.max(w), s.height.max(h)));
    let cell = (frame_width + GAP, frame_height + CAPTION_LINES * LINE_HEIGHT as u32 + GAP);
    let rows = shots.len().div_ceil(COLUMNS) as u32;
    let width = COLUMNS as u32 * cell.0 + GAP;
    let height = rows * cell.1 + TIMELINE_HEIGHT + 2 * GAP;
    let mut sheet = Canvas::new(width, height, PAPER);
    for (index, shot) in shots.iter().enumerate() {
        let x = GAP + (index % COLUMNS) as u32 * cell.0;
        let y = GAP + (index / COLUMNS) as u32 * cell.1;
        draw_shot(&mut sheet, shot, x, y);
    }
    draw_timeline(&mut sheet, timeline, (rows * cell.1 + 2 * GAP) as f32, width as f32);
    sheet.into_picture()
}

fn draw_shot(sheet: &mut Canvas, shot: &Shot, x: u32, y: u32) {
    let Some(mut frame) = Canvas::from_pixels(shot.width, shot.height, shot.pixels.clone()) else { return };
    for mark in &shot.marks {
        frame.outline(mark.bounds, mark.colour);
        for [px, py] in mark.landmarks {
            frame.dot(px, py, mark.colour);
        }
    }
    sheet.paste(&frame, x, y);
    for (line, text) in shot.caption.iter().enumerate() {
        let below = (y + shot.height) as i32 + 2 + line as i32 * LINE_HEIGHT;
        sheet.text(text, x as i32, below, if line == 0 { INK } else { FAINT });
    }
}

fn draw_timeline(sheet: &mut Canvas, timeline: &Timeline, top: f32, width: f32) {
    let (left, right) = (GAP as f32 + 60.0, width - GAP as f32);
    let seconds = timeline.end.as_secs_f32().max(0.001);
    let at = |time: Duration| left + (right - left) * time.as_secs_f32() / seconds;
    sheet.text("strike", GAP as i32, top as i32 + 4, INK);
    sheet.fill([left, top + 16.0, right, top + 17.0], FAINT);
    for (index, &(from, driven)) in timeline.strike.iter().enumerate() {
        let to = timeline.strike.get(index + 1).map_or(timeline.end, |next| next.0);
        if driven {
            sheet.fill([at(from), top, at(to), top + 16.0], OPEN);
        }
    }
    for second in (0..=timeline.end.as_secs()).step_by(5) {
        let x = at(Duration::from_secs(second));
        sheet.fill([x, top + 17.0, x, top + 21.0], FAINT);
        sheet.text(&format!("{second} s"), x as i32, top as i32 + 22, FAINT);
    }
    for (index, span) in timeline.spans.iter().enumerate() {
        let y = top + 40.0 + (index % 3) as f32 * 17.0;
        sheet.fill([at(span.from), y - 3.0, at(span.to) - 2.0, y - 2.0], PENDING);
        sheet.text(&span.title, at(span.from) as i32, y as i32, INK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driven_strike_shows_on_the_timeline() {
        let pulse = vec![(Duration::from_secs(2), true), (Duration::from_secs(5), false)];
        let timeline = Timeline { strike: pulse, spans: Vec::new(), end: Duration::from_secs(10) };
        let green = |t: &Timeline| draw(&[], t).pixels().filter(|p| p.0 == [70, 200, 110]).count();
        assert!(green(&timeline) > 1000);
        assert_eq!(green(&Timeline { strike: Vec::new(), ..timeline }), 0);
    }
}
