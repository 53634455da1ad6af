//! Frames in: the camera, its pixel formats, and its stand-ins.
//!
//! It does not know what is in a picture, and decodes no more than it must: pictures, JPEG streams and
//! YUV4MPEG2 files are replayed by [`replay`].

mod jpeg;
pub mod replay;
mod stream;
#[cfg(feature = "device")]
pub mod v4l;
pub mod watched;
mod y4m;

use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// How a frame's bytes encode its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// 4:2:2, two pixels in four bytes `y0 u y1 v`, BT.601 limited range.
    Yuyv,
    /// 4:2:0, a plane of luma, then at `stride * height` a plane of `u v` pairs, BT.601 limited range.
    Nv12,
    /// One JPEG picture, from its start marker to its end marker.
    Mjpeg,
    /// Interleaved RGB, full range.
    Rgb8,
    /// Grey, full range: also what an infrared camera delivers.
    Gray8,
}

/// One frame, borrowed from the camera until the next is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The encoded pixels; nothing lies behind the last.
    pub bytes: &'a [u8],
    /// How they are encoded.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Bytes from one row to the next; 0 for [`PixelFormat::Mjpeg`].
    pub stride: usize,
    /// When it was taken, on the clock that never jumps (since boot, or since the replay's beginning).
    pub captured_at: Duration,
}

/// Why there is no frame.
#[derive(Debug, Error)]
pub enum CameraError {
    /// A replay has played its last frame.
    #[error("{name} has no more frames")]
    Ended {
        /// What was replayed.
        name: String,
    },
    /// No new frame came in time.
    #[error("{name} has delivered no frame for {} ms; check its cable and power", waited.as_millis())]
    Late {
        /// Which camera.
        name: String,
        /// How long the caller waited.
        waited: Duration,
    },
    /// The camera is gone; it is looked for again with every call.
    #[error("{name} does not answer: {reason}; plug it in, or set another camera in the board file")]
    Gone {
        /// Which camera.
        name: String,
        /// The driver's words.
        reason: String,
    },
    /// The camera offers no format that can be used.
    #[error("{name} offers no usable format ({offered}); it must deliver YUYV, NV12, MJPEG or grey")]
    NoFormat {
        /// Which camera.
        name: String,
        /// What it offers.
        offered: String,
    },
    /// One frame is damaged and is left out; the next call goes on.
    #[error("skipped {name}: {reason}")]
    Skipped {
        /// The file, or the frame within it.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to replay.
    #[error("{}: {reason}", path.display())]
    NothingToPlay {
        /// File or folder.
        path: PathBuf,
        /// What is wrong with it and what is expected.
        reason: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// File or folder.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
}

impl CameraError {
    /// Whether the next call can succeed without anybody doing something to this program.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::Late { .. } | Self::Gone { .. } | Self::Skipped { .. })
    }
}

/// A source of frames.
///
/// Contract: [`Camera::next_frame`] returns within `wait`, whatever the hardware does (a little more when
/// the machine is busy). It returns each frame once, the newest there is: frames that came while nobody
/// asked are lost. A frame says when it was taken; the caller decides whether that is too long ago. After an
/// error that [is recoverable](CameraError::is_recoverable) the caller may ask again at once; after any other
/// every further call fails as well.
pub trait Camera {
    /// The newest frame that was not returned before, waiting for it up to `wait`.
    ///
    /// # Errors
    /// When there is none in time or never again; see [`CameraError`].
    fn next_frame(&mut self, wait: Duration) -> Result<Frame<'_>, CameraError>;

    /// What it is, in words for a person: the device or the file.
    fn name(&self) -> &str;
}
