//! The rooms joined: one frame to evidence, evidence to the strike.
