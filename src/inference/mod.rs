//! Networks: loaded with tract, int8 operators fused, run without allocation.
//!
//! What a network is made for (faces, templates) is not known here. A model file is standard QDQ ONNX:
//!
//! * one input, u8 `[1, H, W, 3]` RGB, whose first node is a `DequantizeLinear`;
//! * weights int8, symmetric, by output channel; biases i32 (or f32); activations int8 (or uint8) with one
//!   scale per tensor;
//! * between them `Conv` (dense, 1x1, depthwise), `Gemm`, `Add`, `Relu`, `PRelu`, `GlobalAveragePool`,
//!   `Resize` by two, `Transpose`, `Flatten`, `Reshape`; a `QuantizeLinear`/`DequantizeLinear` pair behind
//!   each sum;
//! * every output is a dequantised int8 tensor, and is given as these int8 values.
//!
//! ```text
//! bytes -> onnx (limits, names) -> tract's parser and shape analysis, over the operators of reader
//!       -> pattern (operators kept whole) -> fuse (a tract graph of fused operators)
//!       -> plan (steps over one arena) -> Network
//! ```
//!
//! tract parses, derives all shapes and holds the graph before and after fusion; the plan is our own,
//! because a tract plan allocates each activation anew. With two to four threads, each layer's rows are
//! shared among them. A graph with other operators is refused with the name of its node, or runs on
//! tract's own operators if [`Network::load_unfused`] asks for it.

pub mod error;
mod fuse;
mod layer;
mod network;
mod onnx;
mod operator;
mod pattern;
mod plan;
mod reader;
mod stock;

pub use error::{LoadError, RunError};
pub use network::{LayerTime, LoadOptions, MAX_THREADS, Network, Output};
pub use onnx::MAX_MODEL_BYTES;
pub use plan::MAX_ARENA_BYTES;

pub use crate::kernels::isa::Isa;

/// Names of the kernels that this CPU can run, the one that is taken last.
#[must_use]
pub fn kernels() -> Vec<&'static str> {
    crate::kernels::isa::Isa::available().into_iter().map(|isa| isa.name()).collect()
}

#[cfg(test)]
mod tests;
