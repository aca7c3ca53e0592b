//! The line of items in the making. The first is open on the wire, the others wait for it to be over;
//! what is said here follows the grammar, whatever the chunks did.

use super::{Lift, server_error};
use crate::chat::item::{Content, Item, push_literal};
use crate::json::Raw;
use crate::responses::{Event, Kind, LOGPROBS, Rest, Sink, Status};

/// How many items may wait for the first one to be over.
const WAITING_MAX: usize = 256;

/// The inside of a literal with its quotes.
fn quoted(inner: &str) -> String {
    ["\"", inner, "\""].concat()
}

impl Lift {
    /// Puts an item at the end of the line and closes what can be closed before it.
    pub(super) fn append(&mut self, item: Item, sink: &mut dyn Sink) {
        if self.line.len() > WAITING_MAX {
            let message = format!("The backend began more than {WAITING_MAX} calls at once.");
            return self.fail(server_error(message), sink);
        }
        self.line.push_back(item);
        while self.line.len() > 1 && self.line.front_mut().is_some_and(Item::is_complete) {
            self.close_first(Status::Completed, sink);
        }
        self.open_first(sink);
    }

    /// Adds to the text of an item; the first in line says so at once.
    pub(super) fn grow(&mut self, at: usize, inner: &str, sink: &mut dyn Sink) {
        let Some(item) = self.line.get_mut(at) else { return };
        item.grow(inner);
        if at == 0 {
            self.say(sink);
        }
    }

    /// Emits what the first item has to say and has not said yet.
    pub(super) fn say(&mut self, sink: &mut dyn Sink) {
        let Lift { line, sequence, literal, .. } = self;
        let Some(item) = line.front_mut() else { return };
        if let (true, Some((delta, _))) = (item.open, item.text_kinds()) {
            let logprobs = item.unsaid().is_some().then(|| item.unsaid_logprobs()).flatten();
            if let Some(unsaid) = item.unsaid() {
                literal.clear();
                push_literal(literal, unsaid);
                let rest = match &logprobs {
                    Some(list) => Rest::Own(vec![("logprobs".into(), Raw::trusted(list))]),
                    None if item.content == Content::Text => Rest::Fixed(LOGPROBS),
                    None => Rest::Fixed(&[]),
                };
                let payload = Some(Raw::trusted(literal));
                emit(sequence, Event { payload, rest, ..item.event(delta) }, sink);
            }
            item.mark_said();
            while let Some((place, annotation)) = item.unsaid_annotation() {
                let place = place.to_string();
                let rest = vec![("annotation_index".into(), Raw::trusted(&place))];
                let payload = Some(Raw::trusted(&annotation));
                let event = item.event(Kind::AnnotationAdded);
                emit(sequence, Event { payload, rest: Rest::Own(rest), ..event }, sink);
            }
        }
    }

    /// Opens the first item in line, once it can be: a call needs its name.
    pub(super) fn open_first(&mut self, sink: &mut dyn Sink) {
        let Some(mut item) = self.line.pop_front() else { return };
        if !item.open && item.can_open() {
            item.begin(self.items, &self.id_stem);
            self.items += 1;
            let json = item.json(Status::InProgress, true);
            let place = Event { item_id: None, part_index: None, ..item.event(Kind::ItemAdded) };
            self.emit(Event { payload: Some(Raw::trusted(&json)), ..place }, sink);
            if let Some((added, _)) = item.part_kinds() {
                let part = item.part(true);
                self.emit(Event { payload: Some(Raw::trusted(&part)), ..item.event(added) }, sink);
            }
        }
        self.line.push_front(item);
        self.say(sink);
    }

    /// Finishes the first item in line.
    fn close_first(&mut self, status: Status, sink: &mut dyn Sink) {
        if let Some(item) = self.line.front_mut() {
            item.conclude();
            if !item.can_open() {
                self.notes.add("call_without_name", "the backend named no function to call");
                item.nameless = true;
            }
        }
        self.open_first(sink);
        let Some(item) = self.line.pop_front() else { return };
        if let Some((_, done)) = item.text_kinds() {
            let text = quoted(&item.text);
            let name = quoted(&item.name);
            let logprobs = item.all_logprobs();
            let rest = match item.content {
                Content::Text => Rest::Own(vec![("logprobs".into(), Raw::trusted(&logprobs))]),
                Content::Call => Rest::Own(vec![("name".into(), Raw::trusted(&name))]),
                _ => Rest::Fixed(&[]),
            };
            let payload = Some(Raw::trusted(&text));
            self.emit(Event { payload, rest, ..item.event(done) }, sink);
        }
        if let Some((_, done)) = item.part_kinds() {
            let part = item.part(false);
            self.emit(Event { payload: Some(Raw::trusted(&part)), ..item.event(done) }, sink);
        }
        let json = item.json(status, false);
        let place = Event { item_id: None, part_index: None, ..item.event(Kind::ItemDone) };
        self.emit(Event { payload: Some(Raw::trusted(&json)), ..place }, sink);
        self.push_output(&json);
        if item.content.is_call() {
            let detail = item.extra_detail();
            self.details.push(detail.as_deref().map_or(Raw::NULL, Raw::trusted));
            self.closed_indices.extend(item.call_index);
            self.closed_ids.extend(item.given_id.map(|id| (id, item.call_index)));
        }
    }

    pub(super) fn push_output(&mut self, json: &str) {
        if !self.output.is_empty() {
            self.output.push(',');
        }
        self.output.push_str(json);
    }

    /// Finishes every item. Where the answer was cut short, so was the last of them.
    pub(super) fn close_all(&mut self, sink: &mut dyn Sink) {
        self.end_think(sink);
        while !self.line.is_empty() {
            let last = self.line.len() == 1;
            let status = if last { self.outcome().0 } else { Status::Completed };
            self.close_first(status, sink);
        }
        if !self.details.is_empty() && self.outcome().0 == Status::Completed {
            self.line.push_back(Item::silent(std::mem::take(&mut self.details)));
            self.close_first(Status::Completed, sink);
        }
    }

    pub(super) fn emit(&mut self, event: Event<'_>, sink: &mut dyn Sink) {
        emit(&mut self.sequence, event, sink);
    }
}

/// Numbers an event and says it.
fn emit(sequence: &mut u64, event: Event<'_>, sink: &mut dyn Sink) {
    sink.event(&Event { sequence_number: Some(*sequence), ..event });
    *sequence += 1;
}
