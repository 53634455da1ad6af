//! Squared Euclidean distance of templates, in integers.
//!
//! One definition, compiled for each instruction set: the compiler vectorises it, and integers add up to the same
//! whatever the order.

use super::isa::Isa;

/// Sum of squared differences; at most `128 * 255 * 255`, so it cannot overflow.
///
/// # Source
/// Schroff, Kalenichenko, Philbin: FaceNet (CVPR 2015), section 3: templates are compared by their
/// squared L2 distance. The scale of the integers is the caller's.
#[inline(always)]
pub fn squared_distance(a: &[i8; 128], b: &[i8; 128]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| {
            let difference = i32::from(i16::from(x) - i16::from(y));
            difference * difference
        })
        .sum()
}

/// [`squared_distance`] of `probe` to each of `others`, into `distances`, which has as many places.
pub fn squared_distances(isa: Isa, probe: &[i8; 128], others: &[[i8; 128]], distances: &mut [i32]) {
    match isa {
        Isa::Scalar => all(probe, others, distances),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token proves that this CPU has AVX2.
        Isa::Avx2(_) => unsafe { all_avx2(probe, others, distances) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the token proves that this CPU has AVX-512 F, BW and VL.
        Isa::Avx512Vnni(_) => unsafe { all_avx512(probe, others, distances) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => all(probe, others, distances),
    }
}

#[inline(always)]
fn all(probe: &[i8; 128], others: &[[i8; 128]], distances: &mut [i32]) {
    for (other, distance) in others.iter().zip(distances) {
        *distance = squared_distance(probe, other);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn all_avx2(probe: &[i8; 128], others: &[[i8; 128]], distances: &mut [i32]) {
    all(probe, others, distances);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn all_avx512(probe: &[i8; 128], others: &[[i8; 128]], distances: &mut [i32]) {
    all(probe, others, distances);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_do_not_overflow() {
        assert_eq!(squared_distance(&[-128; 128], &[127; 128]), 128 * 255 * 255);
    }

    #[test]
    fn it_is_symmetric_and_zero_only_for_equals() {
        let a: [i8; 128] = std::array::from_fn(|i| (i as i32 * 37 % 251 - 125) as i8);
        let mut b = a;
        assert_eq!(squared_distance(&a, &b), 0);
        b[127] = b[127].wrapping_add(3);
        assert_eq!(squared_distance(&a, &b), 9);
        assert_eq!(squared_distance(&b, &a), 9);
    }

    #[test]
    fn every_instruction_set_gives_the_same_distances() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 as i8
        };
        let mut others: Vec<[i8; 128]> = (0..67).map(|_| std::array::from_fn(|_| random())).collect();
        others.extend([[-128; 128], [127; 128], [0; 128]]);
        for probe in [others[5], [-128; 128], [127; 128]] {
            let expected: Vec<i32> = others.iter().map(|other| squared_distance(&probe, other)).collect();
            for isa in Isa::available() {
                let mut distances = vec![-1; others.len()];
                squared_distances(isa, &probe, &others, &mut distances);
                assert_eq!(distances, expected, "{}", isa.name());
            }
        }
    }
}
