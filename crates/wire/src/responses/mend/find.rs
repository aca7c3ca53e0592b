//! Which item an event is about. `output_index` decides where it is there; an id helps where two
//! items have one index, or none has any.

use super::item::{Item, made_id};
use super::{Mend, note_once};
use crate::json::Raw;
use crate::responses::event::{Event, Sink};
use crate::responses::fold::begin_item;
use crate::responses::kind::{Field, Index, Kind, Role, Status};

/// Items that hold parts: a part of a type that is not known may be of any of them.
const PARTED: &[&str] = &["message", "reasoning"];

impl Mend {
    /// The latest item of an index.
    pub(super) fn latest(&self, key: u64) -> Option<usize> {
        self.items.iter().rposition(|item| item.key == key)
    }

    /// The index of an item that has none in the input.
    fn next_key(&self) -> u64 {
        self.items.iter().map(|item| item.key).max().map_or(0, |key| key.saturating_add(1))
    }

    /// An item of the input, found again by its index, or else by its id, or else as the last one
    /// it can be. An index that we have counted is given up for one that the input tells.
    fn find(
        &mut self,
        key: Option<u64>,
        id: Option<Raw<'_>>,
        fits: &dyn Fn(&Item) -> bool,
    ) -> Option<usize> {
        let is = |item: &Item| id.is_some_and(|id| id.as_str() == item.id);
        let last = |test: &dyn Fn(&Item) -> bool| {
            self.items.iter().rposition(|item| fits(item) && test(item))
        };
        let Some(key) = key else { return last(&is).or_else(|| last(&|item| !item.done)) };
        let found = last(&|item| item.key == key && item.key_told && is(item))
            .or_else(|| last(&|item| !item.key_told && is(item)))
            .or_else(|| last(&|item| item.key == key && item.key_told && !item.done))
            .or_else(|| last(&|item| item.key == key && id.is_none()))
            .or_else(|| last(&|item| !item.key_told && !item.done && id.is_none()));
        if let Some(item) = found.and_then(|at| self.items.get_mut(at)) {
            (item.key, item.key_told) = (key, true);
        }
        found
    }

    /// Adds an item, and opens it where that can be.
    pub(super) fn add(
        &mut self,
        key: Option<u64>,
        kind: &str,
        id: Option<Raw<'_>>,
        json: String,
        announced: bool,
    ) -> usize {
        let id = id.filter(|id| !id.inner().is_empty());
        let id = match id {
            Some(id) => id.as_str().to_owned(),
            None => {
                note_once(&mut self.notes, "item_id_missing", kind);
                made_id(kind, &self.id_stem, self.items.len())
            }
        };
        if key.is_none() {
            note_once(&mut self.notes, "output_index_missing", kind);
        }
        let key_told = key.is_some();
        let key = key.unwrap_or_else(|| self.next_key());
        self.items.push(Item { key_told, ..Item::new(key, kind, id, json, announced) });
        self.items.len() - 1
    }

    fn announce(&mut self, at: usize, sink: &mut dyn Sink) {
        self.begin(sink);
        self.stage = super::Stage::Running;
        let Some((item, mut voice)) = self.speaking(at, sink) else { return };
        item.announce(&mut voice);
        if item.place.is_some_and(|place| place != item.key) {
            voice.note("output_index_changed", item.kind.clone());
        }
    }

    pub(super) fn item_added(&mut self, event: Event<'_>, sink: &mut dyn Sink) {
        let Some((object, kind)) = typed(&event) else {
            return note_once(&mut self.notes, "event_malformed", event.name());
        };
        let id = object.member("id").filter(|id| id.is_string());
        let same = |item: &Item| {
            let id = id.is_none_or(|id| id.as_str() == item.id || !item.announced);
            item.kind == kind && !item.done && id
        };
        let found = match event.output_index {
            Some(_) => self.find(event.output_index, id, &same),
            None => self.find(None, id, &|item| same(item) && id.is_some()),
        };
        match found.and_then(|at| Some((at, self.items.get_mut(at)?))) {
            Some((at, item)) if !item.announced => {
                item.announced = true;
                if item.place.is_none() {
                    item.json = object.as_str().to_owned();
                    self.announce(at, sink);
                }
            }
            Some(_) => note_once(&mut self.notes, "event_repeated", event.name()),
            None => {
                let json = object.as_str().to_owned();
                let at = self.add(event.output_index, &kind, id, json, true);
                self.announce(at, sink);
            }
        }
    }

    pub(super) fn item_done(&mut self, event: Event<'_>, sink: &mut dyn Sink) {
        let Some((object, kind)) = typed(&event) else {
            return note_once(&mut self.notes, "event_malformed", event.name());
        };
        let id = object.member("id").filter(|id| id.is_string());
        let found = self.find(event.output_index, id, &|item| item.kind == kind);
        let repeats = |item: &Item| {
            let same_texts = || Item::texts(Raw::trusted(&item.json)) == Item::texts(object);
            let same_key = event.output_index == Some(item.key);
            item.done && item.kind == kind && same_key && same_texts()
        };
        let found_done = found.and_then(|at| self.items.get(at)).is_some_and(|item| item.done);
        if found_done || (found.is_none() && self.items.iter().any(repeats)) {
            return note_once(&mut self.notes, "event_repeated", event.name());
        }
        let at = found.unwrap_or_else(|| {
            note_once(&mut self.notes, "item_not_added", event.name());
            let json = object.as_str().to_owned();
            self.add(event.output_index, &kind, id, json, false)
        });
        self.finish(at, Some(object), Status::Completed, sink);
    }

    /// Finishes an item, which has to be open for that.
    pub(super) fn finish(
        &mut self,
        at: usize,
        given: Option<Raw<'_>>,
        status: Status,
        sink: &mut dyn Sink,
    ) {
        self.begin(sink);
        self.stage = super::Stage::Running;
        let Some((item, mut voice)) = self.speaking(at, sink) else { return };
        let id = given.and_then(|given| given.member("id")).filter(|id| !id.inner().is_empty());
        if id.is_some_and(|id| id.as_str() != item.id) {
            voice.note("item_id_changed", item.kind.clone());
        }
        item.finish(given, status, &mut voice);
        if item.place.is_some_and(|place| place != item.key) {
            voice.note("output_index_changed", item.kind.clone());
        }
    }

    /// An event about the inside of an item.
    pub(super) fn inside(&mut self, event: Event<'_>, sink: &mut dyn Sink) {
        let about = about(&event);
        let fits = |item: &Item| {
            let part = matches!(event.role(), Role::PartAdded | Role::PartDone);
            match &about {
                _ if part && event.kind.row().index == Index::Content && unknown(&event) => {
                    PARTED.contains(&&*item.kind)
                }
                Some(kind) => *kind == item.kind,
                None => true,
            }
        };
        if event.output_index.is_none() {
            note_once(&mut self.notes, "output_index_missing", event.name());
        }
        let found = self.find(event.output_index, event.item_id, &fits);
        let Some(at) = found.or_else(|| self.make_up(&event, about.as_deref(), sink)) else {
            return note_once(&mut self.notes, "event_dropped", event.name());
        };
        let Some((item, mut voice)) = self.speaking(at, sink) else { return };
        match item.done {
            true => voice.note("event_dropped", event.name()),
            false => item.take(event, &mut voice),
        }
    }

    /// An item that nobody announced, as far as an event about it tells.
    fn make_up(
        &mut self,
        event: &Event<'_>,
        kind: Option<&str>,
        sink: &mut dyn Sink,
    ) -> Option<usize> {
        let kind = kind?;
        note_once(&mut self.notes, "item_not_added", event.name());
        let mut json = String::new();
        begin_item(&mut json, kind, event.item_id);
        let at = self.add(event.output_index, kind, event.item_id, json, false);
        self.announce(at, sink);
        Some(at)
    }
}

/// The item of an event, and its type.
fn typed<'a>(event: &Event<'a>) -> Option<(Raw<'a>, String)> {
    let object = event.payload.filter(|item| item.is_object())?;
    let kind = object.member_text("type").filter(|kind| !kind.is_empty())?;
    Some((object, kind.into_owned()))
}

/// Whether a part's type says nothing about its item.
fn unknown(event: &Event<'_>) -> bool {
    let kind = event.payload.and_then(|part| part.member_text("type"));
    kind.is_none_or(|kind| Field::of_part(&kind).is_none())
}

/// The type of item an event is about. That of progress is part of its name:
/// `response.web_search_call.searching`.
fn about(event: &Event<'_>) -> Option<String> {
    let named = || {
        let is_progress = event.role() == Role::Inside && event.kind != Kind::ShellCommandAdded;
        let name = event.name().strip_prefix("response.").filter(|_| is_progress)?;
        name.split_once('.').map(|(kind, _)| kind.to_owned())
    };
    event.about().map(str::to_owned).or_else(named)
}
