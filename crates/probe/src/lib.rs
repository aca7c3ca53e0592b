//! Pure analysis of recorded exchanges: what a line of a recording holds ([`record`]), what of it may be
//! shown ([`redact`]) and whether it is as it was written ([`seal`]), receipts of runs ([`receipt`]), what
//! it breaks ([`check`]), the report as text ([`markdown`]), as data ([`summary`]) and as a page
//! ([`html`]), the files of other programs ([`formats`]), and what can be played again ([`replay`]).
//! Text in, text out: no sockets, no clock, and files only as the reader a caller hands over.

pub mod check;
pub mod formats;
pub mod html;
pub mod markdown;
pub mod receipt;
pub mod record;
pub mod redact;
pub mod replay;
pub mod seal;
pub mod summary;
pub mod words;

mod blocks;
mod content;
mod tree;

pub use words::{unix_ms, visible};
