//! The history of a hub request as Chat messages. In: input items. Out: the list of messages, every
//! call followed by its output.
//!
//! Instructions and the leading run of developer and system items become one message. What the
//! assistant said and called without a break becomes one message, its outputs follow it. Calls and
//! outputs that miss each other are mended with a placeholder and a note: a backend refuses a
//! history that holds one, and would refuse it again in every later turn.

mod turn;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use self::turn::{Call, Turn};
use super::content::{Content, Part, is_original, push_inner, push_seen};
use super::freeform;
use super::profile::{CallIds, Profile};
use super::sealed;
use super::toolbox::{Toolbox, fitting, nine};
use super::tools::SEARCH;
use crate::error::ApiError;
use crate::json::{Raw, push_string, push_unquoted};
use crate::note::Notes;
use crate::path::Path;
use crate::responses::{Item, Request};

/// Of an item that is a tool's output, the member that holds it.
fn output_member(kind: &str) -> Option<&'static str> {
    match kind {
        "function_call_output" | "custom_tool_call_output" => Some("output"),
        "tool_search_output" => Some("tools"),
        _ => None,
    }
}

/// An item that only carries tools; they are read with the tools.
const TOOL_CARRIER: &str = "additional_tools";

/// Appends the list of messages.
pub(super) fn push_messages(
    out: &mut String,
    request: &Request<'_>,
    profile: &Profile,
    toolbox: &Toolbox,
    notes: &mut Notes,
) -> Result<(), ApiError> {
    let outputs = Outputs::of(request)?;
    let extras = match profile.extra_content {
        Some(_) => extras(request),
        None => BTreeMap::new(),
    };
    let mut messages = Messages {
        out,
        request,
        profile,
        toolbox,
        notes,
        outputs,
        extras,
        turn: Turn::default(),
        count: 0,
    };
    messages.out.push('[');
    let rest = messages.leading()?;
    for (index, item) in request.input.iter().enumerate().skip(rest) {
        messages.item(item, index)?;
    }
    messages.end_turn();
    messages.out.push(']');
    Ok(())
}

/// Where the outputs of calls stand that were not used yet: call ids and places.
struct Outputs<'a>(BTreeSet<(Cow<'a, str>, usize)>);

impl<'a> Outputs<'a> {
    fn of(request: &Request<'a>) -> Result<Self, ApiError> {
        let mut waiting = BTreeSet::new();
        for (index, item) in request.input.iter().enumerate() {
            if output_member(&item.kind).is_some() && !is_run_by_service(item) {
                let path = request.place(index);
                let call_id = item.required("call_id", path)?;
                let output = item.member("output").unwrap_or(Raw::NULL);
                if item.kind != "tool_search_output" && !output.is_object() {
                    Content::of(item, "output").check(path.member("output"))?;
                }
                waiting.insert((text_of(call_id), index));
            }
        }
        Ok(Outputs(waiting))
    }

    /// The first unused output of a call that comes after it.
    fn take(&mut self, call_id: Cow<'a, str>, after: usize) -> Option<usize> {
        let first = (call_id, after + 1);
        let found = self.0.range(&first..).next().filter(|(id, _)| *id == first.0)?.clone();
        self.0.take(&found).map(|(_, place)| place)
    }

    /// Whether the output at a place still waits for its call; then it is taken.
    fn take_at(&mut self, call_id: Cow<'a, str>, place: usize) -> bool {
        self.0.remove(&(call_id, place))
    }
}

/// What calls came with, from all sealed reasoning of a request.
fn extras(request: &Request<'_>) -> BTreeMap<String, String> {
    let sealed = request.input.iter().filter_map(|item| item.string("encrypted_content"));
    let opened = sealed.filter_map(|sealed| sealed::open(&sealed.text()?));
    let pairs = opened.flat_map(|list| {
        let details = Raw::trusted(&list).elements().into_iter().filter_map(sealed::of_call);
        details
            .map(|(id, extra)| (text_of(id).into_owned(), extra.as_str().to_owned()))
            .collect::<Vec<_>>()
    });
    pairs.collect()
}

fn text_of(literal: Raw<'_>) -> Cow<'_, str> {
    literal.text().unwrap_or_default()
}

struct Messages<'o, 'a> {
    out: &'o mut String,
    request: &'a Request<'a>,
    profile: &'o Profile,
    toolbox: &'a Toolbox,
    notes: &'o mut Notes,
    outputs: Outputs<'a>,
    /// By call id: what the call came with.
    extras: BTreeMap<String, String>,
    turn: Turn<'a>,
    count: usize,
}

impl<'a> Messages<'_, 'a> {
    /// Writes the one leading message; returns the place of the first item after it.
    fn leading(&mut self) -> Result<usize, ApiError> {
        let mut pieces: Vec<Cow<'a, str>> = Vec::new();
        pieces.extend(self.request.given("instructions").map(|text| Cow::Borrowed(text.inner())));
        let mut rest = 0;
        for (index, item) in self.request.input.iter().enumerate() {
            let role = item.string("role").map(Raw::inner).unwrap_or_default();
            if item.kind == "message" && matches!(role, "system" | "developer") {
                let item_path = self.request.place(index);
                let path = item_path.member("content");
                let content = Content::of(item, "content");
                content.check(path)?;
                pieces.push(content.words(path, self.notes));
            } else if item.kind != TOOL_CARRIER {
                break;
            }
            rest = index + 1;
        }
        pieces.retain(|piece| !piece.is_empty());
        if !pieces.is_empty() {
            self.plain(self.profile.system_role, &pieces.join("\\n\\n"));
        }
        Ok(rest)
    }

    fn item(&mut self, item: &'a Item<'a>, index: usize) -> Result<(), ApiError> {
        let path = self.request.place(index);
        match &*item.kind {
            kind if is_run_by_service(item) => {
                self.notes.add("item_dropped", format!("{path}: {kind}"));
            }
            "message" => self.message(item, path)?,
            "agent_message" => self.agent_message(item, path),
            "reasoning" => self.reasoning(item, path),
            "function_call" | "custom_tool_call" | "tool_search_call" => {
                let mut call = self.call(item, index, path)?;
                call.wire_id = self.unique_id(&call.id);
                self.turn.calls.push(call);
            }
            "item_reference" => {
                let message = format!(
                    "`{path}` refers to a stored item, and nothing is stored: send the item itself."
                );
                return Err(ApiError::invalid(path, "unsupported_value", message));
            }
            kind if output_member(kind).is_some() => {
                self.end_turn();
                let id = text_of(item.required("call_id", path)?);
                if self.outputs.take_at(id.clone(), index) {
                    self.orphan(item, &id, path);
                }
            }
            TOOL_CARRIER => {}
            kind => self.notes.add("item_dropped", format!("{path}: {kind}")),
        }
        Ok(())
    }

    fn message(&mut self, item: &'a Item<'a>, path: Path<'_>) -> Result<(), ApiError> {
        let role_given = item.required("role", path)?;
        let content_path = path.member("content");
        let content = Content::of(item, "content");
        if !(content.is_null() && role_given.inner() == "assistant") {
            content.check(content_path)?;
        }
        match role_given.inner() {
            "assistant" => {
                let text = content.words(content_path, self.notes);
                self.turn.texts.extend(Some(text).filter(|text| !text.is_empty()));
            }
            "system" | "developer" => {
                self.end_turn();
                let own = self.profile.later_system;
                let role = if own { self.profile.system_role } else { "user" };
                if !own {
                    self.notes
                        .add("role_changed", format!("{path}: {} to user", role_given.inner()));
                }
                let text = content.words(content_path, self.notes);
                self.plain(role, &text);
            }
            "user" => {
                self.end_turn();
                self.user(&content, content_path);
            }
            other => {
                let param = path.member("role").to_string();
                let message = format!(
                    "Invalid value for `{param}`: `{other}`. Supported are `user`, `assistant`, \
                     `system` and `developer`."
                );
                return Err(ApiError::invalid(param, "invalid_value", message));
            }
        }
        Ok(())
    }

    /// What another agent said is told by the user.
    fn agent_message(&mut self, item: &'a Item<'a>, path: Path<'_>) {
        self.end_turn();
        let author = item.string("author").map(Raw::inner).unwrap_or("another agent");
        let text = Content::of(item, "content").words(path.member("content"), self.notes);
        self.plain("user", &format!("[message from {author}]\\n{text}"));
    }

    /// Earlier reasoning goes back where the backend wants it. What another service sealed cannot
    /// be opened.
    fn reasoning(&mut self, item: &'a Item<'a>, path: Path<'_>) {
        let sealed = item.string("encrypted_content").and_then(Raw::text);
        let opened = sealed.as_deref().and_then(sealed::open);
        let kept = self.profile.reasoning_details || self.profile.extra_content.is_some();
        match opened.filter(|_| kept) {
            Some(details) => return self.turn.details.push(details),
            None if sealed.is_some() => self.notes.add("encrypted_reasoning_dropped", path),
            None => {}
        }
        let text = ["summary", "content"]
            .iter()
            .filter_map(|list| item.node(list).filter(|list| list.is_array()))
            .map(|list| Content::from(list).words(path, self.notes))
            .find(|text| !text.is_empty());
        match (self.profile.reasoning_back, text) {
            (Some(_), Some(text)) => self.turn.reasoning.push(text),
            (None, Some(_)) => self.notes.add("reasoning_dropped", path),
            (_, None) => {}
        }
    }

    fn call(
        &mut self,
        item: &'a Item<'a>,
        place: usize,
        path: Path<'_>,
    ) -> Result<Call<'a>, ApiError> {
        let id = text_of(item.required("call_id", path)?);
        if item.kind == "tool_search_call" {
            let arguments = item.member("arguments").unwrap_or(Raw::NULL);
            let arguments = Cow::Owned(in_literal(arguments));
            return Ok(Call {
                place,
                id,
                wire_id: Cow::default(),
                name: self.toolbox.called(None, SEARCH),
                arguments,
                custom: false,
            });
        }
        let name = text_of(item.required("name", path)?);
        let namespace = item.string("namespace").map(text_of);
        let name = match name {
            Cow::Borrowed(name) => self.toolbox.called(namespace.as_deref(), name),
            Cow::Owned(name) => {
                Cow::Owned(self.toolbox.called(namespace.as_deref(), &name).into_owned())
            }
        };
        if item.kind == "custom_tool_call" {
            let input = item.required("input", path)?;
            let custom = self.profile.custom_tools;
            let arguments = match custom {
                true => Cow::Borrowed(input.as_str()),
                false => Cow::Owned(freeform::arguments(input)),
            };
            return Ok(Call { place, id, wire_id: Cow::default(), name, arguments, custom });
        }
        let arguments = match item.member("arguments").and_then(Raw::non_null) {
            Some(text) if text.is_string() && !text.inner().trim().is_empty() => {
                match text.text().is_some_and(|text| is_json_object(&text)) {
                    true => Cow::Borrowed(text.as_str()),
                    // A backend that reads the arguments of the history (vLLM #43995, llama.cpp
                    // #25510) would refuse them, and again in every later turn.
                    false => {
                        self.notes.add("arguments_not_json", path);
                        Cow::Owned(freeform::arguments(text))
                    }
                }
            }
            Some(object) if object.is_object() => {
                self.notes.add("arguments_not_a_string", path);
                Cow::Owned(in_literal(object))
            }
            _ => Cow::Borrowed("\"{}\""),
        };
        Ok(Call { place, id, wire_id: Cow::default(), name, arguments, custom: false })
    }

    /// The id of a call towards the backend. In one message two calls are two, whatever the client
    /// calls them.
    fn unique_id(&self, id: &Cow<'a, str>) -> Cow<'a, str> {
        let taken = |wire: &Cow<'_, str>| self.turn.calls.iter().any(|call| call.wire_id == *wire);
        let plain = wire_id(id.clone(), self.profile);
        if !taken(&plain) {
            return plain;
        }
        let numbered = |number| wire_id(format!("{id}\0{number}").into(), self.profile);
        let free = (self.turn.calls.len()..).map(numbered).find(|wire| !taken(wire));
        free.unwrap_or(plain)
    }

    /// An output whose call is not in the history is told by the user.
    fn orphan(&mut self, item: &'a Item<'a>, id: &str, path: Path<'_>) {
        self.notes.add("output_without_call", path);
        let (text, images) = self.output(item, path);
        let mut inner = String::new();
        push_unquoted(
            &mut inner,
            &format!("[output of the call {id}, which is not in the history]\n"),
        );
        self.plain("user", &(inner + &text));
        self.images(&images);
    }

    /// The text of an output, as the inside of a literal, and its images.
    fn output(&mut self, item: &'a Item<'a>, path: Path<'_>) -> (Cow<'a, str>, Vec<Raw<'a>>) {
        let member = output_member(&item.kind).unwrap_or("output");
        let output = item.member(member).unwrap_or(Raw::NULL);
        if member != "output" || output.is_object() {
            let mut inner = String::new();
            push_unquoted(&mut inner, output.as_str());
            return (Cow::Owned(inner), Vec::new());
        }
        let output = Content::of(item, member);
        let seen = output.parts.iter().filter(|part| part.is_seen());
        let images: Vec<_> = seen.map(|part| part.raw).collect();
        let path = path.member(member);
        if images.iter().any(|image| is_original(*image)) {
            self.notes.add("content_changed", format!("{path}: detail original"));
        }
        (output.joined(path, self.notes), images)
    }

    /// Images of outputs, where the backend can see them: in a message of the user.
    fn images(&mut self, images: &[Raw<'a>]) {
        if images.is_empty() {
            return;
        }
        self.begin("user");
        self.out.push_str(
            ",\"content\":[{\"type\":\"text\",\"text\":\"[from the tool outputs above]\"}",
        );
        for image in images {
            self.out.push(',');
            push_seen(self.out, *image);
        }
        self.out.push_str("]}");
    }

    fn begin(&mut self, role: &str) {
        if self.count > 0 {
            self.out.push(',');
        }
        self.count += 1;
        self.out.push_str("{\"role\":\"");
        self.out.push_str(role);
        self.out.push('"');
    }

    /// Writes the content of the message that is open, a paragraph for each text.
    fn joined_content(&mut self, texts: &[Cow<'_, str>]) {
        self.out.push_str(",\"content\":\"");
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.out.push_str("\\n\\n");
            }
            self.out.push_str(text);
        }
        self.out.push('"');
    }

    /// Writes the content of the message that is open.
    fn content(&mut self, inner: &str) {
        self.out.push_str(",\"content\":");
        push_inner(self.out, inner);
    }

    fn plain(&mut self, role: &str, inner: &str) {
        self.begin(role);
        self.content(inner);
        self.out.push('}');
    }

    fn user(&mut self, content: &Content<'a>, path: Path<'_>) {
        if content.parts.len() < 2 && !content.parts.iter().any(Part::is_seen) {
            let text = content.joined(path, self.notes);
            return self.plain("user", &text);
        }
        self.begin("user");
        self.out.push_str(",\"content\":");
        content.push_parts(self.out, path, self.notes);
        self.out.push('}');
    }
}

/// Whether this is a tool search that the service ran itself: it has no call id.
fn is_run_by_service(item: &Item<'_>) -> bool {
    let search = matches!(&*item.kind, "tool_search_call" | "tool_search_output");
    search && item.member("call_id").and_then(Raw::non_null).is_none()
}

/// A JSON value as the text inside a string.
fn in_literal(value: Raw<'_>) -> String {
    let mut literal = String::new();
    push_string(&mut literal, if value.is_object() { value.as_str() } else { "{}" });
    literal
}

fn is_json_object(text: &str) -> bool {
    Raw::parse(text).is_ok_and(Raw::is_object)
}

/// An id as the backend takes it.
fn wire_id<'i>(id: Cow<'i, str>, profile: &Profile) -> Cow<'i, str> {
    let fit = match profile.call_ids {
        CallIds::Short => fitting,
        CallIds::Nine => nine,
    };
    match id {
        Cow::Borrowed(id) => fit(id),
        Cow::Owned(id) => Cow::Owned(fit(&id).into_owned()),
    }
}
