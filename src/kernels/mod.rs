//! SIMD kernels and their scalar definition. Names nothing else of this crate.
//!
//! Everything here takes slices and sizes. It does not know what a face, a model file or a camera is.
//!
//! * [`colour`], [`resample`]: camera formats to RGB, resizing, the similarity warp.
//! * [`distance`]: the squared distance of two templates.
//! * [`conv`], [`add`], [`scalar`]: int8 operators of networks. [`scalar`] defines them with the rounding
//!   rule of [`requant`]; the kernels of every [`isa`] give the same bits.
//! * [`team`]: threads that share an operator.

pub mod add;
pub mod colour;
pub mod conv;
mod depthwise;
pub mod distance;
mod gemm;
pub mod isa;
pub mod picture;
pub mod requant;
pub mod resample;
pub mod scalar;
pub mod shape;
pub mod team;
#[cfg(target_arch = "x86_64")]
mod winograd;

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_winograd;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "aarch64")]
pub mod neon;
#[cfg(target_arch = "aarch64")]
pub mod neon_dot;

#[cfg(test)]
mod check;
