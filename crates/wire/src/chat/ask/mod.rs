//! A Chat Completions request as a hub request, written in one pass: texts go over as the literals
//! they came as, numbers keep their digits. What the hub has no parameter for is handed to the
//! caller beside the body, leaves a note, or is refused where leaving it out would change what kind
//! of answer comes.

mod content;
mod history;
mod parameters;
mod tools;

use std::borrow::Cow;
use std::fmt::Display;

use super::stop::StopSequences;
use crate::error::ApiError;
use crate::json::{Malformed, Object, Raw, Reader};
use crate::note::Notes;
use crate::path::Path;
use crate::responses::{missing, wrong_type};

/// How to lift what has more than one form in the hub.
#[derive(Debug, Clone, Copy, Default)]
pub struct LiftOptions {
    /// The leading system and developer messages become `instructions`; else they are items like
    /// those that come later.
    pub instructions: bool,
    /// Reasoning of earlier answers goes back as items; else it is left out with a note. Services
    /// that seal their reasoning refuse any that they have not sealed.
    pub reasoning_items: bool,
    /// Which summary of its reasoning the model is asked for: `auto`, `concise`, `detailed`.
    pub summary: Option<&'static str>,
}

/// A Chat request in the hub's form.
#[derive(Debug, Clone, Default)]
pub struct Lifted {
    /// The body of the hub request.
    pub body: String,
    /// Whether the answer is wanted as a stream.
    pub stream: bool,
    /// Whether that stream is to end with a chunk that holds the usage.
    pub include_usage: bool,
    /// Where the text is to be cut. The hub has no such parameter.
    pub stop: StopSequences,
    /// How many answers are wanted. The hub has no such parameter.
    pub n: u64,
    /// The client has offered custom tools, and knows their calls.
    pub custom_tools: bool,
}

/// The members of the request's body.
struct Asked<'a> {
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
}

/// Reads a Chat Completions request.
///
/// # Errors
/// A 400 that names the parameter at fault, or the one that the hub cannot do.
///
/// ```
/// use latimer_wire::chat::{LiftOptions, lift_request};
/// use latimer_wire::note::Notes;
/// let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"stop":"END"}"#;
/// let lifted = lift_request(body, &LiftOptions::default(), &mut Notes::default())?;
/// assert_eq!(lifted.body, concat!(
///     r#"{"model":"m","input":[{"type":"message","role":"user","content":"Hi"}],"store":false}"#,
/// ));
/// assert!(!lifted.stop.is_empty());
///
/// let body = r#"{"messages":[{"role":"tool","content":"22"}]}"#;
/// let error = lift_request(body, &LiftOptions::default(), &mut Notes::default()).unwrap_err();
/// assert_eq!(error.param.as_deref(), Some("messages[0].tool_call_id"));
/// # Ok::<(), latimer_wire::error::ApiError>(())
/// ```
pub fn lift_request(
    body: &str,
    options: &LiftOptions,
    notes: &mut Notes,
) -> Result<Lifted, ApiError> {
    let asked = Asked::parse(body)?;
    parameters::refuse(&asked)?;
    let mut lifted = parameters::beside(&asked)?;
    let mut out = String::with_capacity(body.len() + 256);
    let mut object = Object::new(&mut out).raw_if("model", asked.given("model"));
    object = history::write(object, &asked, options, notes)?;
    object = tools::write(object, &asked, &mut lifted, notes)?;
    parameters::write(object, &asked, options, notes)?.end();
    parameters::unknown(&asked, notes);
    lifted.body = out;
    Ok(lifted)
}

impl<'a> Asked<'a> {
    fn parse(body: &'a str) -> Result<Self, ApiError> {
        let mut reader = Reader::new(body);
        if reader.peek_value() != Some(b'{') {
            let message = "The body has to be a JSON object, as in {\"model\": \"...\", \
                           \"messages\": [...]}.";
            return Err(ApiError::invalid("", "invalid_json", message));
        }
        let mut members: Vec<(Cow<'a, str>, Raw<'a>)> = Vec::new();
        reader.object(|key, reader| {
            members.push((key, reader.value()?));
            Ok::<(), Malformed>(())
        })?;
        reader.finish()?;
        for (index, (key, _)) in members.iter().enumerate() {
            if members.iter().skip(index + 1).any(|(other, _)| other == key) {
                let message = format!("The parameter `{key}` is given twice.");
                return Err(ApiError::invalid(&**key, "duplicate_parameter", message));
            }
        }
        Ok(Asked { members })
    }

    /// A member that is there and not null.
    fn given(&self, key: &str) -> Option<Raw<'a>> {
        let found = self.members.iter().find(|(name, _)| name == key);
        found.and_then(|(_, value)| value.non_null())
    }
}

/// The parameter has a value that nothing is known of.
fn unsupported(param: impl Display, value: &str, known: &[&str]) -> ApiError {
    let known = known.join("`, `");
    let message = format!("Invalid value for `{param}`: `{value}`. Supported are `{known}`.");
    ApiError::invalid(param.to_string(), "invalid_value", message)
}

/// A member that is there and not null.
fn given<'a>(object: Raw<'a>, key: &str) -> Option<Raw<'a>> {
    object.member(key).and_then(Raw::non_null)
}

/// A string member that has to be there.
fn required<'a>(object: Raw<'a>, key: &str, path: Path<'_>) -> Result<Raw<'a>, ApiError> {
    let param = path.member(key);
    match given(object, key) {
        Some(value) if value.is_string() => Ok(value),
        Some(value) => Err(wrong_type(param, "a string", value)),
        None => Err(missing(param)),
    }
}
