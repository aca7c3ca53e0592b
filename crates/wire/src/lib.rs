//! The protocol core of Latimer, without I/O.

pub mod json;
pub mod sse;
