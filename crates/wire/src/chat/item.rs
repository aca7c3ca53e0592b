//! An item that grows out of chunks: what it is made of, what of it was said already, and how it
//! looks as JSON while it is open and when it is done.

use crate::json::{Object, Raw};
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
    /// The call's id as the backend gave it, perhaps later than it was needed.
    pub given_id: Option<String>,
    /// The call's id on the wire, from the moment the item is open.
    call_id: String,
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
            given_id: None,
            call_id: String::new(),
            name: String::new(),
            nameless: false,
            said: 0,
            output_index: 0,
            id: String::new(),
        }
    }

    /// A call by the names the backend gave it.
    pub fn call(index: Option<u64>, id: Option<&str>) -> Self {
        let given_id = id.map(str::to_owned);
        Item { call_index: index, given_id, ..Item::new(Content::Call) }
    }

    /// Whether a fragment may belong to this call: neither its index nor its id says otherwise.
    pub fn is_call(&self, index: Option<u64>, id: Option<&str>) -> bool {
        self.content == Content::Call
            && agree(index, self.call_index)
            && agree(id, self.given_id.as_deref())
    }

    pub fn can_open(&self) -> bool {
        self.content != Content::Call || self.nameless || !self.name.is_empty()
    }

    /// Whether it can be closed because something else begins. A call can once its arguments are
    /// a whole JSON object: fragments of two calls may come in turns.
    pub fn is_complete(&self) -> bool {
        if self.content != Content::Call {
            return true;
        }
        // Looked at first, so that long arguments are not read again for each item that waits.
        let may_be_whole = self.text.starts_with('{') && self.text.ends_with('}');
        self.can_open() && may_be_whole && {
            let literal = format!("\"{}\"", self.text);
            Raw::parse(&Raw::trusted(&literal).text().unwrap_or_default()).is_ok()
        }
    }

    /// Gives the item its place in the output and its ids.
    pub fn begin(&mut self, output_index: u64, id_stem: &str) {
        self.open = true;
        self.output_index = output_index;
        self.id = format!("\"{}{id_stem}{output_index:02x}\"", self.content.row().prefix);
        if self.content == Content::Call {
            let made = || format!("call_{id_stem}{output_index:02x}");
            self.call_id = self.given_id.clone().unwrap_or_else(made);
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

    /// Adds the inside of a literal.
    pub fn grow(&mut self, inner: &str) {
        match self.text.len() - trailing_surrogate(&self.text) {
            whole if whole == self.text.len() => push_mended(&mut self.text, inner),
            whole => {
                let joined = self.text.split_off(whole) + inner;
                push_mended(&mut self.text, &joined);
            }
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
                .with("call_id", |out| push_literal(out, &self.call_id))
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

/// Whether two names may mean the same thing: a missing one says nothing.
pub(super) fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// The length of an escaped surrogate, as in `\ud83d`.
const SURROGATE_BYTES: usize = 6;

/// Half of a character outside the basic plane, as an escape says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surrogate {
    High,
    Low,
}

/// The surrogate that an escape at the beginning of `inner` says.
fn surrogate(inner: &str) -> Option<Surrogate> {
    let hex = inner.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(hex, 16).ok()? {
        0xD800..0xDC00 => Some(Surrogate::High),
        0xDC00..0xE000 => Some(Surrogate::Low),
        _ => None,
    }
}

/// Appends the inside of a literal. A surrogate without its other half becomes U+FFFD, since strict
/// clients refuse a text that holds one; at the very end a first half stays, the other may come.
fn push_mended(out: &mut String, inner: &str) {
    use Surrogate::{High, Low};
    let mut rest = inner;
    while let Some((plain, escape)) =
        memchr::memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(plain);
        let next = escape.get(SURROGATE_BYTES..).unwrap_or_default();
        let (said, length) = match (surrogate(escape), surrogate(next)) {
            (None, _) => (escape.get(..2), 2),
            (Some(High), Some(Low)) => (escape.get(..2 * SURROGATE_BYTES), 2 * SURROGATE_BYTES),
            (Some(High), _) if next.is_empty() => (Some(escape), SURROGATE_BYTES),
            (Some(_), _) => (Some("\u{fffd}"), SURROGATE_BYTES),
        };
        out.push_str(said.unwrap_or_default());
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// How many bytes at the end of a literal's inside are the first half of a surrogate pair: some
/// backends cut between the two escapes of one character.
fn trailing_surrogate(inner: &str) -> usize {
    let Some(at) = inner.len().checked_sub(SURROGATE_BYTES) else { return 0 };
    let Some((before, escape)) = inner.split_at_checked(at) else { return 0 };
    let high = surrogate(escape) == Some(Surrogate::High);
    let escaped = before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    if high && !escaped { SURROGATE_BYTES } else { 0 }
}
