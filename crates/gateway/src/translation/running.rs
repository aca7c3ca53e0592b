//! The answer of any backend for a client with a work order: what an agent would say, event by event,
//! and its receipt, sealed and kept, at the end.

use std::sync::Arc;

use bytes::Bytes;
use latimer_wire::backplane::{AgentEvent, Lower};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Failure, Sink, Status, Usage};
use latimer_wire::sse;

use super::whole::read_whole;
use super::{CutInsideEvent, Feed, Hop, Source, Translation};
use crate::backplane::Runs;
use crate::clock::unix_milliseconds;

/// What it takes to tell a client with a work order what a backend says.
pub(crate) struct Run {
    pub source: Box<dyn Source>,
    pub lower: Lower,
    /// Where its receipt goes.
    pub receipts: Arc<Runs>,
}

/// An answer on its way to a client with a work order.
pub(crate) struct Running {
    feed: Feed,
    run: Run,
    out: String,
    hop: Hop,
    /// The receipt, once the run is over.
    receipt: String,
}

impl Running {
    /// From a stream of events.
    pub fn events(run: Run, event_limit_bytes: usize, hop: Hop) -> Self {
        Running::of(Feed::events(event_limit_bytes), run, hop)
    }

    /// From one whole body.
    pub fn whole(run: Run, limit_bytes: usize, hop: Hop) -> Self {
        Running::of(Feed::Whole { body: Vec::new(), limit_bytes }, run, hop)
    }

    fn of(feed: Feed, run: Run, hop: Hop) -> Self {
        Running { feed, run, out: String::new(), hop, receipt: String::new() }
    }

    /// Reads a body that is there, whatever form it has.
    pub fn read_whole(&mut self, body: &[u8]) {
        let now = unix_milliseconds();
        self.tell(now, |source, sink| read_whole(source, body, now / 1000, sink));
        self.close(now);
    }

    /// The receipt, sealed; empty while the run goes on.
    pub fn receipt(&self) -> &str {
        &self.receipt
    }

    /// Gives the client what the events that `speak` makes become.
    fn tell(&mut self, now_ms: u64, speak: impl FnOnce(&mut dyn Source, &mut dyn Sink)) {
        let Running { run: Run { source, lower, .. }, out, hop, .. } = self;
        speak(source.as_mut(), &mut |event: &Event<'_>| {
            lower.push(event, now_ms, &mut |event: &AgentEvent| {
                let data = hop.secret.hide(event.to_json());
                sse::encode(out, Some(event.kind.name()), &data);
            });
        });
        if self.run.source.ended().is_some() {
            self.seal(now_ms);
        }
    }

    /// The backend has ended its body; where that was not the end of the answer, it has failed.
    fn close(&mut self, now_ms: u64) {
        if self.run.source.ended().is_none() {
            let incomplete = self.hop.incomplete();
            self.tell(now_ms, |source, sink| source.fail(incomplete, sink));
        }
    }

    /// The receipt, once.
    fn seal(&mut self, now_ms: u64) {
        if !self.receipt.is_empty() {
            return;
        }
        let receipt = self.hop.secret.hide(self.run.lower.receipt(now_ms).to_json());
        self.receipt = self.run.receipts.keep(&receipt);
        sse::encode(&mut self.out, Some("receipt"), &self.receipt);
    }

    fn written(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.out))
    }
}

impl Translation for Running {
    fn begin(&mut self) {
        self.tell(unix_milliseconds(), |source, sink| source.begin(sink));
    }

    fn push(&mut self, bytes: Bytes, now: u64) -> Bytes {
        let mut frames = Vec::new();
        let trouble = self.feed.read(&bytes, |data, name| {
            frames.push((data.to_owned(), name.map(str::to_owned)));
        });
        let now_ms = unix_milliseconds();
        for (data, name) in frames {
            self.tell(now_ms, |source, sink| source.push(&data, name.as_deref(), now, sink));
        }
        if let Err(trouble) = trouble {
            let failure = self.hop.unreadable(&trouble);
            self.tell(now_ms, |source, sink| source.fail(failure, sink));
        }
        self.written()
    }

    fn end(&mut self, now: u64) -> Result<Bytes, CutInsideEvent> {
        let now_ms = unix_milliseconds();
        if let Feed::Whole { body, .. } = &mut self.feed {
            let body = std::mem::take(body);
            self.read_whole(&body);
        } else {
            self.tell(now_ms, |source, sink| source.end(now, sink));
        }
        self.close(now_ms);
        Ok(self.written())
    }

    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        self.tell(unix_milliseconds(), |source, sink| source.fail(failure, sink));
        Ok(self.written())
    }

    fn ended(&self) -> Option<Status> {
        self.run.source.ended()
    }

    fn is_over(&self) -> bool {
        self.ended().is_some()
    }

    fn heard(&self) -> u64 {
        self.feed.heard()
    }

    fn usage(&self) -> Option<Usage> {
        self.run.lower.usage().or_else(|| self.run.source.usage())
    }

    fn notes(&self) -> Notes {
        self.run.source.notes()
    }
}
