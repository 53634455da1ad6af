//! SIMD kernels and their scalar definition. Names nothing else of this crate.
//!
//! Everything here takes slices and sizes. It does not know what a face, a model file or a camera is.
//!
//! * [`colour`], [`resample`]: camera formats to RGB, resizing, the similarity warp.
//! * [`distance`]: the squared distance of two templates.

pub mod colour;
pub mod distance;
pub mod picture;
pub mod resample;
