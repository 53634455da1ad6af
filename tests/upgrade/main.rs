//! The device's end of the owner's cable: packages that come in while the door is served, cuts at every byte,
//! packages that are refused, and two programs over a pseudo-terminal.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cuts;
mod desk;
mod noise;
mod packages;
mod refusals;
mod two_programs;
mod visitors;
