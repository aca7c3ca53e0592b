//! What the parameters of a request may be: a table, and the check that holds a request against it.
//! In: a request that was read. Out: nothing, or the 400 OpenAI answers with, which names the
//! parameter. A parameter that is not in the table, and a value of an open list such as
//! `service_tier`, is for the backend to judge.

use super::request::{Request, missing, wrong_type};
use crate::error::ApiError;
use crate::json::{Raw, push_string};
use crate::path::Path;

/// What a parameter has to be, where it is given.
enum Rule {
    /// Of one of these types.
    Type(&'static [&'static str]),
    /// A number.
    Number(Bounds),
    /// A string of at most so many characters.
    Text(usize),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list of some of these strings.
    SomeOf(&'static [&'static str]),
    /// An object of so many strings at most, under keys and with values of so many characters.
    Strings { pairs: usize, key: usize, value: usize },
    /// A list of objects, each with these members.
    Each(&'static [(&'static str, Rule)]),
}

/// The least and the most a number may be; a whole one has no fraction.
#[derive(Clone, Copy)]
struct Bounds {
    least: f64,
    most: f64,
    whole: bool,
}

const fn decimal(least: f64, most: f64) -> Rule {
    Rule::Number(Bounds { least, most, whole: false })
}

const fn integer(least: f64, most: f64) -> Rule {
    Rule::Number(Bounds { least, most, whole: true })
}

const NO_END: f64 = f64::INFINITY;

/// Each parameter and its rule. Bounds: the types of the official SDKs (openai-python 3.51), and
/// those of the Open Responses specification (2026-04-24).
const PARAMETERS: &[(&str, Rule)] = &[
    ("background", Rule::Type(&["boolean"])),
    ("context_management", Rule::Each(MANAGEMENT)),
    ("conversation", Rule::Type(&["string", "object"])),
    ("frequency_penalty", decimal(-2.0, 2.0)),
    ("include", Rule::SomeOf(INCLUDES)),
    ("instructions", Rule::Type(&["string"])),
    ("max_output_tokens", integer(16.0, NO_END)),
    ("max_tool_calls", integer(1.0, NO_END)),
    ("metadata", METADATA),
    ("parallel_tool_calls", Rule::Type(&["boolean"])),
    ("presence_penalty", decimal(-2.0, 2.0)),
    ("previous_response_id", Rule::Type(&["string"])),
    ("prompt", Rule::Type(&["object"])),
    ("prompt_cache_key", Rule::Text(64)),
    ("reasoning", Rule::Type(&["object"])),
    ("safety_identifier", Rule::Text(128)),
    ("service_tier", Rule::Type(&["string"])),
    ("store", Rule::Type(&["boolean"])),
    ("stream_options", Rule::Type(&["object"])),
    ("temperature", decimal(0.0, 2.0)),
    ("text", Rule::Type(&["object"])),
    ("tool_choice", Rule::Type(&["string", "object"])),
    ("top_logprobs", integer(0.0, 20.0)),
    ("top_p", decimal(0.0, 1.0)),
    ("truncation", Rule::OneOf(&["auto", "disabled"])),
    ("user", Rule::Type(&["string"])),
];

/// What a client may ask to be done about a context that grows.
const MANAGEMENT: &[(&str, Rule)] =
    &[("type", Rule::OneOf(&["compaction"])), ("compact_threshold", integer(1.0, NO_END))];

/// What a client may attach to a response or a conversation.
const METADATA: Rule = Rule::Strings { pairs: 16, key: 64, value: 512 };

/// Checks what a client attaches to a conversation.
///
/// # Errors
/// A 400 that names `metadata`.
pub fn check_metadata(metadata: Raw<'_>) -> Result<(), ApiError> {
    METADATA.hold(metadata, Path::of("metadata"))
}

/// What a client may include.
const INCLUDES: &[&str] = &[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
];

/// Checks what a client asks to be included in what it is given back; `place` is where in its list.
///
/// # Errors
/// A 400 that names the place.
pub fn check_include(name: &str, place: usize) -> Result<(), ApiError> {
    let mut literal = String::new();
    push_string(&mut literal, name);
    one_of(Raw::trusted(&literal), INCLUDES, Path::of("include").index(place))
}

/// Of each pair, one may be given.
const EXCLUSIVE: &[(&str, &str)] = &[("previous_response_id", "conversation")];

impl Request<'_> {
    /// Holds the parameters against what they may be. A request that is passed on as it is needs no
    /// check: whether it is right is for its backend to say.
    ///
    /// # Errors
    /// A 400 that names the parameter at fault.
    ///
    /// ```
    /// use latimer_wire::responses::Request;
    /// let error = Request::parse(r#"{"input":"Hi","top_p":1.5}"#)?.check().unwrap_err();
    /// assert_eq!(error.code.as_deref(), Some("decimal_above_max_value"));
    /// assert_eq!(error.param.as_deref(), Some("top_p"));
    /// # Ok::<(), latimer_wire::error::ApiError>(())
    /// ```
    pub fn check(&self) -> Result<(), ApiError> {
        for (name, rule) in PARAMETERS {
            if let Some(value) = self.given(name) {
                rule.hold(value, Path::of(name))?;
            }
        }
        let both =
            |(one, other): &&(&str, &str)| self.given(one).is_some() && self.given(other).is_some();
        match EXCLUSIVE.iter().find(both) {
            None => Ok(()),
            Some((one, other)) => {
                let message = format!("Only one of `{one}` and `{other}` can be given.");
                Err(ApiError::invalid(*one, "mutually_exclusive_parameters", message))
            }
        }
    }
}

impl Rule {
    fn hold(&self, value: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
        match self {
            Rule::Type(kinds) => of_type(value, kinds, path),
            Rule::Number(bounds) => within(value, *bounds, path),
            Rule::Text(most) => short(value, *most, path),
            Rule::OneOf(known) => one_of(value, known, path),
            Rule::SomeOf(known) => {
                of_type(value, &["array"], path)?;
                let mut elements = value.elements().into_iter().enumerate();
                elements.try_for_each(|(at, element)| one_of(element, known, path.index(at)))
            }
            Rule::Strings { pairs, key, value: longest } => {
                strings(value, *pairs, *key, *longest, path)
            }
            Rule::Each(members) => {
                of_type(value, &["array"], path)?;
                let mut elements = value.elements().into_iter().enumerate();
                elements.try_for_each(|(at, element)| each(element, members, path.index(at)))
            }
        }
    }
}

/// An object with a `type`, whose members keep these rules.
fn each(value: Raw<'_>, members: &[(&str, Rule)], path: Path<'_>) -> Result<(), ApiError> {
    of_type(value, &["object"], path)?;
    if value.member("type").is_none() {
        return Err(missing(path.member("type")));
    }
    for (name, rule) in members {
        match value.member(name) {
            Some(value) if !value.is_null() || *name == "type" => {
                rule.hold(value, path.member(name))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn of_type(value: Raw<'_>, kinds: &[&str], path: Path<'_>) -> Result<(), ApiError> {
    if kinds.contains(&value.kind()) {
        return Ok(());
    }
    let with_article = |kind: &&str| match kind.starts_with(['a', 'i', 'o']) {
        true => format!("an {kind}"),
        false => format!("a {kind}"),
    };
    let wanted: Vec<_> = kinds.iter().map(with_article).collect();
    Err(wrong_type(path, &wanted.join(" or "), value))
}

fn within(value: Raw<'_>, bounds: Bounds, path: Path<'_>) -> Result<(), ApiError> {
    of_type(value, &["number"], path)?;
    let Bounds { least, most, whole } = bounds;
    let number: f64 = value.as_str().parse().unwrap_or(f64::NAN);
    let (code, bound) = match (number < least, number > most, whole) {
        (true, _, true) => ("integer_below_min_value", format!("at least {least}")),
        (true, _, false) => ("decimal_below_min_value", format!("at least {least}")),
        (_, true, true) => ("integer_above_max_value", format!("at most {most}")),
        (_, true, false) => ("decimal_above_max_value", format!("at most {most}")),
        _ if whole && number.fract() != 0.0 => return Err(wrong_type(path, "an integer", value)),
        _ => return Ok(()),
    };
    let message = format!("Invalid `{path}`: expected {bound}, got {value}.");
    Err(ApiError::invalid(path, code, message))
}

fn short(value: Raw<'_>, most: usize, path: Path<'_>) -> Result<(), ApiError> {
    of_type(value, &["string"], path)?;
    too_long(&value.text().unwrap_or_default(), most).map_or(Ok(()), |length| {
        let message =
            format!("Invalid `{path}`: at most {most} characters are taken, got {length}.");
        Err(ApiError::invalid(path, "string_above_max_length", message))
    })
}

/// How many characters a text has, where it has too many.
fn too_long(text: &str, most: usize) -> Option<usize> {
    let length = if text.len() > most { text.chars().count() } else { 0 };
    (length > most).then_some(length)
}

fn one_of(value: Raw<'_>, known: &[&str], path: Path<'_>) -> Result<(), ApiError> {
    of_type(value, &["string"], path)?;
    let text = value.text().unwrap_or_default();
    if known.contains(&&*text) {
        return Ok(());
    }
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let known = known.join(", ");
    let text: String = text.chars().take(QUOTED_CHARS).collect();
    let message = format!("Invalid value for `{path}`: `{text}`. Supported values: {known}.");
    Err(ApiError::invalid(path, "invalid_value", message))
}

/// How much of a value a message quotes, in characters.
const QUOTED_CHARS: usize = 64;

fn strings(
    value: Raw<'_>,
    pairs: usize,
    key_chars: usize,
    value_chars: usize,
    path: Path<'_>,
) -> Result<(), ApiError> {
    of_type(value, &["object"], path)?;
    let members = value.members();
    if members.len() > pairs {
        let message =
            format!("Invalid `{path}`: at most {pairs} pairs are taken, got {}.", members.len());
        return Err(ApiError::invalid(path, "object_above_max_properties", message));
    }
    for (key, value) in members {
        if let Some(length) = too_long(&key, key_chars) {
            let message = format!(
                "Invalid `{path}`: at most {key_chars} characters are taken in a key, got {length}."
            );
            return Err(ApiError::invalid(path, "string_above_max_length", message));
        }
        short(value, value_chars, path.member(&key))?;
    }
    Ok(())
}
