//! One event of the hub's stream: parsed from JSON text by borrowing, printed back without losing
//! a member. All kinds share one shape, which the table in `kind` fills with meaning.

use std::borrow::Cow;

use super::kind::{Field, ITEM_TEXTS, Index, Kind, Role};
use crate::json::{Malformed, Object, Raw, Reader};

/// A step of a response's stream.
///
/// ```
/// use latimer_wire::responses::{Event, Kind};
/// let text = r#"{"type":"response.output_text.delta","output_index":0,"delta":"Hi","obfuscation":"x"}"#;
/// let event = Event::parse(text, None)?;
/// assert_eq!(event.kind, Kind::OutputTextDelta);
/// assert_eq!(event.payload.and_then(|delta| delta.text()).as_deref(), Some("Hi"));
/// assert_eq!(event.rest.len(), 1, "what is not known is kept");
/// # Ok::<(), latimer_wire::json::Malformed>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// What kind of event it is.
    pub kind: Kind,
    /// The `type` of a kind that is not known; empty for all others.
    pub other: Cow<'a, str>,
    /// Position in the stream, from 0. Some services leave it out.
    pub sequence_number: Option<u64>,
    /// Position of the item in the response's output.
    pub output_index: Option<u64>,
    /// The item's id, a string. Not to be relied on as a key: some services rotate ids.
    pub item_id: Option<Raw<'a>>,
    /// Position of the part in the item; the kind's row says of which list.
    pub part_index: Option<u64>,
    /// The member the kind's row names: the delta, the text, the item, the response, ...
    pub payload: Option<Raw<'a>>,
    /// All other members, in their order.
    pub rest: Rest<'a>,
}

/// A key and its value.
pub type Member<'a> = (Cow<'a, str>, Raw<'a>);

/// A list of members: a fixed one costs nothing to make. (A `Cow` would do, but is invariant.)
#[derive(Debug, Clone)]
pub enum Rest<'a> {
    /// Members that stand somewhere else.
    Fixed(&'a [Member<'a>]),
    /// Members of this event alone.
    Own(Vec<Member<'a>>),
}

impl<'a> std::ops::Deref for Rest<'a> {
    type Target = [Member<'a>];

    fn deref(&self) -> &[Member<'a>] {
        match self {
            Rest::Fixed(members) => members,
            Rest::Own(members) => members,
        }
    }
}

impl PartialEq for Rest<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// The `logprobs` that clients expect on every text delta, where the backend gave none.
pub(crate) const LOGPROBS: &[Member<'static>] = &[(Cow::Borrowed("logprobs"), Raw::EMPTY_ARRAY)];

/// About how long a frame is without its payload.
const OTHERS_BYTES: usize = 256;

/// Whatever takes events: an encoder, a fold, a recorder, a test.
pub trait Sink {
    /// Takes one event.
    fn event(&mut self, event: &Event<'_>);
}

impl<F: FnMut(&Event<'_>)> Sink for F {
    fn event(&mut self, event: &Event<'_>) {
        self(event);
    }
}

impl<'a> Event<'a> {
    /// An event of `kind` with nothing in it yet.
    pub fn new(kind: Kind) -> Self {
        Event {
            kind,
            other: Cow::Borrowed(""),
            sequence_number: None,
            output_index: None,
            item_id: None,
            part_index: None,
            payload: None,
            rest: Rest::Fixed(&[]),
        }
    }

    /// Reads one event. Its kind is the JSON `type`; where that is absent, `frame_event` (the
    /// `event:` line of the frame) stands in.
    ///
    /// # Errors
    /// [`Malformed`] when `text` is not a JSON object.
    pub fn parse(text: &'a str, frame_event: Option<&str>) -> Result<Self, Malformed> {
        let mut event = Event::new(Kind::Other);
        let mut rest: Vec<Member<'a>> = Vec::new();
        let mut name = None;
        let mut indices: [Option<(u64, &str)>; 3] = [None; 3];
        let mut reader = Reader::new(text);
        reader.object(|key, reader| {
            let value = reader.value()?;
            // Only digits that print back as they came: `1.0` is kept as an unknown member.
            match (&*key, value.as_str().parse().ok()) {
                ("type", _) if value.is_string() => name = value.text(),
                ("item_id", _) if value.is_string() => event.item_id = Some(value),
                ("sequence_number", Some(number)) => event.sequence_number = Some(number),
                ("output_index", Some(number)) => event.output_index = Some(number),
                ("content_index", Some(number)) => indices[0] = Some((number, "content_index")),
                ("summary_index", Some(number)) => indices[1] = Some((number, "summary_index")),
                ("command_index", Some(number)) => indices[2] = Some((number, "command_index")),
                _ => rest.push((key, value)),
            }
            Ok::<(), Malformed>(())
        })?;
        let end = reader.position();
        reader.finish().map_err(|error| Malformed { at: error.at.max(end), ..error })?;
        let name = name.or_else(|| frame_event.map(|name| Cow::Owned(name.to_owned())));
        let name = name.unwrap_or_default();
        event.kind = Kind::of(&name);
        if event.kind == Kind::Other {
            event.other = name;
        }
        let payload = event.kind.row().payload;
        rest.retain(|(key, value)| {
            let found = key == payload;
            if found {
                event.payload = Some(*value);
            }
            !found
        });
        for (number, member) in indices.into_iter().flatten() {
            if event.kind.row().index.member() == Some(member) {
                event.part_index = Some(number);
            } else if let Some(value) = Raw::parse(text)?.member(member) {
                rest.push((Cow::Borrowed(member), value));
            }
        }
        event.rest = Rest::Own(rest);
        Ok(event)
    }

    /// The `type` on the wire.
    pub fn name(&self) -> &str {
        match self.kind {
            Kind::Other => &self.other,
            kind => kind.row().name,
        }
    }

    /// The part the event plays in a stream.
    pub fn role(&self) -> Role {
        self.kind.row().role
    }

    /// The type of item that such an event is about; nothing where many could be.
    pub(crate) fn about(&self) -> Option<&'static str> {
        let brings = |(.., delta, done): &&(_, _, Kind, Kind)| [*delta, *done].contains(&self.kind);
        let part = || self.payload.and_then(|part| part.member_text("type"));
        match (self.kind.row().index, self.role()) {
            (Index::Summary, _) => Some("reasoning"),
            (_, Role::Delta(Field::ReasoningText) | Role::Done(Field::ReasoningText)) => {
                Some("reasoning")
            }
            (Index::Content, Role::PartAdded | Role::PartDone)
                if part().as_deref() == Field::ReasoningText.part() =>
            {
                Some("reasoning")
            }
            (Index::Content, _) => Some("message"),
            _ => ITEM_TEXTS.iter().find(brings).map(|(kind, ..)| *kind),
        }
    }

    /// Appends the event as a JSON object.
    pub fn print(&self, out: &mut String) {
        let name = self.name();
        let object = Object::new(out);
        self.print_into(if name.is_empty() { object } else { object.text("type", name) });
    }

    /// Everything after the type.
    fn print_into(&self, mut object: Object<'_>) {
        let row = self.kind.row();
        if let Some(number) = self.sequence_number {
            object = object.number("sequence_number", number);
        }
        object = object.raw_if("item_id", self.item_id);
        if let Some(index) = self.output_index {
            object = object.number("output_index", index);
        }
        if let (Some(member), Some(index)) = (row.index.member(), self.part_index) {
            object = object.number(member, index);
        }
        object = object.raw_if(row.payload, self.payload);
        for (key, value) in self.rest.iter() {
            object = object.member(key, *value);
        }
        object.end();
    }

    /// Appends the event as a frame of server-sent events whose `event:` equals its `type`.
    pub fn print_frame(&self, out: &mut String) {
        let payload_bytes = self.payload.map_or(0, |payload| payload.as_str().len());
        out.reserve(payload_bytes + OTHERS_BYTES);
        let mut from = out.len();
        match self.kind.row().frame {
            "" => {
                if !self.other.is_empty() && !self.other.contains(['\n', '\r']) {
                    out.push_str("event: ");
                    out.push_str(&self.other);
                    out.push('\n');
                }
                out.push_str("data: ");
                from = out.len();
                self.print(out);
            }
            frame => {
                out.push_str(frame);
                from += frame.len();
                self.print_into(Object::resume(out));
            }
        }
        let data = out.as_bytes().get(from..).unwrap_or_default();
        if memchr::memchr2(b'\n', b'\r', data).is_some() {
            let data = out.split_off(from).replace(['\n', '\r'], " ");
            out.push_str(&data);
        }
        out.push_str("\n\n");
    }
}
