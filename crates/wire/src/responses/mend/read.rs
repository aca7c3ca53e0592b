//! Events as older services and other bridges name and shape them, read as the ones of today.

use std::borrow::Cow;

use super::note_once;
use crate::json::Raw;
use crate::note::Notes;
use crate::responses::event::{Event, Member, Rest};
use crate::responses::kind::{Kind, Role};

/// Names that are not in use any more, or never were with the service itself.
const NAMES: &[(&str, Kind)] = &[
    ("response.reasoning.delta", Kind::ReasoningTextDelta),
    ("response.reasoning.done", Kind::ReasoningTextDone),
    ("response.reasoning_summary.delta", Kind::SummaryTextDelta),
    ("response.reasoning_summary.done", Kind::SummaryTextDone),
    ("response.text.delta", Kind::OutputTextDelta),
    ("response.text.done", Kind::OutputTextDone),
    ("response.done", Kind::Completed),
    ("response.cancelled", Kind::Failed),
];

/// The one name under which a simple bridge sends every delta.
const ANY_DELTA: &str = "response.output_item.delta";

/// What an object delta says it is, without `_delta` at its end; then what a plain one is in an
/// item of that type.
const DELTAS: &[(&str, Kind)] = &[
    ("output_text", Kind::OutputTextDelta),
    ("text", Kind::OutputTextDelta),
    ("refusal", Kind::RefusalDelta),
    ("reasoning_summary_text", Kind::SummaryTextDelta),
    ("reasoning_summary", Kind::SummaryTextDelta),
    ("summary_text", Kind::SummaryTextDelta),
    ("reasoning_text", Kind::ReasoningTextDelta),
    ("reasoning", Kind::ReasoningTextDelta),
    ("function_call_arguments", Kind::ArgumentsDelta),
    ("arguments", Kind::ArgumentsDelta),
    ("input_json", Kind::ArgumentsDelta),
    ("custom_tool_call_input", Kind::InputDelta),
    ("message", Kind::OutputTextDelta),
    ("function_call", Kind::ArgumentsDelta),
    ("custom_tool_call", Kind::InputDelta),
    ("mcp_call", Kind::McpArgumentsDelta),
    ("code_interpreter_call", Kind::CodeDelta),
];

/// The members of an object delta that may hold its text.
const TEXTS: &[&str] =
    &["text", "delta", "arguments", "partial_json", "input", "refusal", "content", "summary"];

/// The event as it would be called and shaped today. `kind_of_item` is the type of the item it is
/// about, where that is known.
pub(crate) fn modern<'a>(
    event: Event<'a>,
    kind_of_item: Option<&str>,
    notes: &mut Notes,
) -> Event<'a> {
    if event.kind != Kind::Other {
        return plain(event, notes);
    }
    if event.other == ANY_DELTA {
        note_once(notes, "event_renamed", ANY_DELTA);
        let delta = member(&event, "delta").unwrap_or(Raw::NULL);
        let told = delta.member_text("type");
        let name = told.as_deref().map(|name| name.strip_suffix("_delta").unwrap_or(name));
        let name = name.or(kind_of_item).unwrap_or("message");
        let row = DELTAS.iter().find(|(word, _)| *word == name);
        return match row {
            Some((_, kind)) => plain(renamed(event, *kind), notes),
            None => event,
        };
    }
    if let Some((name, kind)) = NAMES.iter().find(|(name, _)| *name == event.other) {
        note_once(notes, "event_renamed", *name);
        return plain(renamed(event, *kind), notes);
    }
    if event.other.is_empty() && member(&event, "error").is_some() {
        note_once(notes, "event_without_type", "error");
        return renamed(event, Kind::Error);
    }
    event
}

fn member<'a>(event: &Event<'a>, name: &str) -> Option<Raw<'a>> {
    event.rest.iter().find(|(key, _)| key == name).map(|(_, value)| *value).and_then(Raw::non_null)
}

/// The event under another kind: payload and part index are found again among its members.
fn renamed(event: Event<'_>, kind: Kind) -> Event<'_> {
    let row = kind.row();
    let mut payload = event.payload;
    let mut part_index = event.part_index;
    let mut rest = event.rest.to_vec();
    rest.retain(|(key, value)| {
        if key == row.payload {
            payload = Some(*value);
        } else if Some(&**key) == row.index.member() {
            part_index = value.count();
        }
        key != row.payload && Some(&**key) != row.index.member()
    });
    Event { kind, other: Cow::Borrowed(""), payload, part_index, rest: Rest::Own(rest), ..event }
}

/// A text that comes as an object, as the text.
fn plain<'a>(event: Event<'a>, notes: &mut Notes) -> Event<'a> {
    let Some(object) = event.payload.filter(|payload| payload.is_object()) else { return event };
    if !matches!(event.role(), Role::Delta(_) | Role::Done(_)) {
        return event;
    }
    let mut texts = TEXTS.iter().filter_map(|name| object.member(name));
    let Some(text) = texts.find(|text| text.is_string()) else { return event };
    note_once(notes, "delta_is_an_object", event.name());
    Event { payload: Some(text), ..event }
}

/// The event without its padding, and how many bytes of it there were.
pub(super) fn without_padding(event: Event<'_>) -> (Event<'_>, u64) {
    let is_padding = |(key, _): &Member<'_>| key == "obfuscation";
    let padding = event.rest.iter().find(|member| is_padding(member));
    let Some((_, padding)) = padding else { return (event, 0) };
    let bytes = padding.inner().len() as u64;
    let rest = event.rest.iter().filter(|member| !is_padding(member)).cloned().collect();
    (Event { rest: Rest::Own(rest), ..event }, bytes)
}
