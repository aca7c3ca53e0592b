//! A backend's summary for a client that wants a compaction: the answer is collected, and becomes a
//! response with one item, which holds it sealed.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use latimer_probe::record::account::Outcome;
use latimer_wire::json::{Object, Raw};
use latimer_wire::note::Notes;
use latimer_wire::responses::{
    Envelope, Event, Failure, Fold, Response, Role, Sink, Snapshot, Status, Usage, unfold,
};

use super::whole::folded;
use super::writer::Writer;
use super::{CutInsideEvent, Feed, Hop, Source, Translation, Whole};
use crate::clock::unix_seconds;
use crate::compaction::{Seal, Sealed, sealed, text_of};
use crate::gateway::Gateway;
use crate::state::Kept;

/// What it takes to make a compaction of a backend's answer.
pub(crate) struct Summary {
    pub source: Box<dyn Source>,
    pub envelope: Envelope,
    pub gateway: Arc<Gateway>,
    /// The id of what is answered, without its prefix.
    pub stem: String,
    /// Whether the compaction itself was asked for, and not a response with it.
    pub bare: bool,
}

impl Summary {
    fn seal(&self) -> &Seal {
        &self.gateway.seal
    }

    /// The response that an answer becomes, and how it ended.
    fn response(&self, answer: &Response, now: u64) -> (Status, String) {
        let usage = self.source.usage();
        let made = match answer.json().member("error").and_then(Raw::non_null) {
            Some(error) => Err(Failure::of(error)),
            None => self.item(answer),
        };
        let (status, output, failure) = match &made {
            Ok(item) => (Status::Completed, item.as_str(), None),
            Err(failure) => (Status::Failed, "", Some(failure)),
        };
        let end = Snapshot {
            status,
            completed_at: Some(now),
            failure,
            reason: None,
            usage: usage.as_ref(),
        };
        let mut response = String::new();
        self.envelope.print(&mut response, output, &end);
        (status, response)
    }

    fn item(&self, answer: &Response) -> Result<String, Failure> {
        let server_error = |message: String| Failure { code: "server_error".to_owned(), message };
        let summary = text_of(answer.json());
        if summary.is_empty() {
            return Err(server_error("The backend gave no summary.".to_owned()));
        }
        let id = format!("cmp_{}", self.stem);
        let item = sealed(self.seal(), &id, &Sealed::Summary(summary));
        item.map_err(|error| server_error(format!("Latimer: {error}.")))
    }

    /// The whole answer.
    ///
    /// # Errors
    /// When the backend reported a failure, broke off, or gave no summary.
    pub fn whole(mut self, body: &[u8], now: u64) -> Result<Whole, Failure> {
        let answer = folded(self.source.as_mut(), body, now);
        let (_, response) = self.response(&answer, now);
        let json = Raw::unchecked(&response);
        if let Some(error) = json.member("error").and_then(Raw::non_null) {
            return Err(Failure::of(error));
        }
        let body = if self.bare { self.compaction(json, now) } else { response };
        let (usage, notes) = (self.source.usage(), self.source.notes());
        Ok(Whole { body: Bytes::from(body), outcome: Outcome::Completed, usage, notes })
    }

    /// The compaction itself, as `POST /v1/responses/compact` gives it.
    fn compaction(&self, response: Raw<'_>, now: u64) -> String {
        let mut out = String::new();
        Object::new(&mut out)
            .text("id", &format!("resp_{}", self.stem))
            .text("object", "response.compaction")
            .number("created_at", now)
            .raw_if("output", response.member("output"))
            .raw_if("usage", response.member("usage"))
            .end();
        out
    }
}

/// A compaction on its way to the client, as events.
pub(crate) struct Compacting {
    feed: Feed,
    summary: Summary,
    fold: Fold,
    writer: Writer,
    ended: Option<Status>,
    failure: Option<Failure>,
}

impl Compacting {
    /// Of an answer that comes as `feed`.
    pub fn new(feed: Feed, summary: Summary, hop: Hop) -> Self {
        let writer = Writer::new(hop);
        let fold = Fold::default();
        Compacting { feed, summary, fold, writer, ended: None, failure: None }
    }

    /// Holds the last event back until it is released.
    pub fn holding(mut self, holding: bool) -> Self {
        self.writer.holding = holding;
        self
    }

    /// Tells the end, when the answer has come to its own.
    fn told(&mut self, now: u64) -> Bytes {
        if self.ended.is_none() && self.summary.source.ended().is_some() {
            let answer = std::mem::take(&mut self.fold).finish();
            let (status, response) = self.summary.response(&answer, now);
            self.failure = self.summary.source.failed_at_once();
            self.ended = Some(status);
            let writer = &mut self.writer;
            if let Ok(response) = Response::parse(response) {
                unfold(&response, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
                    if !matches!(event.role(), Role::Created | Role::InProgress) {
                        writer.event(event);
                    }
                });
            }
        }
        self.writer.written()
    }
}

impl Translation for Compacting {
    fn begin(&mut self) {
        let mut begun = String::new();
        self.summary.envelope.print(&mut begun, "", &Snapshot::IN_PROGRESS);
        let writer = &mut self.writer;
        if let Ok(response) = Response::parse(begun) {
            unfold(&response, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
                if matches!(event.role(), Role::Created | Role::InProgress) {
                    writer.event(event);
                }
            });
        }
    }

    fn push(&mut self, bytes: Bytes, now: u64) -> Bytes {
        let Compacting { feed, summary, fold, writer, .. } = self;
        let read = feed.read(&bytes, |data, name| summary.source.push(data, name, now, fold));
        if let Err(trouble) = read {
            let failure = writer.hop.unreadable(&trouble);
            summary.source.fail(failure, fold);
        }
        self.told(now)
    }

    fn end(&mut self, now: u64) -> Result<Bytes, CutInsideEvent> {
        let Compacting { feed, summary, fold, writer, .. } = self;
        match feed {
            Feed::Events(decoder, _) if decoder.pending_bytes() > 0 => {
                let failure = writer.hop.incomplete();
                summary.source.fail(failure, fold);
            }
            Feed::Events(..) => summary.source.end(now, fold),
            Feed::Whole { body, .. } => {
                let body = String::from_utf8_lossy(body);
                summary.source.push_whole(&body, now, fold);
            }
        }
        Ok(self.told(now))
    }

    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        self.summary.source.fail(failure, &mut self.fold);
        Ok(self.told(unix_seconds()))
    }

    fn held(&self) -> Option<String> {
        self.writer.held()
    }

    fn release(&mut self, kept: Kept) -> Bytes {
        self.writer.release(kept)
    }

    fn ended(&self) -> Option<Status> {
        self.ended
    }

    fn failed_at_once(&self) -> Option<Failure> {
        self.failure.clone()
    }

    fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    fn heard(&self) -> u64 {
        self.feed.heard()
    }

    fn usage(&self) -> Option<Usage> {
        self.summary.source.usage()
    }

    fn notes(&self) -> Notes {
        let mut notes = self.summary.source.notes();
        notes.extend(self.writer.notes.clone());
        notes
    }
}
