//! The picture of a lock: from its vitals to the cells of a terminal. No clock, no cable.

use jiff::Timestamp;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Row, Table, Wrap};
use ratatui::{Frame, Terminal};

use crate::gallery::FarTable;
use crate::host::ink::Ink;
use crate::update::vitals::{Decision, DoorState, FlashPart, Sight, StageTime, Verdict, Vitals};

/// What is shown.
#[derive(Debug, Clone)]
pub struct Screen {
    /// How the lock was when it last answered.
    pub vitals: Vitals,
    /// What distances mean; `None` when the lock has other models than this computer.
    pub far: Option<FarTable>,
    /// Why the lock does not answer; `None` when it does.
    pub lost: Option<String>,
    /// Whether there are colours.
    pub ink: Ink,
}

impl Screen {
    fn colour(&self, colour: Color) -> Style {
        match self.ink {
            Ink::Plain => Style::new(),
            Ink::Coloured => Style::new().fg(colour),
        }
    }

    /// A distance, and how often strangers are as near.
    fn distance(&self, distance: f32) -> String {
        let rate =
            self.far.as_ref().map(|far| far.upper_bound(f64::from(distance))).filter(|rate| *rate < 1.0);
        rate.map_or_else(|| format!("{distance:.2}"), |rate| format!("{distance:.2} (FAR below {rate:.0e})"))
    }
}

/// Draws the screen; whatever does not fit is left out from below.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let [title, door, sight, decisions, parts, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(4),
        Constraint::Length(4),
        Constraint::Min(4),
        Constraint::Length(8),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let [stages, flash] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(parts);
    let vitals = &screen.vitals;
    frame.render_widget(Line::styled(title_of(vitals), Style::new().add_modifier(Modifier::BOLD)), title);
    frame.render_widget(block(" door ", door_lines(screen)), door);
    frame.render_widget(block(" camera ", vec![sight_line(screen)]), sight);
    draw_decisions(frame, screen, decisions);
    draw_stages(frame, &vitals.stages, stages);
    draw_flash(frame, screen, flash);
    frame.render_widget(Line::raw("q ends; the lock is not changed by looking at it"), keys);
}

/// The screen as text of so many columns and rows, without blanks at the ends of lines.
#[must_use]
pub fn text(screen: &Screen, (columns, rows): (u16, u16)) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(columns, rows));
    let Ok(_) = terminal.draw(|frame| draw(frame, screen));
    let cells = terminal.backend().buffer().content();
    let line = |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect::<String>();
    cells.chunks(usize::from(columns)).map(|row| format!("{}\n", line(row).trim_end())).collect()
}

fn block<'a>(title: &'a str, lines: Vec<Line<'a>>) -> Paragraph<'a> {
    Paragraph::new(lines).wrap(Wrap { trim: true }).block(Block::bordered().title(title))
}

fn title_of(vitals: &Vitals) -> String {
    let time = vitals.unix_ms.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
    let time = time.map_or_else(
        || "time not known: facelatch set-time".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    );
    let models = match vitals.version {
        0 => "models of the firmware".to_owned(),
        version => format!("models version {version}"),
    };
    format!("facelatch, up for {}, {time}, {models}, embedder {}", span(vitals.up_ms), vitals.embedding_id)
}

/// A time in its two largest units.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn door_lines(screen: &Screen) -> Vec<Line<'_>> {
    let vitals = &screen.vitals;
    if let Some(reason) = &screen.lost {
        let lost =
            Line::styled("NO ANSWER, trying again; what is below was before", screen.colour(Color::Red));
        return vec![lost, Line::raw(reason.as_str())];
    }
    let (state, colour) = match vitals.door {
        DoorState::Locked => ("LOCKED", Color::Reset),
        DoorState::Open => ("OPEN", Color::Green),
        DoorState::Settling => ("LOCKED, until whoever is there leaves", Color::Reset),
        DoorState::Enrolling => ("ENROLLING", Color::Yellow),
        DoorState::Deleting => ("DELETING", Color::Yellow),
        DoorState::Other => ("BUSY", Color::Yellow),
    };
    let strike = if vitals.strike_driven { "strike DRIVEN" } else { "strike released" };
    let lockout = match (vitals.locked_out_ms, vitals.failures) {
        (0, 0) => Span::raw("no failures"),
        (0, failures) => Span::raw(format!("failures since the last success: {failures}")),
        (ms, failures) => {
            let words = format!("LOCKED OUT after {failures} failures, {} left", span(u64::from(ms)));
            Span::styled(words, screen.colour(Color::Red))
        }
    };
    vec![
        Line::from(vec![
            Span::styled(state, screen.colour(colour).add_modifier(Modifier::BOLD)),
            Span::raw(format!("   {strike}   lights: {}", vitals.shows)),
        ]),
        Line::from(lockout),
    ]
}

fn sight_line(screen: &Screen) -> Line<'_> {
    let frames = screen.vitals.frames;
    let Some(Sight { age_ms, faces, live, nearest, agreeing }) = screen.vitals.sight else {
        return Line::raw("no frame yet");
    };
    let who = match faces {
        0 => "nobody".to_owned(),
        1 => "a face".to_owned(),
        faces => format!("{faces} faces"),
    };
    let live = live.map_or_else(String::new, |live| format!(", live {live:.2}"));
    let nearest = nearest.map_or_else(String::new, |(person, distance)| {
        format!("; nearest is person {person} at distance {}", screen.distance(distance))
    });
    let (agree, needed) = agreeing;
    let agree = if faces > 0 { format!("; {agree} of {needed} frames agree") } else { String::new() };
    Line::raw(format!("{who}{live}{nearest}{agree} (frame {frames}, {age_ms} ms old)"))
}

fn draw_decisions(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let row = |decision: &Decision| {
        let Decision { number, ago_ms, verdict, person, distance, reason } = decision;
        let (words, colour) = match verdict {
            Verdict::Opened => ("OPENED", Color::Green),
            Verdict::Refused => ("REFUSED", Color::Red),
            Verdict::Enrolled => ("ENROLLED", Color::Green),
            Verdict::NotEnrolled => ("not enrolled", Color::Yellow),
            Verdict::Deleted => ("DELETED", Color::Yellow),
            Verdict::Other => ("", Color::Reset),
        };
        let person = person.map_or_else(String::new, |person| match verdict {
            Verdict::Refused => format!("nearest {person}"),
            _ => format!("person {person}"),
        });
        let distance = distance.map_or_else(String::new, |distance| screen.distance(distance));
        let ago = format!("{} ago", span(u64::from(*ago_ms)));
        Row::new([format!("{number}"), ago, words.to_owned(), person, distance, reason.clone()])
            .style(screen.colour(colour))
    };
    let widths = [4, 14, 12, 11, 21].map(Constraint::Length).into_iter().chain([Constraint::Min(10)]);
    let head = Row::new(["no.", "when", "decision", "who", "distance", "why"]);
    let table = Table::new(screen.vitals.decisions.iter().map(row), widths).header(head);
    frame.render_widget(table.block(Block::bordered().title(" decisions, newest first ")), area);
}

fn draw_stages(frame: &mut Frame<'_>, stages: &[StageTime], area: Rect) {
    let ms = |us: u32| format!("{:8.2}", f64::from(us) / 1e3);
    let row = |stage: &StageTime| Row::new([stage.stage.clone(), ms(stage.mean_us), ms(stage.worst_us)]);
    let widths = [Constraint::Min(10), Constraint::Length(9), Constraint::Length(9)];
    let head = Row::new(["stage", "    mean", "   worst"]);
    let table = Table::new(stages.iter().map(row), widths).header(head);
    frame.render_widget(table.block(Block::bordered().title(" milliseconds a frame ")), area);
}

fn draw_flash(frame: &mut Frame<'_>, screen: &Screen, area: Rect) {
    let row = |part: &FlashPart| {
        let FlashPart { name, blocks, erased, retired } = part;
        let each = f64::from(*erased) / f64::from((*blocks).max(1));
        let state = if *retired { "FAILED".to_owned() } else { format!("{each:.2}") };
        let style = if *retired { screen.colour(Color::Red) } else { Style::new() };
        Row::new([name.clone(), format!("{blocks:>6}"), format!("{erased:>6}"), state]).style(style)
    };
    let widths = [Constraint::Min(8), Constraint::Length(7), Constraint::Length(7), Constraint::Length(11)];
    let head = Row::new(["part", "blocks", "erased", "each block"]);
    let table = Table::new(screen.vitals.flash.iter().map(row), widths).header(head);
    frame.render_widget(table.block(Block::bordered().title(" flash, since the start ")), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::Rate;

    fn vitals() -> Vitals {
        let decision = |number, verdict, person, distance, reason: &str| Decision {
            number,
            ago_ms: 61_000 * number,
            verdict,
            person,
            distance,
            reason: reason.to_owned(),
        };
        Vitals {
            up_ms: 90_061_000,
            unix_ms: Some(1_795_000_000_000),
            door: DoorState::Open,
            shows: "come in".to_owned(),
            strike_driven: true,
            failures: 0,
            locked_out_ms: 0,
            frames: 1234,
            sight: Some(Sight {
                age_ms: 40,
                faces: 1,
                live: Some(0.97),
                nearest: Some((3, 0.42)),
                agreeing: (3, 3),
            }),
            stages: vec![StageTime { stage: "detect".to_owned(), mean_us: 1500, worst_us: 12_340 }],
            flash: vec![
                FlashPart { name: "gallery".to_owned(), blocks: 640, erased: 64, retired: false },
                FlashPart { name: "audit".to_owned(), blocks: 112, erased: 9, retired: true },
            ],
            version: 4,
            embedding_id: 3,
            decisions: vec![
                decision(2, Verdict::Opened, Some(3), Some(0.42), "recognised"),
                decision(1, Verdict::Refused, Some(3), Some(1.39), "nobody enrolled has this face"),
            ],
        }
    }

    fn screen() -> Screen {
        let rate = |distance, far| Rate { distance, far, far_upper_95: far };
        let far = FarTable::new(vec![rate(0.5, 2e-7), rate(1.4, 1e-2)]).expect("grows");
        Screen { vitals: vitals(), far: Some(far), lost: None, ink: Ink::Plain }
    }

    #[test]
    fn everything_that_the_lock_tells_is_on_the_screen() {
        let text = text(&screen(), (100, 30));
        for words in [
            "up for 1 d 1 h, 2026-11-18",
            "models version 4, embedder 3",
            "OPEN   strike DRIVEN   lights: come in",
            "no failures",
            "a face, live 0.97; nearest is person 3 at distance 0.42 (FAR below 2e-7); 3 of 3 frames agree",
            "OPENED",
            "nearest 3",
            "1.39 (FAR below 1e-2)",
            "nobody enrolled has this face",
            "1.50     12.34",
            "0.10",
            "FAILED",
        ] {
            assert!(text.contains(words), "\"{words}\" is missing in\n{text}");
        }
    }

    #[test]
    fn a_lockout_and_a_silent_lock_come_first() {
        let mut screen = screen();
        (screen.vitals.locked_out_ms, screen.vitals.failures) = (29_400, 5);
        assert!(text(&screen, (100, 30)).contains("LOCKED OUT after 5 failures, 29 s left"));
        screen.lost = Some("the line is silent".to_owned());
        let text = text(&screen, (100, 30));
        assert!(text.contains("NO ANSWER") && text.contains("the line is silent"), "{text}");
    }

    #[test]
    fn without_colours_no_cell_has_one() {
        let count = |ink| {
            let mut terminal = Terminal::new(TestBackend::new(100, 30)).expect("a buffer");
            terminal.draw(|frame| draw(frame, &Screen { ink, ..screen() })).expect("drawn");
            let cells = terminal.backend().buffer().content().to_vec();
            cells.iter().filter(|cell| cell.fg != Color::Reset).count()
        };
        assert_eq!(count(Ink::Plain), 0);
        assert!(count(Ink::Coloured) > 0);
    }

    #[test]
    fn any_size_of_terminal_and_any_numbers_can_be_drawn() {
        let mut screen = screen();
        screen.vitals.up_ms = u64::MAX;
        screen.vitals.unix_ms = Some(u64::MAX);
        screen.vitals.shows = "x".repeat(300);
        screen.vitals.flash[0].blocks = 0;
        for size in [(1, 1), (10, 3), (40, 12), (80, 24), (300, 100)] {
            assert_eq!(text(&screen, size).lines().count(), usize::from(size.1), "{size:?}");
        }
    }
}
