//! What a run of the simulated board tells: the timeline, the contact sheet, whether all came as expected.

use std::io::Write;
use std::time::Duration;

use super::device::Note;
use super::judge::Judgement;
use super::scene::{Expectation, Scene};
use super::sheet::{self, Mark, Shot, Span, Timeline};
use super::sim::SimDevice;
use crate::board::Board;
use crate::door::{Face, Obstacle};
use crate::face::image::RgbImage;
use crate::gallery::FarTable;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Chapters of the scene that did not come as expected, in words.
    pub surprises: Vec<String>,
    /// Every change of the strike.
    pub strike: Vec<(Duration, bool)>,
    /// What was told, with the chapter in which it happened.
    pub notes: Vec<(Duration, Option<usize>, Note)>,
    /// The pictures for the contact sheet.
    pub shots: Vec<Shot>,
    /// What the strike did beneath them.
    pub timeline: Timeline,
}

impl Outcome {
    /// The contact sheet.
    #[must_use]
    pub fn sheet(&self) -> image::RgbImage {
        sheet::draw(&self.shots, &self.timeline)
    }
}

/// The device at one moment of a run.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) device: &'a SimDevice,
    pub(super) picture: &'a RgbImage,
    pub(super) now: Duration,
}

/// Collects what a run tells.
pub(super) struct Report {
    far: FarTable,
    notes: Vec<(Duration, Option<usize>, Note)>,
    shots: Vec<(Option<usize>, bool, Shot)>,
    chapter: Option<usize>,
    since_picture: usize,
}

impl Report {
    pub(super) fn new(far: FarTable) -> Self {
        Self { far, notes: Vec::new(), shots: Vec::new(), chapter: None, since_picture: 0 }
    }

    pub(super) fn head(&self, board: &Board, device: &SimDevice, out: &mut dyn Write) {
        let threshold = f64::from(device.judge().policy().threshold);
        line(out, format_args!("facelatchd {} on board \"{}\"", env!("CARGO_PKG_VERSION"), &*board.name));
        line(
            out,
            format_args!(
                "opens at distance {threshold:.2} or less: false accept rate below {:.0e} a comparison; {} enrolled",
                self.far.upper_bound(threshold),
                device.gallery().people().len()
            ),
        );
        for id in device.gallery().damaged() {
            line(
                out,
                format_args!("! the record of person {id} does not open: damaged, or of another device"),
            );
        }
        line(
            out,
            format_args!("{:>8}  {:<26} {:>8} {:>9}  decision", "time", "seen", "distance", "FAR below"),
        );
    }

    pub(super) fn complain(&self, what: &str, now: Duration, out: &mut dyn Write) {
        line(out, format_args!("{:7.1}s  ! {what}", now.as_secs_f32()));
    }

    /// What a picture of a folder came to.
    pub(super) fn picture(&mut self, number: usize, device: &SimDevice, out: &mut dyn Write) {
        let decided = self.notes[self.since_picture..].iter().rev().find(|(_, _, note)| is_decision(note));
        let words = decided.and_then(|(_, _, note)| words_of(note)).unwrap_or_else(|| {
            let seen = device.last().map_or_else(|| "nothing".to_owned(), seen_words);
            format!("nothing happened ({seen})")
        });
        self.since_picture = self.notes.len();
        line(out, format_args!("          picture {number}: {words}"));
    }

    pub(super) fn take(&mut self, notes: &[Note], moment: Moment<'_>, scene: &Scene, out: &mut dyn Write) {
        let Moment { device, now, .. } = moment;
        let chapter = scene.chapter_at(now);
        if chapter != self.chapter {
            self.chapter = chapter;
            if let Some(chapter) = chapter.map(|index| &scene.chapters[index]) {
                line(out, format_args!("          -- {} --", chapter.title));
            }
        }
        for note in notes {
            self.tell(note, device, now, out);
            self.notes.push((now, chapter, note.clone()));
        }
        self.photograph(notes, moment, scene);
    }

    fn tell(&self, note: &Note, device: &SimDevice, now: Duration, out: &mut dyn Write) {
        let Some(words) = words_of(note) else { return };
        let judged = device.last().filter(|_| is_decision(note) || matches!(note, Note::Shows(_)));
        let seen = judged.map_or_else(String::new, seen_words);
        let nearest = judged.and_then(|judgement| judgement.nearest);
        let (distance, far) = nearest.map_or_else(Default::default, |found| {
            let distance = f64::from(found.distance);
            (format!("{distance:.2}"), rate_words(self.far.upper_bound(distance)))
        });
        line(out, format_args!("{:7.1}s  {seen:<26} {distance:>8} {far:>9}  {words}", now.as_secs_f32()));
    }

    /// Keeps one picture of each chapter: that of its decision, or else of its middle.
    fn photograph(&mut self, notes: &[Note], moment: Moment<'_>, scene: &Scene) {
        let now = moment.now;
        let decided = notes.iter().find(|note| is_decision(note));
        let chapter = scene.chapter_at(now);
        let have = self.shots.iter().position(|(of, _, _)| *of == chapter && chapter.is_some());
        let wanted = match (decided, have) {
            (Some(_), None) => true,
            (Some(_), Some(index)) => !self.shots[index].1,
            (None, Some(_)) => false,
            (None, None) => chapter.is_some_and(|index| {
                let chapter = &scene.chapters[index];
                now >= (chapter.from + chapter.to) / 2
            }),
        };
        if wanted && self.shots.len() < 64 {
            let shot = (chapter, decided.is_some(), shot_of(moment, decided, scene));
            match have {
                Some(index) => self.shots[index] = shot,
                None => self.shots.push(shot),
            }
        }
    }

    pub(super) fn finish(
        self,
        scene: &Scene,
        strike: Vec<(Duration, bool)>,
        end: Duration,
        out: &mut dyn Write,
    ) -> Outcome {
        let surprises = surprises(scene, &self.notes);
        line(out, format_args!(""));
        let openings = strike.iter().filter(|(_, driven)| *driven).count();
        line(out, format_args!("{:.0} s played; the strike was driven {openings} times", end.as_secs_f32()));
        for surprise in &surprises {
            line(out, format_args!("! not as expected: {surprise}"));
        }
        if surprises.is_empty() && !scene.chapters.is_empty() {
            line(out, format_args!("every chapter came as expected"));
        }
        let spans = scene.chapters.iter().map(|c| Span { from: c.from, to: c.to, title: c.title.clone() });
        let timeline = Timeline { strike: strike.clone(), spans: spans.collect(), end };
        let shots = self.shots.into_iter().map(|(_, _, shot)| shot).collect();
        Outcome { surprises, strike, notes: self.notes, shots, timeline }
    }
}

/// Whoever reads along may leave: the device goes on.
pub(super) fn line(out: &mut dyn Write, words: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{words}");
}

fn is_decision(note: &Note) -> bool {
    matches!(
        note,
        Note::Opened { .. }
            | Note::Refused(_)
            | Note::Enrolled { .. }
            | Note::NotEnrolled(_)
            | Note::Deleted { .. }
    )
}

fn words_of(note: &Note) -> Option<String> {
    Some(match note {
        Note::Shows(signal) => format!("lights: {}", signal.words()),
        Note::Strike(true) => "STRIKE driven".to_owned(),
        Note::Strike(false) => "strike released".to_owned(),
        Note::Opened { name, .. } => format!("OPENED for {name}"),
        Note::Refused(refusal) => format!("REFUSED: {}", refusal.words()),
        Note::Enrolled { name, .. } => format!("ENROLLED {name}"),
        Note::NotEnrolled(failure) => format!("enrolment {}", failure.words()),
        Note::Deleted { person } => format!("DELETED person {person}"),
        Note::Took(_) => return None,
        Note::Alarm(what) => format!("ALARM: {what}"),
        Note::Failed(what) => format!("! {what}"),
    })
}

fn rate_words(rate: f64) -> String {
    if rate >= 1.0 { "-".to_owned() } else { format!("{rate:.0e}") }
}

/// What a frame shows, in a few words.
fn seen_words(judgement: &Judgement) -> String {
    let Some(Face { obstacle, .. }) = judgement.sighting.face() else { return "nobody".to_owned() };
    let live = judgement.live.map_or_else(String::new, |score| format!(", live {score:.2}"));
    match (judgement.faces.len(), obstacle) {
        (_, Some(Obstacle::NotAlive)) => format!("a picture of a face{live}"),
        (_, Some(obstacle)) => format!("a face: {}", obstacle.advice()),
        (1, None) => format!("a face{live}"),
        (count, None) => format!("{count} faces{live}"),
    }
}

fn shot_of(moment: Moment<'_>, decided: Option<&Note>, scene: &Scene) -> Shot {
    let Moment { device, picture, now } = moment;
    let colour = match decided {
        Some(Note::Opened { .. } | Note::Enrolled { .. }) => sheet::OPEN,
        Some(_) => sheet::REFUSED,
        None => sheet::PENDING,
    };
    let marks = device.last().into_iter().flat_map(|judgement| &judgement.faces).map(|face| Mark {
        bounds: face.bounds.edges(),
        landmarks: face.landmarks.0.map(|point| [point.x, point.y]),
        colour,
    });
    let title = scene.chapter_at(now).map_or("", |index| &scene.chapters[index].title);
    let distance = device.last().and_then(|judgement| judgement.nearest).map(|found| found.distance);
    let distance = distance.map_or_else(String::new, |distance| format!("  distance {distance:.2}"));
    let decision = decided.and_then(words_of).unwrap_or_else(|| device.door().signal().words().to_owned());
    Shot {
        width: picture.width() as u32,
        height: picture.height() as u32,
        pixels: picture.pixels().to_vec(),
        marks: marks.collect(),
        caption: [format!("{:.1} s  {title}{distance}", now.as_secs_f32()), decision],
    }
}

/// Chapters that came otherwise than the scene says.
fn surprises(scene: &Scene, notes: &[(Duration, Option<usize>, Note)]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, chapter) in scene.chapters.iter().enumerate() {
        let of_chapter: Vec<&Note> =
            notes.iter().filter(|(_, at, _)| *at == Some(index)).map(|(_, _, note)| note).collect();
        let any = |wanted: fn(&Note) -> bool| of_chapter.iter().any(|note| wanted(note));
        let opened = any(|note| matches!(note, Note::Strike(true)));
        let refused = any(|note| matches!(note, Note::Refused(_)));
        let enrolled = any(|note| matches!(note, Note::Enrolled { .. }));
        let as_expected = match chapter.expect {
            Expectation::Nothing => !opened && !refused,
            Expectation::Enrolled => enrolled,
            Expectation::Unlocked => opened && !refused,
            Expectation::Refused => refused && !opened,
            Expectation::Unknown => true,
        };
        if !as_expected {
            let saw: Vec<String> = of_chapter.iter().filter_map(|note| words_of(note)).collect();
            found.push(format!(
                "\"{}\" should be {:?}, but: {}",
                chapter.title,
                chapter.expect,
                saw.join(", ")
            ));
        }
    }
    found
}
