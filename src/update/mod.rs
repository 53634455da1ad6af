//! New models over a serial line: packages, signatures, wire protocol.
