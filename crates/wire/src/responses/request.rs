//! A request of the hub: a view over the body as it came. It is read in one pass that leaves an outline
//! behind; its members, and those of its items, are slices of the body that are found by it, and what
//! is not known is there like the rest.

use std::borrow::Cow;
use std::fmt::Display;

use super::flavour;
use crate::error::ApiError;
use crate::json::{Branch, Node, Object, Raw, Reader};
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
    /// The tools the model may call: a list.
    tools: Option<Branch<'a>>,
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
    given: Given<'a>,
}

/// What an item was given as.
#[derive(Debug, Clone)]
enum Given<'a> {
    Object(Branch<'a>),
    /// A plain string, which is what the user says.
    Said(Raw<'a>),
}

/// A tool definition.
#[derive(Debug, Clone)]
pub struct Tool<'o> {
    /// Its `type`.
    pub kind: Cow<'o, str>,
    definition: Node<'o>,
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
        if Reader::new(body).peek_value() != Some(b'{') {
            return Err(ApiError::invalid(
                "",
                "invalid_json",
                "The body has to be a JSON object, as in {\"model\": \"...\", \"input\": \"...\"}.",
            ));
        }
        // An answer holds parts of the request one level deeper.
        for (key, value) in Branch::parse(body, 1)?.members() {
            request.take(key, value)?;
        }
        request.once_each()?;
        let is_led = request.is_continuation() || request.given("prompt").is_some();
        if request.member("input").is_none() && !is_led {
            return Err(missing("input"));
        }
        Ok(request)
    }

    fn take(&mut self, key: Cow<'a, str>, value: Branch<'a>) -> Result<(), ApiError> {
        let mut raw = value.raw();
        match &*key {
            "input" if raw.is_array() => {
                for (index, item) in value.elements().enumerate() {
                    self.input.push(Item::of(item, Path::INPUT.index(index))?);
                }
                raw = Raw::EMPTY_ARRAY;
            }
            "input" if raw.is_string() => self.input.push(Item::user(raw)),
            "input" => return Err(wrong_type("input", "a string or an array", raw)),
            "stream" => self.stream = self.boolean("stream", raw)?,
            "model" if !raw.is_string() && !raw.is_null() => {
                return Err(wrong_type("model", "a string", raw));
            }
            "tools" if raw.is_array() => {
                for (index, tool) in value.node().values().enumerate() {
                    Tool::of(tool, Path::TOOLS.index(index))?;
                }
                self.tools = Some(value);
            }
            "tools" if !raw.is_null() => return Err(wrong_type("tools", "an array", raw)),
            _ => {}
        }
        self.members.push((key, raw));
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

    /// The tools the model may call.
    pub fn tools(&self) -> impl Iterator<Item = Tool<'_>> {
        let tools = self.tools.iter().flat_map(|tools| tools.node().values());
        tools.filter_map(|tool| Tool::of(tool, Path::TOOLS).ok())
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

const USER: Raw<'static> = Raw::trusted("\"user\"");

impl<'a> Item<'a> {
    /// Reads one item; `path` names it in the error.
    ///
    /// # Errors
    /// A 400 where it is no item.
    pub fn parse(text: &'a str, path: Path<'_>) -> Result<Self, ApiError> {
        Item::of(Branch::parse(text, 0)?, path)
    }

    fn of(object: Branch<'a>, path: Path<'_>) -> Result<Self, ApiError> {
        if !object.raw().is_object() {
            return Err(wrong_type(path, "an object", object.raw()));
        }
        let kind = match object.member_text("type") {
            Some(kind) => unmarked(kind),
            None if object.member("role").is_some() => Cow::Borrowed("message"),
            None if object.member("id").is_some() => Cow::Borrowed("item_reference"),
            None => return Err(missing(path.member("type"))),
        };
        Ok(Item { kind, given: Given::Object(object) })
    }

    fn user(content: Raw<'a>) -> Self {
        Item { kind: Cow::Borrowed("message"), given: Given::Said(content) }
    }

    /// Its `id`; none where it was given none.
    pub fn id(&self) -> Option<Cow<'a, str>> {
        self.member("id").and_then(Raw::text).filter(|id| !id.is_empty())
    }

    /// Appends the item as it is kept: with its type and `id`, and for the rest as it came.
    pub fn print_as(&self, id: &str, out: &mut String) {
        let object = Object::new(out).text("id", id).text("type", &self.kind);
        self.print_rest(&["id", "type"], object);
    }

    /// Appends the item as it came, with its type.
    pub fn print(&self, out: &mut String) {
        self.print_rest(&["type"], Object::new(out).text("type", &self.kind));
    }

    fn print_rest(&self, said: &[&str], object: Object<'_>) {
        let rest = self.members().into_iter().filter(|(key, _)| !said.contains(&&**key));
        rest.fold(object, |object, (key, value)| object.member(&key, value)).end();
    }

    /// What the id of such an item begins with.
    pub fn id_prefix(&self) -> &'static str {
        let row = ID_PREFIXES.iter().find(|(kind, _)| *kind == self.kind);
        row.map_or("item", |(_, prefix)| prefix)
    }

    /// A member by its key, null included.
    #[inline]
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        match (&self.given, key) {
            (Given::Object(object), _) => object.member(key),
            (Given::Said(_), "role") => Some(USER),
            (Given::Said(content), "content") => Some(*content),
            (Given::Said(_), _) => None,
        }
    }

    /// All members, in their order.
    pub fn members(&self) -> Vec<(Cow<'a, str>, Raw<'a>)> {
        match &self.given {
            Given::Object(object) => object.raw().members(),
            Given::Said(content) => vec![("role".into(), USER), ("content".into(), *content)],
        }
    }

    /// A member by its key, to look into it.
    #[inline]
    pub fn node(&self, key: &str) -> Option<Node<'_>> {
        match &self.given {
            Given::Object(object) => object.node().member(key),
            Given::Said(_) => self.member(key).map(Node::from),
        }
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

impl<'o> Tool<'o> {
    /// Takes a tool definition; `path` names it in the error.
    ///
    /// # Errors
    /// A 400 where it is no object or has no type.
    pub fn of(definition: Node<'o>, path: Path<'_>) -> Result<Self, ApiError> {
        if !definition.is_object() {
            return Err(wrong_type(path, "an object", definition.raw()));
        }
        match definition.member_text("type") {
            Some(kind) => Ok(Tool { kind: unmarked(kind), definition }),
            None => Err(missing(path.member("type"))),
        }
    }

    /// A member by its key.
    pub fn member(&self, key: &str) -> Option<Raw<'o>> {
        self.definition.member(key).map(Node::raw)
    }

    /// The definitions that it holds, where it is a namespace of tools.
    pub fn inner(&self) -> Vec<Node<'o>> {
        self.definition.member("tools").map(Node::elements).unwrap_or_default()
    }

    /// All members, in their order.
    pub fn members(&self) -> Vec<(Cow<'o, str>, Raw<'o>)> {
        self.definition.raw().members()
    }

    /// Its `name` for messages; its type where it has none.
    pub fn name(&self) -> Cow<'o, str> {
        self.definition.member_text("name").unwrap_or_else(|| self.kind.clone())
    }
}
