//! Networks: loaded with tract, int8 operators fused, run without allocation.
