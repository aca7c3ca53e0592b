//! A Chat Completions answer for a client of the Responses API.

use bytes::Bytes;
use latimer_wire::chat::Lift;
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Failure, Fold, Grammar, Kind, Response, Sink, Status, Usage};
use latimer_wire::sse::Decoder;

use super::{CutInsideEvent, Hop, Translation};

/// A Chat Completions answer on its way into the hub and out to the client.
pub(crate) struct Lifting {
    feed: Feed,
    lift: Lift,
    writer: Writer,
}

/// In which form the answer comes.
enum Feed {
    /// As a stream of events.
    Events(Decoder),
    /// As one JSON body, although a stream was asked for.
    Whole { body: Vec<u8>, limit_bytes: usize },
}

/// Writes events as frames and holds them against the grammar.
#[derive(Default)]
struct Writer {
    out: String,
    grammar: Grammar,
    notes: Notes,
    hop: Hop,
}

impl Sink for Writer {
    fn event(&mut self, event: &Event<'_>) {
        if let Err(violation) = self.grammar.admit(event) {
            self.notes.add("grammar_violation", violation.to_string());
        }
        match event.payload.filter(|_| event.kind == Kind::Failed) {
            Some(response) => self.hop.named(response.as_str(), event, &mut self.out),
            None => event.print_frame(&mut self.out),
        }
    }
}

impl Lifting {
    /// From a stream of chunks.
    pub fn events(lift: Lift, event_limit_bytes: usize, hop: Hop) -> Self {
        let feed = Feed::Events(Decoder::new(event_limit_bytes));
        Lifting { feed, lift, writer: Writer { hop, ..Writer::default() } }
    }

    /// From one whole completion.
    pub fn whole(lift: Lift, limit_bytes: usize, hop: Hop) -> Self {
        let feed = Feed::Whole { body: Vec::new(), limit_bytes };
        Lifting { feed, lift, writer: Writer { hop, ..Writer::default() } }
    }

    fn read(&mut self, bytes: &[u8], now: u64) {
        let trouble = match &mut self.feed {
            Feed::Events(decoder) => {
                decoder.push(bytes);
                loop {
                    match decoder.next() {
                        Ok(Some(frame)) => self.lift.push(&frame.data, now, &mut self.writer),
                        Ok(None) => return,
                        Err(error) => break error.to_string(),
                    }
                }
            }
            Feed::Whole { body, limit_bytes } if body.len() + bytes.len() > *limit_bytes => {
                format!("it is longer than {limit_bytes} bytes")
            }
            Feed::Whole { body, .. } => return body.extend_from_slice(bytes),
        };
        let message = format!("The backend sent an answer that cannot be read: {trouble}.");
        let failure = Failure { code: "server_error".to_owned(), message };
        self.lift.fail(failure, now, &mut self.writer);
    }

    fn read_end(&mut self, now: u64) {
        match &self.feed {
            Feed::Events(decoder) if decoder.pending_bytes() > 0 => {
                let failure = self.writer.hop.incomplete();
                self.lift.fail(failure, now, &mut self.writer);
            }
            Feed::Events(_) => self.lift.end(now, &mut self.writer),
            Feed::Whole { body, .. } => {
                let body = String::from_utf8_lossy(body);
                self.lift.push_whole(&body, now, &mut self.writer);
            }
        }
    }

    fn written(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.writer.out))
    }
}

impl Translation for Lifting {
    fn begin(&mut self) -> Bytes {
        self.lift.begin(&mut self.writer);
        self.written()
    }

    fn push(&mut self, bytes: Bytes, now: u64) -> Bytes {
        self.read(&bytes, now);
        self.written()
    }

    fn end(&mut self, now: u64) -> Result<Bytes, CutInsideEvent> {
        self.read_end(now);
        Ok(self.written())
    }

    fn fail(&mut self, failure: Failure, now: u64) -> Result<Bytes, CutInsideEvent> {
        self.lift.fail(failure, now, &mut self.writer);
        Ok(self.written())
    }

    fn ended(&self) -> Option<Status> {
        self.lift.ended()
    }

    fn failed_at_once(&self) -> Option<Failure> {
        self.lift.failed_at_once().cloned()
    }

    fn is_over(&self) -> bool {
        self.lift.ended().is_some()
    }

    fn usage(&self) -> Option<Usage> {
        self.lift.usage()
    }

    fn notes(&self) -> Notes {
        let mut notes = self.lift.notes().clone();
        notes.extend(self.writer.notes.clone());
        notes
    }
}

/// A whole answer of a Chat Completions backend as a response. It may have come as a stream.
///
/// # Errors
/// When the backend reported a failure or broke off.
pub(crate) fn whole_chat(
    mut lift: Lift,
    body: &[u8],
    now: u64,
) -> Result<(Response, Option<Usage>, Notes), Failure> {
    let mut fold = Fold::default();
    let begins = |field: &&str| body.trim_ascii_start().starts_with(field.as_bytes());
    if ["data:", "event:", "id:", ":"].iter().any(begins) {
        let mut decoder = Decoder::new(body.len());
        decoder.push(body);
        while let Ok(Some(frame)) = decoder.next() {
            lift.push(&frame.data, now, &mut fold);
        }
        lift.end(now, &mut fold);
    } else {
        lift.push_whole(&String::from_utf8_lossy(body), now, &mut fold);
    }
    let response = fold.finish();
    match response.json().member("error").and_then(Raw::non_null) {
        Some(error) => {
            let word = |key| error.member_text(key).unwrap_or_default().into_owned();
            Err(Failure { code: word("code"), message: word("message") })
        }
        None => Ok((response, lift.usage(), lift.notes().clone())),
    }
}
