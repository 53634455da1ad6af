//! From pixels to a template: pure functions without clock, files or threads.
