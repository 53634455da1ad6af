//! Frames from files: pictures, a folder of them, JPEG streams (`.mjpeg`) and YUV4MPEG2 (`.y4m`).
//!
//! A replay loses no frame and never waits: each call gives the next one, whose time is counted in steps of
//! the frame period. Damaged frames are reported with their names and passed over.

use super::stream::{Mjpeg, Next, Rewind, Y4m};
use super::{Camera, CameraError, Frame, PixelFormat};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use std::fs::File;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time from frame to frame where neither the caller nor the file says it. A choice: what the smallest
/// board can analyse.
const DEFAULT_PERIOD: Duration = Duration::from_millis(100);

/// Longest side of a picture in pixels: what the rest of the device can take.
const MAX_SIDE: u32 = 16_384;

/// Most memory that decoding one picture may take, bytes. A choice.
const MAX_DECODED: u64 = 512 << 20;

/// What a folder's pictures end in.
const PICTURES: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "ppm", "pgm", "pnm"];

/// How frames are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayOptions {
    /// Time from frame to frame; `None` takes the file's, or 100 ms.
    pub period: Option<Duration>,
    /// When the first frame is taken.
    pub start: Duration,
    /// Whether it begins anew after the last frame.
    pub looping: bool,
}

/// A camera whose frames come from files.
pub struct Replay {
    name: String,
    source: Source,
    options: ReplayOptions,
    period: Duration,
    played: u32,
    playable: bool,
}

/// Where the frames come from.
enum Source {
    Pictures(Pictures),
    Mjpeg(Mjpeg),
    Y4m(Y4m),
}

/// Picture files, one frame each.
struct Pictures {
    files: Vec<PathBuf>,
    next: usize,
    decoded: Vec<u8>,
}

impl Replay {
    /// Opens a picture, a folder of pictures (played in the order of their names), an `.mjpeg` (`.mjpg`) or a
    /// `.y4m` file.
    ///
    /// # Errors
    /// When `path` cannot be read or has nothing to play; the error names it and says what is expected.
    pub fn open(path: &Path, options: ReplayOptions) -> Result<Self, CameraError> {
        let failed = |source| CameraError::Read { path: path.to_owned(), source };
        let name = path.display().to_string();
        if path.is_dir() {
            return Ok(Self::new(name, Source::Pictures(Pictures::of_folder(path)?), options));
        }
        let file = File::open(path).map_err(failed)?;
        match extension(path).as_str() {
            "mjpeg" | "mjpg" => Ok(Self::mjpeg(name, file, options)),
            "y4m" => {
                let stream = Y4m::new(Box::new(file)).map_err(failed)?;
                let stream = stream.map_err(|error| nothing_to_play(path, error.to_string()))?;
                Ok(Self::new(name, Source::Y4m(stream), options))
            }
            known if PICTURES.contains(&known) => {
                let one = Pictures { files: vec![path.to_owned()], next: 0, decoded: Vec::new() };
                Ok(Self::new(name, Source::Pictures(one), options))
            }
            _ => {
                Err(nothing_to_play(path, format!("is no .mjpeg, .y4m or picture ({})", PICTURES.join(", "))))
            }
        }
    }

    /// Plays JPEG pictures that lie end to end in `bytes`, such as the bundled scene; `name` is for messages.
    #[must_use]
    pub fn from_mjpeg(name: &str, bytes: &'static [u8], options: ReplayOptions) -> Self {
        Self::mjpeg(name.to_owned(), Cursor::new(bytes), options)
    }

    fn mjpeg(name: String, source: impl Rewind + 'static, options: ReplayOptions) -> Self {
        Self::new(name, Source::Mjpeg(Mjpeg::new(Box::new(source))), options)
    }

    fn new(name: String, source: Source, options: ReplayOptions) -> Self {
        let own = if let Source::Y4m(stream) = &source { stream.header().period } else { None };
        let period = options.period.or(own).unwrap_or(DEFAULT_PERIOD);
        Self { name, source, options, period, played: 0, playable: false }
    }

    /// How many frames there are; `None` for streams, which are not counted before.
    #[must_use]
    pub fn frames(&self) -> Option<usize> {
        if let Source::Pictures(pictures) = &self.source { Some(pictures.files.len()) } else { None }
    }

    /// Time from frame to frame.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Goes on to the next frame and returns its size; damaged frames are errors, the end begins anew when
    /// the options say so.
    fn advance(&mut self) -> Result<(usize, usize), CameraError> {
        loop {
            let next = self.source.next().map_err(|source| self.unreadable(source))?;
            let number = self.played;
            match next {
                Next::Frame { width, height } => {
                    self.played += 1;
                    self.playable = true;
                    return Ok((width, height));
                }
                Next::Damaged(reason) => {
                    self.played += 1;
                    let name =
                        self.source.current().unwrap_or_else(|| format!("{}, frame {number}", self.name));
                    return Err(CameraError::Skipped { name, reason });
                }
                Next::End if self.options.looping && self.playable => {
                    self.playable = false;
                    self.source.rewind().map_err(|source| self.unreadable(source))?;
                }
                Next::End => return Err(CameraError::Ended { name: self.name.clone() }),
            }
        }
    }

    fn unreadable(&self, source: io::Error) -> CameraError {
        CameraError::Read { path: PathBuf::from(&self.name), source }
    }
}

impl Camera for Replay {
    fn next_frame(&mut self, _wait: Duration) -> Result<Frame<'_>, CameraError> {
        let (width, height) = self.advance()?;
        let captured_at = self.options.start.saturating_add(self.period.saturating_mul(self.played - 1));
        let (bytes, format, stride) = match &self.source {
            Source::Pictures(pictures) => (pictures.decoded.as_slice(), PixelFormat::Rgb8, 3 * width),
            Source::Mjpeg(stream) => (stream.picture(), PixelFormat::Mjpeg, 0),
            Source::Y4m(stream) => {
                let (format, stride) = stream.header().format();
                (stream.frame(), format, stride)
            }
        };
        Ok(Frame { bytes, format, width, height, stride, captured_at })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Source {
    fn next(&mut self) -> io::Result<Next> {
        match self {
            Self::Pictures(pictures) => Ok(pictures.next()),
            Self::Mjpeg(stream) => stream.next(),
            Self::Y4m(stream) => stream.next(),
        }
    }

    fn rewind(&mut self) -> io::Result<()> {
        match self {
            Self::Pictures(pictures) => pictures.next = 0,
            Self::Mjpeg(stream) => stream.rewind()?,
            Self::Y4m(stream) => stream.rewind()?,
        }
        Ok(())
    }

    /// Name of the file of the current frame, where frames have one.
    fn current(&self) -> Option<String> {
        let Self::Pictures(pictures) = self else { return None };
        pictures.files.get(pictures.next.checked_sub(1)?).map(|file| file.display().to_string())
    }
}

impl Pictures {
    /// The pictures of a folder, by name.
    fn of_folder(folder: &Path) -> Result<Self, CameraError> {
        let failed = |source| CameraError::Read { path: folder.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if PICTURES.contains(&extension(&path).as_str()) && path.is_file() {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(nothing_to_play(
                folder,
                format!("the folder has no pictures ({})", PICTURES.join(", ")),
            ));
        }
        files.sort();
        Ok(Self { files, next: 0, decoded: Vec::new() })
    }

    /// Decodes the next picture.
    fn next(&mut self) -> Next {
        let Some(file) = self.files.get(self.next) else { return Next::End };
        self.next += 1;
        match decode(file) {
            Ok(picture) => {
                let (width, height) = (picture.width() as usize, picture.height() as usize);
                self.decoded = picture.into_rgb8().into_raw();
                Next::Frame { width, height }
            }
            Err(reason) => Next::Damaged(reason),
        }
    }
}

/// A picture file, upright as its camera says.
fn decode(file: &Path) -> Result<DynamicImage, String> {
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    limits.max_alloc = Some(MAX_DECODED);
    let opened = ImageReader::open(file).and_then(ImageReader::with_guessed_format);
    let mut reader = opened.map_err(|error| error.to_string())?;
    reader.limits(limits);
    let decoded = reader.into_decoder().and_then(|mut decoder| {
        let orientation = decoder.orientation()?;
        let mut picture = DynamicImage::from_decoder(decoder)?;
        picture.apply_orientation(orientation);
        Ok(picture)
    });
    decoded.map_err(|error| error.to_string())
}

/// A file's extension in lower case.
fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn nothing_to_play(path: &Path, reason: String) -> CameraError {
    CameraError::NothingToPlay { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests;
