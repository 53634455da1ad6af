//! The owner's tool: one file for each subcommand.

pub mod bench;
pub mod faces;
pub mod models;
