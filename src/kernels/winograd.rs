//! Winograd's minimal filtering for 3x3 kernels with stride 1, in whole numbers: 16 multiplications for four
//! outputs in place of 36, and exact.
//!
//! With `d` the 4x4 inputs below a tile of 2x2 outputs and `g` a filter of one channel:
//!
//! ```text
//! V = B^T d B               four values of -128..=127 added or subtracted: -512..=512
//! U = (2 G) g (2 G)^T       whole, unlike G g G^T; nine weights at most: -1143..=1143
//! M = sum of U * V          over channels, at each of the 16 positions
//! 4 outputs = A^T M A / 4   no remainder, because both factors 2 were put into U
//! ```
//!
//! Source: Lavin, Gray: "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), section 4.1, F(2x2, 3x3).

use std::ops::Range;

use super::conv::ConvSpec;
use super::shape::ConvShape;

/// Positions of a transformed tile.
pub(crate) const POSITIONS: usize = 16;

/// Rows and columns of outputs of a tile, and of the inputs that it sees.
pub(crate) const OUTPUTS: usize = 2;
pub(crate) const INPUTS: usize = 4;

/// Most channels: sums of 2048 * 512 * 1143, and four times an output's 2048 * 9 * 128 * 127, fit into 31 bits. What lies between
/// may wrap around.
const MOST_CHANNELS: usize = 2048;

/// Bytes of a band's transformed inputs, unless one row of tiles needs more; a choice: they are read once for each block of
/// filters, from the second-level cache.
const BAND_BYTES: usize = 64 << 10;

/// Bytes between positions beyond what tiles need: a power of two apart, all would share a set of the cache.
const GAP: usize = 64;

/// Whether a layer can be computed so by kernels that take `group` channels at a time, in pairs.
pub(crate) fn fits(shape: &ConvShape, group: usize) -> bool {
    let channels = shape.channels;
    let form = !shape.depthwise && shape.kernel == [3, 3] && shape.stride == [1, 1];
    form && channels.is_multiple_of(2) && (group..=MOST_CHANNELS).contains(&channels)
}

/// The transformed weights of `filter` for `channel`, position by position.
pub(crate) fn weights(spec: &ConvSpec, filter: usize, channel: usize) -> [i16; POSITIONS] {
    let at = |tap: usize| i16::from(spec.weights[(filter * 9 + tap) * spec.shape.channels + channel]);
    let column = |x: usize| times_2g([at(x), at(3 + x), at(6 + x)]);
    let columns = [column(0), column(1), column(2)];
    let mut all = [0; POSITIONS];
    for (row, out) in all.chunks_exact_mut(INPUTS).enumerate() {
        out.copy_from_slice(&times_2g(columns.map(|column| column[row])));
    }
    all
}

fn times_2g([a, b, c]: [i16; 3]) -> [i16; INPUTS] {
    [2 * a, a + b + c, a - b + c, 2 * c]
}

/// Some rows of tiles, and where their values lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Band {
    /// The first output row.
    pub top: usize,
    /// Output rows; the last tiles may stand out below.
    pub rows: usize,
    /// Tiles of a row; the last may stand out on the right.
    pub across: usize,
}

impl Band {
    /// Rows of tiles.
    pub(crate) fn down(&self) -> usize {
        self.rows.div_ceil(OUTPUTS)
    }

    /// All tiles.
    pub(crate) fn tiles(&self) -> usize {
        self.down() * self.across
    }

    /// Bytes from the values of a position to those of the next, with `each` bytes for a tile.
    pub(crate) fn plane(&self, each: usize) -> usize {
        self.tiles() * each + GAP
    }
}

/// `rows` of the output in bands of equal height, which depends on the shape alone.
pub(crate) fn bands(shape: &ConvShape, rows: Range<usize>) -> impl Iterator<Item = Band> {
    let [down, across] = shape.output().map(|side| side.div_ceil(OUTPUTS));
    let row_bytes = POSITIONS * across * shape.channels * size_of::<i16>();
    let most = (BAND_BYTES / row_bytes).clamp(1, down);
    let height = OUTPUTS * down.div_ceil(down.div_ceil(most));
    let end = rows.end;
    rows.step_by(height).map(move |top| Band { top, rows: height.min(end - top), across })
}

/// Bytes of scratch for the transformed inputs of a band, and for its sums of `block` filters.
pub(crate) fn scratch_len(shape: &ConvShape, block: usize) -> [usize; 2] {
    let most = bands(shape, 0..shape.output()[0]).next();
    let bytes = |each: usize| most.map_or(0, |band| POSITIONS * band.plane(each));
    [bytes(shape.channels * size_of::<i16>()), bytes(block * size_of::<i32>())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::requant::Requant;

    fn shape(input: [usize; 2]) -> ConvShape {
        ConvShape {
            input,
            channels: 16,
            filters: 1,
            kernel: [3, 3],
            stride: [1, 1],
            pad_before: [1, 1],
            pad_after: [1, 1],
            depthwise: false,
        }
    }

    #[test]
    fn only_even_channels_under_three_by_three_kernels_fit() {
        assert!(fits(&shape([7, 9]), 16));
        let others = [
            ConvShape { channels: 17, ..shape([7, 9]) },
            ConvShape { channels: 14, ..shape([7, 9]) },
            ConvShape { channels: MOST_CHANNELS + 2, ..shape([7, 9]) },
            ConvShape { stride: [1, 2], ..shape([7, 9]) },
            ConvShape { kernel: [3, 5], ..shape([7, 9]) },
            ConvShape { depthwise: true, ..shape([7, 9]) },
        ];
        assert!(others.iter().all(|shape| !fits(shape, 16)));
    }

    #[test]
    fn bands_cover_every_row_once() {
        for (rows, input) in [(0..7, [7, 7]), (3..100, [100, 300]), (1..2, [5, 5]), (4..4, [5, 5])] {
            let bands: Vec<Band> = bands(&shape(input), rows.clone()).collect();
            let covered: Vec<usize> = bands.iter().flat_map(|band| band.top..band.top + band.rows).collect();
            assert_eq!(covered, rows.collect::<Vec<_>>());
            assert!(bands.iter().rev().skip(1).all(|band| band.rows.is_multiple_of(OUTPUTS)));
        }
    }

    #[test]
    fn transformed_weights_are_whole_and_keep_their_bounds() {
        let requant = Requant { scale: vec![1.0], slope: None, zero_point: 0, low: -128 };
        let weights = vec![-127; 9 * 16];
        let spec = ConvSpec { shape: shape([4, 4]), weights, bias: vec![0], input_zero_point: 0, requant };
        let all = self::weights(&spec, 0, 15);
        assert_eq!(all[..INPUTS], [4 * -127, 6 * -127, 2 * -127, 4 * -127]);
        assert_eq!(all.iter().min(), Some(&-1143));
    }
}
