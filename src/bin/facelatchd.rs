//! The firmware's process: wiring only.
#![forbid(unsafe_code)]

fn main() {}
