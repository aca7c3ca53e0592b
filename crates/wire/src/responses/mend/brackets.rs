//! The brackets of parts: one is open at a time, and what was not said of its text is said before it
//! closes.

use std::borrow::Cow;

use super::Voice;
use super::item::Item;
use super::part::Part;
use super::text::Told;
use crate::json::Raw;
use crate::responses::event::{Event, LOGPROBS, Rest};
use crate::responses::kind::{Field, Index, Kind};
use crate::responses::response::changed;
use crate::responses::unfold::{PART_TEXTS, opened_part};

impl Item {
    /// Opens a part, after the one that is open. Returns its place.
    pub fn open_part(
        &mut self,
        list: Index,
        key: u64,
        json: String,
        voice: &mut Voice<'_>,
    ) -> usize {
        if self.open.is_some() {
            voice.note("part_not_done", self.kind.clone());
            self.close_part(None, voice);
        }
        let index = self.parts.iter().filter(|part| part.list == list).count() as u64;
        if index != key {
            voice.note("part_index_changed", format!("{key} is {index}"));
        }
        let part = Part::new(list, key, index, json);
        let kind = match list {
            Index::Summary => Kind::SummaryPartAdded,
            _ => Kind::ContentPartAdded,
        };
        let begun = opened_part(Raw::trusted(&part.json));
        let payload = Some(Raw::trusted(&begun));
        voice.emit(Event { payload, ..self.event(kind, Some(index)) });
        self.parts.push(part);
        let at = self.parts.len() - 1;
        self.open = Some(at);
        at
    }

    /// A part as its list can have it: one without a type, or with that of another list, is of the
    /// type that this list is for.
    pub fn typed<'p>(&self, list: Index, part: &'p str) -> Cow<'p, str> {
        let fields: &[Field] = match (list, &*self.kind) {
            (Index::Summary, _) => &[Field::SummaryText],
            (_, "reasoning") => &[Field::ReasoningText],
            _ => &[Field::OutputText, Field::Refusal],
        };
        let part = Raw::trusted(part);
        let kind = part.member_text("type");
        let field = kind.as_deref().and_then(Field::of_part);
        if kind.is_some() && field.is_none_or(|field| fields.contains(&field)) {
            return Cow::Borrowed(part.as_str());
        }
        let kind = fields.first().and_then(|field| field.part()).unwrap_or_default();
        Cow::Owned(changed(part, &[("type", Raw::trusted(&format!("\"{kind}\"")))]))
    }

    /// Closes the part that is open; `done` is how the input says it is.
    pub fn close_part(&mut self, done: Option<Raw<'_>>, voice: &mut Voice<'_>) {
        let Some(at) = self.open.take() else { return };
        let Some(mut part) = self.parts.get_mut(at).map(|part| {
            let (list, key, index) = (part.list, part.key, part.index);
            std::mem::replace(part, Part::new(list, key, index, String::from("{}")))
        }) else {
            return;
        };
        let told = part.text.settle(done.and_then(|done| done.member(part.member())));
        if part.field.is_some() {
            self.end_text(&mut part, told, done.is_some(), voice);
        }
        part.json = part.whole(done);
        part.closed = true;
        let kind = match part.list {
            Index::Summary => Kind::SummaryPartDone,
            _ => Kind::ContentPartDone,
        };
        let payload = Some(Raw::trusted(&part.json));
        voice.emit(Event { payload, ..self.event(kind, Some(part.index)) });
        if let Some(place) = self.parts.get_mut(at) {
            *place = part;
        }
    }

    /// Says the rest of a part's text and its end, as far as that was not done.
    fn end_text(&self, part: &mut Part, told: Told, by_input: bool, voice: &mut Voice<'_>) {
        let Some((field, delta, done)) =
            PART_TEXTS.iter().find(|(field, ..)| Some(*field) == part.field)
        else {
            return;
        };
        if told == Told::Other {
            voice.note("text_contradicted", field.part().unwrap_or_default());
        }
        if part.text.over {
            return;
        }
        let rest = || Rest::Fixed(if *field == Field::OutputText { LOGPROBS } else { &[] });
        if let Some(unsaid) = part.text.unsaid() {
            voice.note("text_without_deltas", delta.row().name);
            let payload = Some(Raw::trusted(&unsaid));
            voice.emit(Event { payload, rest: rest(), ..self.event(*delta, Some(part.index)) });
            part.text.mark_said();
        }
        if by_input {
            voice.note("text_not_done", done.row().name);
        }
        part.text.over = true;
        let whole = part.text.whole();
        let payload = Some(Raw::trusted(&whole));
        voice.emit(Event { payload, rest: rest(), ..self.event(*done, Some(part.index)) });
    }
}
