//! An item that is being mended: what the input said of it, and what of that went out. Whatever
//! bracket of the grammar is missing is said here, and only here.

use super::Voice;
use super::part::Part;
use super::text::{Text, Told};
use crate::json::Raw;
use crate::responses::event::{Event, LOGPROBS, Rest};
use crate::responses::kind::{Field, ITEM_TEXTS, Index, Kind, Role};
use crate::responses::response::changed;
use crate::responses::unfold::{PART_TEXTS, opened};

/// Items that nobody can use before they are named; such an item waits for its name.
const NAMED: &[(&str, &[&str])] = &[
    ("function_call", &["call_id", "name"]),
    ("custom_tool_call", &["call_id", "name"]),
    ("mcp_call", &["name"]),
];

/// One item. Its texts and parts are in `parts` and `text`, in the order in which they went out.
#[derive(Debug)]
pub(super) struct Item {
    /// Its output index as the input has it.
    pub key: u64,
    /// The input said so; else we have counted.
    pub key_told: bool,
    pub kind: String,
    /// Its id as we gave it, a literal.
    pub id: String,
    /// As it opened; when it is done, all of it.
    pub json: String,
    /// The input opened it, or we had to.
    pub announced: bool,
    pub done: bool,
    /// Its output index on the wire.
    pub place: Option<u64>,
    pub text: Text,
    pub parts: Vec<Part>,
    /// The part that is open.
    pub open: Option<usize>,
}

impl Item {
    pub fn new(key: u64, kind: &str, id: String, json: String, announced: bool) -> Self {
        Item {
            key,
            key_told: true,
            kind: kind.to_owned(),
            id,
            json,
            announced,
            done: false,
            place: None,
            text: Text::default(),
            parts: Vec::new(),
            open: None,
        }
    }

    /// Whether it has all that must be known when it opens.
    fn can_open(&self) -> bool {
        let json = Raw::trusted(&self.json);
        let named = NAMED.iter().find(|(kind, _)| *kind == self.kind);
        named.is_none_or(|(_, members)| members.iter().all(|member| json.member(member).is_some()))
    }

    /// What the members say that must be there and are not, with the id as we gave it.
    pub fn named(&self, item: Raw<'_>, voice: &mut Voice<'_>) -> String {
        let mut changes = vec![("id", Raw::trusted(&self.id))];
        let named = NAMED.iter().find(|(kind, _)| *kind == self.kind);
        let missing = |member: &&&str| item.member(member).is_none_or(|name| !name.is_string());
        for member in named.iter().flat_map(|(_, members)| members.iter()).filter(missing) {
            let own = Raw::trusted(&self.json).member(member).filter(|name| name.is_string());
            voice.note("call_not_named", *member);
            let stand_in = if *member == "call_id" { &*self.id } else { "\"\"" };
            changes.push((member, own.unwrap_or(Raw::trusted(stand_in))));
        }
        changes.retain(|(member, value)| item.member(member) != Some(*value));
        changed(item, &changes)
    }

    /// Opens the item on the wire, and says what was heard before it could.
    pub fn announce(&mut self, voice: &mut Voice<'_>) {
        if self.place.is_some() || !(self.can_open() || self.done) {
            return;
        }
        let named = self.named(Raw::trusted(&self.json), voice);
        let json = opened(Raw::trusted(&named), self.done);
        let place = voice.next_place();
        self.place = Some(place);
        voice.emit(Event {
            output_index: Some(place),
            payload: Some(Raw::trusted(&json)),
            ..Event::new(Kind::ItemAdded)
        });
        self.say_text(voice);
    }

    /// An event about this item, or one of its parts.
    pub fn event(&self, kind: Kind, part_index: Option<u64>) -> Event<'_> {
        let item_id = Some(Raw::trusted(&self.id));
        Event { output_index: self.place, item_id, part_index, ..Event::new(kind) }
    }

    /// An event of the input, moved to where we have the item.
    fn pass(&self, event: Event<'_>, voice: &mut Voice<'_>) {
        let id = Raw::trusted(&self.id);
        let by_id = event.kind.row().index != Index::Command || event.item_id.is_some();
        match event.item_id {
            None if by_id => voice.note("item_id_missing", event.name()),
            Some(other) if other != id => voice.note("item_id_changed", event.name()),
            _ => {}
        }
        voice.emit(Event { output_index: self.place, item_id: by_id.then_some(id), ..event });
    }

    /// Takes one event about the inside of the item.
    pub fn take(&mut self, event: Event<'_>, voice: &mut Voice<'_>) {
        match (event.role(), event.kind.row().index) {
            (Role::PartAdded, list) => self.part_added(event, list, voice),
            (Role::PartDone, list) => self.part_done(event, list, voice),
            (Role::Delta(Field::Nested) | Role::Done(Field::Nested), _) => {
                let fits = self.place.is_some() && self.open.is_none() && !self.text.over;
                if fits {
                    self.pass(event, voice)
                } else {
                    voice.note("event_dropped", event.name())
                }
            }
            (Role::Delta(field) | Role::Done(field), Index::Content | Index::Summary) => {
                self.part_text(event, field, voice);
            }
            (Role::Delta(_) | Role::Done(_), _) => self.own_text(event, voice),
            (_, Index::Content) => self.annotation(event, voice),
            _ if self.place.is_some() => self.pass(event, voice),
            _ => voice.note("event_dropped", event.name()),
        }
    }

    /// The part an event is about, by its index as the input has it.
    pub fn part_at(&self, list: Index, key: u64) -> Option<usize> {
        self.parts.iter().position(|part| part.list == list && part.key == key)
    }

    /// The index of the part an event is about; where it has none, that of the open part or the
    /// next.
    fn key(&self, event: &Event<'_>, list: Index, voice: &mut Voice<'_>) -> u64 {
        if let Some(key) = event.part_index {
            return key;
        }
        voice.note("part_index_missing", event.name());
        let open = self.open.and_then(|at| self.parts.get(at)).filter(|part| part.list == list);
        let last = || self.parts.iter().filter(|part| part.list == list).map(|part| part.key).max();
        match (open, event.role()) {
            (Some(part), Role::PartDone | Role::Delta(_) | Role::Done(_)) => part.key,
            (_, Role::PartAdded | Role::Delta(_)) => last().map_or(0, |key| key.saturating_add(1)),
            _ => last().unwrap_or_default(),
        }
    }

    fn part_added(&mut self, event: Event<'_>, list: Index, voice: &mut Voice<'_>) {
        let key = self.key(&event, list, voice);
        let Some(part) = event.payload.filter(|part| part.is_object()) else {
            return voice.note("event_dropped", event.name());
        };
        match self.part_at(list, key) {
            Some(_) => voice.note("event_repeated", event.name()),
            None => {
                let part = self.typed(list, part.as_str()).into_owned();
                self.open_part(list, key, part, voice);
            }
        }
    }

    fn part_done(&mut self, event: Event<'_>, list: Index, voice: &mut Voice<'_>) {
        let key = self.key(&event, list, voice);
        let Some(part) = event.payload.filter(|part| part.is_object()) else {
            return voice.note("event_dropped", event.name());
        };
        let part = self.typed(list, part.as_str());
        let part = Raw::trusted(&part);
        let at = self.part_at(list, key).unwrap_or_else(|| {
            voice.note("part_not_added", event.name());
            self.open_part(list, key, part.as_str().to_owned(), voice)
        });
        match self.open == Some(at) {
            true => self.close_part(Some(part), voice),
            false => voice.note("event_repeated", event.name()),
        }
    }

    fn part_text(&mut self, event: Event<'_>, field: Field, voice: &mut Voice<'_>) {
        let list = event.kind.row().index;
        let key = self.key(&event, list, voice);
        let Some(literal) = event.payload.filter(|text| text.is_string()) else {
            return voice.note("event_dropped", event.name());
        };
        let at = self.part_at(list, key).unwrap_or_else(|| {
            voice.note("part_not_added", event.name());
            self.open_part(list, key, Part::bare(field), voice)
        });
        let Some(part) = self.parts.get_mut(at) else { return };
        if part.closed || part.text.over || part.field != Some(field) {
            return voice.note("text_dropped", event.name());
        }
        let part_index = Some(part.index);
        if matches!(event.role(), Role::Delta(_)) {
            part.text.hear(literal);
            part.text.mark_said();
            return self.pass(Event { part_index, ..event }, voice);
        }
        let (told, unsaid) = (part.text.settle(Some(literal)), part.text.unsaid());
        part.text.mark_said();
        part.text.over = true;
        let whole = part.text.whole();
        self.rest_of_text(&event, part_index, told, unsaid, voice);
        let payload = if told == Told::Nothing { Raw::trusted(&whole) } else { literal };
        self.pass(Event { part_index, payload: Some(payload), ..event }, voice);
    }

    /// Before the end of a text: what of it the deltas did not say.
    fn rest_of_text(
        &self,
        done: &Event<'_>,
        part_index: Option<u64>,
        told: Told,
        unsaid: Option<String>,
        voice: &mut Voice<'_>,
    ) {
        match told {
            Told::Other => voice.note("text_contradicted", done.name()),
            Told::Nothing if unsaid.is_some() => voice.note("done_without_text", done.name()),
            _ => {}
        }
        let mut kinds = PART_TEXTS.iter().map(|(_, delta, done)| (*delta, *done));
        let mut own = ITEM_TEXTS.iter().map(|(.., delta, done)| (*delta, *done));
        let is_end = |(_, end): &(Kind, Kind)| *end == done.kind;
        let delta = kinds.find(is_end).or_else(|| own.find(is_end));
        let (Some(unsaid), Some((delta, _))) = (unsaid, delta) else { return };
        if told == Told::More {
            voice.note("text_without_deltas", delta.row().name);
        }
        let extra = if delta == Kind::OutputTextDelta { LOGPROBS } else { &[] };
        let payload = Some(Raw::trusted(&unsaid));
        let rest = Rest::Fixed(extra);
        voice.emit(Event { payload, rest, ..self.event(delta, part_index) });
    }

    /// The text that belongs to the item itself.
    fn own_text(&mut self, event: Event<'_>, voice: &mut Voice<'_>) {
        let row = ITEM_TEXTS.iter().find(|row| row.0 == self.kind);
        let brought = row.is_some_and(|(.., delta, done)| [*delta, *done].contains(&event.kind));
        let literal = event.payload.filter(|text| text.is_string());
        let (Some(literal), true, false) = (literal, brought, self.text.over) else {
            return voice.note("text_dropped", event.name());
        };
        if matches!(event.role(), Role::Delta(_)) {
            self.text.hear(literal);
            if self.place.is_some() {
                self.text.mark_said();
                self.pass(event, voice);
            }
            return;
        }
        let told = self.text.settle(Some(literal));
        if self.place.is_none() {
            return;
        }
        let unsaid = self.text.unsaid();
        self.text.mark_said();
        self.text.over = true;
        self.rest_of_text(&event, None, told, unsaid, voice);
        let whole = self.text.whole();
        let payload = if told == Told::Nothing { Raw::trusted(&whole) } else { literal };
        self.pass(Event { payload: Some(payload), ..event }, voice);
    }

    /// Says what was heard of the item's own text and not said.
    pub fn say_text(&mut self, voice: &mut Voice<'_>) {
        let row = ITEM_TEXTS.iter().find(|row| row.0 == self.kind);
        if let (Some((.., delta, _)), Some(unsaid)) = (row, self.text.unsaid()) {
            let payload = Some(Raw::trusted(&unsaid));
            voice.emit(Event { payload, ..self.event(*delta, None) });
            self.text.mark_said();
        }
    }

    /// An annotation belongs to a part; it may come before the part does.
    fn annotation(&mut self, event: Event<'_>, voice: &mut Voice<'_>) {
        let key = self.key(&event, Index::Content, voice);
        let at = self.part_at(Index::Content, key).unwrap_or_else(|| {
            voice.note("part_not_added", event.name());
            self.open_part(Index::Content, key, Part::bare(Field::OutputText), voice)
        });
        let elsewhere = self.open.is_some_and(|open| open != at);
        let Some(part) = self.parts.get_mut(at).filter(|_| !elsewhere) else {
            return voice.note("event_dropped", event.name());
        };
        part.annotations.extend(event.payload.map(|annotation| annotation.as_str().to_owned()));
        let part_index = Some(part.index);
        self.pass(Event { part_index, ..event }, voice);
    }
}

/// The id literal of an item that has none.
pub(super) fn made_id(kind: &str, stem: &str, number: usize) -> String {
    let prefix = match kind {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "custom_tool_call" => "ctc",
        _ => "item",
    };
    let mut literal = String::new();
    crate::json::push_string(&mut literal, &format!("{prefix}_{stem}{number:02x}"));
    literal
}
