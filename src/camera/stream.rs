//! Streams of frames in a file: JPEG pictures end to end, and YUV4MPEG2.
//!
//! Frames are read one at a time into a buffer that stays; a file may be larger than the memory.

use super::jpeg::{Found, find, size_of};
use super::y4m::{Header, MAX_LINE, Y4mError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Largest JPEG picture, bytes. A choice: a frame of 16 megapixels at the best quality is half of it.
const MAX_PICTURE: usize = 16 << 20;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// What can be read again from its start.
pub(super) trait Rewind: Read + Seek + Send {}
impl<T: Read + Seek + Send> Rewind for T {}

/// What a stream has next.
pub(super) enum Next {
    /// A frame of this width and height is in the buffer.
    Frame { width: usize, height: usize },
    /// A frame is damaged; the stream goes on behind it.
    Damaged(String),
    /// The stream is at its end.
    End,
}

/// JPEG pictures end to end; what lies between them is passed over.
pub(super) struct Mjpeg {
    source: Box<dyn Rewind>,
    read: Vec<u8>,
    /// Where the current picture lies in `read`, and from where on the next is looked for.
    picture: std::ops::Range<usize>,
    at_end: bool,
}

impl Mjpeg {
    pub(super) fn new(source: Box<dyn Rewind>) -> Self {
        Self { source, read: Vec::new(), picture: 0..0, at_end: false }
    }

    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(0))?;
        self.read.clear();
        (self.picture, self.at_end) = (0..0, false);
        Ok(())
    }

    /// The picture that [`Mjpeg::next`] found last.
    pub(super) fn picture(&self) -> &[u8] {
        &self.read[self.picture.clone()]
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        self.read.drain(..self.picture.end);
        self.picture = 0..0;
        loop {
            match find(&self.read) {
                Found::Whole { start, end } => {
                    self.picture = start..end;
                    return Ok(match size_of(self.picture()) {
                        Some((width, height)) if width > 0 && height > 0 => Next::Frame { width, height },
                        _ => Next::Damaged("it is no picture that has a size".into()),
                    });
                }
                Found::CutOff { start } if self.another_begins_behind(start) => {
                    return Ok(Next::Damaged("it is cut off: the next picture begins within it".into()));
                }
                Found::CutOff { start } if self.at_end || self.read.len() - start > MAX_PICTURE => {
                    self.picture = 0..self.read.len();
                    return Ok(Next::Damaged("it is cut off (no end marker)".into()));
                }
                Found::Nothing if self.at_end => return Ok(Next::End),
                Found::Nothing => self.read.drain(..self.read.len().saturating_sub(2)).for_each(drop),
                Found::CutOff { .. } => {}
            }
            self.fill()?;
        }
    }

    /// Whether the picture that begins at `start` was cut off by another; then that is the next one.
    fn another_begins_behind(&mut self, start: usize) -> bool {
        let next = super::jpeg::interrupted_at(&self.read[start..]);
        if let Some(next) = next {
            self.picture = start..start + next;
        }
        next.is_some()
    }

    fn fill(&mut self) -> io::Result<()> {
        let had = self.read.len();
        self.source.by_ref().take(CHUNK as u64).read_to_end(&mut self.read)?;
        self.at_end = self.read.len() == had;
        Ok(())
    }
}

/// A YUV4MPEG2 file.
pub(super) struct Y4m {
    source: BufReader<Box<dyn Rewind>>,
    header: Header,
    planes: Vec<u8>,
    packed: Vec<u8>,
    frame: usize,
}

impl Y4m {
    /// Reads the header of `source`.
    pub(super) fn new(source: Box<dyn Rewind>) -> io::Result<Result<Self, Y4mError>> {
        let mut source = BufReader::new(source);
        let line = read_line(&mut source)?;
        Ok(Header::parse(&line).map(|header| Self {
            source,
            header,
            planes: Vec::new(),
            packed: Vec::new(),
            frame: 0,
        }))
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The frame that [`Y4m::next`] read last, in the header's format.
    pub(super) fn frame(&self) -> &[u8] {
        &self.packed
    }

    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.source.seek(SeekFrom::Start(0))?;
        read_line(&mut self.source)?;
        self.frame = 0;
        Ok(())
    }

    /// Reads the next frame. A damaged one is the stream's last: nothing tells where the next would begin.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        if self.source.fill_buf()?.is_empty() {
            return Ok(Next::End);
        }
        let frame = self.frame;
        self.frame += 1;
        let line = read_line(&mut self.source)?;
        let needed = self.header.frame_bytes();
        self.planes.clear();
        let damaged = if line == "FRAME" || line.starts_with("FRAME ") {
            self.source.by_ref().take(needed as u64).read_to_end(&mut self.planes)?;
            (self.planes.len() < needed).then_some(Y4mError::CutOff { frame })
        } else {
            Some(Y4mError::FrameMark { frame })
        };
        if let Some(error) = damaged {
            self.source.seek(SeekFrom::End(0))?;
            return Ok(Next::Damaged(error.to_string()));
        }
        self.header.pack(&self.planes, &mut self.packed);
        Ok(Next::Frame { width: self.header.width, height: self.header.height })
    }
}

/// One line without its end, at most [`MAX_LINE`] bytes of it.
fn read_line(source: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    source.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
