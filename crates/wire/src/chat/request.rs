//! A hub request as a body for a Chat Completions backend, written in one pass: texts go over as
//! the literals they came as, so the same history always gives the same bytes.

use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::note::Notes;
use crate::responses::{Item, Request, Tool};

/// Parameters that mean the same on both sides: hub name, Chat name.
const PARAMETERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("max_output_tokens", "max_tokens"),
    ("parallel_tool_calls", "parallel_tool_calls"),
    ("service_tier", "service_tier"),
    ("prompt_cache_key", "prompt_cache_key"),
    ("safety_identifier", "safety_identifier"),
    ("user", "user"),
];

/// Parameters that say nothing to a Chat backend and change nothing in its answer.
const WITHOUT_MEANING: &[&str] =
    &["input", "instructions", "stream", "stream_options", "store", "include", "client_metadata"];

/// Parameters that are translated by a function of their own.
const TRANSLATED: &[&str] = &["model", "tools", "tool_choice", "text", "reasoning"];

/// Parameters that need state or powers the gateway does not have; leaving them out would change
/// the answer, so the request is refused.
const REFUSED: &[&str] = &["previous_response_id", "conversation", "prompt", "background"];

/// Writes the body for the backend. `model` replaces the model the client named.
///
/// # Errors
/// A 400 that names the parameter, where the request cannot be said in Chat Completions.
pub fn lower_request(
    request: &Request<'_>,
    model: Option<&str>,
    notes: &mut Notes,
) -> Result<String, ApiError> {
    refuse(request)?;
    let mut body = String::with_capacity(1024);
    let mut object = Object::new(&mut body);
    object = match model {
        Some(model) => object.text("model", model),
        None => object.raw_if("model", request.given("model")),
    };
    let mut messages = Messages { out: object.key("messages"), open: Open::Nothing, count: 0 };
    messages.all(request, notes)?;
    object = tools(object, request, notes)?;
    for (hub, chat) in PARAMETERS {
        if *hub == "parallel_tool_calls" && !has_functions(request) {
            continue;
        }
        object = object.raw_if(chat, request.given(hub));
    }
    let reasoning = request.given("reasoning").and_then(|reasoning| reasoning.member("effort"));
    object = object.raw_if("reasoning_effort", reasoning.and_then(Raw::non_null));
    object = text(object, request);
    if request.stream {
        object = object.boolean("stream", true).with("stream_options", |out| {
            Object::new(out).boolean("include_usage", true).end();
        });
    }
    object.end();
    for (key, _) in request.members().iter().filter(|(_, value)| !value.is_null()) {
        let known = PARAMETERS.iter().any(|(hub, _)| hub == key)
            || WITHOUT_MEANING.contains(&&**key)
            || TRANSLATED.contains(&&**key)
            || REFUSED.contains(&&**key);
        if !known {
            notes.add("parameter_dropped", key.clone());
        }
    }
    Ok(body)
}

/// Without a tool some backends refuse what is said about tools.
fn has_functions(request: &Request<'_>) -> bool {
    request.tools.iter().any(|tool| tool.kind == "function")
}

fn refuse(request: &Request<'_>) -> Result<(), ApiError> {
    for name in REFUSED {
        if request.given(name).is_some_and(|value| value.boolean() != Some(false)) {
            let message = format!(
                "`{name}` is not supported in front of a Chat Completions backend: nothing is \
                 stored between requests. Send the whole history in `input`."
            );
            return Err(ApiError::invalid(name, "unsupported_parameter", message));
        }
    }
    Ok(())
}

/// The message that is being written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    /// The leading system message; its content is an open string.
    System,
    /// An assistant message whose content is an open string.
    AssistantText,
    /// An assistant message with an open list of calls.
    AssistantCalls,
}

/// Writes the list of messages. Neighbouring items of the assistant become one message.
struct Messages<'o> {
    out: &'o mut String,
    open: Open,
    count: usize,
}

impl Messages<'_> {
    fn all(&mut self, request: &Request<'_>, notes: &mut Notes) -> Result<(), ApiError> {
        self.out.push('[');
        if let Some(instructions) = request.given("instructions") {
            self.system(instructions.inner());
        }
        for (index, item) in request.input.iter().enumerate() {
            self.item(item, &format!("input[{index}]"), notes)?;
        }
        self.close();
        self.out.push(']');
        Ok(())
    }

    fn item(&mut self, item: &Item<'_>, path: &str, notes: &mut Notes) -> Result<(), ApiError> {
        match &*item.kind {
            "message" => self.message(item, path, notes)?,
            "function_call" => self.call(item, path)?,
            "function_call_output" => self.call_output(item, path, notes)?,
            "item_reference" => {
                let message = "An `item_reference` needs stored items, and nothing is stored.";
                return Err(ApiError::invalid(path, "unsupported_value", message));
            }
            kind => notes.add("item_dropped", format!("{path}: {kind}")),
        }
        Ok(())
    }

    fn message(&mut self, item: &Item<'_>, path: &str, notes: &mut Notes) -> Result<(), ApiError> {
        let role = item.required("role", path)?;
        let content = item.member("content").unwrap_or(Raw::NULL);
        match role.inner() {
            "system" | "developer" if self.leading() => self.system(&joined(content, path, notes)),
            "system" | "developer" => self.plain("system", &joined(content, path, notes)),
            "assistant" => self.assistant_text(&joined(content, path, notes)),
            "user" => self.user(content, path, notes),
            other => {
                let param = format!("{path}.role");
                let message = format!(
                    "Invalid value for `{param}`: `{other}`. Supported are `user`, `assistant`, \
                     `system` and `developer`."
                );
                return Err(ApiError::invalid(&param, "invalid_value", message));
            }
        }
        Ok(())
    }

    /// Whether nothing but system text was written yet.
    fn leading(&self) -> bool {
        self.count == 0 || (self.count == 1 && self.open == Open::System)
    }

    fn begin(&mut self, role: &str) {
        self.close();
        if self.count > 0 {
            self.out.push(',');
        }
        self.count += 1;
        self.out.push_str("{\"role\":\"");
        self.out.push_str(role);
        self.out.push('"');
    }

    fn close(&mut self) {
        self.out.push_str(match self.open {
            Open::Nothing => "",
            Open::System | Open::AssistantText => "\"}",
            Open::AssistantCalls => "]}",
        });
        self.open = Open::Nothing;
    }

    /// Adds to the leading system message; pieces are set apart by a blank line.
    fn system(&mut self, inner: &str) {
        if inner.is_empty() {
            return;
        }
        if self.open == Open::System {
            self.out.push_str("\\n\\n");
        } else {
            self.begin("system");
            self.out.push_str(",\"content\":\"");
            self.open = Open::System;
        }
        self.out.push_str(inner);
    }

    fn plain(&mut self, role: &str, inner: &str) {
        self.begin(role);
        self.out.push_str(",\"content\":\"");
        self.out.push_str(inner);
        self.out.push_str("\"}");
    }

    fn assistant_text(&mut self, inner: &str) {
        if inner.is_empty() {
            return;
        }
        if self.open == Open::AssistantText {
            self.out.push_str("\\n\\n");
        } else {
            self.begin("assistant");
            self.out.push_str(",\"content\":\"");
            self.open = Open::AssistantText;
        }
        self.out.push_str(inner);
    }

    fn user(&mut self, content: Raw<'_>, path: &str, notes: &mut Notes) {
        let parts = content.elements();
        let plain = |part: &Raw<'_>| {
            TEXT_PARTS.iter().any(|(kind, _)| part.member_text("type").as_deref() == Some(*kind))
        };
        if parts.is_empty() || (parts.len() == 1 && parts.iter().all(plain)) {
            return self.plain("user", &joined(content, path, notes));
        }
        self.begin("user");
        self.out.push_str(",\"content\":");
        let content_at = self.out.len();
        self.out.push('[');
        let mut first = true;
        for (index, part) in parts.into_iter().enumerate() {
            let before = self.out.len();
            if !first {
                self.out.push(',');
            }
            if user_part(self.out, part) {
                first = false;
            } else {
                self.out.truncate(before);
                let kind = part.member_text("type").unwrap_or_default();
                notes.add("content_dropped", format!("{path}.content[{index}]: {kind}"));
            }
        }
        match first {
            // Backends refuse an empty list.
            true => {
                self.out.truncate(content_at);
                self.out.push_str("\"\"}");
            }
            false => self.out.push_str("]}"),
        }
    }

    fn call(&mut self, item: &Item<'_>, path: &str) -> Result<(), ApiError> {
        let (call_id, name) = (item.required("call_id", path)?, item.required("name", path)?);
        let arguments = item.string("arguments").filter(|text| !text.inner().is_empty());
        match self.open {
            Open::AssistantCalls => self.out.push(','),
            Open::AssistantText => self.out.push_str("\",\"tool_calls\":["),
            _ => {
                self.begin("assistant");
                self.out.push_str(",\"content\":null,\"tool_calls\":[");
            }
        }
        self.open = Open::AssistantCalls;
        Object::new(self.out)
            .raw("id", call_id)
            .text("type", "function")
            .with("function", |out| {
                let arguments = arguments.unwrap_or(Raw::trusted("\"{}\""));
                Object::new(out).raw("name", name).raw("arguments", arguments).end();
            })
            .end();
        Ok(())
    }

    fn call_output(
        &mut self,
        item: &Item<'_>,
        path: &str,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        let call_id = item.required("call_id", path)?;
        let output = item.member("output").unwrap_or(Raw::NULL);
        let inner = joined(output, &format!("{path}.output"), notes);
        self.begin("tool");
        self.out.push_str(",\"tool_call_id\":");
        self.out.push_str(call_id.as_str());
        self.out.push_str(",\"content\":\"");
        self.out.push_str(&inner);
        self.out.push_str("\"}");
        Ok(())
    }
}

/// Parts that are text: part type, and the member that holds it.
const TEXT_PARTS: &[(&str, &str)] =
    &[("input_text", "text"), ("output_text", "text"), ("text", "text"), ("refusal", "refusal")];

/// All text of a content, as the inside of one literal. Parts that are no text leave a note.
fn joined<'a>(content: Raw<'a>, path: &str, notes: &mut Notes) -> std::borrow::Cow<'a, str> {
    if content.is_string() {
        return content.inner().into();
    }
    let mut texts = Vec::new();
    for (index, part) in content.elements().into_iter().enumerate() {
        let kind = part.member_text("type").unwrap_or_default();
        match TEXT_PARTS.iter().find(|(name, _)| *name == kind) {
            Some((_, member)) => texts.extend(part.member(member).map(Raw::inner)),
            None => notes.add("content_dropped", format!("{path}[{index}]: {kind}")),
        }
    }
    match texts.as_slice() {
        [one] => (*one).into(),
        many => many.join("\\n").into(),
    }
}

/// Appends one part of a user message; false when it has no form in Chat Completions.
fn user_part(out: &mut String, part: Raw<'_>) -> bool {
    let kind = part.member_text("type").unwrap_or_default();
    if let Some((_, member)) = TEXT_PARTS.iter().find(|(name, _)| *name == kind) {
        let text = part.member(member).filter(|text| text.is_string());
        Object::new(out)
            .text("type", "text")
            .raw("text", text.unwrap_or(Raw::trusted("\"\"")))
            .end();
        return true;
    }
    match (&*kind, part.member("image_url").filter(|url| url.is_string())) {
        ("input_image", Some(url)) => {
            let detail = part.member("detail").filter(|detail| detail.inner() != "original");
            Object::new(out)
                .text("type", "image_url")
                .with("image_url", |out| {
                    Object::new(out)
                        .raw("url", url)
                        .raw_if("detail", detail.and_then(Raw::non_null))
                        .end();
                })
                .end();
            true
        }
        _ => false,
    }
}

/// Writes `tools` and `tool_choice`. Tools other than functions are left out, with a note each.
fn tools<'o>(
    mut object: Object<'o>,
    request: &Request<'_>,
    notes: &mut Notes,
) -> Result<Object<'o>, ApiError> {
    let (functions, others): (Vec<_>, Vec<_>) =
        request.tools.iter().partition(|tool| tool.kind == "function");
    for tool in others {
        notes.add("tool_dropped", format!("{} ({})", tool.name(), tool.kind));
    }
    if functions.is_empty() {
        return Ok(object);
    }
    let out = object.key("tools");
    for (index, tool) in functions.into_iter().enumerate() {
        out.push(if index == 0 { '[' } else { ',' });
        function(out, tool, index)?;
    }
    out.push(']');
    let Some(choice) = request.given("tool_choice") else { return Ok(object) };
    match choice.member_text("type").as_deref() {
        None if choice.is_string() => object = object.raw("tool_choice", choice),
        Some("function") => {
            let name = choice.member("name").unwrap_or(Raw::NULL);
            object = object.with("tool_choice", |out| {
                Object::new(out)
                    .text("type", "function")
                    .with("function", |out| Object::new(out).raw("name", name).end())
                    .end();
            });
        }
        other => notes.add("tool_choice_dropped", other.unwrap_or_default()),
    }
    Ok(object)
}

fn function(out: &mut String, tool: &Tool<'_>, index: usize) -> Result<(), ApiError> {
    let Some(name) = tool.member("name").filter(|name| name.is_string()) else {
        let param = format!("tools[{index}].name");
        let message = format!("Missing required parameter: `{param}`.");
        return Err(ApiError::invalid(&param, "missing_required_parameter", message));
    };
    let given = |key| tool.member(key).and_then(Raw::non_null);
    Object::new(out)
        .text("type", "function")
        .with("function", |out| {
            Object::new(out)
                .raw("name", name)
                .raw_if("description", given("description"))
                .raw_if("parameters", given("parameters"))
                .raw_if("strict", given("strict"))
                .end();
        })
        .end();
    Ok(())
}

/// Writes `response_format` and `verbosity` from `text`.
fn text<'o>(mut object: Object<'o>, request: &Request<'_>) -> Object<'o> {
    let Some(text) = request.given("text") else { return object };
    if let Some(format) = text.member("format") {
        match format.member_text("type").as_deref() {
            Some("json_schema") => {
                object = object.with("response_format", |out| {
                    Object::new(out)
                        .text("type", "json_schema")
                        .with("json_schema", |out| {
                            Object::new(out)
                                .raw_if("name", format.member("name"))
                                .raw_if("description", format.member("description"))
                                .raw_if("schema", format.member("schema"))
                                .raw_if("strict", format.member("strict").and_then(Raw::non_null))
                                .end();
                        })
                        .end();
                });
            }
            Some("json_object") => object = object.raw("response_format", format),
            _ => {}
        }
    }
    object.raw_if("verbosity", text.member("verbosity").and_then(Raw::non_null))
}
