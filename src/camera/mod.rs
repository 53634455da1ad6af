//! Frames in: the camera, its pixel formats, and its stand-ins.
