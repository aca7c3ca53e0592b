//! How an item ends: what the input says it is wins over what was heard, and what was not said until
//! then is said first.

use super::item::Item;
use super::part::Part;
use super::text::Told;
use super::{Voice, note_once};
use crate::json::Raw;
use crate::note::Notes;
use crate::responses::event::{Event, Rest};
use crate::responses::kind::{ITEM_TEXTS, Index, Kind, Status};
use crate::responses::response::changed;
use crate::responses::unfold::part_lists;

impl Item {
    /// Finishes the item: what the input says it is, or else what was heard.
    pub fn finish(&mut self, given: Option<Raw<'_>>, status: Status, voice: &mut Voice<'_>) {
        let whole = given.map_or_else(|| self.json.clone(), |given| given.as_str().to_owned());
        let named = self.named(Raw::trusted(&whole), voice);
        let done = Raw::trusted(&named);
        if self.place.is_none() {
            (self.json, self.done) = (named.clone(), true);
            self.announce(voice);
        }
        let text = self.finish_text(done, given.is_some(), voice);
        let lists = self.finish_parts(done, voice);
        let status = format!("\"{}\"", status.name());
        let mut changes: Vec<_> =
            lists.iter().map(|(list, parts)| (*list, Raw::trusted(parts))).collect();
        changes.extend(text.as_ref().map(|(member, text)| (*member, Raw::trusted(text))));
        if given.is_none() && done.member("status").is_some() {
            changes.push(("status", Raw::trusted(&status)));
        }
        self.json = changed(done, &changes);
        self.done = true;
        voice.emit(Event {
            output_index: self.place,
            payload: Some(Raw::trusted(&self.json)),
            ..Event::new(Kind::ItemDone)
        });
    }

    /// Says the rest and the end of the item's own text. Returns it where `done` does not have it.
    fn finish_text(
        &mut self,
        done: Raw<'_>,
        by_input: bool,
        voice: &mut Voice<'_>,
    ) -> Option<(&'static str, String)> {
        let (_, member, delta, end) = ITEM_TEXTS.iter().find(|row| row.0 == self.kind)?;
        let literal = done.member(member).filter(|text| text.is_string());
        let told = match by_input || self.text.is_empty() {
            true => self.text.settle(literal),
            false => Told::Nothing,
        };
        if told == Told::Other {
            voice.note("text_contradicted", end.row().name);
        }
        if !self.text.over && (literal.is_some() || *end != Kind::CodeDone) {
            let unsaid = self.text.unsaid();
            voice.note("text_not_done", end.row().name);
            if unsaid.is_some() {
                voice.note("text_without_deltas", delta.row().name);
            }
            self.say_text(voice);
            self.text.over = true;
            let whole = self.text.whole();
            let name = done.member("name").filter(|_| *end == Kind::ArgumentsDone);
            let rest = Rest::Own(name.map(|name| ("name".into(), name)).into_iter().collect());
            voice.emit(Event {
                payload: Some(Raw::trusted(&whole)),
                rest,
                ..self.event(*end, None)
            });
        }
        let told = matches!(told, Told::Same | Told::More | Told::Other);
        (!told && (literal.is_none() || !self.text.is_empty()) && *end != Kind::CodeDone)
            .then(|| (*member, self.text.whole()))
    }

    /// Closes the open part and says those that were never heard of. Returns the lists that `done`
    /// does not have as they went out.
    fn finish_parts(
        &mut self,
        done: Raw<'_>,
        voice: &mut Voice<'_>,
    ) -> Vec<(&'static str, String)> {
        let mut lists = Vec::new();
        let parts_of = |list: Index| -> Vec<Raw<'_>> {
            let parts = list.list().and_then(|name| done.member(name));
            parts.map(Raw::elements).unwrap_or_default()
        };
        if let Some(part) = self.open.and_then(|at| self.parts.get(at)) {
            let told = usize::try_from(part.key).ok();
            let told = told.and_then(|key| parts_of(part.list).get(key).copied());
            let told = told.filter(|told| told.is_object());
            let told = told.map(|told| self.typed(part.list, told.as_str()));
            let told = told.as_deref().map(Raw::trusted).filter(|told| part.fits(*told));
            voice.note("part_not_done", self.kind.clone());
            self.close_part(told, voice);
        }
        for list in part_lists(&self.kind) {
            let told = parts_of(*list);
            for (key, part) in (0..).zip(&told).filter(|(_, part)| part.is_object()) {
                self.finish_part(*list, key, *part, voice);
            }
            let parts = self.parts.iter().filter(|part| part.list == *list);
            let parts: Vec<&str> = parts.map(|part| &*part.json).collect();
            let same = parts.len() == told.len()
                && parts.iter().zip(&told).all(|(ours, told)| *ours == told.as_str());
            lists.extend(
                list.list().filter(|_| !same).map(|name| (name, format!("[{}]", parts.join(",")))),
            );
        }
        lists
    }

    /// A part as the finished item has it: it wins over what came before.
    fn finish_part(&mut self, list: Index, key: u64, told: Raw<'_>, voice: &mut Voice<'_>) {
        let told = self.typed(list, told.as_str());
        let told = Raw::trusted(&told);
        let Some(at) = self.part_at(list, key) else {
            voice.note("part_not_added", self.kind.clone());
            self.open_part(list, key, told.as_str().to_owned(), voice);
            return self.close_part(Some(told), voice);
        };
        let Some(part) = self.parts.get_mut(at) else { return };
        if !part.fits(told) {
            voice.note("part_contradicted", self.kind.clone());
            self.open_part(list, key, told.as_str().to_owned(), voice);
            return self.close_part(Some(told), voice);
        }
        if part.text.settle(told.member(part.member())) != Told::Same && part.field.is_some() {
            let nothing = told.member(part.member()).is_none_or(|text| text.inner().is_empty());
            match nothing {
                true if part.text.is_empty() => {}
                true => voice.note("done_without_text", self.kind.clone()),
                false => voice.note("text_contradicted", self.kind.clone()),
            }
        }
        part.json = part.whole(Some(told));
    }

    /// The item as the last snapshot has it; `last`: as that has it itself.
    pub fn at_end(&self, last: Option<Raw<'_>>, notes: &mut Notes) -> String {
        let ours = if self.done { self.json.clone() } else { self.heard() };
        let Some(last) = last else { return ours };
        let (mut told, mut known) = (Item::texts(last), Item::texts(Raw::trusted(&ours)));
        let same = told == known;
        told.sort_unstable();
        known.sort_unstable();
        if !same && (told.iter().all(String::is_empty) || told == known) {
            note_once(notes, "item_contradicted", self.kind.clone());
            return ours;
        }
        if !same {
            note_once(notes, "text_contradicted", self.kind.clone());
        }
        let id = Raw::trusted(&self.id);
        if last.member("id") == Some(id) {
            return last.as_str().to_owned();
        }
        note_once(notes, "item_id_changed", self.kind.clone());
        changed(last, &[("id", id)])
    }

    /// An item that was never finished, as far as it was heard.
    fn heard(&self) -> String {
        let json = Raw::trusted(&self.json);
        let mut lists: Vec<(&str, String)> = Vec::new();
        for list in part_lists(&self.kind) {
            let parts = self.parts.iter().filter(|part| part.list == *list);
            let whole =
                |part: &Part| if part.closed { part.json.clone() } else { part.whole(None) };
            let parts: Vec<String> = parts.map(whole).collect();
            lists.extend(list.list().map(|name| (name, format!("[{}]", parts.join(",")))));
        }
        let row = ITEM_TEXTS.iter().find(|row| row.0 == self.kind);
        lists.extend(row.map(|(_, member, ..)| (*member, self.text.whole())));
        lists.retain(|(_, value)| !matches!(&**value, "[]" | "\"\""));
        if json.member("status").is_some() {
            lists.push(("status", format!("\"{}\"", Status::Incomplete.name())));
        }
        let mut changes = vec![("id", Raw::trusted(&self.id))];
        changes.extend(lists.iter().map(|(member, value)| (*member, Raw::trusted(value))));
        changed(json, &changes)
    }

    /// Its texts, decoded, to know it again by.
    pub fn texts(item: Raw<'_>) -> Vec<String> {
        let kind = item.member_text("type").unwrap_or_default();
        let lists = part_lists(&kind).iter().filter_map(|list| item.member(list.list()?));
        let mut texts = Vec::new();
        for part in lists.flat_map(Raw::elements) {
            let text = part.member_text("text").or_else(|| part.member_text("refusal"));
            texts.extend(text.map(|text| text.into_owned()));
        }
        let own = ITEM_TEXTS.iter().filter(|row| row.0 == kind).map(|row| row.1);
        for member in own.chain(["call_id"]) {
            texts.extend(item.member_text(member).map(|text| text.into_owned()));
        }
        texts
    }
}
