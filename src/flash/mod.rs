//! Storage that a power cut cannot spoil.
