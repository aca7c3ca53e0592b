//! Pure analysis of recorded exchanges: what a recording looks like ([`record`] writes it,
//! [`exchange`] reads it), what of it may be shown ([`redact`]), what it breaks ([`check`]), the report
//! ([`markdown`]), and what of it can be played again ([`cassette`]) for which request ([`matching`]).
//! Text in, text out: no sockets, no clock, and files only as the reader a caller hands over.

pub mod cassette;
pub mod check;
pub mod exchange;
pub mod markdown;
pub mod matching;
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
