//! Streams as they come, made into streams as they should be. In: the events of any service or
//! bridge that means to speak Responses: without brackets, ids, indices or numbers, under older
//! names, with texts only at their end. Out: a stream that the grammar admits, in which every text
//! is said exactly once, with a note for each kind of repair. A stream that is right passes as it is.
//!
//! Items are told apart by `output_index`; an id is only a second opinion, since some services give
//! a new one with every event. Only a terminal event ends a stream.
//!
//! | note | what was mended |
//! |---|---|
//! | `created_missing`, `in_progress_missing` | the response's own brackets |
//! | `sequence_missing`, `sequence_gap` | the numbers; ours are always in order |
//! | `item_not_added`, `item_not_done`, `item_only_at_end` | the brackets of an item |
//! | `part_not_added`, `part_not_done` | the brackets of a part |
//! | `text_without_deltas`, `text_not_done`, `done_without_text` | the pieces, the end of a text |
//! | `text_contradicted`, `part_contradicted` | the later word won |
//! | `item_contradicted` | the snapshot's item says nothing, or in another order; ours stays |
//! | `output_index_missing`, `output_index_changed` | the place of an item |
//! | `part_index_missing`, `part_index_changed` | the place of a part |
//! | `item_id_missing`, `item_id_changed` | an item keeps its first id, or gets one |
//! | `call_not_named` | a call without name or id |
//! | `event_renamed`, `delta_is_an_object`, `event_without_type` | older and simpler forms |
//! | `event_repeated`, `event_dropped`, `text_dropped`, `event_malformed` | nothing could be made of it |
//! | `after_end` | what came after the terminal event |
//! | `response_id_changed`, `response_incomplete`, `status_contradicted` | the snapshots |
//! | `item_missing_at_end`, `output_missing_at_end` | the terminal snapshot's output |
//! | `error_passed_over` | an error, and yet the stream went on |
//! | `terminal_missing` | the stream broke off; it ends as failed |

mod brackets;
mod find;
mod finish;
mod item;
mod part;
mod read;
mod terminal;
mod text;

use std::cell::LazyCell;

use self::item::Item;
pub(crate) use self::read::modern;
use self::read::without_padding;
use super::envelope::{Envelope, Failure, Snapshot};
use super::event::{Event, Sink};
use super::fold::failure;
use super::kind::{Kind, Role, Status};
use super::response::changed;
use crate::json::{Object, Raw};
use crate::note::Notes;

/// The tolerant reader of a Responses stream.
///
/// ```
/// use latimer_wire::responses::{Envelope, Event, Mend, Request};
/// let envelope = Envelope::new(&Request::default(), "resp_1", 0);
/// let mut mend = Mend::new(envelope, "1");
/// let mut names = Vec::new();
/// let mut sink = |event: &Event<'_>| names.push(event.name().to_owned());
/// // A bridge that knows four kinds of events, and none of the brackets.
/// mend.push(r#"{"type":"response.output_item.delta","output_index":0,
///     "delta":{"type":"output_text_delta","text":"Hello"}}"#, None, &mut sink);
/// mend.push(r#"{"type":"response.completed","response":{"status":"completed"}}"#, None, &mut sink);
/// mend.end(&mut sink);
/// assert_eq!(names, [
///     "response.created", "response.output_item.added", "response.content_part.added",
///     "response.output_text.delta", "response.output_text.done", "response.content_part.done",
///     "response.output_item.done", "response.completed",
/// ]);
/// assert!(mend.notes().list().iter().any(|note| note.code == "item_not_added"));
/// ```
#[derive(Debug)]
pub struct Mend {
    envelope: Envelope,
    id_stem: String,
    stage: Stage,
    sequence: u64,
    /// How many items are on the wire.
    places: u64,
    /// The number that the input's next event should have.
    expected: Option<u64>,
    /// The response as it began.
    begun: String,
    items: Vec<Item>,
    /// The input's `error` event, as it came.
    error: Option<(String, Failure)>,
    ended: Option<Status>,
    padding_bytes: u64,
    notes: Notes,
}

/// Where the response stands, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    Nothing,
    Created,
    Queued,
    Running,
}

/// What is needed to speak: where the stream stands, and who listens.
struct Voice<'v> {
    sequence: &'v mut u64,
    places: &'v mut u64,
    notes: &'v mut Notes,
    sink: &'v mut dyn Sink,
}

impl Voice<'_> {
    fn emit(&mut self, event: Event<'_>) {
        let sequence_number = Some(*self.sequence);
        *self.sequence += 1;
        self.sink.event(&Event { sequence_number, ..event });
    }

    fn note(&mut self, code: &'static str, detail: impl Into<String>) {
        note_once(self.notes, code, detail);
    }

    fn next_place(&mut self) -> u64 {
        *self.places += 1;
        *self.places - 1
    }
}

/// A note for each kind of repair; its detail is the first of them.
fn note_once(notes: &mut Notes, code: &'static str, detail: impl Into<String>) {
    if !notes.list().iter().any(|note| note.code == code) {
        notes.add(code, detail);
    }
}

impl Mend {
    /// `envelope` stands for what the input leaves out of its response object; `id_stem` makes the
    /// ids of items that have none: new for each response, and short.
    pub fn new(envelope: Envelope, id_stem: &str) -> Self {
        Mend {
            envelope,
            id_stem: id_stem.to_owned(),
            stage: Stage::Nothing,
            sequence: 0,
            places: 0,
            expected: Some(0),
            begun: String::new(),
            items: Vec::new(),
            error: None,
            ended: None,
            padding_bytes: 0,
            notes: Notes::default(),
        }
    }

    /// How the response ended; `None` while it goes on.
    pub fn ended(&self) -> Option<Status> {
        self.ended
    }

    /// What was mended.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// How many bytes of `obfuscation` were left out: padding that says nothing.
    pub fn padding_bytes(&self) -> u64 {
        self.padding_bytes
    }

    /// Takes the data of one frame; `frame_event` is its `event:` line, and counts where the data
    /// has no `type`. `[DONE]` says nothing: only a terminal event ends a stream.
    pub fn push(&mut self, data: &str, frame_event: Option<&str>, sink: &mut dyn Sink) {
        let data = data.trim();
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        match Event::parse(data, frame_event) {
            Ok(event) => self.event(event, sink),
            Err(error) => note_once(&mut self.notes, "event_malformed", error.to_string()),
        }
    }

    /// Takes one event.
    pub fn event(&mut self, event: Event<'_>, sink: &mut dyn Sink) {
        if self.ended.is_some() {
            return note_once(&mut self.notes, "after_end", event.name());
        }
        self.number(&event);
        let (event, padding) = without_padding(event);
        self.padding_bytes += padding;
        let at = event.output_index.and_then(|key| self.latest(key));
        let known = at.and_then(|at| self.items.get(at)).map(|item| &*item.kind);
        let event = modern(event, known, &mut self.notes);
        match event.role() {
            Role::Created | Role::Queued | Role::InProgress => self.lifecycle(event, sink),
            Role::Terminal(status) => self.terminal(event, status, sink),
            Role::Error => self.take_error(&event),
            Role::ItemAdded => self.item_added(event, sink),
            Role::ItemDone => self.item_done(event, sink),
            Role::Aside => {
                self.begin(sink);
                self.voice(sink).emit(event);
            }
            _ => self.inside(event, sink),
        }
    }

    /// Ends the stream where the input ends. Without a terminal event the response has failed.
    pub fn end(&mut self, sink: &mut dyn Sink) {
        if self.ended.is_none() {
            note_once(
                &mut self.notes,
                "terminal_missing",
                "the stream ended without a terminal event",
            );
            self.fail(Failure::incomplete_stream(), sink);
        }
    }

    /// Ends the response as failed. `failure` is why, unless there was an `error` event.
    pub fn fail(&mut self, failure: Failure, sink: &mut dyn Sink) {
        if self.ended.is_none() {
            let told = self.error.as_ref().map(|(_, told)| told.clone());
            let failure = told.unwrap_or(failure);
            self.close_failed(Event::new(Kind::Failed), &failure, sink);
        }
    }

    fn voice<'v>(&'v mut self, sink: &'v mut dyn Sink) -> Voice<'v> {
        Voice {
            sequence: &mut self.sequence,
            places: &mut self.places,
            notes: &mut self.notes,
            sink,
        }
    }

    /// One item, and the voice it speaks with.
    fn speaking<'v>(
        &'v mut self,
        at: usize,
        sink: &'v mut dyn Sink,
    ) -> Option<(&'v mut Item, Voice<'v>)> {
        let Mend { sequence, places, notes, items, .. } = self;
        Some((items.get_mut(at)?, Voice { sequence, places, notes, sink }))
    }

    fn number(&mut self, event: &Event<'_>) {
        match (event.sequence_number, self.expected) {
            (None, _) => note_once(&mut self.notes, "sequence_missing", event.name()),
            (Some(number), Some(expected)) if number != expected => {
                note_once(
                    &mut self.notes,
                    "sequence_gap",
                    format!("{number} after {expected} events"),
                );
            }
            _ => {}
        }
        self.expected = event.sequence_number.and_then(|number| number.checked_add(1));
    }

    /// Says that the response exists, where the input did not.
    fn begin(&mut self, sink: &mut dyn Sink) {
        if self.stage == Stage::Nothing {
            note_once(&mut self.notes, "created_missing", "response.created");
            self.say_begun(Kind::Created, None, sink);
        }
    }

    fn say_begun(&mut self, kind: Kind, given: Option<Raw<'_>>, sink: &mut dyn Sink) {
        self.begun = self.snapshot(given, &[]);
        let begun = self.begun.clone();
        self.voice(sink).emit(Event { payload: Some(Raw::trusted(&begun)), ..Event::new(kind) });
        self.stage = match kind {
            Kind::Created => Stage::Created,
            Kind::Queued => Stage::Queued,
            _ => Stage::Running,
        };
    }

    fn lifecycle(&mut self, event: Event<'_>, sink: &mut dyn Sink) {
        let stage = match event.role() {
            Role::Created => Stage::Created,
            Role::Queued => Stage::Queued,
            _ => Stage::Running,
        };
        if stage <= self.stage || !self.items.is_empty() {
            return note_once(&mut self.notes, "event_repeated", event.name());
        }
        if stage == Stage::Running {
            self.begin(sink);
        }
        let given = event.payload.filter(|response| response.is_object());
        self.begun = self.snapshot(given, &[]);
        let begun = self.begun.clone();
        self.voice(sink).emit(Event { payload: Some(Raw::trusted(&begun)), ..event });
        self.stage = stage;
    }

    /// An error is not the end: the terminal event that follows it is, or the end of the input.
    fn take_error(&mut self, event: &Event<'_>) {
        if self.error.is_some() {
            return note_once(&mut self.notes, "event_repeated", event.name());
        }
        let failure = failure(event);
        let nested = event.rest.iter().any(|(key, value)| key == "error" && value.is_object());
        let mut json = String::new();
        match nested || event.payload.is_some_and(|message| message.is_string()) {
            true => event.print(&mut json),
            false => Object::new(&mut json)
                .text("type", "error")
                .text("code", &failure.code)
                .text("message", &failure.message)
                .null("param")
                .end(),
        }
        self.error = Some((json, failure));
    }

    /// A response object of the input: one id from the first to the last, and all members that
    /// clients need.
    fn snapshot(&mut self, given: Option<Raw<'_>>, changes: &[(&str, Raw<'_>)]) -> String {
        let own = LazyCell::new(|| {
            let mut own = String::new();
            self.envelope.print(&mut own, "", &Snapshot::IN_PROGRESS);
            own
        });
        let begun = std::mem::take(&mut self.begun);
        let before = Some(Raw::trusted(&begun)).filter(|_| !begun.is_empty());
        let base = given.or(before).unwrap_or_else(|| Raw::trusted(&own));
        let members = base.members();
        let stated = |name: &str| members.iter().rev().find(|(key, _)| key == name);
        let stated = |name: &str| stated(name).map(|(_, value)| *value);
        let mut all: Vec<(&str, Raw<'_>)> = Vec::new();
        if let Some(id) = before.and_then(|before| before.member("id")) {
            if stated("id").is_some_and(|given| given != id) {
                note_once(&mut self.notes, "response_id_changed", id.inner());
            }
            all.push(("id", id));
        }
        for member in REQUIRED {
            let asked = changes.iter().chain(&all).any(|(name, _)| name == member);
            if stated(member).is_some() || asked {
                continue;
            }
            note_once(&mut self.notes, "response_incomplete", *member);
            let known = before.and_then(|before| before.member(member));
            let known = known.or_else(|| Raw::trusted(&own).member(member));
            all.extend(known.map(|value| (*member, value)));
        }
        all.extend_from_slice(changes);
        all.retain(|(member, value)| stated(member) != Some(*value));
        let json = changed(base, &all);
        self.begun = begun;
        json
    }
}

/// The members of a response that the SDKs cannot do without.
const REQUIRED: &[&str] = &[
    "id",
    "object",
    "created_at",
    "status",
    "model",
    "output",
    "parallel_tool_calls",
    "tool_choice",
    "tools",
];
