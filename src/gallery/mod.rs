//! The people who are enrolled, and how a probe is compared with them.
