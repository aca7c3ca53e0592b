//! The spoke for Chat Completions: requests and streams, between its form and the hub's.
//!
//! [`lower_request`] turns a hub request into a body for a backend, [`Lift`] the backend's answer
//! into hub events, [`Lower`] hub events into chunks. The complete list of what maps to what is in
//! the tables of these files; whatever has no counterpart becomes a note.

mod chunk;
mod client;
mod completion;
mod freeform;
mod item;
mod lift;
mod lower;
mod messages;
mod profile;
mod request;
mod said;
mod stop;
mod think;
mod toolbox;
mod tools;

pub use client::{Reasoning, Shape};
pub use completion::{push_completion, push_completion_in};
pub use lift::Lift;
pub use lower::Lower;
pub use profile::{CallIds, Effort, HostedTools, PROFILES, Profile};
pub use request::{Backend, Lowered, lower_request};
pub use stop::Stop;
pub use toolbox::Toolbox;
