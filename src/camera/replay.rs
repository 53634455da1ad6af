//! Frames from files.
