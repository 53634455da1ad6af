//! SIMD kernels and their scalar definition. Names nothing else of this crate.
