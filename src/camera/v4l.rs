//! A Linux camera (V4L2), in a thread of its own.
//!
//! The driver chooses the nearest size that it has; raw formats go before JPEG, which costs time to decode.
//! A camera that is missing, unplugged or silent is looked for again, ever less often. What blocks in the
//! driver blocks that thread only.

use super::jpeg::{Found, find};
use super::newest::{Newest, Owned, Taken};
use super::{Camera, CameraError, Frame, PixelFormat};
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use v4l::buffer::{Flags, Metadata, Type};
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream as _;
use v4l::video::Capture as _;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC};

/// Buffers that the driver fills in turn. A choice: one is read while the next is filled, two are in reserve.
const BUFFERS: u32 = 4;

/// A camera that is silent for this long is opened anew. A choice, longer than the longest exposure.
const SILENCE: Duration = Duration::from_secs(2);

/// Pauses between attempts to open it: the first, and the longest, doubling between. A choice.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What can be used, the cheapest first.
const FORMATS: [(&[u8; 4], PixelFormat); 4] = [
    (b"YUYV", PixelFormat::Yuyv),
    (b"NV12", PixelFormat::Nv12),
    (b"GREY", PixelFormat::Gray8),
    (b"MJPG", PixelFormat::Mjpeg),
];

/// What is asked of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4lSettings {
    /// Its device file, such as `/dev/video0`.
    pub device: PathBuf,
    /// Width in pixels; the nearest that it has is taken.
    pub width: usize,
    /// Height in pixels; the nearest that it has is taken.
    pub height: usize,
    /// Frames per second; what it does instead is accepted.
    pub frames_per_second: u32,
}

/// A Linux camera.
pub struct V4lCamera {
    name: String,
    settings: V4lSettings,
    newest: Arc<Newest>,
    worker: Option<JoinHandle<()>>,
    frame: Owned,
}

impl V4lCamera {
    /// Begins to look for the camera. Whether it is there, the frames will tell.
    #[must_use]
    pub fn new(settings: V4lSettings) -> Self {
        let name = format!("camera {}", settings.device.display());
        Self { name, settings, newest: Arc::new(Newest::new()), worker: None, frame: Owned::empty() }
    }

    /// Begins the camera's thread, also when it has panicked.
    fn ensure_worker(&mut self) -> io::Result<()> {
        if self.worker.as_ref().is_some_and(|worker| !worker.is_finished()) {
            return Ok(());
        }
        let worker =
            Worker { name: self.name.clone(), settings: self.settings.clone(), newest: self.newest.clone() };
        self.worker = Some(thread::Builder::new().name("camera".into()).spawn(move || worker.run())?);
        Ok(())
    }
}

impl Camera for V4lCamera {
    /// Frames' times are `CLOCK_MONOTONIC`.
    fn next_frame(&mut self, wait: Duration) -> Result<Frame<'_>, CameraError> {
        self.ensure_worker().map_err(|error| gone(&self.name, &error))?;
        match self.newest.take(wait, &mut self.frame) {
            Taken::Frame => Ok(self.frame.borrow()),
            Taken::Trouble(trouble) => Err(trouble),
            Taken::Nothing => Err(CameraError::Late { name: self.name.clone(), waited: wait }),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for V4lCamera {
    /// Does not wait for the thread: it may be blocked in the driver.
    fn drop(&mut self) {
        self.newest.close();
    }
}

/// The camera's thread.
struct Worker {
    name: String,
    settings: V4lSettings,
    newest: Arc<Newest>,
}

/// What the driver agreed to.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    format: PixelFormat,
    width: usize,
    height: usize,
    stride: usize,
}

impl Worker {
    /// Opens the camera and delivers its frames until it is told to end, again and again.
    fn run(self) {
        let mut pause = PAUSES.0;
        while !self.newest.is_closed() {
            let mut delivered = false;
            if let Err(trouble) = self.deliver(&mut delivered) {
                self.newest.report(trouble);
            }
            pause = if delivered { PAUSES.0 } else { (2 * pause).min(PAUSES.1) };
            self.newest.pause(pause);
        }
    }

    /// Delivers frames until something is wrong. `delivered` is set by the first.
    fn deliver(&self, delivered: &mut bool) -> Result<(), CameraError> {
        let failed = |error: io::Error| gone(&self.name, &error);
        let device = Device::with_path(&self.settings.device).map_err(failed)?;
        let agreed = self.agree(&device)?;
        let rate = Parameters::with_fps(self.settings.frames_per_second.max(1));
        let _accepted = device.set_params(&rate);
        let mut stream = Stream::with_buffers(&device, Type::VideoCapture, BUFFERS).map_err(failed)?;
        stream.set_timeout(SILENCE);
        while !self.newest.is_closed() {
            let (buffer, metadata) = stream.next().map_err(failed)?;
            match received(buffer, metadata, &agreed) {
                Ok(frame) => {
                    self.newest.put(&frame);
                    *delivered = true;
                }
                Err(reason) => {
                    let name = format!("{}, frame {}", self.name, metadata.sequence);
                    self.newest.report(CameraError::Skipped { name, reason });
                }
            }
        }
        Ok(())
    }

    /// Agrees with the driver on the format whose size is nearest to what is wanted.
    fn agree(&self, device: &Device) -> Result<Agreed, CameraError> {
        let failed = |error: io::Error| gone(&self.name, &error);
        let offered = device.enum_formats().map_err(failed)?;
        let usable = FORMATS.iter().filter(|(code, _)| offered.iter().any(|o| o.fourcc.repr == **code));
        let sizes = usable.filter_map(|(code, _)| self.ask(device, code).ok().map(|found| (*code, found)));
        let best = sizes.min_by_key(|(_, found)| self.distance(found)).map(|(code, _)| code);
        let Some(code) = best else {
            let offered: Vec<String> = offered.iter().map(|o| o.fourcc.to_string()).collect();
            return Err(CameraError::NoFormat { name: self.name.clone(), offered: offered.join(", ") });
        };
        let found = self.ask(device, code).map_err(failed)?;
        let format =
            FORMATS.iter().find(|(c, _)| *c == code).map_or(PixelFormat::Mjpeg, |(_, format)| *format);
        let stride = if format == PixelFormat::Mjpeg { 0 } else { found.stride as usize };
        Ok(Agreed { format, width: found.width as usize, height: found.height as usize, stride })
    }

    /// Asks for the wanted size in the format `code` and returns what the driver makes of it.
    fn ask(&self, device: &Device, code: &[u8; 4]) -> io::Result<Format> {
        let (width, height) = (self.settings.width as u32, self.settings.height as u32);
        let found = device.set_format(&Format::new(width, height, FourCC::new(code)))?;
        if found.fourcc.repr != *code {
            return Err(io::Error::other(format!("it delivers {} instead", found.fourcc)));
        }
        Ok(found)
    }

    /// How far a size is from what is wanted, pixels.
    fn distance(&self, found: &Format) -> usize {
        self.settings.width.abs_diff(found.width as usize)
            + self.settings.height.abs_diff(found.height as usize)
    }
}

/// The part of a buffer that was received, with its time.
fn received<'a>(buffer: &'a [u8], metadata: &Metadata, agreed: &Agreed) -> Result<Frame<'a>, String> {
    if metadata.flags.contains(Flags::ERROR) {
        return Err("the driver says that it is damaged".into());
    }
    let used = buffer.get(..metadata.bytesused as usize).unwrap_or(buffer);
    let bytes = match agreed.format {
        PixelFormat::Mjpeg => match find(used) {
            Found::Whole { start, end } => &used[start..end],
            Found::CutOff { .. } => return Err(format!("its JPEG of {} bytes is cut off", used.len())),
            Found::Nothing => return Err(format!("its {} bytes are no JPEG", used.len())),
        },
        _ => used,
    };
    let Agreed { format, width, height, stride } = *agreed;
    Ok(Frame { bytes, format, width, height, stride, captured_at: captured_at(metadata) })
}

/// The driver's time where it is of the monotonic clock, as all of today's are; now, otherwise.
fn captured_at(metadata: &Metadata) -> Duration {
    let stamp = metadata.timestamp;
    let (seconds, micros) = (u64::try_from(stamp.sec), u32::try_from(stamp.usec));
    match (metadata.flags & Flags::TIMESTAMP_MASK, seconds, micros) {
        (Flags::TIMESTAMP_MONOTONIC, Ok(seconds), Ok(micros)) if seconds > 0 && micros < 1_000_000 => {
            Duration::new(seconds, 1000 * micros)
        }
        _ => {
            let now = clock_gettime(ClockId::Monotonic);
            Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
        }
    }
}

fn gone(name: &str, error: &io::Error) -> CameraError {
    let reason = match error.kind() {
        io::ErrorKind::TimedOut => format!("silent for {} s", SILENCE.as_secs()),
        _ => error.to_string(),
    };
    CameraError::Gone { name: name.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: Agreed = Agreed { format: PixelFormat::Mjpeg, width: 4, height: 4, stride: 0 };

    fn metadata(bytesused: u32, flags: Flags) -> Metadata {
        Metadata { bytesused, flags, ..Metadata::default() }
    }

    #[test]
    fn old_bytes_behind_a_jpeg_are_cut_off() {
        let mut buffer = vec![0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 1, 0xFF, 0xD9];
        buffer.extend([0xFF, 0xD9, 5, 5]);
        let whole = metadata(buffer.len() as u32, Flags::empty());
        assert_eq!(received(&buffer, &whole, &JPEG).unwrap().bytes, &buffer[..9]);
        let short = received(&buffer, &metadata(8, Flags::empty()), &JPEG).unwrap_err();
        assert!(short.contains("cut off"), "{short}");
        assert!(received(&buffer, &metadata(13, Flags::ERROR), &JPEG).is_err());
    }

    #[test]
    fn the_driver_s_monotonic_time_is_kept_and_any_other_replaced() {
        let mut stamped = metadata(1, Flags::TIMESTAMP_MONOTONIC);
        stamped.timestamp = v4l::timestamp::Timestamp::new(70, 250_000);
        assert_eq!(captured_at(&stamped), Duration::from_millis(70_250));
        stamped.flags = Flags::TIMESTAMP_COPY;
        let earlier = captured_at(&stamped);
        assert!(captured_at(&stamped) >= earlier && earlier != Duration::from_millis(70_250));
    }

    #[test]
    fn a_missing_camera_is_gone_and_asked_again() {
        let device = PathBuf::from("/nonexistent/video");
        let settings = V4lSettings { device, width: 640, height: 480, frames_per_second: 10 };
        let mut camera = V4lCamera::new(settings);
        for _ in 0..2 {
            let error = camera.next_frame(Duration::from_secs(60)).unwrap_err();
            assert!(matches!(error, CameraError::Gone { .. }) && error.is_recoverable());
            assert!(error.to_string().contains("/nonexistent/video"), "{error}");
        }
    }
}
