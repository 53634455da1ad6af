//! Networks as a whole: what they compute, what they allocate, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod allocations;
mod hostile;
mod released;

use std::path::PathBuf;

/// A file of the small networks that `tests/data/models/make.py` wrote.
fn small(name: &str, kind: &str) -> Vec<u8> {
    read(&format!("tests/data/models/{name}.{kind}"))
}

fn read(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the small networks.
const SMALL: [&str; 3] = ["embedder", "detector", "classifier"];

/// The released networks.
const RELEASED: [&str; 3] = ["embedder", "detector", "liveness"];

fn released(name: &str) -> Vec<u8> {
    read(&format!("model/release/{name}.onnx"))
}

/// A picture that uses all values: the same everywhere.
fn painted(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| ((i * 7 + i / 251 * 13) % 251) as u8).collect()
}
