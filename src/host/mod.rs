//! The owner's tool: one file or folder for each subcommand, and what they share.

pub mod bench;
pub mod cable;
pub mod calibrate;
pub mod cluster;
pub mod cohort;
pub mod collection;
pub mod contact_sheet;
pub mod doctor;
pub mod eval;
pub mod faces;
pub mod info;
pub mod ink;
pub mod keygen;
pub mod lock;
pub mod log;
pub mod looked;
pub mod models;
pub mod output;
pub mod pack;
pub mod progress;
pub mod reader;
pub mod snapshot;
pub mod statistics;
pub mod watch;
