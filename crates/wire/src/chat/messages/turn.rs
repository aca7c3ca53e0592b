//! What the assistant said and called without a break, as one message, and after it the outputs of its
//! calls: an output that is missing has a placeholder. In: a [`Turn`], as the items of the history filled
//! it. Out: its messages, appended.

use std::borrow::Cow;

use super::super::content::{push_inner, push_seen};
use super::super::sealed;
use super::Messages;
use crate::json::{Object, Raw, push_string};

/// What stands for the output of a call that has none.
const NO_OUTPUT: &str = "[no output was recorded for this call]";

/// What the assistant said and called without a break. All texts are insides of literals.
#[derive(Default)]
pub(super) struct Turn<'a> {
    pub texts: Vec<Cow<'a, str>>,
    pub reasoning: Vec<Cow<'a, str>>,
    /// Reasoning as the backend itself gave it: JSON arrays.
    pub details: Vec<String>,
    pub calls: Vec<Call<'a>>,
}

impl Turn<'_> {
    fn clear(&mut self) {
        self.texts.clear();
        self.reasoning.clear();
        self.details.clear();
        self.calls.clear();
    }
}

/// A call, as the backend knows it.
pub(super) struct Call<'a> {
    /// Where it stands in the input.
    pub place: usize,
    /// Its id in the hub.
    pub id: Cow<'a, str>,
    /// Its id towards the backend.
    pub wire_id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    /// A literal.
    pub arguments: Cow<'a, str>,
    /// It is a freeform call, and the backend has such a thing.
    pub custom: bool,
}

impl<'a> Messages<'_, 'a> {
    /// Writes what the assistant said and called, and the outputs of its calls.
    pub(super) fn end_turn(&mut self) {
        let mut turn = std::mem::take(&mut self.turn);
        self.write_turn(&turn);
        // The next one is written into the same lists.
        turn.clear();
        self.turn = turn;
    }

    fn write_turn(&mut self, turn: &Turn<'a>) {
        if turn.texts.is_empty() && turn.calls.is_empty() {
            if !(turn.reasoning.is_empty() && turn.details.is_empty()) {
                self.notes.add("reasoning_dropped", "nothing was said or called after it");
            }
            return;
        }
        self.begin("assistant");
        match turn.texts.as_slice() {
            [] => self.out.push_str(",\"content\":null"),
            texts => self.joined_content(texts),
        }
        self.earlier_reasoning(turn);
        if !turn.calls.is_empty() {
            self.out.push_str(",\"tool_calls\":[");
            for (index, call) in turn.calls.iter().enumerate() {
                if index > 0 {
                    self.out.push(',');
                }
                let extra_content =
                    self.extra_content(&call.id, index).map(|extra| extra.to_string());
                push_call(self.out, call, extra_content.as_deref().map(Raw::trusted));
            }
            self.out.push(']');
        }
        self.out.push('}');
        self.outputs_of(&turn.calls);
    }

    /// What a call came with, for a backend that wants it back.
    fn extra_content(&self, id: &str, index: usize) -> Option<Raw<'_>> {
        let unknown = self.profile.extra_content?;
        let known = self.extras.get(id).map(|extra| Raw::trusted(extra));
        known.or((index == 0).then_some(Raw::trusted(unknown)))
    }

    fn earlier_reasoning(&mut self, turn: &Turn<'a>) {
        let lists = turn.details.iter().flat_map(|list| Raw::trusted(list).elements());
        let own = lists.filter(|detail| sealed::of_call(*detail).is_none());
        let details: Vec<_> = own.map(Raw::as_str).collect();
        if !details.is_empty() && self.profile.reasoning_details {
            self.out.push_str(",\"reasoning_details\":[");
            self.out.push_str(&details.join(","));
            return self.out.push(']');
        }
        let said = !turn.reasoning.is_empty() || self.profile.reasoning_always;
        if let Some(member) = self.profile.reasoning_back.filter(|_| said) {
            self.out.push_str(",\"");
            self.out.push_str(member);
            self.out.push_str("\":");
            push_inner(self.out, &turn.reasoning.join("\\n\\n"));
        }
    }

    fn outputs_of(&mut self, calls: &[Call<'a>]) {
        let mut images = Vec::new();
        for call in calls {
            let request = self.request;
            let place = self.outputs.take(call.id.clone(), call.place);
            let output = place.and_then(|place| Some((place, request.input.get(place)?)));
            self.begin("tool");
            self.out.push_str(",\"tool_call_id\":");
            push_string(self.out, &call.wire_id);
            match output {
                Some((place, item)) => {
                    let (text, seen) = self.output(item, self.request.place(place));
                    if self.profile.images_in_outputs && !seen.is_empty() {
                        self.out.push_str(",\"content\":[");
                        Object::new(self.out)
                            .text("type", "text")
                            .with("text", |out| push_inner(out, &text))
                            .end();
                        for image in seen {
                            self.out.push(',');
                            push_seen(self.out, image);
                        }
                        self.out.push(']');
                    } else {
                        self.content(&text);
                        images.extend(seen);
                    }
                }
                None => {
                    self.notes
                        .add("call_without_output", self.request.place(call.place).to_string());
                    self.content(NO_OUTPUT);
                }
            }
            self.out.push('}');
        }
        self.images(&images);
    }
}

fn push_call(out: &mut String, call: &Call<'_>, extra_content: Option<Raw<'_>>) {
    let (kind, text) = if call.custom { ("custom", "input") } else { ("function", "arguments") };
    Object::new(out)
        .text("id", &call.wire_id)
        .text("type", kind)
        .with(kind, |out| {
            Object::new(out)
                .text("name", &call.name)
                .with(text, |out| out.push_str(&call.arguments))
                .end();
        })
        .raw_if("extra_content", extra_content)
        .end();
}
