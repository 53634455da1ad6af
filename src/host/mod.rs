//! The owner's tool: one file for each subcommand.
