//! Pure analysis of recorded exchanges: what a recording looks like ([`record`] writes it,
//! [`exchange`] reads it), what Latimer notes down beside it ([`account`], with [`lineage`],
//! [`arrivals`], [`attempts`]) and whether it is as it was written ([`seal`]), what of it may be shown ([`redact`]), what it breaks ([`check`]), the report
//! ([`markdown`]), and what of it can be played again ([`cassette`]) for which request ([`matching`]).
//! Text in, text out: no sockets, no clock, and files only as the reader a caller hands over.

pub mod account;
pub mod arrivals;
pub mod attempts;
pub mod cassette;
pub mod check;
mod columns;
pub mod convert;
pub mod csv;
pub mod exchange;
pub mod form;
pub mod html;
pub mod index;
pub mod lineage;
pub mod markdown;
pub mod matching;
pub mod otlp;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod receipt;
pub mod record;
pub mod redact;
pub mod schema;
pub mod seal;
pub mod summary;
pub mod words;

mod answer;
mod blocks;
mod escape;
mod fields;
mod input;
mod parts;
mod python;
mod stream;
mod structure;
mod tally;
mod tool_call;

pub use words::{unix_ms, visible};
