//! What a request brings along: its input items, each as a row with the words it consists of.
//! In: the body of a request, in Responses form (or with `messages`, as other dialects have it).
//! Out: [`InputItem`]s. Pictures and files become placeholders; unknown items show their JSON.

use std::borrow::Cow;

use serde_json::Value;

/// One row of the input table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InputItem {
    /// Who speaks; items that are no messages have none.
    pub(crate) role: Option<String>,
    /// The item's `type`; a message may leave it out.
    pub(crate) kind: String,
    /// What it says.
    pub(crate) text: String,
    /// Whether `text` is the item's own words, rather than JSON that stands for them.
    pub(crate) is_spoken: bool,
}

/// Items that call a tool, and where the call's argument text is.
const CALLS: &[(&str, &str)] = &[
    ("function_call", "arguments"),
    ("custom_tool_call", "input"),
    ("mcp_call", "arguments"),
    ("tool_search_call", "arguments"),
    ("local_shell_call", "action"),
    ("shell_call", "action"),
    ("apply_patch_call", "operation"),
    ("computer_call", "action"),
    ("web_search_call", "action"),
    ("code_interpreter_call", "code"),
];

/// What is called, and with what: a tool without a name of its own goes by the kind of its call.
pub(crate) fn call(item: &Value) -> Option<(&str, String)> {
    let kind = string(item, "type")?;
    let (_, field) = CALLS.iter().find(|(call, _)| *call == kind)?;
    let name = string(item, "name").unwrap_or(kind.trim_end_matches("_call"));
    let arguments = match item.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    Some((name, arguments))
}

/// Parts of a message that are not text, and what is shown in their place.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("input_image", "[image]"),
    ("image_url", "[image]"),
    ("image", "[image]"),
    ("computer_screenshot", "[screenshot]"),
    ("input_file", "[file]"),
    ("file", "[file]"),
    ("document", "[file]"),
    ("input_audio", "[audio]"),
];

/// The input items of a request; `None` when it has no input at all.
pub(crate) fn items(body: &Value) -> Option<Vec<InputItem>> {
    match body.get("input").or_else(|| body.get("messages"))? {
        Value::Array(items) => Some(items.iter().map(item).collect()),
        Value::Null => None,
        words => Some(vec![InputItem {
            role: Some("user".into()),
            kind: "message".into(),
            text: content(words).into_owned(),
            is_spoken: true,
        }]),
    }
}

fn item(item: &Value) -> InputItem {
    let role = string(item, "role").map(str::to_owned);
    let kind = string(item, "type").unwrap_or("message").to_owned();
    match words(item, &kind) {
        Some(text) => InputItem { role, kind, text, is_spoken: true },
        None => InputItem { role, kind, text: item.to_string(), is_spoken: false },
    }
}

fn words(item: &Value, kind: &str) -> Option<String> {
    if let Some((name, arguments)) = call(item) {
        return Some(format!("{name}({arguments})"));
    }
    if kind == "reasoning" {
        return Some(reasoning(item));
    }
    let field = if kind.ends_with("_output") { "output" } else { "content" };
    item.get(field).filter(|value| !value.is_null()).map(|value| content(value).into_owned())
}

fn reasoning(item: &Value) -> String {
    let texts = ["summary", "content"].map(|field| item.get(field).map(content));
    let said = texts.into_iter().flatten().find(|text| !text.is_empty());
    match said {
        Some(text) => text.into_owned(),
        None if item.get("encrypted_content").is_some_and(Value::is_string) => {
            "[encrypted reasoning]".into()
        }
        None => "[empty]".into(),
    }
}

/// The text of a message's content: a string, or parts, each on lines of its own.
pub(crate) fn content(content: &Value) -> Cow<'_, str> {
    match content {
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(parts) => {
            let parts: Vec<_> = parts.iter().map(part).collect();
            Cow::Owned(parts.join("\n"))
        }
        Value::Null => Cow::Borrowed(""),
        part_or_other => part(part_or_other),
    }
}

fn part(part: &Value) -> Cow<'_, str> {
    let kind = match part {
        Value::String(text) => return Cow::Borrowed(text),
        other => string(other, "type"),
    };
    if let Some(text) = string(part, "text").or_else(|| string(part, "refusal")) {
        return Cow::Borrowed(text);
    }
    let placeholder = PLACEHOLDERS.iter().find(|(name, _)| Some(*name) == kind);
    match (placeholder, kind) {
        (Some((_, placeholder)), _) => Cow::Borrowed(placeholder),
        (None, Some(kind)) => Cow::Owned(format!("[{kind}]")),
        (None, None) => Cow::Owned(part.to_string()),
    }
}

/// A member that is a string.
pub(crate) fn string<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}
