//! Golden answers: what each network said to test patterns where its package was made.
//!
//! int8 networks answer bit by bit the same on every CPU, so one wrong bit shows a damaged file, a wrong kernel
//! or another arithmetic.

use sha2::{Digest, Sha256};

use crate::inference::{Network, RunError};

/// Seeds of the patterns that each network is asked.
pub const SEEDS: [u32; 4] = [1, 2, 3, 4];

/// The test pattern of `seed` as `[height, width, channels]` u8, row-major: patches of 8 x 8 pixels of one
/// colour, and noise over them, so that both coarse and fine detail count.
#[must_use]
pub fn pattern(seed: u32, [height, width, channels]: [usize; 3]) -> Vec<u8> {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    places
        .flat_map(|(y, x)| (0..channels).map(move |channel| (y, x, channel)))
        .map(|(y, x, channel)| {
            let patch = mixed(seed, y / 8, x / 8, channel);
            let noise = mixed(seed ^ 0x5555_5555, y, x, channel);
            (patch / 4 * 3 + noise / 4) as u8
        })
        .collect()
}

/// A number within 0..=255 that depends on all of its arguments (the finaliser of MurmurHash3).
fn mixed(seed: u32, y: usize, x: usize, channel: usize) -> u32 {
    let mut h = seed.wrapping_mul(0x9E37_79B1) ^ (y as u32) << 18 ^ (x as u32) << 4 ^ channel as u32;
    h = (h ^ h >> 16).wrapping_mul(0x85EB_CA6B);
    h = (h ^ h >> 13).wrapping_mul(0xC2B2_AE35);
    (h ^ h >> 16) & 0xFF
}

/// The SHA-256 over what `network` answers to the pattern of `seed`: for each output its shape, scale, zero point
/// and values, all numbers little-endian.
///
/// # Errors
/// When the network does not run.
pub fn answer(network: &mut Network, seed: u32) -> Result<[u8; 32], RunError> {
    network.run(&pattern(seed, network.input_shape()))?;
    let mut digest = Sha256::new();
    for (index, output) in network.outputs().iter().enumerate() {
        output.shape.iter().for_each(|side| digest.update((*side as u32).to_le_bytes()));
        digest.update(output.scale.to_le_bytes());
        digest.update(output.zero_point.to_le_bytes());
        let values: Vec<u8> = network.output(index).iter().map(|value| *value as u8).collect();
        digest.update(values);
    }
    Ok(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_differ_by_seed_and_use_the_range() {
        let (one, two) = (pattern(1, [32, 32, 3]), pattern(2, [32, 32, 3]));
        assert_eq!(one.len(), 32 * 32 * 3);
        assert_ne!(one, two);
        assert!(one.iter().any(|v| *v < 30) && one.iter().any(|v| *v > 220));
    }

    #[test]
    fn a_pattern_is_the_same_for_ever() {
        let digest: [u8; 32] = Sha256::digest(pattern(1, [112, 112, 3])).into();
        assert_eq!(digest[..4], [93, 64, 197, 23]);
    }
}
