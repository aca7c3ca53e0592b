//! The two flavours of the Responses API: what OpenAI's own clients expect, which is the hub, and the
//! Open Responses specification (2026-04-24), which differs from it where no stream can please both.
//! In: an event, a response or an error of the hub. Out: the same as the specification has it. The
//! differences are tables; all that is not in them is the same.

use std::borrow::Cow;

use super::kind::{Kind, Role};
use super::response::push_changed;
use crate::json::{Fields, Object, Raw, push_string};

/// Which form of the API a client is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flavour {
    /// OpenAI's.
    #[default]
    OpenAi,
    /// That of the Open Responses specification.
    OpenResponses,
}

/// Where names of a list stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Event,
    Item,
    Annotation,
    Tool,
    ToolChoice,
    ServiceTier,
    Effort,
    ErrorType,
}

/// What becomes of a name that is not on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// It stays.
    Stay,
    /// It is marked as a name of somebody's own.
    Marked,
    /// What has it is left out.
    Out,
}

/// The names of one place: the hub's and the specification's where they differ, those that are on the
/// list of both, and what becomes of all others.
struct Names {
    place: Place,
    renamed: &'static [(&'static str, &'static str)],
    known: &'static [&'static str],
    others: Others,
}

/// How a name is marked that is not the specification's: they are all OpenAI's.
const SLUG: &str = "openai:";

/// The differences in names.
const NAMES: &[Names] = &[
    Names {
        place: Place::Event,
        renamed: &[
            ("response.reasoning_text.delta", "response.reasoning.delta"),
            ("response.reasoning_text.done", "response.reasoning.done"),
        ],
        known: &[
            "error",
            "response.completed",
            "response.content_part.added",
            "response.content_part.done",
            "response.created",
            "response.failed",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.in_progress",
            "response.incomplete",
            "response.output_item.added",
            "response.output_item.done",
            "response.output_text.annotation.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.queued",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_part.done",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.refusal.delta",
            "response.refusal.done",
        ],
        others: Others::Marked,
    },
    Names {
        place: Place::Item,
        renamed: &[],
        known: &["compaction", "function_call", "function_call_output", "message", "reasoning"],
        others: Others::Marked,
    },
    Names {
        place: Place::Annotation,
        renamed: &[],
        known: &["url_citation"],
        others: Others::Marked,
    },
    Names { place: Place::Tool, renamed: &[], known: &["function"], others: Others::Out },
    Names {
        place: Place::ToolChoice,
        renamed: &[],
        known: &["allowed_tools", "function"],
        others: Others::Out,
    },
    Names {
        place: Place::ServiceTier,
        renamed: &[("fast", "priority"), ("scale", "default"), ("ultrafast", "priority")],
        known: &[],
        others: Others::Stay,
    },
    Names {
        place: Place::Effort,
        renamed: &[("max", "xhigh"), ("minimal", "low")],
        known: &[],
        others: Others::Stay,
    },
    Names {
        place: Place::ErrorType,
        renamed: &[
            ("invalid_request_error", "invalid_request"),
            ("not_found_error", "not_found"),
            ("rate_limit_error", "too_many_requests"),
        ],
        known: &[],
        others: Others::Stay,
    },
];

/// The members every response has to have, and what stands there where it has none. Numbers must not
/// be null.
const REQUIRED: &[(&str, &str)] = &[
    ("id", "\"\""),
    ("object", "\"response\""),
    ("created_at", "0"),
    ("completed_at", "null"),
    ("status", "\"in_progress\""),
    ("incomplete_details", "null"),
    ("model", "\"\""),
    ("previous_response_id", "null"),
    ("instructions", "null"),
    ("output", "[]"),
    ("error", "null"),
    ("tools", "[]"),
    ("tool_choice", "\"auto\""),
    ("truncation", "\"disabled\""),
    ("parallel_tool_calls", "true"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("top_p", "1.0"),
    ("presence_penalty", "0.0"),
    ("frequency_penalty", "0.0"),
    ("top_logprobs", "0"),
    ("temperature", "1.0"),
    ("reasoning", "null"),
    ("usage", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("store", "false"),
    ("background", "false"),
    ("service_tier", "\"default\""),
    ("metadata", "{}"),
    ("safety_identifier", "null"),
    ("prompt_cache_key", "null"),
];

impl Place {
    /// The name in a flavour; nothing where what has it is left out.
    fn name(self, name: &str, to: Flavour) -> Option<Cow<'_, str>> {
        match to {
            Flavour::OpenAi => Some(Cow::Borrowed(self.hub_name(name))),
            Flavour::OpenResponses => self.name_in_specification(name),
        }
    }

    fn name_in_specification(self, hub: &str) -> Option<Cow<'_, str>> {
        let names = NAMES.iter().find(|names| names.place == self)?;
        let renamed = names.renamed.iter().find(|(from, _)| *from == hub);
        match (renamed, names.others) {
            (Some((_, to)), _) => Some(Cow::Borrowed(to)),
            (None, Others::Stay) => Some(Cow::Borrowed(hub)),
            _ if names.known.contains(&hub) || hub.contains(':') => Some(Cow::Borrowed(hub)),
            (None, Others::Marked) => Some(Cow::Owned(format!("{SLUG}{hub}"))),
            (None, Others::Out) => None,
        }
    }

    /// The hub's name.
    fn hub_name(self, name: &str) -> &str {
        let names = NAMES.iter().find(|names| names.place == self);
        let renamed = names.and_then(|names| names.renamed.iter().find(|(_, to)| *to == name));
        renamed.map_or_else(|| plain(name), |(from, _)| from)
    }
}

/// A name without the mark that this flavour gives to OpenAI's own.
pub(crate) fn plain(name: &str) -> &str {
    name.strip_prefix(SLUG).unwrap_or(name)
}

/// Members of an object that are changed.
type Changes<'k> = Vec<(&'k str, String)>;

fn changed(object: Raw<'_>, changes: &Changes<'_>) -> Option<String> {
    if changes.is_empty() {
        return None;
    }
    let changes: Vec<_> =
        changes.iter().map(|(key, value)| (*key, Raw::trusted(value.as_str()))).collect();
    let mut out = String::with_capacity(object.as_str().len() + 64);
    push_changed(&mut out, object, &changes);
    Some(out)
}

fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

/// The change of a member that is a name, where it has another in that flavour.
fn rename<'k>(
    object: Raw<'_>,
    key: &'k str,
    place: Place,
    to: Flavour,
) -> Option<(&'k str, String)> {
    let name = object.member_text(key)?;
    let new = place.name(&name, to)?;
    (new != name).then(|| (key, literal(&new)))
}

/// The change of a member that is a list, whose elements change or are left out.
fn each<'k>(
    object: Raw<'_>,
    key: &'k str,
    element: impl Fn(Raw<'_>) -> Option<Cow<'_, str>>,
) -> Option<(&'k str, String)> {
    let list = object.member(key).filter(|list| list.is_array())?;
    let elements = list.elements();
    let kept: Vec<_> = elements.iter().filter_map(|raw| element(*raw)).collect();
    let same = kept.len() == elements.len()
        && kept.iter().all(|element| matches!(element, Cow::Borrowed(_)));
    (!same).then(|| (key, format!("[{}]", kept.join(","))))
}

fn or_as_it_is(raw: Raw<'_>, changed: Option<String>) -> Option<Cow<'_, str>> {
    Some(changed.map_or(Cow::Borrowed(raw.as_str()), Cow::Owned))
}

fn annotation(raw: Raw<'_>, to: Flavour) -> Option<String> {
    changed(raw, &rename(raw, "type", Place::Annotation, to).into_iter().collect())
}

fn part(raw: Raw<'_>, to: Flavour) -> Option<String> {
    let annotations = each(raw, "annotations", |one| or_as_it_is(one, annotation(one, to)));
    changed(raw, &annotations.into_iter().collect())
}

fn item(raw: Raw<'_>, to: Flavour) -> Option<String> {
    let kind = rename(raw, "type", Place::Item, to);
    let content = each(raw, "content", |one| or_as_it_is(one, part(one, to)));
    changed(raw, &kind.into_iter().chain(content).collect())
}

/// What an event holds besides a response, and its name.
fn event_members(event: Raw<'_>, to: Flavour) -> Changes<'static> {
    let member = |key| event.member(key).filter(|value: &Raw<'_>| value.is_object());
    let mut changes: Changes<'static> =
        rename(event, "type", Place::Event, to).into_iter().collect();
    changes.extend(member("item").and_then(|one| item(one, to)).map(|item| ("item", item)));
    changes.extend(member("part").and_then(|one| part(one, to)).map(|part| ("part", part)));
    let annotation = member("annotation").and_then(|one| annotation(one, to));
    changes.extend(annotation.map(|annotation| ("annotation", annotation)));
    changes
}

/// A response as the specification has it.
fn response(raw: Raw<'_>) -> String {
    let to = Flavour::OpenResponses;
    let mut changes = Changes::new();
    changes.extend(each(raw, "output", |one| or_as_it_is(one, item(one, to))));
    changes.extend(each(raw, "tools", |tool| {
        let kind = tool.member_text("type").unwrap_or_default();
        Place::Tool.name(&kind, to).map(|_| Cow::Borrowed(tool.as_str()))
    }));
    let choice = raw.member("tool_choice").and_then(|choice| choice.member_text("type"));
    if choice.is_some_and(|kind| Place::ToolChoice.name(&kind, to).is_none()) {
        changes.push(("tool_choice", literal("auto")));
    }
    changes.extend(rename(raw, "service_tier", Place::ServiceTier, to));
    let reasoning = raw.member("reasoning").unwrap_or(Raw::NULL);
    let effort = rename(reasoning, "effort", Place::Effort, to).into_iter().collect();
    changes.extend(changed(reasoning, &effort).map(|reasoning| ("reasoning", reasoning)));
    let due = REQUIRED.iter().filter(|(key, default)| is_due(raw.member(key), default));
    changes.extend(due.map(|(key, default)| (*key, (*default).to_owned())));
    changed(raw, &changes).unwrap_or_else(|| raw.as_str().to_owned())
}

/// Whether a member that a response has to have is missing, or is null and must not be.
fn is_due(given: Option<Raw<'_>>, default: &str) -> bool {
    given.is_none_or(|value| value.is_null() && default != "null")
}

impl Flavour {
    /// All flavours, by their names in configurations.
    pub const NAMES: &'static [(&'static str, Flavour)] =
        &[("openai", Flavour::OpenAi), ("open-responses", Flavour::OpenResponses)];

    /// What is said after the last event of a stream of server-sent events.
    pub const fn farewell(self) -> &'static str {
        match self {
            Flavour::OpenAi => "",
            Flavour::OpenResponses => "data: [DONE]\n\n",
        }
    }

    /// An event of the hub in this flavour; `name` is the name its frame has.
    ///
    /// ```
    /// use latimer_wire::responses::Flavour;
    /// let event = r#"{"type":"response.reasoning_text.delta","delta":"Hm"}"#;
    /// assert_eq!(Flavour::OpenAi.event(event, None), event);
    /// let other = Flavour::OpenResponses.event(event, None);
    /// assert_eq!(other, r#"{"type":"response.reasoning.delta","delta":"Hm"}"#);
    /// assert_eq!(Flavour::OpenResponses.hub_event(&other), event);
    /// ```
    pub fn event<'e>(self, data: &'e str, name: Option<&str>) -> Cow<'e, str> {
        let event = Raw::unchecked(data);
        if self == Flavour::OpenAi || !event.is_object() {
            return Cow::Borrowed(data);
        }
        let kind = Kind::of_data(data, name);
        if kind.row().role == Role::Error {
            return Cow::Owned(nested_error(event));
        }
        let mut changes = event_members(event, self);
        if let (None, Some(name)) = (event.member("type"), name) {
            changes.extend(Place::Event.name(name, self).map(|name| ("type", literal(&name))));
        }
        let of = event.member("response").filter(|response| response.is_object());
        changes.extend(of.map(|raw| ("response", response(raw))));
        changed(event, &changes).map_or(Cow::Borrowed(data), Cow::Owned)
    }

    /// A whole answer of the hub, a response or an error, in this flavour; all else stays.
    pub fn body(self, body: &str) -> Cow<'_, str> {
        let Ok(object) = Raw::parse(body) else { return Cow::Borrowed(body) };
        let is_response = object.member_text("object").is_some_and(|kind| kind == "response");
        match (self, object.member("error").and_then(Raw::non_null)) {
            (Flavour::OpenAi, _) => Cow::Borrowed(body),
            (_, _) if is_response => Cow::Owned(response(object)),
            (_, Some(said)) => {
                let kind = rename(said, "type", Place::ErrorType, self).into_iter().collect();
                let error = changed(said, &kind).map(|error| ("error", error));
                let changes = error.into_iter().collect();
                changed(object, &changes).map_or(Cow::Borrowed(body), Cow::Owned)
            }
            (_, None) => Cow::Borrowed(body),
        }
    }

    /// Whether this flavour has an event of that name.
    pub fn has_event(self, name: &str) -> bool {
        let marked = name.strip_prefix(SLUG).is_some_and(|hub| Kind::of(hub) != Kind::Other);
        match self {
            Flavour::OpenAi => Kind::of(name) != Kind::Other,
            Flavour::OpenResponses => {
                let hub = Place::Event.hub_name(name);
                marked || Place::Event.name(hub, self).as_deref() == Some(name)
            }
        }
    }

    /// The members that a response lacks in this flavour, or has null where a value has to be.
    pub fn lacks(self, response: &Fields<'_>) -> impl Iterator<Item = &'static str> {
        let required = if self == Flavour::OpenAi { &[] } else { REQUIRED };
        required
            .iter()
            .filter(move |(key, default)| is_due(response.raw(key), default))
            .map(|row| row.0)
    }

    /// An event of this flavour with the hub's names, as far as they can be known.
    pub fn hub_event(self, data: &str) -> Cow<'_, str> {
        if self == Flavour::OpenAi {
            return Cow::Borrowed(data);
        }
        let (event, to) = (Raw::unchecked(data), Flavour::OpenAi);
        let mut changes = event_members(event, to);
        if let Some(response) = event.member("response") {
            let output = each(response, "output", |one| or_as_it_is(one, item(one, to)));
            let response = changed(response, &output.into_iter().collect());
            changes.extend(response.map(|response| ("response", response)));
        }
        changed(event, &changes).map_or(Cow::Borrowed(data), Cow::Owned)
    }
}

/// An `error` event, which is flat in the hub.
fn nested_error(event: Raw<'_>) -> String {
    let said = event.member("error").filter(|error| error.is_object()).unwrap_or(event);
    let kind = said.member_text("type").filter(|kind| kind != "error");
    let kind = kind.unwrap_or(Cow::Borrowed("server_error"));
    let mut out = String::new();
    Object::new(&mut out)
        .text("type", "error")
        .raw("sequence_number", event.member("sequence_number").unwrap_or(Raw::trusted("0")))
        .with("error", |out| {
            Object::new(out)
                .text(
                    "type",
                    &Place::ErrorType
                        .name(&kind, Flavour::OpenResponses)
                        .unwrap_or(Cow::Borrowed(&kind)),
                )
                .raw("code", said.member("code").unwrap_or(Raw::NULL))
                .raw("message", said.member("message").unwrap_or(Raw::trusted("\"\"")))
                .raw("param", said.member("param").unwrap_or(Raw::NULL))
                .end();
        })
        .end();
    out
}
