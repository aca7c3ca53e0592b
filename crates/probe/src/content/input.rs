//! What a request brings along: its input items, each as a row with the words it consists of.
//! In: the body of a request, in Responses form (or with `messages`, as other dialects have it).
//! Out: [`InputItem`]s. Pictures and files become placeholders; unknown items show their JSON.

use std::borrow::Cow;

use latimer_wire::json::{Fields, Node};

use crate::tree::tree;

/// One row of the input table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InputItem<'a> {
    /// Who speaks; items that are no messages have none.
    pub(crate) role: Option<Cow<'a, str>>,
    /// The item's `type`; a message may leave it out.
    pub(crate) kind: Cow<'a, str>,
    /// What it says.
    pub(crate) text: Cow<'a, str>,
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
pub(crate) fn call<'a>(item: &Fields<'a>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let kind = item.text("type")?;
    let (kind, field) = CALLS.iter().find(|(call, _)| *call == kind)?;
    let name = item.text("name").unwrap_or(Cow::Borrowed(kind.trim_end_matches("_call")));
    let arguments = item.get(field).and_then(Node::non_null).map(text_or_json);
    Some((name, arguments.unwrap_or_default()))
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
pub(crate) fn items<'a>(body: &Fields<'a>) -> Option<Vec<InputItem<'a>>> {
    let input = body.get("input").or_else(|| body.get("messages"))?.non_null()?;
    if input.is_array() {
        return Some(input.elements().into_iter().map(item).collect());
    }
    Some(vec![InputItem {
        role: Some("user".into()),
        kind: "message".into(),
        text: content(input),
        is_spoken: true,
    }])
}

/// The row of one item.
pub(crate) fn item(item: Node<'_>) -> InputItem<'_> {
    let fields = Fields::of(item);
    let role = fields.text("role");
    let kind = fields.text("type").unwrap_or("message".into());
    match words(&fields, &kind) {
        Some(text) => InputItem { role, kind, text, is_spoken: true },
        None => {
            InputItem { role, kind, text: tree(item.raw()).to_string().into(), is_spoken: false }
        }
    }
}

fn words<'a>(item: &Fields<'a>, kind: &str) -> Option<Cow<'a, str>> {
    if let Some((name, arguments)) = call(item) {
        return Some(format!("{name}({arguments})").into());
    }
    if kind == "reasoning" {
        return Some(reasoning(item));
    }
    let field = if kind.ends_with("_output") { "output" } else { "content" };
    item.get(field).and_then(Node::non_null).map(content)
}

fn reasoning<'a>(item: &Fields<'a>) -> Cow<'a, str> {
    let texts = ["summary", "content"].map(|field| item.get(field).map(content));
    let said = texts.into_iter().flatten().find(|text| !text.is_empty());
    match said {
        Some(text) => text,
        None if item.get("encrypted_content").is_some_and(|content| content.is_string()) => {
            "[encrypted reasoning]".into()
        }
        None => "[empty]".into(),
    }
}

/// The text of a message's content: a string, or parts, each on lines of its own.
pub(crate) fn content(content: Node<'_>) -> Cow<'_, str> {
    if content.is_null() {
        return Cow::Borrowed("");
    }
    if !content.is_array() {
        return part(content);
    }
    match content.elements().as_slice() {
        [one] => part(*one),
        parts => parts.iter().map(|one| part(*one)).collect::<Vec<_>>().join("\n").into(),
    }
}

fn part(part: Node<'_>) -> Cow<'_, str> {
    if let Some(text) = part.text() {
        return text;
    }
    let fields = Fields::of(part);
    if let Some(text) = fields.text("text").or_else(|| fields.text("refusal")) {
        return text;
    }
    let kind = fields.text("type");
    let placeholder = PLACEHOLDERS.iter().find(|(name, _)| Some(*name) == kind.as_deref());
    match (placeholder, kind) {
        (Some((_, placeholder)), _) => Cow::Borrowed(placeholder),
        (None, Some(kind)) => Cow::Owned(format!("[{kind}]")),
        (None, None) => Cow::Owned(tree(part.raw()).to_string()),
    }
}

/// A string's text, the JSON of any other value.
fn text_or_json(value: Node<'_>) -> Cow<'_, str> {
    value.text().unwrap_or_else(|| tree(value.raw()).to_string().into())
}
