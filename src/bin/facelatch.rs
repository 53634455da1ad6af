//! The owner's host tool: wiring only.
#![forbid(unsafe_code)]

fn main() {}
