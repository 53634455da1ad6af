//! Cameras of Linux (V4L2), through `nokhwa`.
//!
//! The driver asks for the offered format that is nearest to what is wanted, and cuts what `nokhwa` returns
//! (the whole buffer that the kernel lends) to the frame in it. A frame's time is the kernel's.

use std::os::unix::thread::JoinHandleExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use nix::sys::pthread::pthread_kill;
use nix::sys::signal::Signal;
use nokhwa::Camera as Capture;
use nokhwa::utils::{
    CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use signal_hook::consts::SIGURG;
use signal_hook::flag;

use super::jpeg::{Found, find, size_of};
use super::watched::{Driver, OwnedFrame};
use super::{CameraError, PixelFormat};

/// Formats that can be used, the one that costs least to decode first.
const FORMATS: [FrameFormat; 5] =
    [FrameFormat::NV12, FrameFormat::YUYV, FrameFormat::GRAY, FrameFormat::RAWRGB, FrameFormat::MJPEG];

/// Which camera, and what it should deliver.
#[derive(Debug, Clone)]
pub struct V4lSettings {
    /// Device file: `/dev/videoN`, or a link to one such as those of `/dev/v4l/by-id`.
    pub device: PathBuf,
    /// Wanted width in pixels.
    pub width: u32,
    /// Wanted height in pixels.
    pub height: u32,
    /// Wanted frames a second.
    pub frames_per_second: u32,
    /// The clock that frames are told in: it never jumps.
    pub clock: fn() -> Duration,
}

/// An open V4L2 camera.
pub struct V4l {
    capture: Capture,
    settings: V4lSettings,
}

impl Driver for V4l {
    type Settings = V4lSettings;

    fn name(settings: &V4lSettings) -> String {
        format!("camera {}", settings.device.display())
    }

    fn open(settings: &V4lSettings) -> Result<Self, CameraError> {
        wake_on_signal(settings)?;
        let gone = |error: nokhwa::NokhwaError| gone(settings, error.to_string());
        let index = CameraIndex::Index(index_of(settings)?);
        let any = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
        let mut capture = Capture::new(index, any).map_err(gone)?;
        let offered = capture.compatible_camera_formats().map_err(gone)?;
        let format = nearest(&offered, settings)
            .ok_or_else(|| CameraError::NoFormat { name: Self::name(settings), offered: words(&offered) })?;
        let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(format), &FORMATS);
        capture.set_camera_requset(exact).map_err(gone)?;
        capture.open_stream().map_err(gone)?;
        log::info!("{} delivers {}", Self::name(settings), capture.camera_format());
        Ok(Self { capture, settings: settings.clone() })
    }

    fn read(&mut self, frame: &mut OwnedFrame) -> Result<(), CameraError> {
        let buffer = self.capture.frame().map_err(|error| gone(&self.settings, error.to_string()))?;
        frame.captured_at = (self.settings.clock)().saturating_sub(age(buffer.capture_timestamp()));
        let Resolution { width_x, height_y } = buffer.resolution();
        (frame.width, frame.height) = (width_x as usize, height_y as usize);
        let bytes = cut(buffer.buffer(), buffer.source_frame_format(), frame).ok_or_else(|| {
            let reason = "it is shorter than its format says".to_owned();
            CameraError::Skipped { name: Self::name(&self.settings), reason }
        })?;
        frame.bytes.clear();
        frame.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn interrupt(thread: &JoinHandle<()>) {
        if let Err(error) = pthread_kill(thread.as_pthread_t(), Signal::SIGURG) {
            log::debug!("a camera's thread cannot be woken: {error}");
        }
    }
}

/// Lets SIGURG end a system call that waits, and do nothing else. A signal that the program does not use, and that
/// is ignored where nobody takes it.
fn wake_on_signal(settings: &V4lSettings) -> Result<(), CameraError> {
    static TAKEN: Mutex<bool> = Mutex::new(false);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if !*taken {
        let seen = Arc::new(AtomicBool::new(false));
        flag::register(SIGURG, seen).map_err(|error| gone(settings, error.to_string()))?;
        *taken = true;
    }
    Ok(())
}

fn gone(settings: &V4lSettings, reason: String) -> CameraError {
    CameraError::Gone { name: V4l::name(settings), reason }
}

/// The number at the end of the device file, through links.
fn index_of(settings: &V4lSettings) -> Result<u32, CameraError> {
    let path = std::fs::canonicalize(&settings.device).map_err(|error| gone(settings, error.to_string()))?;
    number_of(&path).ok_or_else(|| gone(settings, format!("{} is no /dev/videoN", path.display())))
}

fn number_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("video")?.parse().ok()
}

/// How long ago a frame was taken. `nokhwa` turns the kernel's monotonic time into the time of day, which is
/// turned back at once; without a time the frame counts as just taken.
fn age(taken: Option<Duration>) -> Duration {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    taken.and_then(|taken| since_epoch.ok()?.checked_sub(taken)).unwrap_or_default()
}

/// The frame's own bytes of a buffer; its format and stride go to `frame`. `None` when it is not whole.
fn cut<'a>(buffer: &'a [u8], format: FrameFormat, frame: &mut OwnedFrame) -> Option<&'a [u8]> {
    let (pixels, stride, len) = match format {
        FrameFormat::YUYV => (PixelFormat::Yuyv, 2 * frame.width, 2 * frame.width * frame.height),
        FrameFormat::NV12 => (PixelFormat::Nv12, frame.width, frame.width * frame.height * 3 / 2),
        FrameFormat::GRAY => (PixelFormat::Gray8, frame.width, frame.width * frame.height),
        FrameFormat::RAWRGB => (PixelFormat::Rgb8, 3 * frame.width, 3 * frame.width * frame.height),
        FrameFormat::MJPEG => {
            let Found::Whole { start, end } = find(buffer) else { return None };
            (frame.width, frame.height) = size_of(&buffer[start..end])?;
            (frame.format, frame.stride) = (PixelFormat::Mjpeg, 0);
            return buffer.get(start..end);
        }
        FrameFormat::RAWBGR => return None,
    };
    (frame.format, frame.stride) = (pixels, stride);
    buffer.get(..len)
}

/// The offered format nearest to what is wanted: in size, then not too slow, then cheap to decode, then not
/// much faster than needed.
fn nearest(offered: &[CameraFormat], wanted: &V4lSettings) -> Option<CameraFormat> {
    let distance = |format: &CameraFormat| {
        let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
        let size = pixels(format.width(), format.height()).abs_diff(pixels(wanted.width, wanted.height));
        let rank = FORMATS.iter().position(|known| *known == format.format());
        let slower = wanted.frames_per_second.saturating_sub(format.frame_rate());
        (size, slower, rank, format.frame_rate())
    };
    offered.iter().filter(|format| FORMATS.contains(&format.format())).min_by_key(|f| distance(f)).copied()
}

fn words(offered: &[CameraFormat]) -> String {
    let words: Vec<String> = offered.iter().map(ToString::to_string).collect();
    if words.is_empty() { "nothing that is known here".to_owned() } else { words.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> V4lSettings {
        let device = PathBuf::from("/dev/video0");
        V4lSettings { device, width: 640, height: 480, frames_per_second: 15, clock: || Duration::ZERO }
    }

    fn format(width: u32, height: u32, format: FrameFormat, rate: u32) -> CameraFormat {
        CameraFormat::new(Resolution::new(width, height), format, rate)
    }

    #[test]
    fn the_right_size_at_a_sufficient_rate_that_is_cheap_to_decode_is_chosen() {
        let offered = [
            format(1280, 720, FrameFormat::YUYV, 30),
            format(640, 480, FrameFormat::MJPEG, 30),
            format(640, 480, FrameFormat::YUYV, 10),
            format(640, 480, FrameFormat::YUYV, 60),
            format(640, 480, FrameFormat::YUYV, 30),
            format(640, 480, FrameFormat::RAWBGR, 15),
        ];
        assert_eq!(nearest(&offered, &wanted()), Some(offered[4]));
        assert_eq!(nearest(&offered[..3], &wanted()), Some(offered[1]), "too slow is worse than JPEG");
        assert_eq!(nearest(&offered[..1], &wanted()), Some(offered[0]), "another size is better than none");
        assert_eq!(nearest(&offered[5..], &wanted()), None);
    }

    #[test]
    fn a_buffer_is_cut_to_its_frame() {
        let mut frame = OwnedFrame {
            bytes: vec![],
            format: PixelFormat::Gray8,
            width: 4,
            height: 2,
            stride: 0,
            captured_at: Duration::ZERO,
        };
        let buffer = [7; 64];
        assert_eq!(cut(&buffer, FrameFormat::YUYV, &mut frame).map(<[u8]>::len), Some(16));
        assert_eq!((frame.format, frame.stride), (PixelFormat::Yuyv, 8));
        assert_eq!(cut(&buffer[..11], FrameFormat::NV12, &mut frame), None, "shorter than a frame");
        let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0, 16, 0, 32, 1, 1, 0x11, 0, 0xFF, 0xD9];
        let len = jpeg.len();
        jpeg.extend([0xFF, 0xD8, 9, 9, 9]);
        assert_eq!(cut(&jpeg, FrameFormat::MJPEG, &mut frame).map(<[u8]>::len), Some(len));
        assert_eq!((frame.width, frame.height), (32, 16));
        assert_eq!(cut(&jpeg[..10], FrameFormat::MJPEG, &mut frame), None, "cut off");
    }

    #[test]
    fn the_number_of_a_camera_is_that_of_its_device_file() {
        assert_eq!(number_of(Path::new("/dev/video12")), Some(12));
        assert_eq!(number_of(Path::new("/dev/media0")), None);
    }
}
