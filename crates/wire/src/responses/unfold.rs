//! A response as the stream that would have made it. In: a whole response and a piece length. Out:
//! its events in the grammar's order, numbered, the texts cut in pieces. The mock speaks with it,
//! and `fold(unfold(r)) == r` tests fold, unfold and grammar together.

use std::num::NonZeroUsize;

use super::event::{Event, LOGPROBS, Member, Rest, Sink};
use super::kind::{Index, Kind};
use super::response::{Response, push_changed};
use crate::json::{Raw, push_string};

/// Gives `sink` the events of `response`; texts go in pieces of at most `piece` characters.
pub fn unfold(response: &Response, piece: NonZeroUsize, sink: &mut dyn Sink) {
    let mut unfolding = Unfolding { piece, sequence: 0, sink };
    let begun = response.with(&[
        ("status", Raw::trusted("\"in_progress\"")),
        ("output", Raw::EMPTY_ARRAY),
        ("usage", Raw::NULL),
        ("error", Raw::NULL),
        ("incomplete_details", Raw::NULL),
    ]);
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

/// The texts that an item of a type holds besides its parts: member, and the events that bring it.
const ITEM_TEXTS: &[(&str, &str, Kind, Kind)] = &[
    ("function_call", "arguments", Kind::ArgumentsDelta, Kind::ArgumentsDone),
    ("custom_tool_call", "input", Kind::InputDelta, Kind::InputDone),
    ("mcp_call", "arguments", Kind::McpArgumentsDelta, Kind::McpArgumentsDone),
    ("code_interpreter_call", "code", Kind::CodeDelta, Kind::CodeDone),
];

/// The texts that parts hold: part type, member, and the events that bring it.
const PART_TEXTS: &[(&str, &str, Kind, Kind)] = &[
    ("output_text", "text", Kind::OutputTextDelta, Kind::OutputTextDone),
    ("refusal", "refusal", Kind::RefusalDelta, Kind::RefusalDone),
    ("reasoning_text", "text", Kind::ReasoningTextDelta, Kind::ReasoningTextDone),
    ("summary_text", "text", Kind::SummaryTextDelta, Kind::SummaryTextDone),
];

const EMPTY_STRING: Raw<'static> = Raw::trusted("\"\"");

impl Unfolding<'_> {
    fn emit(&mut self, mut event: Event<'_>) {
        event.sequence_number = Some(self.sequence);
        self.sequence += 1;
        self.sink.event(&event);
    }

    fn item(&mut self, index: u64, item: Raw<'_>) {
        let kind = item.member_text("type").unwrap_or_default();
        let text = ITEM_TEXTS.iter().find(|(name, ..)| *name == kind);
        let mut begun = vec![("status", Raw::trusted("\"in_progress\""))];
        let lists = [Index::Summary, Index::Content].map(|list| {
            let name = list.list().unwrap_or_default();
            let parts = item.member(name).filter(|parts| parts.is_array());
            begun.extend(parts.map(|_| (name, Raw::EMPTY_ARRAY)));
            (list, parts.map(Raw::elements).unwrap_or_default())
        });
        begun.extend(text.map(|(_, member, ..)| (*member, EMPTY_STRING)));
        let mut added = String::new();
        push_changed(&mut added, item, &begun);
        let place = Event {
            output_index: Some(index),
            item_id: item.member("id").filter(|id| id.is_string()),
            ..Event::new(Kind::ItemAdded)
        };
        let whole = Event { item_id: None, ..place.clone() };
        self.emit(Event { payload: Some(Raw::trusted(&added)), ..whole.clone() });
        for (list, parts) in lists {
            for (part_index, part) in (0..).zip(parts) {
                self.part(list, &Event { part_index: Some(part_index), ..place.clone() }, part);
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
        let text = PART_TEXTS.iter().find(|(name, ..)| *name == kind);
        let mut begun = String::new();
        push_changed(
            &mut begun,
            part,
            &text.map(|(_, member, ..)| (*member, EMPTY_STRING)).into_iter().collect::<Vec<_>>(),
        );
        self.emit(Event { kind: added, payload: Some(Raw::trusted(&begun)), ..place.clone() });
        if let Some((_, member, delta, done)) = text {
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
        let text = literal.and_then(Raw::text).unwrap_or_default();
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
            payload: Some(literal.unwrap_or(EMPTY_STRING)),
            rest: Rest::Own(extra.iter().chain(done.rest.iter()).cloned().collect()),
            kind: done.kind,
            ..place.clone()
        });
    }
}
