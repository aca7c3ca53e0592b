//! Events to a response. In: the events of one stream, in order. Out: the response they make, also
//! when the stream broke off. Three rules decide: a finished item wins over its deltas; a terminal
//! snapshot that has output wins over the items; a stream without a terminal event has failed.

use std::collections::BTreeMap;

use super::envelope::Failure;
use super::event::{Event, Sink};
use super::kind::{Field, Index, Role, Status};
use super::response::{Response, push_changed};
use crate::json::{Raw, push_string};

/// Collects the events of one stream.
///
/// Items are told apart by `output_index`; an event without one belongs to the latest item.
#[derive(Debug, Default)]
pub struct Fold {
    snapshot: Option<Response>,
    ended: Option<Status>,
    error: Option<String>,
    items: BTreeMap<u64, Item>,
}

#[derive(Debug, Default)]
struct Item {
    json: String,
    done: bool,
    text: Option<(&'static str, String)>,
    parts: BTreeMap<(&'static str, u64), Part>,
}

/// A part of a list; `text` is the inside of a JSON literal, as the deltas brought it.
#[derive(Debug, Default)]
struct Part {
    json: String,
    done: bool,
    text: Option<(Field, String)>,
}

impl Sink for Fold {
    fn event(&mut self, event: &Event<'_>) {
        self.push(event);
    }
}

impl Fold {
    /// Takes the next event.
    pub fn push(&mut self, event: &Event<'_>) {
        let payload = event.payload;
        match event.role() {
            Role::Created | Role::Queued | Role::InProgress if self.ended.is_none() => {
                self.snapshot = payload.map(Response::of).or(self.snapshot.take());
            }
            Role::Terminal(status) if self.ended.is_none() => {
                self.snapshot = payload.map(Response::of).or(self.snapshot.take());
                self.ended = Some(status);
            }
            Role::Error if self.error.is_none() => {
                let mut error = String::new();
                event.print(&mut error);
                self.error = Some(error);
            }
            Role::ItemAdded => self.item(event).begin(payload),
            Role::ItemDone => {
                let item = self.item(event);
                item.begin(payload);
                item.done = payload.is_some();
            }
            Role::PartAdded => self.item(event).part(event).json = owned(payload),
            Role::PartDone => {
                let part = self.item(event).part(event);
                part.json = owned(payload);
                part.done = payload.is_some();
            }
            Role::Delta(field) => self.item(event).text(event, field, false),
            Role::Done(field) => self.item(event).text(event, field, true),
            _ => {}
        }
    }

    fn item(&mut self, event: &Event<'_>) -> &mut Item {
        let latest = self.items.keys().next_back().copied().unwrap_or_default();
        self.items.entry(event.output_index.unwrap_or(latest)).or_default()
    }

    /// The status of the terminal event; `None` while there was none.
    pub fn ended(&self) -> Option<Status> {
        self.ended
    }

    /// The response. Without a terminal event it is `failed`, with the stream's `error` event or
    /// `stream_incomplete` as its error, and its open items are `incomplete`.
    pub fn finish(self) -> Response {
        if self.ended.is_some() {
            let whole = self.items.is_empty()
                || self.snapshot.as_ref().is_some_and(|response| !response.output().is_empty());
            let (snapshot, output) = self.parts();
            let output = [("output", Raw::trusted(&output))];
            return snapshot.with(if whole { &[] } else { &output });
        }
        let error = self.error.clone();
        let error = error.as_deref().map(Raw::trusted);
        let error = error.map(|error| error.member("error").unwrap_or(error));
        self.broken(error.unwrap_or(Raw::trusted(
            r#"{"code":"stream_incomplete","message":"the stream ended without a terminal event"}"#,
        )))
    }

    /// The response of a stream that broke off for a reason that is known: `failed`, with all that
    /// had come.
    pub fn fail(self, failure: &Failure) -> Response {
        let mut error = String::new();
        failure.print(&mut error);
        self.broken(Raw::trusted(&error))
    }

    fn broken(self, error: Raw<'_>) -> Response {
        let (snapshot, output) = self.parts();
        snapshot.with(&[
            ("status", Raw::trusted("\"failed\"")),
            ("error", error),
            ("output", Raw::trusted(&output)),
        ])
    }

    /// The latest snapshot, and the output the items make.
    fn parts(self) -> (Response, String) {
        let nothing = || Response::of(Raw::trusted(r#"{"object":"response"}"#));
        let items: Vec<String> = self.items.into_values().map(Item::finish).collect();
        (self.snapshot.unwrap_or_else(nothing), format!("[{}]", items.join(",")))
    }
}

fn owned(payload: Option<Raw<'_>>) -> String {
    payload.map(Raw::as_str).unwrap_or_default().to_owned()
}

impl Item {
    fn begin(&mut self, payload: Option<Raw<'_>>) {
        if !self.done {
            self.json = owned(payload);
        }
    }

    fn part(&mut self, event: &Event<'_>) -> &mut Part {
        let list = event.kind.row().index.list().unwrap_or_default();
        self.parts.entry((list, event.part_index.unwrap_or_default())).or_default()
    }

    /// A delta adds to its text, the end of a text replaces what the deltas made.
    fn text(&mut self, event: &Event<'_>, field: Field, whole: bool) {
        let Some(literal) = event.payload.filter(|payload| payload.is_string()) else { return };
        let text = match (event.kind.row().index, field.member()) {
            (Index::Content | Index::Summary, Some(_)) => {
                &mut self.part(event).text.get_or_insert((field, String::new())).1
            }
            (Index::None, Some(member)) => &mut self.text.get_or_insert((member, String::new())).1,
            _ => return,
        };
        if whole {
            text.clear();
        }
        text.push_str(literal.inner());
    }

    fn finish(self) -> String {
        if self.done {
            return self.json;
        }
        let text = self.text.map(|(member, inner)| (member, format!("\"{inner}\"")));
        let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((list, _), part) in self.parts {
            lists.entry(list).or_default().push(part.finish());
        }
        let lists: Vec<_> = lists
            .into_iter()
            .map(|(list, parts)| (list, format!("[{}]", parts.join(","))))
            .chain(text)
            .collect();
        let mut changes: Vec<_> =
            lists.iter().map(|(member, value)| (*member, Raw::trusted(value))).collect();
        changes.push(("status", Raw::trusted("\"incomplete\"")));
        let mut json = String::new();
        push_changed(&mut json, Raw::trusted(&self.json), &changes);
        json
    }
}

impl Part {
    fn finish(self) -> String {
        let Some((field, inner)) = self.text.filter(|_| !self.done) else { return self.json };
        let kind = match field {
            Field::Refusal => "refusal",
            Field::ReasoningText => "reasoning_text",
            Field::SummaryText => "summary_text",
            _ => "output_text",
        };
        let mut literal = String::new();
        push_string(&mut literal, kind);
        let text = format!("\"{inner}\"");
        let member = field.member().unwrap_or("text");
        let changes = [("type", Raw::trusted(&literal)), (member, Raw::trusted(&text))];
        let mut json = String::new();
        push_changed(&mut json, Raw::trusted(&self.json), &changes);
        json
    }
}
