//! The spoke for Chat Completions: requests and streams, between its form and the hub's.
//!
//! | | request | answer |
//! |---|---|---|
//! | a Chat backend | [`lower_request`] | [`Lift`] |
//! | a Chat client | [`lift_request`] | [`Lower`], [`push_completion`] |
//!
//! The complete list of what maps to what is in the tables of these files; whatever has no counterpart
//! becomes a note.

mod ask;
mod chunk;
mod client;
mod completion;
mod content;
mod freeform;
mod item;
mod lift;
mod lower;
mod messages;
pub mod normal;
mod profile;
mod request;
mod said;
mod sealed;
mod stop;
mod think;
mod toolbox;
mod tools;

pub use ask::{LiftOptions, Lifted, lift_request};
pub use client::{Reasoning, Shape};
pub use completion::{push_completion, push_completion_in, push_joined};
pub use lift::Lift;
pub use lower::{Chunks, Lower};
pub use profile::{CallIds, Effort, HostedTools, PROFILES, Profile};
pub use request::{Backend, Lowered, lower_request};
pub use stop::StopSequences;
pub use toolbox::Toolbox;
