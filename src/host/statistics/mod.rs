//! How far a measured rate can be trusted.
//!
//! Two kinds of doubt are kept apart: that of independent trials ([`bounds`]), and that of comparisons among
//! the same few people, which are not independent ([`people`]).

pub mod bounds;
pub mod people;

pub use bounds::Rate;
pub use people::{PairCounts, PeopleDraws};
