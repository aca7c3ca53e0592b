//! An answer that begins with an item which was there before the backend was asked: a compaction. In: the
//! events of the answer. Out: the same, with the item in front of all others.

use std::num::NonZeroUsize;

use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Failure, Response, Role, Sink, Status, Usage, unfold};

use super::Source;

/// What an answer begins with.
pub(crate) struct Preface {
    /// The item, as JSON.
    item: String,
    /// What it took to make it.
    used: Option<Usage>,
    said: bool,
    sequence: u64,
}

impl Preface {
    pub fn new(item: String, used: Option<Usage>) -> Self {
        Preface { item, used, said: false, sequence: 0 }
    }

    /// Says the item, once.
    fn say(&mut self, sink: &mut dyn Sink) {
        if std::mem::replace(&mut self.said, true) {
            return;
        }
        let Ok(alone) = Response::parse(format!("{{\"output\":[{}]}}", self.item)) else { return };
        unfold(&alone, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
            if event.output_index.is_some() {
                self.number(event.clone(), sink);
            }
        });
    }

    fn number(&mut self, event: Event<'_>, sink: &mut dyn Sink) {
        let sequence_number = Some(self.sequence);
        self.sequence += 1;
        sink.event(&Event { sequence_number, ..event });
    }

    /// What was used in all.
    fn sum(&self, usage: Option<Usage>) -> Option<Usage> {
        Some([usage?, self.used.unwrap_or_default()].into_iter().sum())
    }

    /// The response as it ends.
    fn ended(&self, response: Raw<'_>) -> Option<String> {
        let output = response.member("output").map(Raw::elements).unwrap_or_default();
        let items: Vec<&str> =
            std::iter::once(&*self.item).chain(output.into_iter().map(Raw::as_str)).collect();
        let output = format!("[{}]", items.join(","));
        let mut usage = String::new();
        match self.sum(response.member("usage").and_then(Raw::non_null).map(Usage::read)) {
            Some(sum) => sum.print(&mut usage),
            None => usage.push_str("null"),
        }
        let changes = [("output", Raw::unchecked(&output)), ("usage", Raw::unchecked(&usage))];
        Some(Response::parse(response.as_str()).ok()?.with(&changes).into_json())
    }
}

/// Where the events of the answer are heard.
struct Voice<'v> {
    preface: &'v mut Preface,
    sink: &'v mut dyn Sink,
}

impl Sink for Voice<'_> {
    fn event(&mut self, event: &Event<'_>) {
        let Voice { preface, sink } = self;
        if !matches!(event.role(), Role::Created | Role::Queued | Role::InProgress) {
            preface.say(*sink);
        }
        let ended = match (event.role(), event.payload) {
            (Role::Terminal(_), Some(response)) => preface.ended(response),
            _ => None,
        };
        let payload = ended.as_deref().map(Raw::unchecked).or(event.payload);
        let output_index = event.output_index.map(|index| index + 1);
        preface.number(Event { payload, output_index, ..event.clone() }, *sink);
    }
}

/// An answer with its beginning.
pub(crate) struct Prefaced {
    pub source: Box<dyn Source>,
    pub preface: Preface,
}

impl Prefaced {
    fn voice<'v>(&'v mut self, sink: &'v mut dyn Sink) -> (&'v mut dyn Source, Voice<'v>) {
        (self.source.as_mut(), Voice { preface: &mut self.preface, sink })
    }
}

impl Source for Prefaced {
    fn begin(&mut self, sink: &mut dyn Sink) {
        let (source, mut voice) = self.voice(sink);
        source.begin(&mut voice);
    }

    fn push(&mut self, data: &str, name: Option<&str>, now: u64, sink: &mut dyn Sink) {
        let (source, mut voice) = self.voice(sink);
        source.push(data, name, now, &mut voice);
    }

    fn push_whole(&mut self, body: &str, now: u64, sink: &mut dyn Sink) {
        let (source, mut voice) = self.voice(sink);
        source.push_whole(body, now, &mut voice);
    }

    fn end(&mut self, now: u64, sink: &mut dyn Sink) {
        let (source, mut voice) = self.voice(sink);
        source.end(now, &mut voice);
    }

    fn fail(&mut self, failure: Failure, sink: &mut dyn Sink) {
        let (source, mut voice) = self.voice(sink);
        source.fail(failure, &mut voice);
    }

    fn ended(&self) -> Option<Status> {
        self.source.ended()
    }

    fn failed_at_once(&self) -> Option<Failure> {
        self.source.failed_at_once()
    }

    fn usage(&self) -> Option<Usage> {
        self.preface.sum(self.source.usage())
    }

    fn notes(&self) -> Notes {
        self.source.notes()
    }
}
