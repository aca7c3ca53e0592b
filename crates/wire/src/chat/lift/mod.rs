//! A Chat Completions answer as hub events. In: chunks as they come, or one whole completion. Out:
//! the full lifecycle of every item, in the grammar's order, at once for each chunk.
//!
//! Chat does not say when a text or a call is over, so an item closes when the next one begins or
//! the answer ends. Items never overlap: what belongs to a later item while an earlier one is still
//! open waits in line. Texts stay the JSON literals they came as.

mod line;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::chunk::{Call, Chunk, Mould};
use super::item::{Content, Item, agree};
use super::sealed::Details;
use super::think::Think;
use super::toolbox::Toolbox;
use crate::json::{Object, Raw, push_unquoted};
use crate::note::Notes;
use crate::responses::{Envelope, Event, Failure, Kind, Sink, Snapshot, Status, Usage};

/// Finish reasons, and how the response then stands: reason, status, why it is incomplete.
const FINISH: &[(&str, Status, Option<&str>)] = &[
    ("stop", Status::Completed, None),
    ("tool_calls", Status::Completed, None),
    ("function_call", Status::Completed, None),
    ("length", Status::Incomplete, Some("max_output_tokens")),
    ("model_length", Status::Incomplete, Some("max_output_tokens")),
    ("content_filter", Status::Incomplete, Some("content_filter")),
    ("error", Status::Failed, None),
    ("insufficient_system_resource", Status::Failed, None),
];

/// Turns one answer of a Chat Completions backend into hub events.
///
/// ```
/// use latimer_wire::chat::Lift;
/// use latimer_wire::responses::{Envelope, Event, Request};
/// let request = Request::parse(r#"{"model":"m","input":"Hi","stream":true}"#)?;
/// let mut lift = Lift::new(Envelope::new(&request, "resp_1", 0), "1");
/// let mut names = Vec::new();
/// let mut sink = |event: &Event<'_>| names.push(event.name().to_owned());
/// lift.push(r#"{"choices":[{"delta":{"content":"Hello"}}]}"#, 0, &mut sink);
/// lift.push(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, 0, &mut sink);
/// lift.push("[DONE]", 0, &mut sink);
/// assert_eq!(names[4], "response.output_text.delta");
/// assert_eq!(names.last().map(String::as_str), Some("response.completed"));
/// # Ok::<(), latimer_wire::error::ApiError>(())
/// ```
#[derive(Debug)]
pub struct Lift {
    envelope: Envelope,
    id_stem: String,
    sequence: u64,
    begun: bool,
    ended: Option<Status>,
    /// The first is open on the wire, the others wait.
    line: VecDeque<Item>,
    /// Room for the literal that is said.
    literal: String,
    items: u64,
    /// The finished items, as the inside of the output array.
    output: String,
    /// Calls that are finished, to know their late fragments by: id and index, and index alone.
    closed_ids: BTreeMap<String, Option<u64>>,
    closed_indices: BTreeSet<u64>,
    usage: Option<Usage>,
    finish: Option<String>,
    toolbox: Toolbox,
    think: Option<Think>,
    refusals_as_text: bool,
    failure: Option<Failure>,
    mould: Mould,
    /// The backend speaks in messages, not in deltas.
    by_messages: bool,
    /// Reasoning to be kept that came when no reasoning was being said.
    details: Details,
    notes: Notes,
}

impl Lift {
    /// `id_stem` makes the ids of the items; it has to be new for each response, and short.
    pub fn new(envelope: Envelope, id_stem: &str) -> Self {
        Lift {
            envelope,
            id_stem: id_stem.to_owned(),
            sequence: 0,
            begun: false,
            ended: None,
            line: VecDeque::new(),
            literal: String::new(),
            items: 0,
            output: String::new(),
            closed_ids: BTreeMap::new(),
            closed_indices: BTreeSet::new(),
            usage: None,
            finish: None,
            toolbox: Toolbox::default(),
            think: None,
            refusals_as_text: false,
            failure: None,
            mould: Mould::default(),
            by_messages: false,
            details: Details::default(),
            notes: Notes::default(),
        }
    }

    /// Gives the tools their names back: the toolbox is that of the request that is answered.
    #[must_use]
    pub fn with_tools(self, toolbox: Toolbox) -> Self {
        Lift { toolbox, ..self }
    }

    /// Splits `<think>` at the beginning of the answer out as reasoning.
    #[must_use]
    pub fn with_think_tags(self, split: bool) -> Self {
        Lift { think: split.then(Think::default), ..self }
    }

    /// Says refusals as plain text, for clients that show nothing else (Codex 0.169).
    #[must_use]
    pub fn with_refusals_as_text(self, as_text: bool) -> Self {
        Lift { refusals_as_text: as_text, ..self }
    }

    /// Why the answer failed, where it had not begun: it can still be an error instead.
    pub fn failed_at_once(&self) -> Option<&Failure> {
        self.failure.as_ref().filter(|_| self.items == 0)
    }

    /// How the response ended; `None` while it goes on.
    pub fn ended(&self) -> Option<Status> {
        self.ended
    }

    /// What it used, as far as the backend has said.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What was lost or mended on the way.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Says that the response exists. Called by itself with the first chunk.
    pub fn begin(&mut self, sink: &mut dyn Sink) {
        if self.begun {
            return;
        }
        self.begun = true;
        let mut response = String::new();
        self.envelope.print(&mut response, "", &Snapshot::IN_PROGRESS);
        for kind in [Kind::Created, Kind::InProgress] {
            self.emit(Event { payload: Some(Raw::trusted(&response)), ..Event::new(kind) }, sink);
        }
    }

    /// Takes the data of one frame. `now` is seconds since 1970. After the end it does nothing;
    /// data that is empty says nothing.
    pub fn push(&mut self, data: &str, now: u64, sink: &mut dyn Sink) {
        let data = data.trim_ascii();
        if self.ended.is_some() || data.is_empty() {
            return;
        }
        if data == "[DONE]" {
            // Only what looks whole is taken for whole: arguments that stop midway were cut off.
            let whole = self.line.iter_mut().all(|item| item.text.is_empty() || item.is_complete());
            if self.finish.is_none() && whole && self.items + self.line.len() as u64 > 0 {
                self.notes.add("finish_reason_missing", "the backend gave no finish reason");
                self.finish = Some("stop".to_owned());
            }
            return self.end(now, sink);
        }
        if let Some(chunk) = self.mould.cast(data) {
            return self.chunk(&chunk, now, sink);
        }
        match Chunk::parse(data) {
            Ok(chunk) => {
                self.mould.take(data, &chunk);
                self.chunk(&chunk, now, sink);
            }
            Err(error) => {
                let message = format!("The backend sent a chunk that is not JSON: {error}.");
                self.fail(server_error(message), sink);
            }
        }
    }

    /// Takes a whole completion: a body instead of a stream.
    pub fn push_whole(&mut self, body: &str, now: u64, sink: &mut dyn Sink) {
        self.push(body, now, sink);
        self.end(now, sink);
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, now: u64, sink: &mut dyn Sink) {
        if let Some(error) = chunk.error {
            if self.finish.is_some() && self.outcome().0 != Status::Failed {
                // The answer is whole; to fail now would make the client ask for it again.
                self.notes.add("error_after_the_answer", Failure::of(error).message);
                return self.end(now, sink);
            }
            return self.fail(Failure::of(error), sink);
        }
        if !chunk.recognised {
            self.notes.add("chunk_unknown", "a chunk without choices, usage or error");
        }
        self.begin(sink);
        if let Some(usage) = chunk.usage {
            self.usage = Some(Usage::read(usage));
        }
        let speaks = self.items + self.line.len() as u64 > 0;
        self.by_messages |= chunk.whole && !speaks;
        match chunk.whole && !self.by_messages {
            // Some backends end a stream with the whole message once more.
            true => self.notes.add_once("content_repeated", "a whole message after its pieces"),
            false => self.said(chunk, sink),
        }
        let reason = chunk.finish_reason.and_then(Raw::text);
        // Some backends write an empty reason, or the word, where others leave it null.
        if let Some(reason) = reason.filter(|reason| !matches!(&**reason, "" | "null")) {
            self.finish = Some(reason.into_owned());
            if self.outcome().0 != Status::Failed {
                self.close_all(sink);
            }
        }
    }

    /// What a chunk says, each in its item.
    fn said(&mut self, chunk: &Chunk<'_>, sink: &mut dyn Sink) {
        if let Some(reasoning) = chunk.reasoning {
            self.text(Content::Reasoning, reasoning, sink);
        } else if let Some(details) = chunk.reasoning_details {
            for detail in details.elements() {
                let text = detail.member("text").or_else(|| detail.member("summary"));
                self.text(Content::Reasoning, text.unwrap_or(Raw::NULL), sink);
            }
        }
        self.keep(chunk.reasoning_details);
        if let Some(logprobs) = chunk.logprobs {
            self.weigh(chunk, logprobs, sink);
        }
        if let Some(content) = chunk.content {
            self.content(content, sink);
        }
        if let Some(refusal) = chunk.refusal {
            let content = if self.refusals_as_text { Content::Text } else { Content::Refusal };
            self.text(content, refusal, sink);
        }
        for annotation in chunk.annotations.map(Raw::elements).unwrap_or_default() {
            self.annotate(annotation, sink);
        }
        for call in &chunk.calls {
            self.call(call, sink);
        }
        for lost in &chunk.lost {
            self.notes.add_once("content_dropped", lost);
        }
    }

    /// Reasoning that is to come back as it is goes to the item that says it, or to one of its own
    /// at the end.
    fn keep(&mut self, details: Option<Raw<'_>>) {
        let details = details.map(Raw::elements).unwrap_or_default();
        if !self.envelope.takes_sealed_reasoning() {
            let has = |detail: &Raw<'_>, key| detail.member(key).is_some_and(Raw::is_string);
            if details.iter().any(|one| has(one, "signature") || has(one, "data")) {
                self.notes.add_once("content_dropped", "reasoning_details");
            }
            return;
        }
        let last = self.line.back_mut().filter(|item| item.content == Content::Reasoning);
        let kept = last.map_or(&mut self.details, |item| &mut item.details);
        details.into_iter().for_each(|detail| kept.push(detail));
    }

    /// Log probabilities belong to the text that comes with them.
    fn weigh(&mut self, chunk: &Chunk<'_>, logprobs: Raw<'_>, sink: &mut dyn Sink) {
        let list = logprobs.as_str();
        let inside = list.get(1..list.len() - 1).unwrap_or_default().trim_ascii();
        let text = chunk.content.map(Raw::inner).unwrap_or_default();
        let speaks = self.think.as_ref().is_none_or(|think| think.passes(text));
        if inside.is_empty() || text.is_empty() || !speaks {
            return;
        }
        if self.line.back().map(|item| item.content) != Some(Content::Text) {
            self.append(Item::new(Content::Text), sink);
        }
        // The hub has a list of bytes for each token, also where the backend has none.
        let whole = inside.replace("\"bytes\":null", "\"bytes\":[]");
        if let Some(item) = self.line.back_mut() {
            item.weigh(&whole.replace("\"bytes\": null", "\"bytes\":[]"));
        }
    }

    /// An annotation belongs to the text that came last; one level deeper in Chat than in the hub.
    fn annotate(&mut self, annotation: Raw<'_>, sink: &mut dyn Sink) {
        let kind = annotation.member_text("type").unwrap_or_default();
        let citation = annotation.member(&kind).filter(|inner| inner.is_object());
        let item = self.line.iter_mut().rev().find(|item| item.content == Content::Text);
        let (Some(item), Some(citation)) = (item, citation) else {
            return self.notes.add("content_dropped", format!("annotation {kind}"));
        };
        let mut flat = String::new();
        let mut object = Object::new(&mut flat).text("type", &kind);
        for (key, value) in citation.members() {
            object = object.member(&key, value);
        }
        object.end();
        item.annotate(flat);
        self.say(sink);
    }

    /// Content is a string, or (Mistral) a list of text and thinking parts.
    fn content(&mut self, content: Raw<'_>, sink: &mut dyn Sink) {
        if content.is_string() {
            return self.text(Content::Text, content, sink);
        }
        for part in content.elements() {
            match part.member_text("type").as_deref() {
                Some("text") => {
                    self.text(Content::Text, part.member("text").unwrap_or(Raw::NULL), sink);
                }
                Some("thinking") => {
                    for thought in part.member("thinking").map(Raw::elements).unwrap_or_default() {
                        let text = thought.member("text").unwrap_or(Raw::NULL);
                        self.text(Content::Reasoning, text, sink);
                    }
                }
                kind => self.notes.add("content_dropped", kind.unwrap_or("part without a type")),
            }
        }
    }

    /// Takes a text; in that of the answer reasoning may be hidden.
    fn text(&mut self, content: Content, literal: Raw<'_>, sink: &mut dyn Sink) {
        let inner = literal.inner();
        match &mut self.think {
            Some(think) if content == Content::Text && !think.is_over() => {
                for (content, piece) in think.push(inner) {
                    self.add(content, &piece, sink);
                }
            }
            _ => self.add(content, inner, sink),
        }
    }

    /// What was held back as the beginning of a tag was none.
    fn end_think(&mut self, sink: &mut dyn Sink) {
        if let Some((content, held)) = self.think.as_mut().and_then(Think::end) {
            self.add(content, &held, sink);
        }
    }

    /// Adds text to the item of its kind that is last in line, or to a new one.
    fn add(&mut self, content: Content, inner: &str, sink: &mut dyn Sink) {
        if inner.is_empty() || self.ended.is_some() {
            return;
        }
        if self.line.back().map(|item| item.content) != Some(content) {
            self.append(Item::new(content), sink);
        }
        let at = self.line.len().saturating_sub(1);
        self.grow(at, inner, sink);
    }

    /// Adds a fragment to its call: the last that neither index nor id exclude. Without an id, a
    /// name with arguments begins a new call where that one has all of its own.
    fn call(&mut self, call: &Call<'_>, sink: &mut dyn Sink) {
        self.end_think(sink);
        if self.ended.is_some() {
            return;
        }
        let whole = call.arguments.filter(|arguments| arguments.is_object()).map(|object| {
            let mut inner = String::new();
            push_unquoted(&mut inner, object.as_str());
            inner
        });
        let inner = whole.as_deref().or(call.arguments.map(Raw::inner)).unwrap_or_default();
        let id = call.id.map(Raw::inner);
        let begins = call.name.is_some() && id.is_none() && !inner.trim_ascii().is_empty();
        let found = self.line.iter().rposition(|item| item.is_call(call.index, id));
        let mut full = |at: &usize| begins && self.line.get_mut(*at).is_some_and(Item::is_complete);
        let at = match found.filter(|at| !full(at)) {
            Some(at) => at,
            None if !begins && self.is_late(call.index, id) => {
                if !inner.trim().is_empty() {
                    self.notes.add("call_fragment_late", "arguments for a call that was complete");
                }
                return;
            }
            None => {
                self.append(Item::call(call.index, id), sink);
                self.line.len().saturating_sub(1)
            }
        };
        if let Some(item) = self.line.get_mut(at) {
            if let Some(name) = call.name.filter(|_| item.name.is_empty()) {
                item.take_name(name, call.custom, &self.toolbox);
            }
            match call.extra_content {
                Some(extra) if self.envelope.takes_sealed_reasoning() => {
                    item.extra_content = Some(extra.as_str().to_owned());
                }
                Some(_) => self.notes.add_once("content_dropped", "extra_content"),
                None => {}
            }
            item.given_id = item.given_id.take().or_else(|| id.map(str::to_owned));
        }
        self.open_first(sink);
        self.grow(at, inner, sink);
    }

    fn is_late(&self, index: Option<u64>, id: Option<&str>) -> bool {
        match id {
            Some(id) => self.closed_ids.get(id).is_some_and(|closed| agree(index, *closed)),
            None => index.is_some_and(|index| self.closed_indices.contains(&index)),
        }
    }

    /// What the finish reason means.
    fn outcome(&self) -> (Status, Option<&'static str>) {
        let reason = self.finish.as_deref().unwrap_or_default();
        let row = FINISH.iter().find(|(name, ..)| *name == reason);
        row.map_or((Status::Completed, None), |(_, status, why)| (*status, *why))
    }

    /// The backend has said all it had to say, by `[DONE]` or by ending the body as it should.
    /// Without a finish reason the answer was cut off and counts as failed.
    pub fn end(&mut self, now: u64, sink: &mut dyn Sink) {
        if self.ended.is_some() {
            return;
        }
        let Some(finish) = self.finish.clone() else {
            let message = "The backend ended its answer before it was complete.".to_owned();
            return self.fail(server_error(message), sink);
        };
        if !FINISH.iter().any(|(name, ..)| *name == finish) {
            self.notes.add("finish_reason_unknown", finish);
        }
        if self.usage.is_none() {
            self.notes.add("usage_missing", "the backend reported no usage");
        }
        let (status, reason) = self.outcome();
        if status == Status::Failed {
            let finish = self.finish.as_deref().unwrap_or_default();
            let message = format!("The backend ended its answer with `{finish}`.");
            return self.fail(server_error(message), sink);
        }
        self.begin(sink);
        self.close_all(sink);
        let kind = if reason.is_some() { Kind::Incomplete } else { Kind::Completed };
        let usage = self.usage;
        let snapshot = Snapshot {
            status,
            completed_at: Some(now),
            failure: None,
            reason,
            usage: usage.as_ref(),
        };
        self.terminal(kind, &snapshot, sink);
    }

    /// Ends the response as failed: the backend said so, or the way to it broke. What was received
    /// stays in the output, marked incomplete.
    pub fn fail(&mut self, failure: Failure, sink: &mut dyn Sink) {
        if self.ended.is_some() {
            return;
        }
        self.begin(sink);
        self.end_think(sink);
        // What waited in line is said now, as far as it came.
        while let Some(item) = self.line.front_mut() {
            item.complete_characters();
            self.open_first(sink);
            if let Some(item) = self.line.pop_front().filter(|item| item.open) {
                self.push_output(&item.json(Status::Incomplete, false));
            }
        }
        let usage = self.usage;
        let snapshot = Snapshot {
            status: Status::Failed,
            failure: Some(&failure),
            usage: usage.as_ref(),
            ..Snapshot::IN_PROGRESS
        };
        self.terminal(Kind::Failed, &snapshot, sink);
        self.failure = Some(failure);
    }

    fn terminal(&mut self, kind: Kind, snapshot: &Snapshot<'_>, sink: &mut dyn Sink) {
        let mut response = String::new();
        self.envelope.print(&mut response, &self.output, snapshot);
        self.emit(Event { payload: Some(Raw::trusted(&response)), ..Event::new(kind) }, sink);
        self.ended = Some(snapshot.status);
    }
}

fn server_error(message: String) -> Failure {
    Failure { code: "server_error".to_owned(), message }
}
