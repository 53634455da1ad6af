//! YUV4MPEG2 files: the header, and frames turned into a camera's pixel formats.
//!
//! ```text
//! YUV4MPEG2 W640 H480 F30:1 C420jpeg\n
//! FRAME\n | Y plane | U plane | V plane     FRAME\n | ...
//! ```
//!
//! 8 bits per sample: 4:2:0 becomes NV12, 4:2:2 YUYV, 4:4:4 RGB, mono grey. Samples are taken as BT.601,
//! limited range, as cameras mean them.
//!
//! # Source
//! The MJPEG Tools' `yuv4mpeg(5)` manual page.

use super::PixelFormat;
use std::time::Duration;
use thiserror::Error;

/// What a stream begins with.
const MAGIC: &str = "YUV4MPEG2";

/// Longest header or frame line, bytes. A choice, far above any.
pub(crate) const MAX_LINE: usize = 512;

/// Longest side in pixels: what the rest of the device can take.
const MAX_SIDE: usize = 16_384;

/// Why a stream cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Y4mError {
    #[error("it does not begin with `{MAGIC}`: this is no YUV4MPEG2 file")]
    Magic,
    #[error("its header has no `{0}`, expected for example `YUV4MPEG2 W640 H480 F30:1 C420`")]
    Missing(char),
    #[error("`{0}` in its header is no valid value")]
    Value(String),
    #[error("its chroma `{0}` is not supported: it must be 8 bits of 420, 422, 444 or mono")]
    Chroma(String),
    #[error("frame {frame} does not begin with `FRAME`: the file is damaged")]
    FrameMark { frame: usize },
    #[error("frame {frame} is cut off")]
    CutOff { frame: usize },
}

/// How chroma is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chroma {
    Half420,
    Half422,
    Full444,
    Mono,
}

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// From frame to frame; `None` when the header does not say.
    pub(crate) period: Option<Duration>,
    chroma: Chroma,
}

impl Header {
    /// Reads the first line, without its line end.
    pub(crate) fn parse(line: &str) -> Result<Self, Y4mError> {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        if words.next() != Some(MAGIC) {
            return Err(Y4mError::Magic);
        }
        let (mut width, mut height, mut period, mut chroma) = (None, None, None, Chroma::Half420);
        for word in words {
            let value = word.get(1..).unwrap_or_default();
            match word.as_bytes()[0] {
                b'W' => width = Some(side(word, value)?),
                b'H' => height = Some(side(word, value)?),
                b'F' => period = frame_period(word, value)?,
                b'C' => chroma = chroma_of(value)?,
                _ => {}
            }
        }
        let (width, height) = (width.ok_or(Y4mError::Missing('W'))?, height.ok_or(Y4mError::Missing('H'))?);
        Ok(Self { width, height, period, chroma })
    }

    /// Columns and rows of each chroma plane.
    fn chroma_size(&self) -> (usize, usize) {
        match self.chroma {
            Chroma::Half420 => (self.width.div_ceil(2), self.height.div_ceil(2)),
            Chroma::Half422 => (self.width.div_ceil(2), self.height),
            Chroma::Full444 => (self.width, self.height),
            Chroma::Mono => (0, 0),
        }
    }

    /// Bytes of one frame behind its `FRAME` line.
    pub(crate) fn frame_bytes(&self) -> usize {
        let (columns, rows) = self.chroma_size();
        self.width * self.height + 2 * columns * rows
    }

    /// The pixel format of its frames, and the bytes from one row to the next.
    pub(crate) fn format(&self) -> (PixelFormat, usize) {
        match self.chroma {
            Chroma::Half420 => (PixelFormat::Nv12, 2 * self.width.div_ceil(2)),
            Chroma::Half422 => (PixelFormat::Yuyv, 4 * self.width.div_ceil(2)),
            Chroma::Full444 => (PixelFormat::Rgb8, 3 * self.width),
            Chroma::Mono => (PixelFormat::Gray8, self.width),
        }
    }

    /// Turns the planes of one frame into the rows of [`Header::format`].
    pub(crate) fn pack(&self, planes: &[u8], packed: &mut Vec<u8>) {
        let (columns, rows) = self.chroma_size();
        let (luma, chroma) = planes.split_at(self.width * self.height);
        let (u, v) = chroma.split_at(columns * rows);
        packed.clear();
        let lines = luma.chunks_exact(self.width).zip(0..);
        match self.chroma {
            Chroma::Half420 => {
                for (line, _) in lines {
                    packed.extend_from_slice(line);
                    packed.extend((line.len()..2 * columns).map(|_| 0));
                }
                packed.extend(u.iter().zip(v).flat_map(|(&u, &v)| [u, v]));
            }
            Chroma::Half422 => {
                for (line, y) in lines {
                    let pairs = line.chunks(2).zip(&u[y * columns..]).zip(&v[y * columns..]);
                    packed.extend(pairs.flat_map(|((l, &u), &v)| [l[0], u, *l.get(1).unwrap_or(&l[0]), v]));
                }
            }
            Chroma::Full444 => {
                packed.extend(luma.iter().zip(u).zip(v).flat_map(|((&y, &u), &v)| rgb(y, u, v)));
            }
            Chroma::Mono => packed.extend(luma.iter().map(|&y| rgb(y, 128, 128)[0])),
        }
    }
}

/// One pixel of BT.601, limited range, as RGB.
///
/// # Source
/// ITU-R BT.601-7, section 2.5, inverted.
fn rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let luma = 255.0 / 219.0 * (f32::from(y) - 16.0);
    let (cb, cr) = (f32::from(u) - 128.0, f32::from(v) - 128.0);
    [luma + 1.596 * cr, luma - 0.392 * cb - 0.813 * cr, luma + 2.017 * cb].map(|value| value.round() as u8)
}

/// A width or height.
fn side(word: &str, value: &str) -> Result<usize, Y4mError> {
    let side = value.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    side.ok_or_else(|| Y4mError::Value(word.to_owned()))
}

/// The time from frame to frame, of a rate such as `30000:1001`; `0:0` is unknown.
fn frame_period(word: &str, value: &str) -> Result<Option<Duration>, Y4mError> {
    let wrong = || Y4mError::Value(word.to_owned());
    let (frames, seconds) = value.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    match (number(frames)?, number(seconds)?) {
        (0, 0) => Ok(None),
        (0, _) | (_, 0) => Err(wrong()),
        (frames, seconds) => Ok(Some(Duration::from_secs(u64::from(seconds)) / frames)),
    }
}

/// The chroma sampling; positions (`420jpeg`, `420paldv`) make no difference at this precision.
fn chroma_of(value: &str) -> Result<Chroma, Y4mError> {
    match value {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(Chroma::Half420),
        "422" => Ok(Chroma::Half422),
        "444" => Ok(Chroma::Full444),
        "mono" => Ok(Chroma::Mono),
        other => Err(Y4mError::Chroma(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(line: &str) -> Header {
        Header::parse(line).unwrap()
    }

    #[test]
    fn a_full_header_is_read() {
        let read = header("YUV4MPEG2 W640 H480 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG");
        assert_eq!((read.width, read.height, read.chroma), (640, 480, Chroma::Half420));
        assert_eq!(read.period.unwrap().as_micros(), 33_366);
        assert_eq!(header("YUV4MPEG2 W3 H3 F0:0").period, None);
    }

    #[test]
    fn wrong_headers_say_what_is_wrong() {
        let wrong = |line| Header::parse(line).unwrap_err().to_string();
        assert!(wrong("RIFF").contains("no YUV4MPEG2 file"));
        assert!(wrong("YUV4MPEG2 W640 F30:1").contains("no `H`"));
        assert!(wrong("YUV4MPEG2 W0 H480").contains("`W0`"));
        assert!(wrong("YUV4MPEG2 W99999999999999999999 H480").contains("`W9999"));
        assert!(wrong("YUV4MPEG2 W64 H48 F30").contains("`F30`"));
        assert!(wrong("YUV4MPEG2 W64 H48 F30:0").contains("`F30:0`"));
        assert!(wrong("YUV4MPEG2 W64 H48 C420p10").contains("`420p10`"));
    }

    #[test]
    fn planes_become_a_camera_s_rows_at_odd_sizes() {
        let mut packed = Vec::new();
        header("YUV4MPEG2 W3 H1 C420").pack(&[1, 2, 3, 10, 11, 20, 21], &mut packed);
        assert_eq!(packed, [1, 2, 3, 0, 10, 20, 11, 21]);
        header("YUV4MPEG2 W3 H1 C422").pack(&[1, 2, 3, 10, 11, 20, 21], &mut packed);
        assert_eq!(packed, [1, 10, 2, 20, 3, 11, 3, 21]);
        header("YUV4MPEG2 W1 H2 C444").pack(&[235, 16, 128, 128, 128, 128], &mut packed);
        assert_eq!(packed, [255, 255, 255, 0, 0, 0]);
        header("YUV4MPEG2 W2 H1 Cmono").pack(&[235, 16], &mut packed);
        assert_eq!(packed, [255, 0]);
    }

    proptest! {
        #[test]
        fn any_line_is_a_header_or_an_error(line in "YUV4MPEG2( [WHFCIAX][0-9a-z:]{0,9}){0,6}|.*") {
            if let Ok(header) = Header::parse(&line) {
                prop_assert!(header.frame_bytes() >= header.width * header.height);
            }
        }
    }
}
