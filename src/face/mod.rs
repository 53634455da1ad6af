//! From pixels to a template: pure functions without clock, files or threads.
//!
//! ```text
//! frame --convert--> RGB --detect--> box, 5 landmarks --align--> [112, 112, 3]
//!                                        |                 |--quality--> usable, or why not
//!                                        |                 '--embed----> [i8; 128] template
//!                                        '--liveness--> score          track: one person over frames
//! ```
//!
//! It does not know cameras, people's names or the door. Time comes in as an argument.

pub mod align;
pub mod analyze;
#[cfg(any(feature = "sim", feature = "cli"))]
pub mod canvas;
pub mod convert;
pub mod crop;
pub mod decode;
pub mod detail;
pub mod detect;
pub mod embed;
pub mod geometry;
pub mod image;
pub mod liveness;
pub mod models;
pub mod network;
pub mod nms;
pub mod pose;
pub mod quality;
pub mod table;
pub mod template;
pub mod track;
