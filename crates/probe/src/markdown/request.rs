//! The body of a request: its settings, instructions, input and tools, or the body as it is when
//! it has none of these. In: a recorded body. Out: its part of the report.

use latimer_wire::json::{Fields, Node};

use super::page::Page;
use super::text::{chars, code, cut, html, inline};
use crate::content::input::{self, InputItem};
use crate::content::parts::Body;
use crate::content::python;
use crate::record::exchange::Payload;
use crate::tree::tree;
use crate::words::{cut_at, grouped};

/// The settings on the first line: key and label.
const SETTINGS: &[(&str, &str)] = &[
    ("model", "Model"),
    ("stream", "stream"),
    ("tool_choice", "tool_choice"),
    ("reasoning", "reasoning"),
    ("parallel_tool_calls", "parallel_tool_calls"),
    ("store", "store"),
];

/// Fields by which a tool may be known, the best first.
const TOOL_NAMES: &[&[&str]] = &[&["name"], &["function", "name"], &["server_label"], &["type"]];

const INSTRUCTIONS_MAX_CHARS: usize = 500;
const PREVIEW_MAX_CHARS: usize = 80;
/// Messages longer than this are quoted in full below the table.
const QUOTED_FROM_CHARS: usize = 120;

/// Writes a request's body.
pub(super) fn write_body(page: &mut Page<'_>, body: &Payload<'_>, parts: &Body<'_>) {
    let Some(json) = parts.json() else {
        return write_as_it_is(page, "Request Body", body, parts.size_bytes);
    };
    let settings = settings(&json);
    let instructions = json.text("instructions").filter(|text| !text.is_empty());
    let items = input::items(&json);
    let tools = json.get("tools").map(Node::elements).filter(|tools| !tools.is_empty());
    if !settings.is_empty() {
        page.paragraph(settings.join(" | "));
    }
    if let Some(text) = &instructions {
        let summary = format!("<b>System Instructions</b> ({} chars)", chars(text));
        page.folded_quote(summary, cut(text, INSTRUCTIONS_MAX_CHARS).as_ref());
    }
    if let Some(items) = &items {
        write_items(page, items);
    }
    if let Some(tools) = &tools {
        write_tools(page, tools);
    }
    if instructions.is_none() && items.is_none() && tools.is_none() {
        write_as_it_is(page, "Request Body", body, parts.size_bytes);
    }
}

/// Writes a body that is quoted, not read.
pub(super) fn write_as_it_is(
    page: &mut Page<'_>,
    title: &str,
    body: &Payload<'_>,
    size_bytes: u64,
) {
    let summary = format!("<b>{title}</b> ({} bytes)", grouped(size_bytes));
    match body {
        Payload::Text(text) if !text.is_empty() => page.folded_quote(summary, text),
        Payload::Json(json) => page.folded_quote(summary, &format!("{:#}", tree(json.raw()))),
        _ => page.paragraph("*(no body)*"),
    }
}

fn settings(body: &Fields<'_>) -> Vec<String> {
    let present = |key: &str| body.get(key).and_then(Node::non_null);
    SETTINGS
        .iter()
        .filter_map(|(key, label)| present(key).map(|value| (label, value)))
        .map(|(label, value)| {
            format!("**{label}:** {}", code(&python::display(&tree(value.raw()))))
        })
        .collect()
}

fn write_items(page: &mut Page<'_>, items: &[InputItem<'_>]) {
    page.paragraph(format!("**Input Messages** ({} items):", grouped(items.len() as u64)));
    if items.is_empty() {
        return;
    }
    let rows = items.iter().enumerate().map(|(at, item)| {
        let role = inline(item.role.as_deref().unwrap_or("-"));
        let preview = inline(&cut(&item.text, PREVIEW_MAX_CHARS)).into_owned().into();
        [at.to_string().into(), role, inline(&item.kind), preview]
    });
    page.table(["#", "Role", "Type", "Content Preview"], rows);
    for (at, item) in items.iter().enumerate() {
        if item.is_spoken && cut_at(&item.text, QUOTED_FROM_CHARS).is_some() {
            let speaker = html(item.role.as_deref().unwrap_or(&item.kind));
            let length = chars(&item.text);
            let summary = format_args!("Message {at} ({speaker}) full content ({length} chars)");
            page.folded_quote(summary, &item.text);
        }
    }
}

fn write_tools(page: &mut Page<'_>, tools: &[Node<'_>]) {
    let summary = format!("<b>Tools</b> ({} defined)", grouped(tools.len() as u64));
    page.folded(summary, |page| {
        for tool in tools {
            let at = |place: &&[&str]| place.iter().try_fold(*tool, |value, key| value.member(key));
            let name = TOOL_NAMES.iter().find_map(|place| at(place)?.text());
            let name = code(name.as_deref().unwrap_or("?"));
            let kind = tool.member_text("type");
            page.line(format!("- {name} ({})", inline(kind.as_deref().unwrap_or("?"))));
        }
    });
}
