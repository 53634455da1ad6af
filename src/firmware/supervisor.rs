//! Whoever watches over this program: told that it runs, and that it still does.

/// A service manager.
pub trait Supervisor {
    /// The door is attended to from now on.
    fn ready(&mut self);
    /// The loop has turned, and camera and eyes are well.
    fn alive(&mut self);
    /// One line for whoever asks how it is.
    fn status(&mut self, words: &str);
    /// It ends because it was asked to.
    fn stopping(&mut self);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unattended;

impl Supervisor for Unattended {
    fn ready(&mut self) {}
    fn alive(&mut self) {}
    fn status(&mut self, _words: &str) {}
    fn stopping(&mut self) {}
}
