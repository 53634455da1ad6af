//! The residual addition.

use super::isa::Isa;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::requant::Requant;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// What an addition computes; see [`scalar::add`] for the arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct AddSpec {
    /// Channels, the fastest-running axis.
    pub channels: usize,
    /// Zero points of the two inputs.
    pub zero_points: [i8; 2],
    /// `input_scale / output_scale` of the two inputs.
    pub factors: [f32; 2],
    /// PReLU slopes by channel, if any.
    pub slope: Option<Vec<f32>>,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Smallest output: the zero point for ReLU, else -128.
    pub low: i8,
}

impl AddSpec {
    /// The sum of two values.
    #[inline]
    pub fn apply(&self, a: i8, b: i8, channel: usize) -> i8 {
        let steps = |value: i8, input: usize| {
            (i32::from(value) - i32::from(self.zero_points[input])) as f32 * self.factors[input]
        };
        let mut sum = steps(a, 0) + steps(b, 1);
        if let Some(slope) = &self.slope
            && sum < 0.0
        {
            sum *= slope[channel];
        }
        let q = sum.round_ties_even() as i32 + i32::from(self.zero_point);
        q.clamp(i32::from(self.low), 127) as i8
    }

    /// Whether no sum can leave the range where all CPUs round alike.
    pub fn fits(&self) -> bool {
        let largest = 255.0 * self.factors.iter().map(|f| f64::from(f.abs())).sum::<f64>();
        let slopes = self.slope.iter().flatten().fold(1.0, |most: f32, s| most.max(s.abs()));
        let all = Requant { scale: vec![slopes], slope: None, zero_point: 0, low: 0 };
        let finite = self.slope.iter().flatten().chain(&self.factors).all(|f| f.is_finite());
        finite && all.fits(largest, 0)
    }

    /// Adds `a` and `b`, both `[.., channels]` and as long as `out`.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn run(&self, isa: Isa, a: &[i8], b: &[i8], out: &mut [i8]) {
        assert!(a.len() == out.len() && b.len() == out.len(), "equal lengths");
        if self.slope.is_some() {
            return scalar::add(self, a, b, out);
        }
        match isa {
            Isa::Scalar => scalar::add(self, a, b, out),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => avx2::add(token, self, a, b, out),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(token) => avx512::add(token, self, a, b, out),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(token) => neon::add(token, self, a, b, out),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot(token) => neon::add(token.neon(), self, a, b, out),
        }
    }
}
