//! Values that several subcommands take, with what is possible.

use crate::face::template::FARTHEST;

/// A share of strangers: more than none and fewer than all.
///
/// # Errors
/// In words, when `text` is no such number.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a share between 0 and 1, such as 1e-4".to_owned()),
    }
}

/// A squared distance of two faces.
///
/// # Errors
/// In words, when `text` is no such number.
pub fn distance(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(distance) if (0.0..=FARTHEST).contains(&distance) => Ok(distance),
        _ => Err(format!("expected a distance of 0 to {FARTHEST}, such as 1.25")),
    }
}
