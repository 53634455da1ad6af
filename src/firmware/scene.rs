//! A recorded scene: frames, the button's presses, and what each chapter should come to.
//!
//! `scene.toml` lies beside the frames that it names. A folder of pictures or a film without such a file
//! is played as one chapter that expects nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use crate::door::Event;
use crate::door::inputs::Input;
use crate::door::keypad::Key;

/// Why a scene cannot be played.
#[derive(Debug, Error)]
pub enum SceneError {
    /// The description cannot be read.
    #[error("cannot read {}; name a folder with scene.toml, or leave --scene out for the bundled one", path.display())]
    Read {
        /// The description.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// The description is not what is expected.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The description.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
}

/// What a chapter should come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// The strike stays at rest and nobody is noted as refused.
    Nothing,
    /// Somebody is enrolled.
    Enrolled,
    /// The strike is driven.
    Unlocked,
    /// A face was judged and the strike stayed at rest.
    Refused,
    /// Anything: the frames are not known.
    Unknown,
}

/// Something that a hand does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hand {
    /// The enrol button goes down.
    ButtonPress,
    /// The enrol button comes up.
    ButtonRelease,
    /// The exit button is pressed.
    ExitPress,
    /// The exit button is released.
    ExitRelease,
    /// The door is opened.
    DoorOpen,
    /// The door is closed.
    DoorClose,
    /// A key of the keypad is pressed.
    Key(Key),
}

impl Hand {
    /// What it is to the door; a key is nothing to it.
    #[must_use]
    pub fn event(self) -> Option<Event> {
        let (input, active) = match self {
            Self::ButtonPress => (Input::EnrolButton, true),
            Self::ButtonRelease => (Input::EnrolButton, false),
            Self::ExitPress => (Input::ExitButton, true),
            Self::ExitRelease => (Input::ExitButton, false),
            Self::DoorOpen => (Input::DoorSensor, true),
            Self::DoorClose => (Input::DoorSensor, false),
            Self::Key(_) => return None,
        };
        Some(input.event(active))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    frames: PathBuf,
    fps: u32,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    event: Vec<FileEvent>,
    #[serde(default)]
    chapter: Vec<FileChapter>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEvent {
    at_ms: u64,
    kind: Hand,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileChapter {
    from_ms: u64,
    to_ms: u64,
    title: String,
    who: String,
    expect: Expectation,
}

/// A part of the scene with one thing happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chapter {
    /// Its first frame.
    pub from: Duration,
    /// The first frame after it.
    pub to: Duration,
    /// A few words.
    pub title: String,
    /// Who stands there, as the recording names them.
    pub who: String,
    /// What it should come to.
    pub expect: Expectation,
}

/// A scene that is ready to be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Film, folder of pictures or picture.
    pub frames: PathBuf,
    /// Frames a second, 1..=120.
    pub fps: u32,
    /// Seed that made it; 0 if it was not made by a program.
    pub seed: u64,
    /// What hands do, in order of time.
    pub hands: Vec<(Duration, Hand)>,
    /// What happens, in order of time.
    pub chapters: Vec<Chapter>,
}

impl Scene {
    /// Reads `folder/scene.toml`.
    ///
    /// # Errors
    /// When it cannot be read, has unknown keys or values, or its times run backwards.
    pub fn read(folder: &Path) -> Result<Self, SceneError> {
        let path = folder.join("scene.toml");
        let text =
            fs::read_to_string(&path).map_err(|source| SceneError::Read { path: path.clone(), source })?;
        let invalid = |reason: String| SceneError::Invalid { path: path.clone(), reason };
        let file: File = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        let scene = Self::from_file(file, folder);
        scene.check().map_err(invalid)?;
        Ok(scene)
    }

    /// Frames without a description, at `fps` frames a second.
    #[must_use]
    pub fn of_frames(frames: &Path, fps: u32) -> Self {
        Self { frames: frames.to_path_buf(), fps, seed: 0, hands: Vec::new(), chapters: Vec::new() }
    }

    fn from_file(file: File, folder: &Path) -> Self {
        let chapter = |c: FileChapter| Chapter {
            from: Duration::from_millis(c.from_ms),
            to: Duration::from_millis(c.to_ms),
            title: c.title,
            who: c.who,
            expect: c.expect,
        };
        Self {
            frames: folder.join(file.frames),
            fps: file.fps,
            seed: file.seed,
            hands: file.event.iter().map(|e| (Duration::from_millis(e.at_ms), e.kind)).collect(),
            chapters: file.chapter.into_iter().map(chapter).collect(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=120).contains(&self.fps) {
            return Err(format!("fps is {}; expected 1 to 120", self.fps));
        }
        if self.hands.windows(2).any(|pair| pair[0].0 > pair[1].0) {
            return Err("events must stand in order of at_ms".to_owned());
        }
        let mut end = Duration::ZERO;
        for chapter in &self.chapters {
            if chapter.from < end || chapter.to <= chapter.from {
                return Err(format!("chapter \"{}\" overlaps the one before it or is empty", chapter.title));
            }
            end = chapter.to;
        }
        Ok(())
    }

    /// The chapter that is playing at `now`.
    #[must_use]
    pub fn chapter_at(&self, now: Duration) -> Option<usize> {
        self.chapters.iter().position(|c| (c.from..c.to).contains(&now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Scene, SceneError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("scene.toml"), text).expect("written");
        Scene::read(folder.path())
    }

    const GOOD: &str = "frames = \"f.mjpeg\"\nfps = 10\n[[event]]\nat_ms = 5\nkind = \"button_press\"\n\
        [[chapter]]\nfrom_ms = 0\nto_ms = 100\ntitle = \"a\"\nwho = \"nobody\"\nexpect = \"nothing\"\n";

    #[test]
    fn a_scene_says_which_chapter_plays() {
        let scene = read(GOOD).expect("a good scene");
        assert_eq!(scene.chapter_at(Duration::from_millis(99)), Some(0));
        assert_eq!(scene.chapter_at(Duration::from_millis(100)), None);
        assert_eq!(scene.hands, [(Duration::from_millis(5), Hand::ButtonPress)]);
        let typing = read(&GOOD.replace("\"button_press\"", "{ key = \"7\" }")).expect("a good scene");
        assert_eq!(typing.hands, [(Duration::from_millis(5), Hand::Key(Key::Digit(7)))]);
        let letter =
            read(&GOOD.replace("\"button_press\"", "{ key = \"a\" }")).expect_err("no key").to_string();
        assert!(letter.contains("keys are 0 to 9"), "{letter}");
    }

    #[test]
    fn an_unknown_key_or_a_chapter_that_runs_backwards_is_refused_by_name() {
        let unknown = read(&GOOD.replace("fps", "speed")).expect_err("unknown key").to_string();
        assert!(unknown.contains("speed"), "{unknown}");
        let backwards =
            read(&GOOD.replace("to_ms = 100", "to_ms = 0")).expect_err("empty chapter").to_string();
        assert!(backwards.contains("\"a\""), "{backwards}");
        let stopped = read(&GOOD.replace("fps = 10", "fps = 0")).expect_err("no frames").to_string();
        assert!(stopped.contains("1 to 120"), "{stopped}");
    }

    #[test]
    fn a_missing_description_says_what_to_do() {
        let message = Scene::read(Path::new("/nonexistent")).expect_err("nothing there").to_string();
        assert!(message.contains("scene.toml"), "{message}");
    }
}
