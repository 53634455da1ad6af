//! Progress on the terminal: nothing where the output is no terminal, no colour.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for `steps` of `what`, on standard error.
#[must_use]
pub fn bar(what: &'static str, steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<12} {bar:32} {pos}/{len}, {per_sec}, {eta} left")
        .expect("the template is fixed");
    ProgressBar::new(steps as u64).with_style(style).with_message(what)
}
