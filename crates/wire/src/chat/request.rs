//! A hub request as a body for a Chat Completions backend, written in one pass: texts go over as
//! the literals they came as, so the same history always gives the same bytes. What the backend
//! takes, and under which name, its [`Profile`] says.

use std::borrow::Cow;

use super::messages::push_messages;
use super::profile::{Effort, Profile};
use super::toolbox::Toolbox;
use super::tools::Tools;
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::note::Notes;
use crate::responses::{Request, missing, wrong_type};

/// A backend to lower a request for.
#[derive(Debug, Clone, Copy)]
pub struct Backend<'a> {
    /// The model to name, whatever the client named.
    pub model: Option<&'a str>,
    /// What it takes.
    pub profile: &'a Profile,
}

/// A request in Chat Completions form.
#[derive(Debug, Clone)]
pub struct Lowered {
    /// The body.
    pub body: String,
    /// What the backend's names for the tools mean; the answer is lifted with it.
    pub toolbox: Toolbox,
}

/// Parameters that every backend may get, and mean the same: hub name, Chat name.
const COMMON: &[(&str, &str)] = &[
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
];

/// Parameters that only some profiles take, under the same name.
const SPECIAL: &[&str] =
    &["metadata", "prompt_cache_key", "safety_identifier", "service_tier", "top_logprobs", "user"];

/// Parameters that are translated by a function of their own.
const TRANSLATED: &[&str] = &[
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "model",
    "parallel_tool_calls",
    "reasoning",
    "stream",
    "text",
    "tool_choice",
    "tools",
];

/// Parameters that say nothing to a Chat backend and change nothing in its answer.
/// `max_tool_calls` bounds tools that the service runs itself, and none are.
const WITHOUT_MEANING: &[&str] = &["client_metadata", "max_tool_calls", "store", "stream_options"];

/// Parameters that need state or powers the gateway does not have, and why; leaving them out would
/// change the answer, so the request is refused.
const REFUSED: &[(&str, &str)] = &[
    ("audio", "answers are text"),
    ("background", NO_STATE),
    ("conversation", NO_STATE),
    ("previous_response_id", NO_STATE),
    ("prompt", "no prompts are kept here. Send what it says in `instructions` and `input`"),
];

const NO_STATE: &str = "nothing is stored between requests. Send the whole history in `input`, and wait for the answer";

/// Writes the body for the backend, of a request that was checked ([`Request::check`]).
///
/// # Errors
/// A 400 that names the parameter, where the request cannot be said in Chat Completions.
///
/// ```
/// use latimer_wire::chat::{Backend, Profile, lower_request};
/// use latimer_wire::{note::Notes, responses::Request};
/// let request = Request::parse(r#"{"model": "gpt", "instructions": "Be brief.", "input": "Hi"}"#)?;
/// let backend = Backend { model: Some("qwen3"), profile: &Profile::default() };
/// let lowered = lower_request(&request, &backend, &mut Notes::default())?;
/// assert_eq!(lowered.body, concat!(
///     r#"{"model":"qwen3","messages":[{"role":"system","content":"Be brief."},"#,
///     r#"{"role":"user","content":"Hi"}]}"#,
/// ));
/// # Ok::<(), latimer_wire::error::ApiError>(())
/// ```
pub fn lower_request(
    request: &Request<'_>,
    backend: &Backend<'_>,
    notes: &mut Notes,
) -> Result<Lowered, ApiError> {
    let profile = backend.profile;
    refuse(request)?;
    let tools = Tools::collect(request, profile, notes)?;
    let mut body = String::with_capacity(request.bytes() + 1024);
    let mut object = Object::new(&mut body);
    object = match backend.model {
        Some(model) => object.text("model", model),
        None => object.raw_if("model", request.given("model")),
    };
    push_messages(object.key("messages"), request, profile, &tools.toolbox, notes)?;
    object = tools.write(object, request, profile, notes);
    object = parameters(object, request, profile, notes);
    object = text(object, request, profile, notes);
    object = reasoning(object, request, profile, notes);
    if request.stream {
        object = object.boolean("stream", true);
        if !profile.refused.contains(&"stream_options") {
            object = object.with("stream_options", |out| {
                Object::new(out).boolean("include_usage", true).end();
            });
        }
    }
    object.end();
    unknown(request, notes);
    Ok(Lowered { body, toolbox: tools.toolbox })
}

fn refuse(request: &Request<'_>) -> Result<(), ApiError> {
    for (name, why) in REFUSED {
        if request.given(name).is_some_and(|value| value.boolean() != Some(false)) {
            let message =
                format!("`{name}` is not supported in front of a Chat Completions backend: {why}.");
            return Err(ApiError::invalid(*name, "unsupported_parameter", message));
        }
    }
    let format = request.given("text").and_then(|text| text.member("format"));
    let format = format.filter(|f| f.member_text("type").as_deref() == Some("json_schema"));
    for (member, kind) in [("name", "string"), ("schema", "object")] {
        let Some(format) = format else { break };
        let param = format!("text.format.{member}");
        match format.member(member).and_then(Raw::non_null) {
            None => return Err(missing(&param)),
            Some(value) if value.kind() != kind => {
                return Err(wrong_type(&param, &format!("a {kind}"), value));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn parameters<'o>(
    mut object: Object<'o>,
    request: &Request<'_>,
    profile: &Profile,
    notes: &mut Notes,
) -> Object<'o> {
    for (hub, chat) in COMMON {
        object = object.raw_if(chat, request.given(hub));
    }
    object = object.raw_if(profile.max_tokens, request.given("max_output_tokens"));
    let wants_logprobs = request.given("top_logprobs").is_some_and(|n| n.count() != Some(0))
        || request.includes("message.output_text.logprobs");
    if wants_logprobs && profile.parameters.contains(&"logprobs") {
        object = object.boolean("logprobs", true);
    } else if wants_logprobs && request.given("top_logprobs").is_none() {
        notes.add("parameter_dropped", format!("logprobs (profile {})", profile.name));
    }
    for name in SPECIAL {
        let Some(value) = request.given(name) else { continue };
        let says_nothing = value.as_str() == "{}"
            || value.as_str() == "0"
            || (*name == "service_tier" && matches!(value.inner(), "auto" | "default"));
        let wanted = wants_logprobs || *name != "top_logprobs";
        if wanted && profile.parameters.contains(name) {
            object = object.raw(name, value);
        } else if !says_nothing {
            notes.add("parameter_dropped", format!("{name} (profile {})", profile.name));
        }
    }
    object
}

/// Writes `response_format` and `verbosity` from `text`.
fn text<'o>(
    mut object: Object<'o>,
    request: &Request<'_>,
    profile: &Profile,
    notes: &mut Notes,
) -> Object<'o> {
    let Some(text) = request.given("text") else { return object };
    let format = text.member("format").unwrap_or(Raw::NULL);
    match format.member_text("type").as_deref() {
        Some("json_schema") => {
            object = object.with("response_format", |out| {
                let schema = |out: &mut String| {
                    Object::new(out)
                        .raw_if("name", format.member("name"))
                        .raw_if("description", format.member("description"))
                        .raw_if("schema", format.member("schema"))
                        .raw_if("strict", format.member("strict").and_then(Raw::non_null))
                        .end();
                };
                Object::new(out).text("type", "json_schema").with("json_schema", schema).end();
            });
        }
        Some("json_object") => object = object.raw("response_format", format),
        None | Some("text") => {}
        Some(other) => notes.add("parameter_dropped", format!("text.format of type {other}")),
    }
    match text.member("verbosity").and_then(Raw::non_null) {
        Some(verbosity) if profile.parameters.contains(&"verbosity") => {
            object.raw("verbosity", verbosity)
        }
        Some(_) => {
            notes.add("parameter_dropped", format!("text.verbosity (profile {})", profile.name));
            object
        }
        None => object,
    }
}

/// Writes the reasoning effort the way the backend knows it.
fn reasoning<'o>(
    object: Object<'o>,
    request: &Request<'_>,
    profile: &Profile,
    notes: &mut Notes,
) -> Object<'o> {
    let members = request.given("reasoning").map(Raw::members).unwrap_or_default();
    let given = members.iter().filter(|(_, value)| !value.is_null());
    for (key, _) in given.filter(|(key, _)| !["effort", "summary"].contains(&&**key)) {
        notes.add("parameter_dropped", format!("reasoning.{key}"));
    }
    let effort = members.iter().find(|(key, _)| key == "effort").map(|(_, value)| *value);
    let Some(effort) = effort.and_then(Raw::non_null) else { return object };
    match profile.effort {
        Effort::Flat => object.raw("reasoning_effort", effort),
        Effort::Object => object.with("reasoning", |out| {
            Object::new(out).raw("effort", effort).end();
        }),
        Effort::Thinking | Effort::Template => {
            let on = effort.inner() != "none";
            if on {
                notes.add(
                    "parameter_changed",
                    format!("reasoning.effort (profile {})", profile.name),
                );
            }
            match profile.effort {
                Effort::Thinking => object.with("thinking", |out| {
                    let kind = if on { "enabled" } else { "disabled" };
                    Object::new(out).text("type", kind).end();
                }),
                _ => object.with("chat_template_kwargs", |out| {
                    Object::new(out).boolean("enable_thinking", on).end();
                }),
            }
        }
        Effort::Unsaid => {
            notes.add("parameter_dropped", format!("reasoning.effort (profile {})", profile.name));
            object
        }
    }
}

/// Leaves a note for each parameter that nothing above knows.
fn unknown(request: &Request<'_>, notes: &mut Notes) {
    let given = request.members().iter().filter(|(_, value)| !value.is_null());
    for (key, value) in given {
        let key: &Cow<'_, str> = key;
        let known = COMMON.iter().any(|(hub, _)| hub == key)
            || REFUSED.iter().any(|(name, _)| name == key)
            || [SPECIAL, TRANSLATED, WITHOUT_MEANING].iter().any(|l| l.contains(&&**key));
        if !known && value.as_str() != "\"disabled\"" {
            notes.add("parameter_dropped", key.clone());
        }
    }
}
