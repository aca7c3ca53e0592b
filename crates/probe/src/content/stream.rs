//! The summary of a recorded event stream. In: the body as text, with any line ends, its last
//! event perhaps cut off. Out: [`StreamSummary`]: which events came, and the answer they make.

use std::borrow::Cow;

use latimer_wire::sse::{Decoder, Frame};

use latimer_wire::json::Fields;

use crate::content::answer::Answer;
use crate::content::tally::Tally;
use crate::record::exchange::{Headers, Payload};

/// A recorded stream, read to its end.
#[derive(Debug, Default)]
pub(crate) struct StreamSummary {
    /// The events by type.
    pub(crate) events: Tally,
    /// What they say.
    pub(crate) answer: Answer,
    /// The size of an event at the end that was not complete.
    pub(crate) cut_off_bytes: usize,
}

/// The text of a body that is an event stream, by its headers or by its looks.
pub(crate) fn text_of<'p>(headers: &Headers<'_>, body: &'p Payload<'_>) -> Option<&'p str> {
    let Payload::Text(text) = body else { return None };
    let media_type = headers.get("content-type").unwrap_or_default().to_ascii_lowercase();
    let start = text.trim_start_matches('\u{feff}');
    let looks_so = start.starts_with("event:") || start.starts_with("data:");
    // Some services announce a stream and then send an error as plain JSON.
    let is_stream = looks_so || (media_type.contains("event-stream") && !start.starts_with('{'));
    is_stream.then_some(text)
}

/// Reads the whole stream.
pub(crate) fn summarize(body: &str) -> StreamSummary {
    let mut summary = StreamSummary::default();
    // The body is in memory already, so no event of it is too long.
    let mut decoder = Decoder::new(usize::MAX);
    decoder.push(body.as_bytes());
    while let Ok(Some(frame)) = decoder.next() {
        let (kind, event) = read(&frame);
        summary.take(&kind, &event.unwrap_or_default());
    }
    // Recorders may strip the blank line after the last event, which then is whole all the same.
    let rest_bytes = decoder.pending_bytes();
    decoder.push(b"\n\n");
    if let Ok(Some(frame)) = decoder.next() {
        match read(&frame) {
            (kind, Some(event)) => summary.take(&kind, &event),
            (kind, None) if kind == DONE => summary.take(&kind, &Fields::default()),
            _ => summary.cut_off_bytes = rest_bytes,
        }
    }
    summary
}

impl StreamSummary {
    fn take(&mut self, kind: &str, event: &Fields<'_>) {
        self.events.add(kind);
        self.answer.event(kind, event);
    }
}

/// The text that ends streams of the Chat Completions kind; it is no JSON.
const DONE: &str = "[DONE]";

/// An event's type and JSON. The type is the one in the JSON, else the frame's name, else what
/// kind of object it is; `message` is what the SSE standard calls the rest.
fn read<'f>(frame: &'f Frame<'_>) -> (Cow<'f, str>, Option<Fields<'f>>) {
    let event = Fields::parse(&frame.data).ok();
    let inner = |key| event.as_ref().and_then(|event| event.text(key));
    let named = || frame.event.as_deref().map(Cow::Borrowed);
    let kind = inner("type").or_else(named).or_else(|| inner("object"));
    let other = if frame.data == DONE { DONE } else { "message" };
    (kind.unwrap_or(Cow::Borrowed(other)), event)
}
