//! An item that grows out of chunks: what it is made of, what of it was said already, and how it
//! looks as JSON while it is open and when it is done.

use crate::json::{Object, Raw, Reader};
use crate::responses::{Event, Kind, Status};

/// What an item is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Reasoning,
    Text,
    Refusal,
    Call,
}

/// How a content shows on the wire.
pub(super) struct ContentRow {
    /// How the ids of such items begin.
    prefix: &'static str,
    /// The type of its part and the member that holds the text.
    part_kind: (&'static str, &'static str),
    /// The events that open and close its part.
    pub part: Option<(Kind, Kind)>,
    /// The event that brings text.
    pub delta: Kind,
    /// The event that ends it.
    pub done: Kind,
}

impl Content {
    pub const fn row(self) -> &'static ContentRow {
        match self {
            Content::Reasoning => &ContentRow {
                prefix: "rs_",
                part_kind: ("summary_text", "text"),
                part: Some((Kind::SummaryPartAdded, Kind::SummaryPartDone)),
                delta: Kind::SummaryTextDelta,
                done: Kind::SummaryTextDone,
            },
            Content::Text => &ContentRow {
                prefix: "msg_",
                part_kind: ("output_text", "text"),
                part: Some((Kind::ContentPartAdded, Kind::ContentPartDone)),
                delta: Kind::OutputTextDelta,
                done: Kind::OutputTextDone,
            },
            Content::Refusal => &ContentRow {
                prefix: "msg_",
                part_kind: ("refusal", "refusal"),
                part: Some((Kind::ContentPartAdded, Kind::ContentPartDone)),
                delta: Kind::RefusalDelta,
                done: Kind::RefusalDone,
            },
            Content::Call => &ContentRow {
                prefix: "fc_",
                part_kind: ("", ""),
                part: None,
                delta: Kind::ArgumentsDelta,
                done: Kind::ArgumentsDone,
            },
        }
    }
}

/// An item in the making. All texts are insides of JSON literals.
#[derive(Debug)]
pub(super) struct Item {
    pub content: Content,
    pub open: bool,
    pub text: String,
    pub call_index: Option<u64>,
    pub call_id: Option<String>,
    pub name: String,
    /// The call is to go out although it has no name.
    pub nameless: bool,
    said: usize,
    output_index: u64,
    /// Its id, with quotes.
    id: String,
}

impl Item {
    pub fn new(content: Content) -> Self {
        Item {
            content,
            open: false,
            text: String::new(),
            call_index: None,
            call_id: None,
            name: String::new(),
            nameless: false,
            said: 0,
            output_index: 0,
            id: String::new(),
        }
    }

    /// A call by the names the backend gave it.
    pub fn call(index: Option<u64>, id: Option<&str>) -> Self {
        let call_id = id.map(str::to_owned);
        Item { call_index: index, call_id, ..Item::new(Content::Call) }
    }

    /// Whether a fragment belongs to this call: by its id where both have one, else by its index.
    /// A fragment with neither belongs to the call that came last.
    pub fn is_call(&self, index: Option<u64>, id: Option<&str>) -> bool {
        let same_id = match (id, self.call_id.as_deref()) {
            (Some(id), Some(own)) => Some(id == own),
            _ => None,
        };
        let same_index = index.is_none() || index == self.call_index;
        self.content == Content::Call && same_id.unwrap_or(same_index)
    }

    pub fn can_open(&self) -> bool {
        self.content != Content::Call || self.nameless || !self.name.is_empty()
    }

    /// Whether it can be closed because something else begins. A call can once its arguments are
    /// a whole JSON value: fragments of two calls may come in turns.
    pub fn is_complete(&self) -> bool {
        if self.content != Content::Call {
            return true;
        }
        let literal = format!("\"{}\"", self.text);
        let arguments = Raw::trusted(&literal).text().unwrap_or_default();
        let mut reader = Reader::new(&arguments);
        self.can_open() && reader.value().is_ok() && reader.finish().is_ok()
    }

    /// Gives the item its place in the output and its ids.
    pub fn begin(&mut self, output_index: u64, id_stem: &str) {
        self.open = true;
        self.output_index = output_index;
        self.id = format!("\"{}{id_stem}{output_index:02x}\"", self.content.row().prefix);
        if self.content == Content::Call && self.call_id.is_none() {
            self.call_id = Some(format!("call_{id_stem}{output_index:02x}"));
        }
    }

    /// An event about this item.
    pub fn event(&self, kind: Kind) -> Event<'_> {
        Event {
            output_index: Some(self.output_index),
            item_id: Some(Raw::trusted(&self.id)),
            part_index: self.content.row().part.map(|_| 0),
            ..Event::new(kind)
        }
    }

    /// The text that was not said yet, without half of a surrogate pair at its end.
    pub fn unsaid(&self) -> Option<&str> {
        let whole = self.text.len() - trailing_surrogate(&self.text);
        self.text.get(self.said..whole).filter(|text| !text.is_empty())
    }

    pub fn mark_said(&mut self) {
        self.said = self.text.len() - trailing_surrogate(&self.text);
    }

    /// At the end of the text half a pair is no character: U+FFFD stands for it.
    pub fn complete_characters(&mut self) {
        if trailing_surrogate(&self.text) > 0 {
            self.text.truncate(self.text.len() - SURROGATE_BYTES);
            self.text.push('\u{fffd}');
        }
    }

    /// The item as JSON; `opening`: as it looks before any text came.
    pub fn json(&self, status: Status, opening: bool) -> String {
        let mut out = String::with_capacity(self.text.len() + 256);
        let object = Object::new(&mut out).raw("id", Raw::trusted(&self.id));
        let text = if opening { "" } else { &self.text };
        let list = |object: Object<'_>, member| {
            object
                .with(member, |out| {
                    out.push('[');
                    if !opening {
                        out.push_str(&self.part(false));
                    }
                    out.push(']');
                })
                .end();
        };
        match self.content {
            Content::Reasoning => {
                let object = object.text("type", "reasoning").text("status", status.name());
                list(object, "summary");
            }
            Content::Text | Content::Refusal => {
                let object = object.text("type", "message").text("status", status.name());
                list(object.text("role", "assistant"), "content");
            }
            Content::Call => object
                .text("type", "function_call")
                .text("status", status.name())
                .with("call_id", |out| push_literal(out, self.call_id.as_deref().unwrap_or("")))
                .with("name", |out| push_literal(out, &self.name))
                .with("arguments", |out| push_literal(out, text))
                .end(),
        }
        out
    }

    /// Its only part as JSON.
    pub fn part(&self, opening: bool) -> String {
        let (kind, member) = self.content.row().part_kind;
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut object = Object::new(&mut out).text("type", kind);
        if self.content == Content::Text {
            object = object.raw("annotations", Raw::EMPTY_ARRAY).raw("logprobs", Raw::EMPTY_ARRAY);
        }
        let text = if opening { "" } else { &self.text };
        object.with(member, |out| push_literal(out, text)).end();
        out
    }
}

fn push_literal(out: &mut String, inner: &str) {
    out.push('"');
    out.push_str(inner);
    out.push('"');
}

/// The length of an escaped surrogate, as in `\ud83d`.
const SURROGATE_BYTES: usize = 6;

/// How many bytes at the end of a literal's inside are the first half of a surrogate pair: some
/// backends cut between the two escapes of one character.
fn trailing_surrogate(inner: &str) -> usize {
    let Some(at) = inner.len().checked_sub(SURROGATE_BYTES) else { return 0 };
    let Some((before, escape)) = inner.split_at_checked(at) else { return 0 };
    let high = escape
        .strip_prefix("\\u")
        .and_then(|hex| u16::from_str_radix(hex, 16).ok())
        .is_some_and(|unit| (0xD800..0xDC00).contains(&unit));
    let escaped = before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    if high && !escaped { SURROGATE_BYTES } else { 0 }
}
