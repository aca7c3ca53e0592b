//! The granular Responses stream for those who want only what a chat needs: one event made plain, a
//! whole stream folded, chunks built by hand. It keeps no state between events; what should be right
//! for any stream goes through [`Mend`] and [`Lower`](super::Lower).
//!
//! | a hand-written adapter's | is here |
//! |---|---|
//! | `normalize_sse_event` | [`normalise`]; for streams with defects [`Mend`] before it |
//! | `build_text_chunk` | [`Chunks::text`](super::Chunks::text) |
//! | `build_reasoning_chunk` | [`Chunks::reasoning`](super::Chunks::reasoning) |
//! | its map of `item_id` to content | [`fold_stream`], [`Fold`] |
//! | `MockSSEGenerator` | [`unfold`](crate::responses::unfold), for any response and piece length |
//! | the whole provider | [`lift_request`](super::lift_request), [`Mend`], [`Lower`](super::Lower) |
//!
//! ```
//! use latimer_wire::chat::normal::{Normal, normalise};
//! use latimer_wire::chat::Chunks;
//! use latimer_wire::sse::Decoder;
//! let mut decoder = Decoder::new(1 << 20);
//! decoder.push(b"event: response.output_text.delta\n");
//! decoder.push(b"data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n");
//! let chunks = Chunks::new("chatcmpl-1", "m", 0);
//! let mut out = String::new();
//! while let Some(frame) = decoder.next()? {
//!     match normalise(&frame) {
//!         Normal::Text(delta) => chunks.text(&mut out, &delta),
//!         Normal::Reasoning(delta) => chunks.reasoning(&mut out, &delta),
//!         Normal::Call(call) => chunks.call(&mut out, &call),
//!         Normal::Done | Normal::Failed(_) => break,
//!         Normal::Refusal(_) | Normal::Other => {}
//!     }
//! }
//! assert!(out.contains(r#""delta":{"content":"Hi"}"#));
//! # Ok::<(), latimer_wire::sse::FrameTooLong>(())
//! ```

use std::borrow::Cow;

use crate::json::Raw;
use crate::note::Notes;
use crate::responses::{
    Envelope, Event, Failure, Field, Fold, Kind, Mend, Request, Response, Role, Status, modern,
};
use crate::sse::{Decoder, Frame};

/// One event, as far as a chat needs it.
#[derive(Debug, Clone, PartialEq)]
pub enum Normal<'a> {
    /// More of the answer.
    Text(Cow<'a, str>),
    /// More of the reasoning, or of its summary.
    Reasoning(Cow<'a, str>),
    /// More of a refusal.
    Refusal(Cow<'a, str>),
    /// A call begins, or its arguments grow.
    Call(CallDelta<'a>),
    /// The answer is over, completed or cut short by a limit.
    Done,
    /// The answer failed.
    Failed(Failure),
    /// Nothing that a chat needs. The end of an item is not the end of the answer.
    Other,
}

/// What an event says of a call. Id and name come first, and once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallDelta<'a> {
    /// Its place among the items of the output; not its index among the calls.
    pub index: u64,
    /// Its id, by which the output answers it.
    pub id: Option<Cow<'a, str>>,
    /// The tool's name.
    pub name: Option<Cow<'a, str>>,
    /// More of its arguments, or of the text of a freeform tool.
    pub arguments: Cow<'a, str>,
}

/// What one frame of a Responses stream says, in any form such streams were seen in.
pub fn normalise<'a>(frame: &'a Frame<'_>) -> Normal<'a> {
    let Ok(event) = Event::parse(&frame.data, frame.event.as_deref()) else { return Normal::Other };
    let event = modern(event, None, &mut Notes::default());
    let index = event.output_index.unwrap_or_default();
    let text = event.payload.and_then(Raw::text).unwrap_or_default();
    match event.role() {
        Role::Delta(Field::OutputText) => Normal::Text(text),
        Role::Delta(Field::SummaryText | Field::ReasoningText) => Normal::Reasoning(text),
        Role::Delta(Field::Refusal) => Normal::Refusal(text),
        Role::Delta(Field::Arguments | Field::Input) if event.kind != Kind::McpArgumentsDelta => {
            Normal::Call(CallDelta { index, arguments: text, ..CallDelta::default() })
        }
        Role::ItemAdded => {
            let item = event.payload.unwrap_or(Raw::NULL);
            match item.member_text("type").as_deref() {
                Some("function_call" | "custom_tool_call") => {
                    let (id, name) = (item.member_text("call_id"), item.member_text("name"));
                    Normal::Call(CallDelta { index, id, name, ..CallDelta::default() })
                }
                _ => Normal::Other,
            }
        }
        Role::Terminal(Status::Failed) | Role::Error => Normal::Failed(failure(&event)),
        Role::Terminal(_) => Normal::Done,
        _ => Normal::Other,
    }
}

/// Why a stream failed, by its last event or its `error` event.
fn failure(event: &Event<'_>) -> Failure {
    let mut fold = Fold::default();
    fold.push(event);
    let response = fold.finish();
    let error = response.json().member("error").and_then(Raw::non_null);
    Failure::of(error.unwrap_or(Raw::trusted("\"the response failed, and no reason was given\"")))
}

/// The response that the bytes of a whole stream make, also where the stream has defects or broke
/// off, and what had to be mended.
///
/// ```
/// use latimer_wire::chat::normal::fold_stream;
/// let stream = b"data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n\
///     data: {\"type\":\"response.completed\"}\n\n";
/// let (response, notes) = fold_stream(stream);
/// assert_eq!(response.output().len(), 1);
/// assert!(!notes.is_empty());
/// ```
pub fn fold_stream(bytes: &[u8]) -> (Response, Notes) {
    let mut mend = Mend::new(Envelope::new(&Request::default(), "resp_0", 0), "0");
    let mut fold = Fold::default();
    let mut decoder = Decoder::new(bytes.len());
    decoder.push(bytes);
    while let Ok(Some(frame)) = decoder.next() {
        mend.push(&frame.data, frame.event.as_deref(), &mut fold);
    }
    mend.end(&mut fold);
    (fold.finish(), mend.notes().clone())
}
