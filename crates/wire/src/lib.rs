//! The protocol core of Latimer: what language-model APIs say, as pure data. No I/O, no async, no
//! clock, no randomness: bytes, ids and times are arguments.
//!
//! | room | what it is for |
//! |---|---|
//! | [`sse`] | bytes ⇄ frames of server-sent events |
//! | [`json`] | JSON that stays text: read by borrowing, written in one pass |
//! | [`responses`] | the hub: requests, events, their grammar, responses; fold and unfold |
//! | [`chat`] | the spoke for Chat Completions |
//! | [`backplane`] | the spoke for work orders, receipts and agent events |
//! | [`check`] | the judge: which rules an answer breaks |
//! | [`note`] | what a translation lost or changed |
//! | [`error`] | errors in the shape clients expect |
//! | [`base64`] | bytes as text |
//!
//! Arrows between the rooms run one way:
//! `base64, sse, json, note, error <- responses <- chat, backplane, check`.

pub mod backplane;
pub mod base64;
pub mod chat;
pub mod check;
pub mod error;
pub mod json;
pub mod note;
pub mod path;
pub mod responses;
pub mod sse;
