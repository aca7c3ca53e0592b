//! Pure analysis of recorded exchanges: what a recording looks like ([`record`] writes it,
//! [`exchange`] reads it), what of it may be shown ([`redact`]), what it breaks ([`check`]), and the
//! report ([`markdown`]).
//! Text in, text out: no sockets, no clock, and files only as the reader a caller hands over.

pub mod check;
pub mod exchange;
pub mod markdown;
pub mod record;
pub mod redact;

mod answer;
mod blocks;
mod escape;
mod fields;
mod input;
mod python;
mod stream;
mod structure;
mod tally;
mod tool_call;
