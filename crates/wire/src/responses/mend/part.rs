//! A part of an item that is being mended: its text, and how it looks when it opens and closes.

use super::text::Text;
use crate::json::{Object, Raw};
use crate::responses::kind::{Field, Index};
use crate::responses::response::changed;

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    pub list: Index,
    /// Its index as the input has it, and as we give it.
    pub key: u64,
    pub index: u64,
    /// The text it holds; `None` for types that are not known.
    pub field: Option<Field>,
    /// As it opened; when it is closed, all of it.
    pub json: String,
    pub annotations: Vec<String>,
    pub text: Text,
    pub closed: bool,
}

impl Part {
    pub fn new(list: Index, key: u64, index: u64, json: String) -> Self {
        let kind = Raw::trusted(&json).member_text("type").unwrap_or_default();
        let field = Field::of_part(&kind);
        let (annotations, text) = (Vec::new(), Text::default());
        Part { list, key, index, field, json, annotations, text, closed: false }
    }

    /// The part when nothing but its text's kind is known.
    pub fn bare(field: Field) -> String {
        let mut json = String::new();
        let mut object = Object::new(&mut json).text("type", field.part().unwrap_or_default());
        if field == Field::OutputText {
            let empty = Raw::EMPTY_ARRAY;
            object = object.raw("annotations", empty).raw("logprobs", empty);
        }
        object.text(field.member().unwrap_or("text"), "").end();
        json
    }

    /// The member that holds the text.
    pub fn member(&self) -> &'static str {
        self.field.and_then(Field::member).unwrap_or("text")
    }

    /// Whether the input's end of a part can be that of this one: they hold the same kind of text.
    pub fn fits(&self, told: Raw<'_>) -> bool {
        told.member_text("type").is_none_or(|kind| Field::of_part(&kind) == self.field)
    }

    /// The part with what was heard, where the input's own end does not have it.
    pub fn whole(&self, done: Option<Raw<'_>>) -> String {
        let whole = self.text.whole();
        let annotations = format!("[{}]", self.annotations.join(","));
        let base = done.unwrap_or(Raw::trusted(&self.json));
        let told = |member| base.member(member).is_some_and(|text| !text.inner().is_empty());
        let mut changes = Vec::new();
        if self.field.is_some() && !told(self.member()) {
            changes.push((self.member(), Raw::trusted(&whole)));
        }
        if done.is_none() && !self.annotations.is_empty() {
            changes.push(("annotations", Raw::trusted(&annotations)));
        }
        changes.retain(|(member, value)| base.member(member) != Some(*value));
        changed(base, &changes)
    }
}
