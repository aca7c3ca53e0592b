//! An item that grows out of chunks: what it is made of, what of it was said already, and how it
//! looks as JSON while it is open and when it is done.

use std::borrow::Cow;

use super::freeform::Freeform;
use super::sealed::{self, Details};
use super::toolbox::{Becomes, Toolbox};
use crate::json::{Object, Raw, Reader, push_unquoted};
use crate::responses::{Event, Kind, Status};

/// What an item is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Reasoning,
    Text,
    Refusal,
    /// A call of a function.
    Call,
    /// A call of a freeform tool.
    Custom,
    /// A call of the tool search.
    Search,
}

/// How a content shows on the wire.
struct ContentRow {
    /// How the ids of such items begin.
    prefix: &'static str,
    /// The type of its part and the member that holds the text.
    part_kind: (&'static str, &'static str),
    /// The events that open and close its part.
    part: Option<(Kind, Kind)>,
    /// The events that bring text and end it; none: only the finished item has it.
    text: Option<(Kind, Kind)>,
}

impl Content {
    const fn row(self) -> &'static ContentRow {
        match self {
            Content::Reasoning => &ContentRow {
                prefix: "rs_",
                part_kind: ("summary_text", "text"),
                part: Some((Kind::SummaryPartAdded, Kind::SummaryPartDone)),
                text: Some((Kind::SummaryTextDelta, Kind::SummaryTextDone)),
            },
            Content::Text => &ContentRow {
                prefix: "msg_",
                part_kind: ("output_text", "text"),
                part: Some((Kind::ContentPartAdded, Kind::ContentPartDone)),
                text: Some((Kind::OutputTextDelta, Kind::OutputTextDone)),
            },
            Content::Refusal => &ContentRow {
                prefix: "msg_",
                part_kind: ("refusal", "refusal"),
                part: Some((Kind::ContentPartAdded, Kind::ContentPartDone)),
                text: Some((Kind::RefusalDelta, Kind::RefusalDone)),
            },
            Content::Call => &ContentRow {
                prefix: "fc_",
                part_kind: ("", ""),
                part: None,
                text: Some((Kind::ArgumentsDelta, Kind::ArgumentsDone)),
            },
            Content::Custom => &ContentRow {
                prefix: "ctc_",
                part_kind: ("", ""),
                part: None,
                text: Some((Kind::InputDelta, Kind::InputDone)),
            },
            Content::Search => {
                &ContentRow { prefix: "tsc_", part_kind: ("", ""), part: None, text: None }
            }
        }
    }
}

impl Content {
    /// Whether it is a call of some kind.
    pub const fn is_call(self) -> bool {
        matches!(self, Content::Call | Content::Custom | Content::Search)
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
    /// What the backend wants back with the call.
    pub extra_content: Option<String>,
    /// The call's id on the wire, from the moment the item is open.
    call_id: String,
    pub name: String,
    namespace: Option<String>,
    /// Arguments that carry the text of a freeform tool, where a function plays it.
    arguments: String,
    /// How far these were read.
    read: usize,
    /// The length at which the arguments were last found not to be whole.
    cut_at: usize,
    freeform: Option<Freeform>,
    /// Reasoning that the backend wants back as it is.
    pub details: Details,
    annotations: Vec<String>,
    annotations_said: usize,
    /// The log probabilities of the text, as the inside of an array.
    logprobs: String,
    logprobs_said: usize,
    /// The call is to go out although it has no name.
    pub nameless: bool,
    /// It has no text and no part.
    silent: bool,
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
            extra_content: None,
            call_id: String::new(),
            name: String::new(),
            namespace: None,
            arguments: String::new(),
            read: 0,
            cut_at: usize::MAX,
            freeform: None,
            details: Details::default(),
            annotations: Vec::new(),
            annotations_said: 0,
            logprobs: String::new(),
            logprobs_said: 0,
            nameless: false,
            silent: false,
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

    /// Reasoning without a word, only as the backend wants it back.
    pub fn silent(details: Details) -> Self {
        Item { details, silent: true, ..Item::new(Content::Reasoning) }
    }

    /// The events that open and close its part, where it has one.
    pub fn part_kinds(&self) -> Option<(Kind, Kind)> {
        self.content.row().part.filter(|_| !self.silent)
    }

    /// The events that bring its text and end it, where it has one.
    pub fn text_kinds(&self) -> Option<(Kind, Kind)> {
        self.content.row().text.filter(|_| !self.silent)
    }

    /// Whether a fragment may belong to this call: neither its index nor its id says otherwise.
    pub fn is_call(&self, index: Option<u64>, id: Option<&str>) -> bool {
        self.content.is_call()
            && agree(index, self.call_index)
            && agree(id, self.given_id.as_deref())
    }

    /// Takes the name the backend calls, and becomes what the toolbox says of it. A name that is
    /// not known stays as it is: the client will say that there is no such tool.
    pub fn take_name(&mut self, name: Raw<'_>, custom: bool, toolbox: &Toolbox) {
        self.name = name.inner().to_owned();
        if custom {
            self.content = Content::Custom;
        }
        let Some(known) = toolbox.find(&name.text().unwrap_or_default()) else { return };
        self.name = escaped(&known.name);
        self.namespace = known.namespace.as_deref().map(escaped);
        self.content = match known.becomes {
            Becomes::Function => Content::Call,
            Becomes::Custom | Becomes::CustomInFunction => Content::Custom,
            Becomes::Search => Content::Search,
        };
        // Also where the backend has freeform tools and calls one like a function all the same.
        if self.content == Content::Custom && !custom {
            self.freeform = Some(Freeform::default());
            let early = std::mem::take(&mut self.text);
            self.grow(&early);
        }
    }

    /// What the backend said of the call's arguments.
    fn raw_arguments(&self) -> &str {
        if self.freeform.is_some() { &self.arguments } else { &self.text }
    }

    pub fn can_open(&self) -> bool {
        !self.content.is_call() || self.nameless || !self.name.is_empty()
    }

    /// Whether it can be closed because something else begins. A call can once its arguments are
    /// a whole JSON object: fragments of two calls may come in turns.
    pub fn is_complete(&mut self) -> bool {
        if !self.content.is_call() || (self.content == Content::Custom && self.freeform.is_none()) {
            return true;
        }
        // Looked at first, and once for each length, so that long arguments are not read again for
        // each item that waits.
        let arguments = self.raw_arguments();
        let may_be_whole = arguments.starts_with('{') && arguments.ends_with('}');
        if !may_be_whole || !self.can_open() || arguments.len() == self.cut_at {
            return false;
        }
        let whole = Raw::parse(&decoded(arguments)).is_ok();
        self.cut_at = if whole { usize::MAX } else { arguments.len() };
        whole
    }

    /// Gives the item its place in the output and its ids.
    pub fn begin(&mut self, output_index: u64, id_stem: &str) {
        self.open = true;
        self.output_index = output_index;
        self.id = format!("\"{}{id_stem}{output_index:02x}\"", self.content.row().prefix);
        if self.content.is_call() {
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
        let Some(freeform) = &mut self.freeform else { return append(&mut self.text, inner) };
        append(&mut self.arguments, inner);
        let whole = self.arguments.len() - trailing_surrogate(&self.arguments);
        let fresh = self.arguments.get(self.read..whole).unwrap_or_default();
        let mut said = String::new();
        freeform.push(&decoded(fresh), &mut said);
        self.read = whole;
        append(&mut self.text, &said);
    }

    /// Adds what the backend says about the text.
    pub fn annotate(&mut self, annotation: String) {
        self.annotations.push(annotation);
    }

    /// Adds the log probabilities of text: the inside of an array.
    pub fn weigh(&mut self, logprobs: &str) {
        if !self.logprobs.is_empty() && !logprobs.is_empty() {
            self.logprobs.push(',');
        }
        self.logprobs.push_str(logprobs);
    }

    /// The log probabilities that were not said yet, as an array; `None` when there are none.
    pub fn unsaid_logprobs(&mut self) -> Option<String> {
        let fresh = self.logprobs.get(self.logprobs_said..).unwrap_or_default();
        let list = (!fresh.is_empty()).then(|| format!("[{}]", fresh.trim_start_matches(',')));
        self.logprobs_said = self.logprobs.len();
        list
    }

    /// All log probabilities, as an array.
    pub fn all_logprobs(&self) -> String {
        format!("[{}]", self.logprobs)
    }

    /// The next annotation that was not said yet, and its place.
    pub fn unsaid_annotation(&mut self) -> Option<(u64, String)> {
        let place = self.annotations_said;
        let annotation = self.annotations.get(place)?.clone();
        self.annotations_said += 1;
        Some((place as u64, annotation))
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

    /// What is to come back with the call, as a detail of the reasoning that led to it.
    pub fn extra_detail(&self) -> Option<String> {
        let extra = self.extra_content.as_deref()?;
        let id = format!("\"{}\"", self.call_id);
        Some(sealed::call_detail(Raw::trusted(&id), Raw::trusted(extra)))
    }

    /// The arguments are whole: a freeform text that did not come as was asked for shows now.
    pub fn conclude(&mut self) {
        let late = self.freeform.as_ref().filter(|freeform| !freeform.has_begun());
        let late = late.map(Freeform::finish);
        push_mended(&mut self.text, &late.unwrap_or_default());
        self.complete_characters();
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
                    if !opening && !self.silent {
                        out.push_str(&self.part(false));
                    }
                    out.push(']');
                })
                .end();
        };
        match self.content {
            Content::Reasoning => {
                let mut object = object.text("type", "reasoning").text("status", status.name());
                if !opening && !self.details.is_empty() {
                    object = object.text("encrypted_content", &self.details.seal());
                }
                list(object, "summary");
            }
            Content::Text | Content::Refusal => {
                let object = object.text("type", "message").text("status", status.name());
                list(object.text("role", "assistant"), "content");
            }
            Content::Call => self
                .named(object, "function_call", status)
                .with("arguments", |out| push_literal(out, text))
                .end(),
            Content::Custom => self
                .named(object, "custom_tool_call", status)
                .with("input", |out| push_literal(out, text))
                .end(),
            Content::Search => {
                let arguments = decoded(text);
                // They stand in an item, in the output of a response, in an event.
                let mut reader = Reader::at_depth(&arguments, 4);
                let value = reader.value().ok().filter(|value| value.is_object());
                let arguments = value.filter(|_| reader.finish().is_ok());
                object
                    .text("type", "tool_search_call")
                    .text("status", status.name())
                    .text("execution", "client")
                    .with("call_id", |out| push_literal(out, &self.call_id))
                    .raw("arguments", arguments.unwrap_or(Raw::trusted("{}")))
                    .end();
            }
        }
        out
    }

    /// What all calls of tools by name begin with.
    fn named<'o>(&self, object: Object<'o>, kind: &str, status: Status) -> Object<'o> {
        let object = object
            .text("type", kind)
            .text("status", status.name())
            .with("call_id", |out| push_literal(out, &self.call_id))
            .with("name", |out| push_literal(out, &self.name));
        match &self.namespace {
            Some(namespace) => object.with("namespace", |out| push_literal(out, namespace)),
            None => object,
        }
    }

    /// Its only part as JSON.
    pub fn part(&self, opening: bool) -> String {
        let (kind, member) = self.content.row().part_kind;
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut object = Object::new(&mut out).text("type", kind);
        if self.content == Content::Text {
            let (annotations, logprobs) = match opening {
                true => (String::new(), String::new()),
                false => (self.annotations.join(","), self.logprobs.clone()),
            };
            object = object
                .raw("annotations", Raw::trusted(&format!("[{annotations}]")))
                .raw("logprobs", Raw::trusted(&format!("[{logprobs}]")));
        }
        let text = if opening { "" } else { &self.text };
        object.with(member, |out| push_literal(out, text)).end();
        out
    }
}

/// Appends the inside of a literal with its quotes.
pub(super) fn push_literal(out: &mut String, inner: &str) {
    out.push('"');
    out.push_str(inner);
    out.push('"');
}

/// A text as the inside of a literal.
fn escaped(text: &str) -> String {
    let mut inner = String::new();
    push_unquoted(&mut inner, text);
    inner
}

/// What the inside of a literal means.
fn decoded(inner: &str) -> Cow<'_, str> {
    let literal = format!("\"{inner}\"");
    let text = Raw::trusted(&literal).text().unwrap_or_default();
    if text == inner { Cow::Borrowed(inner) } else { Cow::Owned(text.into_owned()) }
}

/// Appends the inside of a literal to another.
fn append(text: &mut String, inner: &str) {
    match text.len() - trailing_surrogate(text) {
        whole if whole == text.len() => push_mended(text, inner),
        whole => {
            let joined = text.split_off(whole) + inner;
            push_mended(text, &joined);
        }
    }
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
pub(super) fn trailing_surrogate(inner: &str) -> usize {
    let Some(at) = inner.len().checked_sub(SURROGATE_BYTES) else { return 0 };
    let Some((before, escape)) = inner.split_at_checked(at) else { return 0 };
    if surrogate(escape) != Some(Surrogate::High) {
        return 0;
    }
    let backslashes = before.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if backslashes % 2 == 0 { SURROGATE_BYTES } else { 0 }
}
