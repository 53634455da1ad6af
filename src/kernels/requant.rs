//! From i32 sums back to int8: the one rounding rule.
//!
//! With `sum` the exact i32 sum of a channel, `scale` its f32 factor and `slope` the factor of negative
//! sums (the PReLU slope times `scale`; equal to `scale` where there is no PReLU):
//!
//! ```text
//! factor = if sum < 0 { slope } else { scale }
//! q      = round_half_even(f32(sum) * factor) + zero_point      (f32 product, rounded once)
//! output = clamp(q, low, 127)
//! ```
//!
//! `f32(sum)` rounds to nearest even as every CPU's conversion does, and so does the final rounding
//! (`cvtps2dq`, `fcvtns`): the same bits everywhere. [`Requant::fits`] is checked when a network is
//! loaded, so that the product never leaves the i32 range, where CPUs differ.

/// How the sums of one layer become int8.
#[derive(Debug, Clone, PartialEq)]
pub struct Requant {
    /// Factor by channel: `input_scale * weight_scale / output_scale`.
    pub scale: Vec<f32>,
    /// Factor of negative sums by channel, for PReLU; none for linear layers and ReLU.
    pub slope: Option<Vec<f32>>,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Smallest output: the zero point for ReLU, else -128.
    pub low: i8,
}

impl Requant {
    /// The output for `sum` in `channel`.
    #[inline]
    pub fn apply(&self, sum: i32, channel: usize) -> i8 {
        let factor = match &self.slope {
            Some(slope) if sum < 0 => slope[channel],
            _ => self.scale[channel],
        };
        self.finish(sum as f32 * factor)
    }

    /// Rounds a real value, counted in output steps, to the output's range.
    #[inline]
    pub fn finish(&self, steps: f32) -> i8 {
        let q = steps.round_ties_even() as i32 + i32::from(self.zero_point);
        q.clamp(i32::from(self.low), 127) as i8
    }

    /// Whether no sum up to `largest` in magnitude can leave the i32 range in `channel`.
    pub fn fits(&self, largest: f64, channel: usize) -> bool {
        let factors = [Some(self.scale[channel]), self.slope.as_ref().map(|s| s[channel])];
        factors.iter().flatten().all(|f| f.is_finite() && largest * f64::from(f.abs()) < MAX_STEPS)
    }
}

/// Bound on unrounded outputs: a power of two below `i32::MAX - 128`; a choice.
const MAX_STEPS: f64 = (1_u32 << 30) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(low: i8) -> Requant {
        Requant { scale: vec![0.5], slope: None, zero_point: 3, low }
    }

    #[test]
    fn ties_go_to_the_even_step() {
        let got: Vec<i8> = [-5, -3, -1, 1, 3, 5].map(|s| halves(-128).apply(s, 0)).to_vec();
        assert_eq!(got, [1, 1, 3, 3, 5, 5]);
    }

    #[test]
    fn values_saturate_at_both_ends() {
        assert_eq!(halves(-128).apply(i32::MAX / 4, 0), 127);
        assert_eq!(halves(-128).apply(i32::MIN / 4, 0), -128);
        assert_eq!(halves(3).apply(-100, 0), 3);
    }

    #[test]
    fn negative_sums_take_the_slope() {
        let prelu = Requant { slope: Some(vec![0.25]), ..halves(-128) };
        assert_eq!([prelu.apply(-8, 0), prelu.apply(8, 0)], [1, 7]);
    }

    #[test]
    fn a_factor_that_could_overflow_does_not_fit() {
        let huge = Requant { scale: vec![1e6], slope: None, zero_point: 0, low: -128 };
        assert!(huge.fits(1e3, 0) && !huge.fits(1e4, 0));
        assert!(!Requant { scale: vec![f32::NAN], ..huge }.fits(1.0, 0));
    }
}
