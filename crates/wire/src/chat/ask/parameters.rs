//! The parameters of a Chat request: which go over, which the gateway does itself, which have no
//! counterpart.

use super::{Asked, LiftOptions, Lifted, required, unsupported};
use crate::chat::stop::StopSequences;
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::note::Notes;
use crate::path::Path;
use crate::responses::{missing, wrong_type};

/// Parameters that mean the same in the hub under the same name.
const SAME: &[&str] = &[
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_p",
    "user",
];

/// Parameters that a function of their own translates, here or with the messages and the tools.
const TRANSLATED: &[&str] = &[
    "function_call",
    "functions",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "stop",
    "store",
    "stream",
    "stream_options",
    "tool_choice",
    "tools",
    "top_logprobs",
    "verbosity",
    "web_search_options",
];

/// Values that say no more than leaving the parameter out.
const WITHOUT_MEANING: &[(&str, &[&str])] = &[
    ("frequency_penalty", &["0", "0.0"]),
    ("presence_penalty", &["0", "0.0"]),
    ("logit_bias", &["{}"]),
];

/// Refuses what would change the kind of the answer if it were left out.
pub(super) fn refuse(asked: &Asked<'_>) -> Result<(), ApiError> {
    let modalities = asked.given("modalities").map(Raw::elements).unwrap_or_default();
    let other = modalities.iter().any(|modality| modality.inner() != "text");
    for (name, refused) in [("modalities", other), ("audio", asked.given("audio").is_some())] {
        if refused {
            let message = format!("`{name}`: only answers in text can be given here.");
            return Err(ApiError::invalid(name, "unsupported_parameter", message));
        }
    }
    Ok(())
}

/// What is done beside the hub request.
pub(super) fn beside(asked: &Asked<'_>) -> Result<Lifted, ApiError> {
    let flag = |name: &str| match asked.given(name) {
        None => Ok(false),
        Some(value) => value.boolean().ok_or_else(|| wrong_type(name, "a boolean", value)),
    };
    let options = asked.given("stream_options").and_then(|options| options.member("include_usage"));
    let n = match asked.given("n") {
        None => 1,
        Some(value) => value.count().filter(|n| *n > 0).ok_or_else(|| {
            ApiError::invalid("n", "invalid_value", "`n` has to be a whole number from 1.")
        })?,
    };
    Ok(Lifted {
        stream: flag("stream")?,
        include_usage: options.and_then(Raw::boolean).unwrap_or_default(),
        stop: StopSequences::new(stop(asked)?),
        n,
        ..Lifted::default()
    })
}

fn stop(asked: &Asked<'_>) -> Result<Vec<String>, ApiError> {
    let Some(stop) = asked.given("stop") else { return Ok(Vec::new()) };
    let sequences = if stop.is_array() { stop.elements() } else { vec![stop] };
    let text = |sequence: Raw<'_>| sequence.text().map(std::borrow::Cow::into_owned);
    let texts: Option<Vec<String>> = sequences.into_iter().map(text).collect();
    texts.ok_or_else(|| wrong_type("stop", "a string or an array of strings", stop))
}

/// Writes the parameters that go over.
pub(super) fn write<'o>(
    mut object: Object<'o>,
    asked: &Asked<'_>,
    options: &LiftOptions,
    notes: &mut Notes,
) -> Result<Object<'o>, ApiError> {
    object = text(object, asked)?;
    object = reasoning(object, asked, options);
    let (limit, older) = (asked.given("max_completion_tokens"), asked.given("max_tokens"));
    if limit.is_some() && older.is_some() {
        notes.add("parameter_dropped", "max_tokens beside max_completion_tokens");
    }
    object = object.raw_if("max_output_tokens", limit.or(older));
    if asked.given("logprobs").and_then(Raw::boolean) == Some(true) {
        object = object
            .raw("include", Raw::trusted(r#"["message.output_text.logprobs"]"#))
            .raw_if("top_logprobs", asked.given("top_logprobs"));
    }
    for name in SAME {
        object = object.raw_if(name, asked.given(name));
    }
    // Chat keeps no answer unless it is asked to; the hub keeps them unless it is asked not to.
    object = object.raw("store", asked.given("store").unwrap_or(Raw::trusted("false")));
    Ok(object.raw_if("stream", asked.given("stream")))
}

/// `response_format` and `verbosity` are one parameter of the hub.
fn text<'o>(object: Object<'o>, asked: &Asked<'_>) -> Result<Object<'o>, ApiError> {
    const FORMATS: &[&str] = &["text", "json_object", "json_schema"];
    let verbosity = asked.given("verbosity");
    let mut format = String::new();
    if let Some(wanted) = asked.given("response_format") {
        let path = Path::of("response_format");
        let kind = required(wanted, "type", path)?;
        match kind.inner() {
            "json_schema" => {
                let path = path.member("json_schema");
                let schema = super::given(wanted, "json_schema");
                let schema = schema.ok_or_else(|| missing(path))?;
                let mut object = Object::new(&mut format).raw("type", kind);
                object = object.raw("name", required(schema, "name", path)?);
                for key in ["description", "schema", "strict"] {
                    object = object.raw_if(key, super::given(schema, key));
                }
                object.end();
            }
            "text" | "json_object" => Object::new(&mut format).raw("type", kind).end(),
            other => return Err(unsupported(path.member("type"), other, FORMATS)),
        }
    }
    if format.is_empty() && verbosity.is_none() {
        return Ok(object);
    }
    let format = Some(Raw::trusted(&format)).filter(|_| !format.is_empty());
    Ok(object.with("text", |out| {
        Object::new(out).raw_if("format", format).raw_if("verbosity", verbosity).end();
    }))
}

fn reasoning<'o>(object: Object<'o>, asked: &Asked<'_>, options: &LiftOptions) -> Object<'o> {
    let effort = asked.given("reasoning_effort");
    if effort.is_none() && options.summary.is_none() {
        return object;
    }
    object.with("reasoning", |out| {
        let object = Object::new(out).raw_if("effort", effort);
        match options.summary {
            Some(summary) => object.text("summary", summary).end(),
            None => object.end(),
        }
    })
}

/// Leaves a note for each parameter that nothing above knows.
pub(super) fn unknown(asked: &Asked<'_>, notes: &mut Notes) {
    for (key, value) in &asked.members {
        let empty =
            |(name, values): &(&str, &[&str])| *name == key && values.contains(&value.as_str());
        let known = SAME.contains(&&**key) || TRANSLATED.contains(&&**key);
        if !known && !value.is_null() && !WITHOUT_MEANING.iter().any(empty) {
            notes.add("parameter_dropped", key.clone());
        }
    }
}
