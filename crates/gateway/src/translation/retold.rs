//! An answer that is told with changes: a teller hears each event of it and says what the client is to
//! hear. [`Preface`] puts an item in front that was there before the backend was asked, a compaction;
//! [`Ours`] makes the response of a backend that keeps nothing the one that we keep.

use std::num::NonZeroUsize;

use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{
    Envelope, Event, Failure, Response, Role, Sink, Snapshot, Status, Usage, unfold,
};

use super::Source;

/// What changes an answer on its way.
pub(crate) trait Teller: Send + Sync {
    /// Says an event, and what belongs to it.
    fn tell(&mut self, event: &Event<'_>, sink: &mut dyn Sink);

    /// What was used, where the answer itself used so much.
    fn used(&self, usage: Option<Usage>) -> Option<Usage>;
}

/// An answer as a teller tells it.
pub(crate) struct Retold<T> {
    source: Box<dyn Source>,
    teller: T,
}

impl<T: Teller> Retold<T> {
    pub fn new(source: Box<dyn Source>, teller: T) -> Self {
        Retold { source, teller }
    }

    /// Has `say` speak to the teller.
    fn telling(&mut self, sink: &mut dyn Sink, say: impl FnOnce(&mut dyn Source, &mut dyn Sink)) {
        let Retold { source, teller } = self;
        say(source.as_mut(), &mut |event: &Event<'_>| teller.tell(event, sink));
    }
}

impl<T: Teller> Source for Retold<T> {
    fn begin(&mut self, sink: &mut dyn Sink) {
        self.telling(sink, |source, sink| source.begin(sink));
    }

    fn push(&mut self, data: &str, name: Option<&str>, now: u64, sink: &mut dyn Sink) {
        self.telling(sink, |source, sink| source.push(data, name, now, sink));
    }

    fn push_whole(&mut self, body: &str, now: u64, sink: &mut dyn Sink) {
        self.telling(sink, |source, sink| source.push_whole(body, now, sink));
    }

    fn end(&mut self, now: u64, sink: &mut dyn Sink) {
        self.telling(sink, |source, sink| source.end(now, sink));
    }

    fn fail(&mut self, failure: Failure, sink: &mut dyn Sink) {
        self.telling(sink, |source, sink| source.fail(failure, sink));
    }

    fn ended(&self) -> Option<Status> {
        self.source.ended()
    }

    fn failed_at_once(&self) -> Option<Failure> {
        self.source.failed_at_once()
    }

    fn usage(&self) -> Option<Usage> {
        self.teller.used(self.source.usage())
    }

    fn notes(&self) -> Notes {
        self.source.notes()
    }
}

/// Whether an event says only how the response stands before anything is made of it.
fn opens(event: &Event<'_>) -> bool {
    matches!(event.role(), Role::Created | Role::Queued | Role::InProgress)
}

/// A response, as JSON, with some members given new values.
fn with(response: Raw<'_>, changes: &[(&str, Raw<'_>)]) -> Option<String> {
    Some(Response::parse(response.as_str()).ok()?.with(changes).into_json())
}

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

    /// The response as it ends.
    fn ended(&self, response: Raw<'_>) -> Option<String> {
        let output = response.member("output").map(Raw::elements).unwrap_or_default();
        let items: Vec<&str> =
            std::iter::once(&*self.item).chain(output.into_iter().map(Raw::as_str)).collect();
        let output = format!("[{}]", items.join(","));
        let mut usage = String::new();
        match self.used(response.member("usage").and_then(Raw::non_null).map(Usage::read)) {
            Some(sum) => sum.print(&mut usage),
            None => usage.push_str("null"),
        }
        with(response, &[("output", Raw::unchecked(&output)), ("usage", Raw::unchecked(&usage))])
    }
}

impl Teller for Preface {
    fn tell(&mut self, event: &Event<'_>, sink: &mut dyn Sink) {
        if !opens(event) {
            self.say(sink);
        }
        let ended = match (event.role(), event.payload) {
            (Role::Terminal(_), Some(response)) => self.ended(response),
            _ => None,
        };
        let payload = ended.as_deref().map(Raw::unchecked).or(event.payload);
        let output_index = event.output_index.map(|index| index + 1);
        self.number(Event { payload, output_index, ..event.clone() }, sink);
    }

    fn used(&self, usage: Option<Usage>) -> Option<Usage> {
        Some([usage?, self.used.unwrap_or_default()].into_iter().sum())
    }
}

/// Members of a response that say who keeps it, and what it goes on from.
const OF_KEEPER: &[&str] = &[
    "id",
    "created_at",
    "background",
    "conversation",
    "metadata",
    "previous_response_id",
    "prompt",
    "store",
];

/// The response of a backend that keeps nothing.
pub(crate) struct Ours {
    /// The response as it begins, as JSON.
    begun: String,
    usage: Option<Usage>,
}

impl Ours {
    /// `envelope` is that of the response that we keep.
    pub fn new(envelope: &Envelope) -> Self {
        let mut begun = String::new();
        envelope.print(&mut begun, "", &Snapshot::IN_PROGRESS);
        Ours { begun, usage: None }
    }

    fn ours(&self, response: Raw<'_>) -> Option<String> {
        let begun = Raw::unchecked(&self.begun);
        let ours = OF_KEEPER.iter().filter_map(|name| Some((*name, begun.member(name)?)));
        with(response, &ours.collect::<Vec<_>>())
    }
}

impl Teller for Ours {
    fn tell(&mut self, event: &Event<'_>, sink: &mut dyn Sink) {
        let ends = matches!(event.role(), Role::Terminal(_));
        if let Some(response) = event.payload.filter(|_| ends) {
            self.usage = response.member("usage").and_then(Raw::non_null).map(Usage::read);
        }
        let response = event.payload.filter(|_| ends || opens(event));
        let ours = response.and_then(|response| self.ours(response));
        let payload = ours.as_deref().map(Raw::unchecked).or(event.payload);
        sink.event(&Event { payload, ..event.clone() });
    }

    fn used(&self, usage: Option<Usage>) -> Option<Usage> {
        self.usage.or(usage)
    }
}
