//! The lock: what may happen at the door, and when.
