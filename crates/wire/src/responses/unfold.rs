//! A response as the stream that would have made it. In: a whole response and a piece length. Out:
//! its events in the grammar's order, numbered, the texts cut in pieces. The mock speaks with it,
//! and `fold(unfold(r)) == r` tests fold, unfold and grammar together.

use std::num::NonZeroUsize;

use super::event::{Event, LOGPROBS, Member, Rest, Sink};
use super::kind::{Field, ITEM_TEXTS, Index, Kind};
use super::response::{Response, push_changed};
use crate::json::{Raw, push_string};

/// Gives `sink` the events of `response`; texts go in pieces of at most `piece` characters.
pub fn unfold(response: &Response, piece: NonZeroUsize, sink: &mut dyn Sink) {
    let mut unfolding = Unfolding { piece, sequence: 0, sink };
    let mut begun = vec![("status", IN_PROGRESS), ("output", Raw::EMPTY_ARRAY)];
    let at_the_end = ["completed_at", "error", "incomplete_details", "usage"].into_iter();
    begun.extend(at_the_end.filter(|key| has(response.json(), key)).map(|key| (key, Raw::NULL)));
    let begun = response.with(&begun);
    unfolding.emit(Event { payload: Some(begun.json()), ..Event::new(Kind::Created) });
    unfolding.emit(Event { payload: Some(begun.json()), ..Event::new(Kind::InProgress) });
    for (index, item) in (0..).zip(response.output()) {
        unfolding.item(index, item);
    }
    let end = match response.json().member_text("status").as_deref() {
        Some("failed") => Kind::Failed,
        Some("incomplete") => Kind::Incomplete,
        _ => Kind::Completed,
    };
    unfolding.emit(Event { payload: Some(response.json()), ..Event::new(end) });
}

struct Unfolding<'s> {
    piece: NonZeroUsize,
    sequence: u64,
    sink: &'s mut dyn Sink,
}

/// The events that bring the texts of parts.
pub(super) const PART_TEXTS: &[(Field, Kind, Kind)] = &[
    (Field::OutputText, Kind::OutputTextDelta, Kind::OutputTextDone),
    (Field::Refusal, Kind::RefusalDelta, Kind::RefusalDone),
    (Field::ReasoningText, Kind::ReasoningTextDelta, Kind::ReasoningTextDone),
    (Field::SummaryText, Kind::SummaryTextDelta, Kind::SummaryTextDone),
];

/// The lists of parts that an item of a type holds, in the order they are made.
const PART_LISTS: &[(&str, &[Index])] =
    &[("message", &[Index::Content]), ("reasoning", &[Index::Summary, Index::Content])];

/// The lists of parts that an item of this type holds.
pub(super) fn part_lists(kind: &str) -> &'static [Index] {
    PART_LISTS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |row| row.1)
}

/// An item as it looks before any of its text came; `running`: as one that is being made.
pub(super) fn opened(item: Raw<'_>, running: bool) -> String {
    let kind = item.member_text("type").unwrap_or_default();
    let mut begun = Vec::new();
    if running && has(item, "status") {
        begun.push(("status", IN_PROGRESS));
    }
    for name in part_lists(&kind).iter().filter_map(|list| list.list()) {
        let parts = item.member(name).filter(|parts| parts.is_array());
        begun.extend(parts.map(|_| (name, Raw::EMPTY_ARRAY)));
    }
    let text = ITEM_TEXTS.iter().find(|(name, member, ..)| {
        *name == kind && item.member(member).is_some_and(Raw::is_string)
    });
    begun.extend(text.map(|(_, member, ..)| (*member, EMPTY_STRING)));
    let mut json = String::new();
    push_changed(&mut json, item, &begun);
    json
}

/// A part as it looks before any of its text came.
pub(super) fn opened_part(part: Raw<'_>) -> String {
    let kind = part.member_text("type").unwrap_or_default();
    let member = Field::of_part(&kind).and_then(Field::member);
    let mut json = String::new();
    let begun: Vec<_> = member.map(|member| (member, EMPTY_STRING)).into_iter().collect();
    push_changed(&mut json, part, &begun);
    json
}

const EMPTY_STRING: Raw<'static> = Raw::trusted("\"\"");
const IN_PROGRESS: Raw<'static> = Raw::trusted("\"in_progress\"");

fn has(object: Raw<'_>, key: &str) -> bool {
    object.member(key).is_some()
}

impl Unfolding<'_> {
    fn emit(&mut self, mut event: Event<'_>) {
        event.sequence_number = Some(self.sequence);
        self.sequence += 1;
        self.sink.event(&event);
    }

    fn item(&mut self, index: u64, item: Raw<'_>) {
        let kind = item.member_text("type").unwrap_or_default();
        let text = ITEM_TEXTS.iter().find(|(name, member, ..)| {
            *name == kind && item.member(member).is_some_and(Raw::is_string)
        });
        let lists = part_lists(&kind);
        let added = opened(item, true);
        let place = Event {
            output_index: Some(index),
            item_id: item.member("id").filter(|id| id.is_string()),
            ..Event::new(Kind::ItemAdded)
        };
        let whole = Event { item_id: None, ..place.clone() };
        self.emit(Event { payload: Some(Raw::trusted(&added)), ..whole.clone() });
        for list in lists {
            let parts = list.list().and_then(|name| item.member(name));
            for (part_index, part) in (0..).zip(parts.map(Raw::elements).unwrap_or_default()) {
                self.part(*list, &Event { part_index: Some(part_index), ..place.clone() }, part);
            }
        }
        if let Some((_, member, delta, done)) = text {
            let name = item.member("name").filter(|_| *done == Kind::ArgumentsDone);
            let rest = Rest::Own(name.map(|name| ("name".into(), name)).into_iter().collect());
            self.text(&place, item.member(member), *delta, Event { rest, ..Event::new(*done) });
        }
        self.emit(Event { kind: Kind::ItemDone, payload: Some(item), ..whole });
    }

    fn part(&mut self, list: Index, place: &Event<'_>, part: Raw<'_>) {
        let (added, done) = match list {
            Index::Summary => (Kind::SummaryPartAdded, Kind::SummaryPartDone),
            _ => (Kind::ContentPartAdded, Kind::ContentPartDone),
        };
        let kind = part.member_text("type").unwrap_or_default();
        let text = PART_TEXTS.iter().find(|(field, ..)| field.part() == Some(&kind));
        let member = text.and_then(|(field, ..)| field.member());
        let begun = opened_part(part);
        self.emit(Event { kind: added, payload: Some(Raw::trusted(&begun)), ..place.clone() });
        if let (Some((_, delta, done)), Some(member)) = (text, member) {
            self.text(place, part.member(member), *delta, Event::new(*done));
        }
        self.emit(Event { kind: done, payload: Some(part), ..place.clone() });
    }

    /// The deltas of one text and its end.
    fn text<'e>(
        &mut self,
        place: &Event<'e>,
        literal: Option<Raw<'e>>,
        kind: Kind,
        done: Event<'e>,
    ) {
        let literal = literal.filter(|literal| literal.is_string()).unwrap_or(EMPTY_STRING);
        let text = literal.text().unwrap_or_default();
        let extra: &[Member<'_>] = if kind == Kind::OutputTextDelta { LOGPROBS } else { &[] };
        let mut rest = &*text;
        while !rest.is_empty() {
            let cut = rest.char_indices().nth(self.piece.get()).map_or(rest.len(), |(at, _)| at);
            let (piece, tail) = rest.split_at(cut);
            let mut delta = String::new();
            push_string(&mut delta, piece);
            self.emit(Event {
                kind,
                payload: Some(Raw::trusted(&delta)),
                rest: Rest::Fixed(extra),
                ..place.clone()
            });
            rest = tail;
        }
        self.emit(Event {
            payload: Some(literal),
            rest: Rest::Own(extra.iter().chain(done.rest.iter()).cloned().collect()),
            kind: done.kind,
            ..place.clone()
        });
    }
}
