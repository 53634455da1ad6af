//! What is kept of a face: 128 bytes, a quality and the embedder's number.
//!
//! ```text
//! embedder's i8 output - zero point --unit length, times 320, rounded--> [i8; 128]
//! ```
//!
//! The same output gives the same template on every CPU: integers, one square root and one division in
//! IEEE 754 double precision, both correctly rounded.

use crate::kernels::distance::squared_distance;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Numbers in a template.
pub const DIMENSIONS: usize = 128;

/// Length of every template: a unit vector's coordinates are multiplied by this and rounded. A choice: the
/// largest coordinate of a typical embedding (below 0.4) just fits into an i8.
pub const SCALE: i32 = 320;

/// Distance of two unit vectors that point away from each other, squared.
pub const FARTHEST: f32 = 4.0;

/// Why an embedder's output gives no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// Every number is the zero point: the vector has no direction.
    #[error("the embedding is all zero")]
    Zero,
    /// The embedder has another number of outputs.
    #[error("the embedding has {len} numbers instead of {DIMENSIONS}")]
    Dimensions {
        /// Numbers there are.
        len: usize,
    },
}

/// A face as it is stored and compared.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Template {
    /// The unit vector times [`SCALE`], rounded, within -127..=127.
    pub embedding: [i8; DIMENSIONS],
    /// How good the picture was, 0 (unusable) to 255.
    pub quality: u8,
    /// Which embedder made it; others are not comparable.
    pub embedding_id: u32,
}

/// A template in the layout that serde knows: four times 32 numbers, without lengths.
#[derive(Serialize, Deserialize)]
struct Stored {
    embedding: [[i8; 32]; 4],
    quality: u8,
    embedding_id: u32,
}

impl From<Stored> for Template {
    fn from(stored: Stored) -> Self {
        let embedding = std::array::from_fn(|i| stored.embedding[i / 32][i % 32]);
        Self { embedding, quality: stored.quality, embedding_id: stored.embedding_id }
    }
}

impl From<Template> for Stored {
    fn from(template: Template) -> Self {
        let embedding = std::array::from_fn(|row| std::array::from_fn(|i| template.embedding[32 * row + i]));
        Self { embedding, quality: template.quality, embedding_id: template.embedding_id }
    }
}

impl std::fmt::Debug for Template {
    /// Without the embedding: it is biometric data and must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template")
            .field("quality", &self.quality)
            .field("embedding_id", &self.embedding_id)
            .finish_non_exhaustive()
    }
}

impl Template {
    /// Makes a template of the embedder's output: `output - zero_point`, brought to length [`SCALE`].
    ///
    /// # Errors
    /// When `output` has not [`DIMENSIONS`] numbers, or all are the zero point.
    pub fn from_output(
        output: &[i8],
        zero_point: i8,
        quality: u8,
        embedding_id: u32,
    ) -> Result<Self, TemplateError> {
        let output: &[i8; DIMENSIONS] =
            output.try_into().map_err(|_| TemplateError::Dimensions { len: output.len() })?;
        let value = |q: i8| i32::from(q) - i32::from(zero_point);
        let square: i32 = output.iter().map(|&q| value(q) * value(q)).sum();
        if square == 0 {
            return Err(TemplateError::Zero);
        }
        let length = f64::from(square).sqrt();
        let coordinate = |q: i8| (f64::from(SCALE * value(q)) / length).round().clamp(-127.0, 127.0) as i8;
        Ok(Self { embedding: output.map(coordinate), quality, embedding_id })
    }

    /// Squared Euclidean distance of the unit vectors, `0.0..=4.0`: 0 is the same picture.
    ///
    /// Templates of different embedders are [`FARTHEST`] apart: they never match.
    ///
    /// # Source
    /// Schroff, Kalenichenko, Philbin: FaceNet (CVPR 2015), section 3.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f32 {
        if self.embedding_id != other.embedding_id {
            return FARTHEST;
        }
        distance_of(squared_distance(&self.embedding, &other.embedding))
    }
}

/// The squared distance of unit vectors whose integers are `squared` apart.
pub(super) fn distance_of(squared: i32) -> f32 {
    (squared as f32 / (SCALE * SCALE) as f32).min(FARTHEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(output: &[i8; 128]) -> Template {
        Template::from_output(output, 0, 200, 7).unwrap()
    }

    fn painted(seed: i32) -> [i8; 128] {
        std::array::from_fn(|i| ((i as i32 * 37 + seed * 91) % 201 - 100) as i8)
    }

    /// The nearest integer to `320 v / sqrt(square)`, halves away from zero, by integers alone.
    fn by_integers(v: i32, square: i32) -> i32 {
        let (magnitude, square) = (i64::from(v.abs()), i64::from(square));
        let mut t = 0_i64;
        while (2 * t + 1).pow(2) * square <= (2 * 320 * magnitude).pow(2) {
            t += 1;
        }
        (t.min(127) as i32) * v.signum()
    }

    #[test]
    fn a_known_output_gives_known_bytes() {
        let mut output = [0; 128];
        (output[0], output[1], output[2], output[127]) = (3, -4, 12, 84);
        let made = template(&output).embedding;
        assert_eq!((made[0], made[1], made[2], made[127]), (11, -15, 45, 127));
        assert!(made[3..127].iter().all(|&x| x == 0));
    }

    #[test]
    fn a_template_equals_itself_and_is_far_from_its_opposite() {
        let a = template(&painted(3));
        let b = template(&painted(3).map(|x| -x));
        assert_eq!(a.distance(&a), 0.0);
        assert!((a.distance(&b) - 4.0).abs() < 0.02, "{}", a.distance(&b));
        assert!(a.distance(&b) <= FARTHEST);
    }

    #[test]
    fn templates_of_different_embedders_never_match() {
        let a = template(&painted(1));
        let b = Template { embedding_id: 8, ..a.clone() };
        assert_eq!(a.distance(&b), FARTHEST);
    }

    #[test]
    fn an_output_without_direction_or_of_another_length_is_refused() {
        assert_eq!(Template::from_output(&[-3; 128], -3, 0, 0), Err(TemplateError::Zero));
        assert_eq!(Template::from_output(&[1; 127], 0, 0, 0), Err(TemplateError::Dimensions { len: 127 }));
    }

    #[test]
    fn debug_output_holds_no_biometric_data() {
        assert_eq!(format!("{:?}", template(&painted(1))), "Template { quality: 200, embedding_id: 7, .. }");
    }

    #[test]
    fn postcard_keeps_a_template_in_few_bytes() {
        let a = template(&painted(5));
        let bytes = postcard::to_allocvec(&a).unwrap();
        assert_eq!(bytes.len(), 128 + 1 + 1);
        assert_eq!(postcard::from_bytes::<Template>(&bytes).unwrap(), a);
    }

    proptest! {
        #[test]
        fn every_output_is_rounded_as_by_integers(
            output in prop::collection::vec(any::<i8>(), 128), zero_point in any::<i8>()
        ) {
            let value = |q: i8| i32::from(q) - i32::from(zero_point);
            let square: i32 = output.iter().map(|&q| value(q) * value(q)).sum();
            match Template::from_output(&output, zero_point, 0, 0) {
                Err(error) => prop_assert_eq!((error, square), (TemplateError::Zero, 0)),
                Ok(made) => for (&q, &coordinate) in output.iter().zip(&made.embedding) {
                    prop_assert_eq!(i32::from(coordinate), by_integers(value(q), square));
                },
            }
        }

        #[test]
        fn distance_stays_within_its_range_and_is_symmetric(
            a in prop::collection::vec(any::<i8>(), 128), b in prop::collection::vec(any::<i8>(), 128)
        ) {
            let made = |output: &[i8]| Template::from_output(output, 0, 0, 0);
            if let (Ok(a), Ok(b)) = (made(&a), made(&b)) {
                prop_assert!((0.0..=FARTHEST).contains(&a.distance(&b)));
                prop_assert_eq!(a.distance(&b), b.distance(&a));
            }
        }
    }
}
