//! Events to a response. In: the events of one stream, in order. Out: the response they make, also
//! when the stream broke off. Three rules decide: a finished item wins over its deltas; a terminal
//! snapshot that has output wins over the items; a stream without a terminal event has failed.

use std::collections::BTreeMap;

use super::envelope::Failure;
use super::event::{Event, Sink};
use super::kind::{Field, Index, Role, Status};
use super::response::{Response, push_changed};
use crate::json::{Object, Raw};

/// Collects the events of one stream.
///
/// Items are told apart by `output_index`; an event without one belongs to the latest item, and
/// opens a new one where that is finished. What follows a terminal event does not count.
#[derive(Debug, Default)]
pub struct Fold {
    snapshot: Option<Response>,
    ended: Option<Status>,
    error: Option<Failure>,
    items: BTreeMap<u64, Item>,
}

/// An item in the making; `json` is how it looked when it opened, or, once done, all of it.
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
        if self.ended.is_some() {
            return;
        }
        let object = event.payload.filter(|payload| payload.is_object());
        match (event.role(), object) {
            (Role::Created | Role::Queued | Role::InProgress, Some(response)) => {
                self.snapshot = Some(Response::of(response));
            }
            (Role::Terminal(status), response) => {
                self.snapshot = response.map(Response::of).or(self.snapshot.take());
                self.ended = Some(status);
            }
            (Role::Error, _) if self.error.is_none() => self.error = Some(failure(event)),
            (Role::ItemAdded | Role::ItemDone, Some(item)) => self.item(event).take(event, item),
            (Role::PartAdded | Role::PartDone, Some(part)) => {
                if let Some(item) = self.open_item(event) {
                    item.part(event).take(event, part);
                }
            }
            (Role::Delta(field) | Role::Done(field), _) => {
                if let Some(item) = self.open_item(event) {
                    item.text(event, field);
                }
            }
            _ => {}
        }
    }

    fn item(&mut self, event: &Event<'_>) -> &mut Item {
        let index = event.output_index.unwrap_or_else(|| match self.items.last_key_value() {
            None => 0,
            Some((latest, item)) if item.done || event.role() == Role::ItemAdded => {
                latest.saturating_add(1)
            }
            Some((latest, _)) => *latest,
        });
        self.items.entry(index).or_default()
    }

    /// The item an event adds to; none where it is finished. An item that nobody announced is made
    /// up from what the event says.
    fn open_item(&mut self, event: &Event<'_>) -> Option<&mut Item> {
        let item = self.item(event);
        if item.json.is_empty() {
            item.json = unannounced(event);
        }
        (!item.done).then_some(item)
    }

    /// The status of the terminal event; `None` while there was none.
    pub fn ended(&self) -> Option<Status> {
        self.ended
    }

    /// The response of a stream that broke off: `failed`, with all that had come. `failure` is why,
    /// unless the stream had an `error` event.
    pub fn fail(self, failure: Failure) -> Response {
        let error = self.error.or(Some(failure));
        Fold { error, ended: None, ..self }.finish()
    }

    /// The response. Without a terminal event it is `failed`, with the stream's `error` event or
    /// `stream_incomplete` as its error. Items that were not finished are `incomplete`, unless the
    /// response is completed.
    pub fn finish(self) -> Response {
        let snapshot =
            self.snapshot.unwrap_or(Response::of(Raw::trusted(r#"{"object":"response"}"#)));
        let status = self.ended.unwrap_or(Status::Failed);
        let mut changes = Vec::new();
        let stated = snapshot.json().member_text("status");
        let running = matches!(stated.as_deref(), None | Some("queued" | "in_progress"));
        let status_name = format!("\"{}\"", status.name());
        if running || self.ended.is_none() {
            changes.push(("status", Raw::trusted(&status_name)));
        }
        let mut error = String::new();
        if self.ended.is_none() {
            let failure = self.error.unwrap_or_else(Failure::incomplete_stream);
            failure.print(&mut error);
            changes.push(("error", Raw::trusted(&error)));
        }
        let items = self.items.into_values().filter(|item| !item.json.is_empty());
        let items = items.map(|item| item.finish(status));
        let output = format!("[{}]", items.collect::<Vec<_>>().join(","));
        if output != "[]" && (self.ended.is_none() || snapshot.output().is_empty()) {
            changes.push(("output", Raw::trusted(&output)));
        }
        if changes.is_empty() { snapshot } else { snapshot.with(&changes) }
    }
}

/// The words of an `error` event, which has them itself or in a member of that name.
pub(super) fn failure(event: &Event<'_>) -> Failure {
    let member = |name| event.rest.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    if let Some(error) = member("error").and_then(Raw::non_null) {
        return Failure::of(error);
    }
    let code = member("code").and_then(Raw::text).unwrap_or("server_error".into());
    let message = event.payload.and_then(Raw::text).unwrap_or_default();
    Failure { code: code.into_owned(), message: message.into_owned() }
}

/// An item as far as an event about it tells: what it must be to hold such a text or part. Nothing
/// where many could.
fn unannounced(event: &Event<'_>) -> String {
    let Some(kind) = event.about() else { return String::new() };
    let mut json = String::new();
    begin_item(&mut json, kind, event.item_id);
    json
}

/// Appends an item of which only the type is known.
pub(super) fn begin_item(out: &mut String, kind: &str, id: Option<Raw<'_>>) {
    let object = Object::new(out).raw_if("id", id).text("type", kind);
    let object = object.text("status", Status::InProgress.name());
    match kind {
        "message" => object.text("role", "assistant").end(),
        _ => object.end(),
    }
}

impl Item {
    /// Takes the item as it opened, or, for good, as it was finished.
    fn take(&mut self, event: &Event<'_>, item: Raw<'_>) {
        if self.done {
            return;
        }
        self.json = item.as_str().to_owned();
        if event.role() == Role::ItemDone {
            (self.done, self.text) = (true, None);
            self.parts.clear();
        }
    }

    fn part(&mut self, event: &Event<'_>) -> &mut Part {
        let list = event.kind.row().index.list().unwrap_or_default();
        self.parts.entry((list, event.part_index.unwrap_or_default())).or_default()
    }

    /// A delta adds to its text, the end of a text replaces what the deltas made.
    fn text(&mut self, event: &Event<'_>, field: Field) {
        let Some(literal) = event.payload.filter(|payload| payload.is_string()) else { return };
        let text = match (event.kind.row().index, field.member()) {
            (Index::Content | Index::Summary, Some(_)) => {
                &mut self.part(event).text.get_or_insert((field, String::new())).1
            }
            (Index::None, Some(member)) => &mut self.text.get_or_insert((member, String::new())).1,
            _ => return,
        };
        if matches!(event.role(), Role::Done(_)) {
            text.clear();
        }
        text.push_str(literal.inner());
    }

    fn finish(self, response: Status) -> String {
        if self.done {
            return self.json;
        }
        let status = match response {
            Status::Completed => "\"completed\"",
            _ => "\"incomplete\"",
        };
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
        let opened = Raw::trusted(&self.json);
        changes.extend(opened.member("status").map(|_| ("status", Raw::trusted(status))));
        let mut json = String::new();
        push_changed(&mut json, opened, &changes);
        json
    }
}

impl Part {
    /// Takes the part as it opened, or, for good, as it was finished.
    fn take(&mut self, event: &Event<'_>, part: Raw<'_>) {
        if self.done {
            return;
        }
        self.json = part.as_str().to_owned();
        self.done = event.role() == Role::PartDone;
    }

    fn finish(self) -> String {
        let Some((field, inner)) = self.text.filter(|_| !self.done) else { return self.json };
        let kind = format!("\"{}\"", field.part().unwrap_or_default());
        let text = format!("\"{inner}\"");
        let member = field.member().unwrap_or("text");
        let changes = [("type", Raw::trusted(&kind)), (member, Raw::trusted(&text))];
        let mut json = String::new();
        push_changed(&mut json, Raw::trusted(&self.json), &changes);
        json
    }
}
