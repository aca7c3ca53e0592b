//! A request of the hub: a view over the body as it came. It is read in one pass, its members and
//! those of its items are slices of the body, and what is not known is there like the rest.

use std::borrow::Cow;
use std::fmt::Display;

use super::flavour;
use crate::error::ApiError;
use crate::json::{Malformed, Object, Raw, Reader};
use crate::path::Path;

/// A request to make a response.
///
/// ```
/// use latimer_wire::responses::Request;
/// let request = Request::parse(r#"{"model":"m","input":"Hello","stream":true}"#)?;
/// assert!(request.stream);
/// assert_eq!(request.input[0].member("role").and_then(|r| r.text()).as_deref(), Some("user"));
/// # Ok::<(), latimer_wire::error::ApiError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Whether the answer is wanted as a stream.
    pub stream: bool,
    /// The items the model is to read. A plain string counts as one user message.
    pub input: Vec<Item<'a>>,
    /// The tools the model may call.
    pub tools: Vec<Tool<'a>>,
    pub(super) members: Members<'a>,
    bytes: usize,
    /// How many items of the input come from earlier turns.
    pub(super) inherited: usize,
    /// How many items after those stand for own ones, and for how many.
    pub(super) stand_ins: usize,
    pub(super) stood_for: usize,
}

/// An input item.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// Its `type`; `message` where that is left out and a role is there.
    pub kind: Cow<'a, str>,
    pub(super) members: Members<'a>,
    /// The elements of its members that are lists.
    lists: Vec<(Cow<'a, str>, Vec<Part<'a>>)>,
}

/// An element of a list in an item: a part of a content, a tool.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// The whole of it.
    pub raw: Raw<'a>,
    members: Members<'a>,
}

/// A tool definition.
#[derive(Debug, Clone)]
pub struct Tool<'a> {
    /// Its `type`.
    pub kind: Cow<'a, str>,
    members: Members<'a>,
}

/// The members of an object, in their order.
type Members<'a> = Vec<(Cow<'a, str>, Raw<'a>)>;

fn find<'a>(members: &Members<'a>, key: &str) -> Option<Raw<'a>> {
    members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
}

impl<'a> Request<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// A 400 that names the parameter at fault.
    pub fn parse(body: &'a str) -> Result<Self, ApiError> {
        let mut request = Request { bytes: body.len(), ..Request::default() };
        // An answer holds parts of the request one level deeper.
        let mut reader = Reader::at_depth(body, 1);
        if reader.peek_value() != Some(b'{') {
            return Err(ApiError::invalid(
                "",
                "invalid_json",
                "The body has to be a JSON object, as in {\"model\": \"...\", \"input\": \"...\"}.",
            ));
        }
        reader.object(|key, reader| request.take(key, reader))?;
        reader.finish()?;
        request.once_each()?;
        let is_led = request.is_continuation() || request.given("prompt").is_some();
        if request.member("input").is_none() && !is_led {
            return Err(missing("input"));
        }
        Ok(request)
    }

    fn take(&mut self, key: Cow<'a, str>, reader: &mut Reader<'a>) -> Result<(), ApiError> {
        let value = match (&*key, reader.peek_value()) {
            ("input", Some(b'[')) => {
                reader.array(|index, reader| {
                    self.input.push(Item::read(reader, Path::INPUT.index(index))?);
                    Ok::<(), ApiError>(())
                })?;
                Raw::EMPTY_ARRAY
            }
            ("tools", Some(b'[')) => reader.spanning(|reader| {
                reader.array(|index, reader| {
                    let tool = Part::read(reader)?;
                    self.tools.push(Tool::of(tool, Path::TOOLS.index(index))?);
                    Ok::<(), ApiError>(())
                })
            })?,
            _ => reader.value()?,
        };
        match &*key {
            "input" if value.is_string() => self.input.push(Item::user(value)),
            "input" if !value.is_array() => {
                return Err(wrong_type("input", "a string or an array", value));
            }
            "stream" => self.stream = self.boolean("stream", value)?,
            "model" if !value.is_string() && !value.is_null() => {
                return Err(wrong_type("model", "a string", value));
            }
            "tools" if !value.is_null() && !value.is_array() => {
                return Err(wrong_type("tools", "an array", value));
            }
            _ => {}
        }
        self.members.push((key, value));
        Ok(())
    }

    /// Two readers may take a different one of two members with one name, so there must not be two.
    fn once_each(&self) -> Result<(), ApiError> {
        let mut keys: Vec<&str> = self.members.iter().map(|(key, _)| &**key).collect();
        keys.sort_unstable();
        match keys.windows(2).find_map(|pair| pair.first().filter(|key| pair.last() == Some(key))) {
            None => Ok(()),
            Some(key) => {
                let message = format!("The parameter `{key}` is given twice.");
                Err(ApiError::invalid(*key, "duplicate_parameter", message))
            }
        }
    }

    fn boolean(&self, name: &str, value: Raw<'_>) -> Result<bool, ApiError> {
        match value.boolean() {
            Some(flag) => Ok(flag),
            None if value.is_null() => Ok(false),
            None => Err(wrong_type(name, "a boolean", value)),
        }
    }

    /// A member of the body by its key. `input` given as an array shows as `[]` here: its items
    /// are in [`Request::input`].
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        find(&self.members, key)
    }

    /// A member that is there and not null.
    pub fn given(&self, key: &str) -> Option<Raw<'a>> {
        self.member(key).and_then(Raw::non_null)
    }

    /// Whether the client asked for something to be included.
    pub fn includes(&self, what: &str) -> bool {
        let list = self.given("include").map(Raw::elements).unwrap_or_default();
        list.iter().any(|name| name.inner() == what)
    }

    /// All members of the body, in their order.
    pub fn members(&self) -> &[(Cow<'a, str>, Raw<'a>)] {
        &self.members
    }

    /// How long the body is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The model that is asked for, empty when none is named.
    pub fn model(&self) -> Cow<'a, str> {
        self.member("model").and_then(Raw::text).unwrap_or_default()
    }
}

/// What ids begin with, by the type of the item.
const ID_PREFIXES: &[(&str, &str)] = &[
    ("compaction", "cmp"),
    ("custom_tool_call", "ctc"),
    ("custom_tool_call_output", "ctco"),
    ("function_call", "fc"),
    ("function_call_output", "fco"),
    ("message", "msg"),
    ("reasoning", "rs"),
    ("tool_search_call", "tsc"),
    ("tool_search_output", "tso"),
];

/// A type as the hub has it: a client of another flavour says a mark back that it was given.
fn unmarked(kind: Cow<'_, str>) -> Cow<'_, str> {
    match kind {
        Cow::Borrowed(kind) => Cow::Borrowed(flavour::plain(kind)),
        Cow::Owned(kind) => Cow::Owned(flavour::plain(&kind).to_owned()),
    }
}

/// A parameter that has to be there is not.
pub(crate) fn missing(param: impl Display) -> ApiError {
    let message = format!("Missing required parameter: `{param}`.");
    ApiError::invalid(param.to_string(), "missing_required_parameter", message)
}

/// A parameter is of another type than it has to be.
pub(crate) fn wrong_type(param: impl Display, wanted: &str, value: Raw<'_>) -> ApiError {
    let message = format!("Invalid type for `{param}`: expected {wanted}, got {}.", value.kind());
    ApiError::invalid(param.to_string(), "invalid_type", message)
}

impl<'a> Item<'a> {
    /// Reads one item; `path` names it in the error.
    ///
    /// # Errors
    /// A 400 where it is no item.
    pub fn parse(text: &'a str, path: Path<'_>) -> Result<Self, ApiError> {
        let mut reader = Reader::new(text);
        let item = Item::read(&mut reader, path)?;
        reader.finish()?;
        Ok(item)
    }

    /// Its `id`; none where it was given none.
    pub fn id(&self) -> Option<Cow<'a, str>> {
        self.member("id").and_then(Raw::text).filter(|id| !id.is_empty())
    }

    /// Appends the item as it is kept: with its type and `id`, and for the rest as it came.
    pub fn print_as(&self, id: &str, out: &mut String) {
        let rest = self.members.iter().filter(|(key, _)| !["id", "type"].contains(&&**key));
        let object = Object::new(out).text("id", id).text("type", &self.kind);
        rest.fold(object, |object, (key, value)| object.member(key, *value)).end();
    }

    /// Appends the item as it came, with its type.
    pub fn print(&self, out: &mut String) {
        let rest = self.members.iter().filter(|(key, _)| key != "type");
        let object = Object::new(out).text("type", &self.kind);
        rest.fold(object, |object, (key, value)| object.member(key, *value)).end();
    }

    /// What the id of such an item begins with.
    pub fn id_prefix(&self) -> &'static str {
        let row = ID_PREFIXES.iter().find(|(kind, _)| *kind == self.kind);
        row.map_or("item", |(_, prefix)| prefix)
    }

    fn read(reader: &mut Reader<'a>, path: Path<'_>) -> Result<Self, ApiError> {
        if reader.peek_value() != Some(b'{') {
            let value = reader.value()?;
            return Err(wrong_type(path, "an object", value));
        }
        let mut members = Members::with_capacity(6);
        let mut lists = Vec::new();
        reader.object(|key, reader| {
            let value = match reader.peek_value() {
                Some(b'[') => {
                    let mut parts = Vec::new();
                    let value = reader.spanning(|reader| {
                        reader.array(|_, reader| Part::read(reader).map(|part| parts.push(part)))
                    })?;
                    lists.push((key.clone(), parts));
                    value
                }
                _ => reader.value()?,
            };
            members.push((key, value));
            Ok::<(), Malformed>(())
        })?;
        let kind = match find(&members, "type").and_then(Raw::text) {
            Some(kind) => unmarked(kind),
            None if find(&members, "role").is_some() => Cow::Borrowed("message"),
            None if find(&members, "id").is_some() => Cow::Borrowed("item_reference"),
            None => {
                return Err(missing(path.member("type")));
            }
        };
        Ok(Item { kind, members, lists })
    }

    fn user(content: Raw<'a>) -> Self {
        let role = Raw::trusted("\"user\"");
        let members = vec![(Cow::Borrowed("role"), role), (Cow::Borrowed("content"), content)];
        Item { kind: Cow::Borrowed("message"), members, lists: Vec::new() }
    }

    /// A member by its key, null included.
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        find(&self.members, key)
    }

    /// All members, in their order.
    pub fn members(&self) -> &[(Cow<'a, str>, Raw<'a>)] {
        &self.members
    }

    /// The elements of a member that is a list; none of any other.
    pub fn parts(&self, key: &str) -> &[Part<'a>] {
        let found = self.lists.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, parts)| parts.as_slice()).unwrap_or_default()
    }

    /// A string member.
    pub fn string(&self, key: &str) -> Option<Raw<'a>> {
        self.member(key).filter(|value| value.is_string())
    }

    /// A string member that has to be there; `path` names the item in the error.
    ///
    /// # Errors
    /// A 400 that names the member.
    pub fn required(&self, key: &str, path: Path<'_>) -> Result<Raw<'a>, ApiError> {
        let param = path.member(key);
        match self.member(key).and_then(Raw::non_null) {
            Some(value) if value.is_string() => Ok(value),
            Some(value) => Err(wrong_type(param, "a string", value)),
            None => Err(missing(param)),
        }
    }
}

impl<'a> Part<'a> {
    /// Takes a value that was read before.
    pub fn of(raw: Raw<'a>) -> Self {
        Part { raw, members: raw.members() }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut members = Members::new();
        let raw = match reader.peek_value() {
            Some(b'{') => reader.spanning(|reader| {
                reader.object(|key, reader| {
                    members.push((key, reader.value()?));
                    Ok::<(), Malformed>(())
                })
            }),
            _ => reader.value(),
        }?;
        Ok(Part { raw, members })
    }

    /// A member by its key, null included; none where it is no object.
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        find(&self.members, key)
    }
}

impl<'a> Tool<'a> {
    /// Takes a tool definition; `path` names it in the error.
    ///
    /// # Errors
    /// A 400 where it is no object or has no type.
    pub fn of(Part { raw, members }: Part<'a>, path: Path<'_>) -> Result<Self, ApiError> {
        if !raw.is_object() {
            return Err(wrong_type(path, "an object", raw));
        }
        match find(&members, "type").and_then(Raw::text) {
            Some(kind) => Ok(Tool { kind: unmarked(kind), members }),
            None => Err(missing(path.member("type"))),
        }
    }

    /// A member by its key.
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        find(&self.members, key)
    }

    /// All members, in their order.
    pub fn members(&self) -> &[(Cow<'a, str>, Raw<'a>)] {
        &self.members
    }

    /// Its `name` for messages; its type where it has none.
    pub fn name(&self) -> Cow<'a, str> {
        self.member("name").and_then(Raw::text).unwrap_or_else(|| self.kind.clone())
    }
}
