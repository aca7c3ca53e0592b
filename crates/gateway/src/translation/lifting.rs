//! The answer of a Chat Completions backend or an agent for a client of the Responses API.

use bytes::Bytes;
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Failure, Grammar, Kind, Role, Sink, Status, Usage};

use super::{CutInsideEvent, Feed, Hop, Source, Translation};
use crate::state::{Kept, refused, unstored};

/// How many times longer events are than the chunks they are made of: so much room is made at once.
const TIMES_LONGER: usize = 2;

/// An answer on its way into the hub and out to the client.
pub(crate) struct Lifting {
    feed: Feed,
    lift: Box<dyn Source>,
    writer: Writer,
}

/// Writes events as frames and holds them against the grammar.
#[derive(Default)]
struct Writer {
    out: String,
    grammar: Grammar,
    notes: Notes,
    hop: Hop,
    /// Whether the last event waits, and the event.
    holding: bool,
    held: Option<Held>,
}

/// The last event of an answer.
struct Held {
    kind: Kind,
    sequence_number: Option<u64>,
    response: String,
}

impl Sink for Writer {
    fn event(&mut self, event: &Event<'_>) {
        if let Err(violation) = self.grammar.admit(event) {
            self.notes.add("grammar_violation", violation.to_string());
        }
        let Some(response) = event.payload.filter(|_| self.is_rewritten(event)) else {
            return event.print_frame(&mut self.out);
        };
        let response = match event.kind {
            Kind::Failed => self.hop.named(response.as_str()),
            _ => response.as_str().to_owned(),
        };
        let held = Held { kind: event.kind, sequence_number: event.sequence_number, response };
        match self.holding {
            true => self.held = Some(held),
            false => held.print(&mut self.out),
        }
    }
}

impl Writer {
    fn is_rewritten(&self, event: &Event<'_>) -> bool {
        let is_last = matches!(event.role(), Role::Terminal(_));
        event.kind == Kind::Failed || (self.holding && is_last)
    }
}

impl Held {
    fn print(&self, out: &mut String) {
        let payload = Some(Raw::unchecked(&self.response));
        let sequence_number = self.sequence_number;
        Event { sequence_number, payload, ..Event::new(self.kind) }.print_frame(out);
    }
}

impl Lifting {
    /// From a stream of events.
    pub fn events(lift: Box<dyn Source>, event_limit_bytes: usize, hop: Hop) -> Self {
        let feed = Feed::events(event_limit_bytes);
        Lifting { feed, lift, writer: Writer { hop, ..Writer::default() } }
    }

    /// From one whole body.
    pub fn whole(lift: Box<dyn Source>, limit_bytes: usize, hop: Hop) -> Self {
        let feed = Feed::Whole { body: Vec::new(), limit_bytes };
        Lifting { feed, lift, writer: Writer { hop, ..Writer::default() } }
    }

    /// Holds the last event back until it is released.
    pub fn holding(mut self, holding: bool) -> Self {
        self.writer.holding = holding;
        self
    }

    fn read(&mut self, bytes: &[u8], now: u64) {
        let Lifting { feed, lift, writer } = self;
        let read = feed.read(bytes, |data, name| lift.push(data, name, now, writer));
        if let Err(trouble) = read {
            let failure = writer.hop.unreadable(&trouble);
            lift.fail(failure, writer);
        }
    }

    fn read_end(&mut self, now: u64) {
        match &self.feed {
            Feed::Events(decoder, _) if decoder.pending_bytes() > 0 => {
                let failure = self.writer.hop.incomplete();
                self.lift.fail(failure, &mut self.writer);
            }
            Feed::Events(..) => self.lift.end(now, &mut self.writer),
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
    fn begin(&mut self) {
        self.lift.begin(&mut self.writer);
    }

    fn push(&mut self, bytes: Bytes, now: u64) -> Bytes {
        self.writer.out.reserve(bytes.len() * TIMES_LONGER);
        self.read(&bytes, now);
        self.written()
    }

    fn end(&mut self, now: u64) -> Result<Bytes, CutInsideEvent> {
        self.read_end(now);
        Ok(self.written())
    }

    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        self.lift.fail(failure, &mut self.writer);
        Ok(self.written())
    }

    fn held(&self) -> Option<String> {
        self.writer.held.as_ref().map(|held| held.response.clone())
    }

    fn release(&mut self, kept: Kept) -> Bytes {
        let Some(mut held) = self.writer.held.take() else { return Bytes::new() };
        match kept {
            Kept::Stored => {}
            Kept::Lost => held.response = unstored(&held.response),
            Kept::Refused => {
                held.kind = Kind::Failed;
                held.response = refused(&held.response);
            }
        }
        held.print(&mut self.writer.out);
        self.written()
    }

    fn ended(&self) -> Option<Status> {
        self.lift.ended()
    }

    fn failed_at_once(&self) -> Option<Failure> {
        self.lift.failed_at_once()
    }

    fn is_over(&self) -> bool {
        self.lift.ended().is_some()
    }

    fn heard(&self) -> u64 {
        self.feed.heard()
    }

    fn usage(&self) -> Option<Usage> {
        self.lift.usage()
    }

    fn notes(&self) -> Notes {
        let mut notes = self.lift.notes();
        notes.extend(self.writer.notes.clone());
        notes
    }
}
