//! The answer of a Chat Completions backend or an agent for a client of the Responses API.

use bytes::Bytes;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Failure, Status, Usage};

use super::writer::Writer;
use super::{CutInsideEvent, Feed, Hop, Source, Translation};
use crate::state::Kept;

/// How many times longer events are than the chunks they are made of: so much room is made at once.
const TIMES_LONGER: usize = 2;

/// An answer on its way into the hub and out to the client.
pub(crate) struct Lifting {
    feed: Feed,
    lift: Box<dyn Source>,
    writer: Writer,
}

impl Lifting {
    /// From a stream of events.
    pub fn events(lift: Box<dyn Source>, event_limit_bytes: usize, hop: Hop) -> Self {
        let feed = Feed::events(event_limit_bytes);
        Lifting { feed, lift, writer: Writer::new(hop) }
    }

    /// From one whole body.
    pub fn whole(lift: Box<dyn Source>, limit_bytes: usize, hop: Hop) -> Self {
        let feed = Feed::Whole { body: Vec::new(), limit_bytes };
        Lifting { feed, lift, writer: Writer::new(hop) }
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
}

impl Translation for Lifting {
    fn begin(&mut self) {
        self.lift.begin(&mut self.writer);
    }

    fn push(&mut self, bytes: Bytes, now: u64) -> Bytes {
        self.writer.out.reserve(bytes.len() * TIMES_LONGER);
        self.read(&bytes, now);
        self.writer.written()
    }

    fn end(&mut self, now: u64) -> Result<Bytes, CutInsideEvent> {
        self.read_end(now);
        Ok(self.writer.written())
    }

    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        self.lift.fail(failure, &mut self.writer);
        Ok(self.writer.written())
    }

    fn held(&self) -> Option<String> {
        self.writer.held()
    }

    fn release(&mut self, kept: Kept) -> Bytes {
        self.writer.release(kept)
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
