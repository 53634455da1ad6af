//! Where one JPEG picture ends: for streams of pictures and for buffers that are larger than their picture.
//!
//! ```text
//! FF D8 | marker segments: FF xx, length, payload | FF DA, header, entropy-coded bytes | ... | FF D9
//! ```
//!
//! Segments are walked by their lengths, so that a thumbnail inside of one ends nothing. Nothing is decoded.

/// Start of image.
const START: [u8; 2] = [0xFF, 0xD8];

/// Finds one picture: where it starts, and where it ends (behind its end marker).
///
/// # Source
/// ITU-T T.81, annex B.1: markers, segments, and the stuffed zero behind each `FF` of entropy-coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole picture at these bytes.
    Whole {
        /// Offset of its start marker.
        start: usize,
        /// Offset behind its end marker.
        end: usize,
    },
    /// A picture starts here, and its end marker is missing.
    CutOff {
        /// Offset of its start marker.
        start: usize,
    },
    /// There is no start marker.
    Nothing,
}

/// The first picture of `bytes`.
pub(crate) fn find(bytes: &[u8]) -> Found {
    let Some(start) = bytes.windows(3).position(|w| w[..2] == START && w[2] == 0xFF) else {
        return Found::Nothing;
    };
    match end_of(&bytes[start..]) {
        Some(length) => Found::Whole { start, end: start + length },
        None => Found::CutOff { start },
    }
}

/// Bytes of the picture that begins `bytes`, with both markers; `None` when it is cut off, or when another
/// begins before it has ended.
pub(crate) fn end_of(bytes: &[u8]) -> Option<usize> {
    match walk(bytes)? {
        (0xD9, at) => Some(at + 2),
        _ => None,
    }
}

/// Where another picture begins within the one that begins `bytes`, which was cut off by it.
pub(crate) fn interrupted_at(bytes: &[u8]) -> Option<usize> {
    walk(bytes).and_then(|(marker, at)| (marker == 0xD8).then_some(at))
}

/// The first end or start marker behind the start, and its place; `None` when `bytes` end before.
fn walk(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1)?;
        match (bytes[at], marker) {
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0xD9 | 0xD8) => return Some((marker, at)),
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD7) => at += 2,
            (0xFF, _) => {
                let length = u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]);
                at += 2 + usize::from(length.max(2));
            }
            _ => at += bytes[at..].iter().position(|&byte| byte == 0xFF)?,
        }
    }
}

/// Width and height in a picture's frame header; `None` when it has none.
///
/// # Source
/// ITU-T T.81, table B.1 (`SOF` markers) and B.2.2: precision, height, width.
pub(crate) fn size_of(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1)?;
        let word = |at: usize| Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
        match (bytes[at], marker) {
            (0xFF, 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => {
                return Some((word(at + 7)?, word(at + 5)?));
            }
            (0xFF, 0xDA | 0xD9) => return None,
            (0xFF, 0xFF) => at += 1,
            (0xFF, _) => at += 2 + word(at + 2)?.max(2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A picture with a thumbnail in its first segment, stuffed bytes and a restart marker.
    fn picture() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, 8, 0xFF, 0xD8, 0xFF, 0xD9, 0, 0];
        bytes.extend([0xFF, 0xDA, 0, 4, 1, 2, 9, 0xFF, 0, 8, 0xFF, 0xD3, 7, 0xFF, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn a_thumbnail_s_end_is_not_the_picture_s() {
        assert_eq!(end_of(&picture()), Some(picture().len()));
    }

    #[test]
    fn junk_before_and_behind_a_picture_is_not_part_of_it() {
        let mut bytes = vec![1, 0xFF, 0xD8, 3];
        bytes.extend(picture());
        bytes.extend([0xFF, 0xD9, 0, 0]);
        assert_eq!(find(&bytes), Found::Whole { start: 4, end: 4 + picture().len() });
    }

    #[test]
    fn a_picture_without_its_end_is_cut_off_at_every_length() {
        let bytes = picture();
        for length in 3..bytes.len() {
            assert_eq!(find(&bytes[..length]), Found::CutOff { start: 0 }, "{length}");
        }
        assert_eq!(find(&bytes[..2]), Found::Nothing);
    }

    #[test]
    fn the_frame_header_tells_the_size() {
        let bytes =
            [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 1, 0xFF, 0xC0, 0, 11, 8, 1, 0x2C, 2, 0x80, 1, 1, 0x11, 0];
        assert_eq!(size_of(&bytes), Some((640, 300)));
        assert_eq!(size_of(&bytes[..16]), None);
        assert_eq!(size_of(&picture()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched_within_their_length(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(0xFF), Just(0xD8), Just(0xD9)], 0..200)
        ) {
            size_of(&bytes);
            if let Found::Whole { start, end } = find(&bytes) {
                prop_assert!(start + 4 <= end && end <= bytes.len());
                prop_assert_eq!(&bytes[end - 2..end], &[0xFF, 0xD9]);
            }
        }
    }
}
