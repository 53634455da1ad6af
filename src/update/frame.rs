//! Frames on a serial line that carries console text as well.
//!
//! ```text
//! 0x00 | COBS of (payload | CRC-32 of the payload, little-endian) | 0x00
//! ```
//!
//! COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999) leaves no zero within a frame, and text has
//! none either: whatever stands between two zeros is one frame, or text, or damaged. After any noise the next zero
//! puts the reader back into step. The checksum is CRC-32/ISO-HDLC, as in Ethernet.

use crc::{CRC_32_ISO_HDLC, Crc};

/// Longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 1280;
/// Bytes that a frame has beside its payload, but for one in 254 that COBS adds.
pub const OVERHEAD: usize = 2 + CRC + 1;

const CRC: usize = 4;
const MAX_CODED: usize = MAX_PAYLOAD + CRC + (MAX_PAYLOAD + CRC) / 254 + 1;
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Appends the frame of `payload` to `line`.
///
/// # Panics
/// When the payload is longer than [`MAX_PAYLOAD`].
pub fn encode(payload: &[u8], line: &mut Vec<u8>) {
    assert!(payload.len() <= MAX_PAYLOAD, "a payload of {} bytes", payload.len());
    let whole = [payload, &CHECKSUM.checksum(payload).to_le_bytes()].concat();
    let mut coded = [0; MAX_CODED];
    let len = cobs::encode(&whole, &mut coded);
    line.push(0);
    line.extend_from_slice(&coded[..len]);
    line.push(0);
}

/// What stood between two zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The payload of a whole frame.
    Frame(&'a [u8]),
    /// Text of a console.
    Text(&'a str),
    /// Something else: a damaged frame, or noise.
    Damaged,
}

/// Finds frames in a stream of bytes. Its memory is bounded, whatever comes.
#[derive(Debug, Clone)]
pub struct Decoder {
    coded: Vec<u8>,
    too_long: bool,
    decoded: [u8; MAX_CODED],
}

impl Default for Decoder {
    fn default() -> Self {
        Self { coded: Vec::with_capacity(MAX_CODED), too_long: false, decoded: [0; MAX_CODED] }
    }
}

impl Decoder {
    /// Takes the next byte; at the end of a piece gives the piece.
    pub fn push(&mut self, byte: u8) -> Option<Piece<'_>> {
        if byte != 0 {
            if self.coded.len() < MAX_CODED {
                self.coded.push(byte);
            } else {
                self.too_long = true;
            }
            return None;
        }
        let (len, too_long) = (self.coded.len(), core::mem::take(&mut self.too_long));
        self.decoded[..len].copy_from_slice(&self.coded);
        self.coded.clear();
        match len {
            0 => None,
            _ if too_long => Some(Piece::Damaged),
            _ => Some(piece(&mut self.decoded[..len])),
        }
    }
}

/// What `coded`, which stood between two zeros, is.
fn piece(coded: &mut [u8]) -> Piece<'_> {
    let printable = |c: char| !c.is_control() || c.is_ascii_whitespace();
    let is_text = core::str::from_utf8(coded).is_ok_and(|text| text.chars().all(printable));
    if is_text {
        let mut copy = [0; MAX_CODED];
        copy[..coded.len()].copy_from_slice(coded);
        if payload_of(&mut copy[..coded.len()]).is_none() {
            return core::str::from_utf8(coded).map_or(Piece::Damaged, Piece::Text);
        }
    }
    payload_of(coded).map_or(Piece::Damaged, Piece::Frame)
}

/// The payload of a coded frame whose checksum is right.
fn payload_of(coded: &mut [u8]) -> Option<&[u8]> {
    let len = cobs::decode_in_place(coded).ok()?;
    let (payload, checksum) = coded[..len].split_last_chunk::<CRC>()?;
    (CHECKSUM.checksum(payload).to_le_bytes() == *checksum).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The frames among `line`, and how many pieces were none.
    fn frames(line: &[u8]) -> (Vec<Vec<u8>>, usize) {
        let (mut decoder, mut frames, mut other) = (Decoder::default(), Vec::new(), 0);
        for &byte in line {
            match decoder.push(byte) {
                Some(Piece::Frame(payload)) => frames.push(payload.to_vec()),
                Some(_) => other += 1,
                None => {}
            }
        }
        (frames, other)
    }

    #[test]
    fn console_text_and_frames_share_the_line() {
        let mut line = b"[INFO] door locked\n".to_vec();
        encode(b"hello", &mut line);
        line.extend(b"[WARN] dark\n");
        encode(&[0; 40], &mut line);
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for byte in line {
            match decoder.push(byte) {
                Some(Piece::Text(text)) => found.push(text.to_owned()),
                Some(Piece::Frame(payload)) => found.push(format!("{} bytes", payload.len())),
                other => assert_eq!(other, None),
            }
        }
        assert_eq!(found, ["[INFO] door locked\n", "5 bytes", "[WARN] dark\n", "40 bytes"]);
    }

    #[test]
    fn a_frame_of_the_greatest_length_fits() {
        let mut line = Vec::new();
        encode(&[7; MAX_PAYLOAD], &mut line);
        assert_eq!(frames(&line).0, [vec![7; MAX_PAYLOAD]]);
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives_behind_any_noise(
            noise in prop::collection::vec(any::<u8>(), 0..3000),
            payload in prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD),
        ) {
            let mut line = noise;
            encode(&payload, &mut line);
            let (found, _) = frames(&line);
            prop_assert_eq!(found.last(), Some(&payload));
        }

        #[test]
        fn a_damaged_frame_is_never_a_frame(
            payload in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8_u8
        ) {
            let mut line = Vec::new();
            encode(&payload, &mut line);
            let at = at.index(line.len());
            line[at] ^= 1 << bit;
            prop_assert!(frames(&line).0.iter().all(|found| *found == payload));
        }
    }
}
