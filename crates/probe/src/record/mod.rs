//! The record: one exchange a line of JSON. [`Record`] writes a line, [`exchange`] reads it;
//! [`account`] is what Latimer notes down beside request and answer, of which [`lineage`] finds session
//! and turn, [`arrivals`] the times of frames and [`attempts`] what came again. [`index`] finds exchanges
//! in a closed segment, [`schema`] is the published form.

pub mod account;
pub mod arrivals;
pub mod attempts;
pub mod exchange;
pub mod index;
pub mod lineage;
pub mod schema;

mod escape;
mod write;

pub use write::{Body, Record};
