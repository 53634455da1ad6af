//! Squared Euclidean distance of two templates, in integers.

/// Sum of squared differences; at most `128 * 255 * 255`, so it cannot overflow.
///
/// # Source
/// Schroff, Kalenichenko, Philbin: FaceNet (CVPR 2015), section 3: templates are compared by their
/// squared L2 distance. The scale of the integers is the caller's.
pub fn squared_distance(a: &[i8; 128], b: &[i8; 128]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| {
            let difference = i32::from(i16::from(x) - i16::from(y));
            difference * difference
        })
        .sum()
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
}
