//! The Responses API over a WebSocket, without the socket: what a client's text messages mean, the
//! request that each becomes, what a response leaves for the next one on the connection, and the
//! messages that events and errors become. Source: the client and server events of the official SDKs
//! (openai-python 3.51). Several conversations may share a connection, each on a lane of its own,
//! which a `stream_id` names.

use std::borrow::Cow;

use super::event::Event;
use super::kind::{Kind, Role, Status};
use super::response::push_changed;
use crate::json::{Malformed, Object, Raw, push_string};

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// `response.create`: an answer.
    Create,
    /// `response.steer`: to put in a word while an answer is made.
    Steer,
    /// `response.cancel`: that the answer on this lane is made no further.
    Cancel,
    /// Something that is not known.
    Other,
}

const WISHES: &[(&str, Wish)] = &[
    ("response.create", Wish::Create),
    ("response.steer", Wish::Steer),
    ("response.cancel", Wish::Cancel),
];

/// Members of `response.create` that are about the connection and belong to no request. A stream is
/// what a socket always gives.
const OF_CONNECTION: &[&str] = &["generate", "stream", "stream_id", "type"];

/// One message of a client: a view over its text.
///
/// ```
/// use latimer_wire::responses::socket::{ClientEvent, Wish};
/// let text = r#"{"type":"response.create","stream_id":"a","model":"m","input":"Hi"}"#;
/// let event = ClientEvent::parse(text)?;
/// assert_eq!((event.wish, event.stream_id.as_deref()), (Wish::Create, Some("a")));
/// assert_eq!(event.request(None).body, r#"{"model":"m","input":"Hi","stream":true}"#);
/// # Ok::<(), latimer_wire::json::Malformed>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientEvent<'a> {
    /// What is wanted.
    pub wish: Wish,
    /// The `type` as it came.
    pub name: Cow<'a, str>,
    /// The lane; without one it is the connection's own.
    pub stream_id: Option<Cow<'a, str>>,
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
}

/// A request as it can be asked anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The body of `POST /v1/responses`.
    pub body: String,
    /// The response whose items come before these, where it is not held here.
    base: Option<String>,
    /// The inside of the list of items that it asks with.
    items: String,
    /// Whether its items stand alone: they do not where a conversation adds to them.
    alone: bool,
}

/// What a response leaves for the one that continues it: its whole history, as far as nobody else
/// keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The id to continue it by.
    pub id: String,
    base: Option<String>,
    items: String,
}

impl<'a> ClientEvent<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Malformed`] when it is no JSON object.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let message = Raw::parse(text)?;
        if !message.is_object() {
            return Err(Malformed { what: "expected an object", at: 0 });
        }
        let members = message.members();
        let text = |key| find(&members, key).and_then(Raw::text);
        let name = text("type").unwrap_or_default();
        let wish = WISHES.iter().find(|(known, _)| *known == name);
        let wish = wish.map_or(Wish::Other, |(_, wish)| *wish);
        Ok(ClientEvent { wish, stream_id: text("stream_id"), name, members })
    }

    /// A member that is there and not null.
    pub fn given(&self, key: &str) -> Option<Raw<'a>> {
        find(&self.members, key).and_then(Raw::non_null)
    }

    /// Whether the model is to say something; if not, the request is only to be continued.
    pub fn generates(&self) -> bool {
        self.given("generate").and_then(Raw::boolean) != Some(false)
    }

    /// The response that is continued.
    pub fn continues(&self) -> Option<Cow<'a, str>> {
        self.given("previous_response_id").and_then(Raw::text)
    }

    /// The request this message makes; `held` is what the response it continues has left here.
    pub fn request(&self, held: Option<&Held>) -> Posted {
        let own = items_of(self.given("input"));
        let items = match held.map(|held| held.items.as_str()) {
            None | Some("") => own.into_owned(),
            Some(before) if own.is_empty() => before.to_owned(),
            Some(before) => [before, ",", &own].concat(),
        };
        let mut body = String::with_capacity(items.len() + 1024);
        let mut object = Object::new(&mut body);
        for (key, value) in &self.members {
            let ours = held.is_some() && ["input", "previous_response_id"].contains(&&**key);
            if !ours && !OF_CONNECTION.contains(&&**key) {
                object = object.member(key, *value);
            }
        }
        let base = match held {
            Some(held) => held.base.clone(),
            None => self.continues().map(Cow::into_owned),
        };
        if let (Some(base), Some(_)) = (&base, held) {
            object = object.text("previous_response_id", base);
        }
        if held.is_some() || self.given("input").is_none() && !self.generates() {
            object = object.with("input", |out| out.extend(["[", &items, "]"]));
        }
        object.boolean("stream", true).end();
        Posted { body, base, items, alone: self.given("conversation").is_none() }
    }

    /// The message that no word can be put in, which gives the words back.
    pub fn steer_failed(&self, code: &str, message: &str) -> String {
        let mut out = String::new();
        let mut object = Object::new(&mut out)
            .text("type", "response.steer.failed")
            .number("sequence_number", 0)
            .with("error", |out| {
                Object::new(out)
                    .text("type", "invalid_request_error")
                    .text("code", code)
                    .text("message", message)
                    .end();
            })
            .with("steer", |out| {
                Object::new(out)
                    .raw("input", self.given("input").unwrap_or(Raw::EMPTY_ARRAY))
                    .text("previous_response_id", &self.continues().unwrap_or_default())
                    .end();
            });
        if let Some(stream_id) = &self.stream_id {
            object = object.text("stream_id", stream_id);
        }
        object.end();
        out
    }
}

fn find<'a>(members: &[(Cow<'a, str>, Raw<'a>)], key: &str) -> Option<Raw<'a>> {
    members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
}

/// The inside of the list of items that an `input` is.
fn items_of(input: Option<Raw<'_>>) -> Cow<'_, str> {
    match input {
        Some(text) if text.is_string() => {
            let mut item = String::new();
            Object::new(&mut item)
                .text("type", "message")
                .text("role", "user")
                .raw("content", text)
                .end();
            Cow::Owned(item)
        }
        Some(list) if list.is_array() => Cow::Borrowed(inside(list)),
        _ => Cow::Borrowed(""),
    }
}

/// What stands between the brackets of an array.
fn inside(array: Raw<'_>) -> &str {
    let text = array.as_str();
    text.get(1..text.len().saturating_sub(1)).unwrap_or_default().trim()
}

impl Posted {
    /// What is left of this request and its answer for the one that continues it. Nothing where a
    /// conversation takes part, whose items are not known here.
    pub fn hold(self, end: &End) -> Option<Held> {
        let (id, output) = (end.id.clone()?, &end.output);
        let items = match (self.items.is_empty(), output.is_empty()) {
            (_, true) => self.items,
            (true, false) => output.clone(),
            (false, false) => [&self.items, ",", output].concat(),
        };
        self.alone.then_some(Held { id, base: self.base, items })
    }
}

impl Held {
    /// How much it holds, nearly.
    pub fn bytes(&self) -> usize {
        self.items.len() + self.id.len()
    }
}

/// How a response ended, and what its end says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// How it ended.
    pub status: Status,
    /// Whether somebody keeps it under its id.
    pub stored: bool,
    id: Option<String>,
    /// The inside of its list of output items.
    output: String,
}

impl End {
    /// What an event says of the end; nothing where it is no end.
    pub fn of(data: &str, name: Option<&str>) -> Option<End> {
        let Role::Terminal(status) = Kind::of_data(data, name).row().role else { return None };
        let response = Raw::unchecked(data).member("response").unwrap_or(Raw::NULL);
        let output = response.member("output").filter(|output| output.is_array());
        Some(End {
            status,
            stored: response.member("store").and_then(Raw::boolean) != Some(false),
            id: response.member_text("id").map(Cow::into_owned),
            output: output.map(inside).unwrap_or_default().to_owned(),
        })
    }
}

/// What each message of an answer carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// The lane, where the client named one.
    pub stream_id: Option<String>,
    /// The response that is continued from what is held here. Whoever makes the answer does not know
    /// of it, and says that there is none.
    pub continued: Option<String>,
}

impl Address {
    /// The message that an event becomes: the event, with what is to be added. `name` is the name its
    /// frame had. Errors are nested.
    pub fn event(&self, data: &str, name: Option<&str>) -> String {
        let told = match Kind::of_data(data, name).row().role {
            Role::Error => return self.flat_error(data),
            Role::Created | Role::Queued | Role::InProgress | Role::Terminal(_) => {
                self.continuing(data, name)
            }
            _ if data.starts_with("{\"type\":") => None,
            _ => Event::parse(data, name).ok().map(|event| printed(&event)),
        };
        self.named(told.as_deref().unwrap_or(data))
    }

    /// An event whose response continues another.
    fn continuing(&self, data: &str, name: Option<&str>) -> Option<String> {
        let mut event = Event::parse(data, name).ok()?;
        let (mut response, mut literal) = (String::new(), String::new());
        if let (Some(of), Some(id)) = (event.payload, &self.continued) {
            push_string(&mut literal, id);
            let change = ("previous_response_id", Raw::trusted(&literal));
            push_changed(&mut response, of, &[change]);
            event.payload = Some(Raw::trusted(&response));
        }
        Some(printed(&event))
    }

    /// A message with the lane it belongs to.
    fn named(&self, message: &str) -> String {
        match (&self.stream_id, message.trim_end().strip_suffix('}')) {
            (Some(stream_id), Some(open)) if open.trim_end() != "{" => {
                let mut out = String::with_capacity(message.len() + stream_id.len() + 20);
                out.push_str(open);
                Object::resume(&mut out).text("stream_id", stream_id).end();
                out
            }
            _ => message.to_owned(),
        }
    }

    /// An `error` event, which is flat in a stream of server-sent events.
    fn flat_error(&self, data: &str) -> String {
        let event = Raw::unchecked(data);
        let nested = event.member("error").filter(|error| error.is_object());
        let error = nested.unwrap_or(event);
        let number = event.member("sequence_number").and_then(Raw::count);
        self.error_message(None, number, error, &[])
    }

    /// The message that an error answer becomes: `body` is an object with an `error`, `headers` are
    /// those that a client may act on.
    pub fn error(&self, status: u16, body: &str, headers: &[(&str, &str)]) -> String {
        let body = Raw::parse(body).unwrap_or(Raw::NULL);
        let error = body.member("error").unwrap_or(body);
        self.error_message(Some(status), None, error, headers)
    }

    fn error_message(
        &self,
        status: Option<u16>,
        sequence_number: Option<u64>,
        error: Raw<'_>,
        headers: &[(&str, &str)],
    ) -> String {
        let mut out = String::new();
        let mut object = Object::new(&mut out).text("type", "error");
        if let Some(status) = status {
            object = object.number("status", status.into());
        }
        if let Some(number) = sequence_number {
            object = object.number("sequence_number", number);
        }
        object.with("error", |out| print_error(out, error, headers)).end();
        self.named(&out)
    }
}

fn printed(event: &Event<'_>) -> String {
    let mut out = String::new();
    event.print(&mut out);
    out
}

/// The members every error has, those it has besides, and the headers it came with.
fn print_error(out: &mut String, error: Raw<'_>, headers: &[(&str, &str)]) {
    let members = error.members();
    let word = |key| find(&members, key).and_then(Raw::non_null);
    let code = word("code").unwrap_or(Raw::NULL);
    let kind = word("type").filter(|kind| kind.inner() != "error").and_then(Raw::text);
    let mut object = Object::new(out)
        .text("type", &kind.unwrap_or(Cow::Borrowed("server_error")))
        .raw("code", code)
        .raw("message", word("message").unwrap_or(Raw::trusted("\"\"")))
        .raw("param", word("param").unwrap_or(Raw::NULL));
    const KNOWN: &[&str] =
        &["type", "code", "message", "param", "headers", "sequence_number", "stream_id"];
    for (key, value) in members.iter().filter(|(key, _)| !KNOWN.contains(&&**key)) {
        object = object.member(key, *value);
    }
    if !headers.is_empty() {
        object = object.with("headers", |out| {
            let written = headers.iter().fold(Object::new(out), |object, (name, value)| {
                object.member_with(name, |out| push_string(out, value))
            });
            written.end();
        });
    }
    object.end();
}
