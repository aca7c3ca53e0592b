//! The hub: the Responses model as Latimer's one vocabulary. Every other dialect is translated to
//! and from what stands here, so that N dialects cost N spokes.
//!
//! [`Request`] and [`Response`] are views over JSON text, an [`Event`] is one step of a stream.
//! [`Grammar`] holds their legal order, [`Fold`] makes a response of events, [`unfold`] makes
//! events of a response, [`Mend`] makes a legal stream of whatever came. Kinds and fields that are not known are kept as they came.

mod envelope;
mod event;
mod flavour;
mod fold;
mod grammar;
mod kind;
mod mend;
mod parameters;
mod past;
mod request;
mod response;
pub mod socket;
mod unfold;

pub use envelope::{Envelope, Failure, Snapshot, Usage};
pub(crate) use event::LOGPROBS;
pub use event::{Event, Member, Rest, Sink};
pub use flavour::Flavour;
pub use fold::Fold;
pub use grammar::{Breach, Grammar, RULES, Rule, State, Violation};
pub use kind::{Field, Index, Kind, Role, Row, Status};
pub use mend::Mend;
pub(crate) use mend::modern;
pub use parameters::{check_include, check_metadata};
pub use past::{MANAGEMENT, TRIGGER};
pub use request::{Item, Request, Tool};
pub(crate) use request::{missing, wrong_type};
pub use response::Response;
pub use unfold::unfold;
