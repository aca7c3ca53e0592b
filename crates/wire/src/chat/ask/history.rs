//! The messages of a Chat request as input items. What one assistant message holds becomes several
//! items: its reasoning, its text, its calls.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::content::{ASSISTANT, INSTRUCTIONS, Speaker, TOOL, USER};
use super::{Asked, LiftOptions, given, missing, required, unsupported, wrong_type};
use crate::error::ApiError;
use crate::json::{Object, Raw, push_string};
use crate::note::Notes;
use crate::path::Path;

const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool", "function"];

/// The members of an assistant message that hold reasoning.
const REASONING: &[&str] = &["reasoning_content", "reasoning"];

/// Writes `instructions` and `input`.
pub(super) fn write<'o>(
    mut object: Object<'o>,
    asked: &Asked<'_>,
    options: &LiftOptions,
    notes: &mut Notes,
) -> Result<Object<'o>, ApiError> {
    let messages = match asked.given("messages") {
        None => return Err(missing("messages")),
        Some(list) if list.is_array() => list.elements(),
        Some(other) => return Err(wrong_type("messages", "an array", other)),
    };
    let mut rest = 0;
    if options.instructions {
        let leading = instructions(&messages)?;
        rest = leading.len();
        let leading: Vec<_> = leading.into_iter().filter(|text| !text.is_empty()).collect();
        if !leading.is_empty() {
            let text = format!("\"{}\"", leading.join("\\n\\n"));
            object = object.raw("instructions", Raw::trusted(&text));
        }
    }
    let input = object.key("input");
    input.push('[');
    let calls = BTreeMap::new();
    let mut history =
        History { out: input, options, notes, calls, unanswered: Vec::new(), first: true };
    for (index, message) in messages.into_iter().enumerate().skip(rest) {
        history.message(message, index)?;
    }
    history.out.push(']');
    Ok(object)
}

/// The texts of the leading system and developer messages, insides of literals.
fn instructions<'a>(messages: &[Raw<'a>]) -> Result<Vec<Cow<'a, str>>, ApiError> {
    let is_leading = |message: &&Raw<'_>| {
        matches!(message.member_text("role").as_deref(), Some("system" | "developer"))
    };
    let mut texts = Vec::new();
    for (index, message) in messages.iter().take_while(is_leading).enumerate() {
        let message_path = Path::MESSAGES.index(index);
        let path = message_path.member("content");
        let content = message.member("content").unwrap_or(Raw::NULL);
        let mut checked = String::new();
        INSTRUCTIONS.write(&mut checked, content, path)?;
        let parts = content.elements();
        let parts: Vec<&str> =
            parts.iter().filter_map(|part| part.member("text")).map(Raw::inner).collect();
        texts.push(match content.is_string() {
            true => Cow::Borrowed(content.inner()),
            false => Cow::Owned(parts.join("\\n")),
        });
    }
    Ok(texts)
}

struct History<'o, 'n> {
    out: &'o mut String,
    options: &'n LiftOptions,
    notes: &'n mut Notes,
    /// The calls so far, by their ids: whether it was one of a custom tool.
    calls: BTreeMap<String, bool>,
    /// Calls in the form without ids that wait for their output: name and the id we gave.
    unanswered: Vec<(String, String)>,
    first: bool,
}

impl History<'_, '_> {
    fn message(&mut self, message: Raw<'_>, index: usize) -> Result<(), ApiError> {
        let path = Path::MESSAGES.index(index);
        if !message.is_object() {
            return Err(wrong_type(path, "an object", message));
        }
        let role = required(message, "role", path)?;
        if given(message, "name").is_some() && role.inner() != "function" {
            self.notes.add("name_dropped", path);
        }
        match role.inner() {
            "system" | "developer" => self.plain(role, message, INSTRUCTIONS, path),
            "user" => self.plain(role, message, USER, path),
            "assistant" => self.assistant(message, index, path),
            "tool" => self.tool(message, path),
            "function" => self.function(message, path),
            other => Err(unsupported(path.member("role"), other, ROLES)),
        }
    }

    /// Begins an item.
    fn item(&mut self) -> Object<'_> {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(',');
        }
        Object::new(self.out)
    }

    fn plain(
        &mut self,
        role: Raw<'_>,
        message: Raw<'_>,
        speaker: Speaker,
        path: Path<'_>,
    ) -> Result<(), ApiError> {
        let path = path.member("content");
        let content = given(message, "content").ok_or_else(|| missing(path))?;
        let mut object = self.item().text("type", "message").raw("role", role);
        speaker.write(object.key("content"), content, path)?;
        object.end();
        Ok(())
    }

    fn assistant(
        &mut self,
        message: Raw<'_>,
        index: usize,
        path: Path<'_>,
    ) -> Result<(), ApiError> {
        self.reasoning(message, path);
        self.said(message, path)?;
        if given(message, "audio").is_some() {
            self.notes.add("content_dropped", path.member("audio"));
        }
        let calls = given(message, "tool_calls");
        if let Some(other) = calls.filter(|calls| !calls.is_array()) {
            return Err(wrong_type(path.member("tool_calls"), "an array", other));
        }
        for (place, call) in calls.map(Raw::elements).unwrap_or_default().into_iter().enumerate() {
            self.call(call, path.member("tool_calls").index(place))?;
        }
        if let Some(call) = given(message, "function_call") {
            let path = path.member("function_call");
            let mut id = String::new();
            push_string(&mut id, &format!("call_{index:04}"));
            let name = required(call, "name", path)?;
            self.unanswered.push((name.inner().to_owned(), id.clone()));
            self.function_call(Raw::trusted(&id), call, path)?;
        }
        Ok(())
    }

    /// What it thought, where that goes back.
    fn reasoning(&mut self, message: Raw<'_>, path: Path<'_>) {
        let mut texts = REASONING.iter().filter_map(|key| message.member(key));
        let Some(text) = texts.find(|text| !text.inner().is_empty()) else { return };
        if !self.options.reasoning_items {
            return self.notes.add("reasoning_dropped", path);
        }
        self.item()
            .text("type", "reasoning")
            .raw("summary", Raw::EMPTY_ARRAY)
            .list("content", [text], |out, text| {
                Object::new(out).text("type", "reasoning_text").raw("text", text).end();
            })
            .end();
    }

    /// What it said: its text, its refusal, or both.
    fn said(&mut self, message: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
        let content = given(message, "content").filter(|content| content.as_str() != "\"\"");
        let refusal = given(message, "refusal").filter(|refusal| refusal.is_string());
        let path = path.member("content");
        if content.is_none() && refusal.is_none() {
            return Ok(());
        }
        let mut object = self.item().text("type", "message").text("role", "assistant");
        let out = object.key("content");
        match (content, refusal) {
            (Some(content), None) => ASSISTANT.write(out, content, path)?,
            (content, refusal) => {
                out.push('[');
                if let Some(content) = content {
                    ASSISTANT.push_parts(out, content, path)?;
                }
                if let Some(refusal) = refusal {
                    if content.is_some_and(|content| {
                        !content.elements().is_empty() || content.is_string()
                    }) {
                        out.push(',');
                    }
                    Object::new(out).text("type", "refusal").raw("refusal", refusal).end();
                }
                out.push(']');
            }
        }
        object.end();
        Ok(())
    }

    fn call(&mut self, call: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
        if !call.is_object() {
            return Err(wrong_type(path, "an object", call));
        }
        let id = required(call, "id", path)?;
        let kind = call.member_text("type").unwrap_or("function".into());
        let inside = path.member(&kind);
        let body = given(call, &kind);
        let body = |known: &str| body.filter(|_| kind == known).ok_or_else(|| missing(inside));
        let custom = kind == "custom";
        self.calls.insert(id.text().unwrap_or_default().into_owned(), custom);
        match &*kind {
            "function" => self.function_call(id, body("function")?, inside),
            "custom" => {
                let body = body("custom")?;
                let name = required(body, "name", inside)?;
                let input = required(body, "input", inside)?;
                let object = self.item().text("type", "custom_tool_call").raw("call_id", id);
                object.raw("name", name).raw("input", input).end();
                Ok(())
            }
            other => Err(unsupported(path.member("type"), other, &["function", "custom"])),
        }
    }

    fn function_call(
        &mut self,
        id: Raw<'_>,
        body: Raw<'_>,
        path: Path<'_>,
    ) -> Result<(), ApiError> {
        let name = required(body, "name", path)?;
        let mut made = String::new();
        let arguments = match given(body, "arguments") {
            Some(text) if text.is_string() => text,
            Some(object) if object.is_object() => {
                self.notes.add("arguments_not_a_string", path);
                push_string(&mut made, object.as_str());
                Raw::trusted(&made)
            }
            Some(other) => {
                return Err(wrong_type(path.member("arguments"), "a string", other));
            }
            None => Raw::trusted("\"{}\""),
        };
        let object = self.item().text("type", "function_call").raw("call_id", id);
        object.raw("name", name).raw("arguments", arguments).end();
        Ok(())
    }

    fn tool(&mut self, message: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
        let id = required(message, "tool_call_id", path)?;
        let known = self.calls.get(&*id.text().unwrap_or_default()).copied();
        if known.is_none() {
            self.notes.add("output_without_call", path);
        }
        let custom = known.unwrap_or_default();
        let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
        self.output(kind, id, message, path)
    }

    fn output(
        &mut self,
        kind: &str,
        id: Raw<'_>,
        message: Raw<'_>,
        path: Path<'_>,
    ) -> Result<(), ApiError> {
        let content = given(message, "content").unwrap_or(Raw::trusted("\"\""));
        let mut object = self.item().text("type", kind).raw("call_id", id);
        TOOL.write(object.key("output"), content, path.member("content"))?;
        object.end();
        Ok(())
    }

    /// The output of a call without an id: of the first of its name that waits for one.
    fn function(&mut self, message: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
        let name = required(message, "name", path)?;
        let waiting = self.unanswered.iter().position(|(waiting, _)| waiting == name.inner());
        let Some(at) = waiting else {
            let param = path.member("name").to_string();
            let message = format!("`{param}` answers no `function_call` of an earlier message.");
            return Err(ApiError::invalid(param, "invalid_value", message));
        };
        let (_, id) = self.unanswered.remove(at);
        self.output("function_call_output", Raw::trusted(&id), message, path)
    }
}
