//! `facelatch watch`: what happens at a door, live in a terminal, over the owner's cable.
//!
//! ```text
//! cable --vitals, twice a second--> a thread --news--> screen <--keys-- terminal
//! ```
//!
//! It changes nothing on the lock and needs no key: people are numbers, and there is no picture.

mod view;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

pub use self::view::{Screen, draw, text};
use super::cable::{Cable, CableError};
use super::ink::Ink;
use super::models;
use super::output::Json;
use crate::gallery::FarTable;
use crate::update::vitals::Vitals;

/// How often the lock is asked. A choice: a person reads no faster, and at 115,200 bits a second the line is busy
/// for a tenth of it.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a lock that was lost is left alone before it is greeted again. A choice.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a lock may be silent before that is shown. A choice: six answers are missing then.
const SILENCE: Duration = Duration::from_secs(3);
/// How long a key waits to be seen. A choice: less than a person notices.
const KEYS: Duration = Duration::from_millis(50);
/// Columns and rows of a picture for a file.
const PAGE: (u16, u16) = (100, 30);

const EXAMPLES: &str = "Examples:
  facelatch watch                          the lock at the only serial port; q ends
  facelatch watch --port /dev/ttyUSB0
  facelatchd --link lock.tty               a simulated lock, in another terminal, for
  facelatch watch --port lock.tty
  facelatch watch --once                   one look, as text
  facelatch watch --json                   a line of JSON twice a second

Exit status:
  0  you ended it
  2  something is wrong on this computer
  3  there is no lock: no port, it is in use, or nothing answers
  4  the line broke off (with --once or --json; else it tries again)";

/// Whom to watch, and how.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WatchOptions {
    /// The lock.
    #[command(flatten)]
    pub cable: Cable,
    /// Show how it is, once, and end.
    #[arg(long, conflicts_with = "json")]
    pub once: bool,
    /// Folder of the models, which say what a distance means if the lock has the same.
    #[arg(long, value_name = "FOLDER", default_value = models::released())]
    pub models: PathBuf,
    /// For programs.
    #[command(flatten)]
    pub form: Json,
}

/// What comes from the lock.
type News = Result<Vitals, CableError>;

/// Shows a lock until `q` is pressed.
///
/// # Errors
/// When there is no lock at the start; later losses are shown. Without a terminal, when the line breaks off.
pub fn run(options: &WatchOptions, ink: Ink, out: &mut dyn Write) -> Result<(), CableError> {
    if options.form.json {
        return options.cable.with(|client| {
            loop {
                serde_json::to_writer(&mut *out, &client.vitals()?).map_err(io::Error::from)?;
                writeln!(out)?;
                client.idle(PAUSE)?;
            }
        });
    }
    let meaning = |vitals: &Vitals| meaning(&options.models, vitals.embedding_id);
    if options.once || !io::stdout().is_terminal() {
        let vitals = options.cable.with(|client| Ok(client.vitals()?))?;
        let screen = Screen { far: meaning(&vitals), vitals, lost: None, ink: Ink::Plain };
        return Ok(out.write_all(text(&screen, PAGE).as_bytes())?);
    }
    let news = listen(options.cable.clone());
    let first = news.recv().map_err(|_| ended())??;
    let mut screen = Screen { far: meaning(&first), vitals: first, lost: None, ink };
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, &mut screen, &news);
    ratatui::restore();
    shown
}

/// Asks the lock in a thread of its own: while the line is silent, keys are heard.
fn listen(cable: Cable) -> Receiver<News> {
    let (news, heard) = sync_channel(1);
    thread::spawn(move || {
        loop {
            let lost = cable.with(|client| ask(client, &news));
            let Err(error) = lost else { return };
            if news.send(Err(error)).is_err() {
                return;
            }
            thread::sleep(AGAIN);
        }
    });
    heard
}

/// Asks until nobody listens any more.
fn ask(client: &mut crate::update::client::Client<'_>, news: &SyncSender<News>) -> Result<(), CableError> {
    loop {
        let vitals = client.vitals()?;
        if news.send(Ok(vitals)).is_err() {
            return Ok(());
        }
        client.idle(PAUSE)?;
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    screen: &mut Screen,
    news: &Receiver<News>,
) -> Result<(), CableError> {
    let mut heard = Instant::now();
    loop {
        terminal.draw(|frame| draw(frame, screen))?;
        match news.recv_timeout(KEYS) {
            Ok(Ok(vitals)) => (screen.vitals, screen.lost, heard) = (vitals, None, Instant::now()),
            Ok(Err(error)) => screen.lost = Some(error.to_string()),
            Err(RecvTimeoutError::Timeout) if screen.lost.is_none() && heard.elapsed() > SILENCE => {
                screen.lost = Some("it is silent; is its cable plugged in, and has it power?".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ended().into()),
        }
        while event::poll(Duration::ZERO)? {
            if is_end(&event::read()?) {
                return Ok(());
            }
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread at the cable ended")
}

fn is_end(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

/// What distances mean, if the models in `folder` are those of the lock.
fn meaning(folder: &Path, embedding_id: u32) -> Option<FarTable> {
    let manifest = models::embedder_manifest(folder).ok()?;
    (manifest.embedding_id == embedding_id).then(|| FarTable::of(&manifest).ok())?
}
