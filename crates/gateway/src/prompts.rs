//! Prompts that an operator keeps and clients name (`prompt`). In: a request that names one, with values
//! for its variables. Out: the request with what the prompt says in it, or an error that names the part
//! of `prompt` at fault. A prompt counts for one request, as instructions do: it leads all that came
//! before, and is not stored.

use std::collections::{BTreeMap, BTreeSet};

use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw, push_string};
use latimer_wire::path::Path;
use latimer_wire::responses::{Item, Request};
use serde::Deserialize;

/// One version of a prompt, as it is configured. In its texts, `{{name}}` stands for a variable.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptConfig {
    /// What a request calls it. The last of a prompt's versions counts where none is named.
    pub version: Option<String>,
    /// The instructions of a request that has none.
    pub instructions: Option<String>,
    /// Messages that come before all others.
    pub messages: Vec<Message>,
    /// Parameters of a request that does not give them: `model`, `temperature`, `tools`, …
    pub parameters: toml::Table,
}

/// A message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `developer`, `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

/// Prompts by their ids, each with its versions.
pub type Prompts = BTreeMap<String, Vec<PromptConfig>>;

/// What a prompt may not settle, since it is the request's own.
const OWN: &[&str] = &[
    "background",
    "conversation",
    "input",
    "instructions",
    "previous_response_id",
    "prompt",
    "store",
    "stream",
];

/// Checks what is configured.
///
/// # Errors
/// In words, with the prompt's id.
pub(crate) fn check(prompts: &Prompts) -> Result<(), String> {
    for (id, versions) in prompts {
        let mut known = BTreeSet::new();
        for prompt in versions {
            if let Some(twice) = prompt.version.as_ref().filter(|version| !known.insert(*version)) {
                return Err(format!("`prompts.{id}` has the version `{twice}` twice"));
            }
            prompt.check().map_err(|why| format!("`prompts.{id}`: {why}"))?;
        }
        if versions.is_empty() {
            return Err(format!("`prompts.{id}` has no version"));
        }
    }
    Ok(())
}

/// A request with a prompt in it.
pub(crate) struct Filled {
    /// Its body.
    body: String,
    /// What leads its input: items, as JSON.
    messages: Vec<String>,
}

/// The request with the prompt that it names, as far as it names one. `text` is its body.
///
/// # Errors
/// 404 for a prompt or a version that is not there, 400 for a variable that is missing, not known or no
/// text.
pub(crate) fn filled(
    prompts: &Prompts,
    request: &Request<'_>,
    text: &str,
) -> Result<Option<Filled>, ApiError> {
    let Some(named) = request.given(PARAMETER) else { return Ok(None) };
    let prompt = find(prompts, named)?;
    let values = values(named)?;
    let known = prompt.variables();
    if let Some(name) = known.iter().find(|name| !values.contains_key(**name)) {
        return Err(wrong_variable(name, "missing_required_parameter", "it has no value"));
    }
    if let Some(name) = values.keys().find(|name| !known.contains(name.as_str())) {
        return Err(wrong_variable(name, "unknown_parameter", "the prompt has no such variable"));
    }
    Ok(Some(prompt.fill(Raw::unchecked(text), &values)))
}

/// The parameter with which a request names a prompt.
pub(crate) const PARAMETER: &str = "prompt";
const PATH: Path<'static> = Path::of(PARAMETER);

type Values = BTreeMap<String, String>;

fn find<'p>(prompts: &'p Prompts, named: Raw<'_>) -> Result<&'p PromptConfig, ApiError> {
    let id = named.member_text("id").ok_or_else(|| {
        let message = "Missing required parameter: `prompt.id`.";
        ApiError::invalid(PATH.member("id"), "missing_required_parameter", message)
    })?;
    let unknown = |param: Path<'_>, what: &str| {
        let what: String = what.chars().take(64).collect();
        let message = format!("Latimer: no prompt `{what}` is kept here (`[[prompts.…]]`).");
        ApiError { status: 404, ..ApiError::invalid(param, "prompt_not_found", message) }
    };
    let versions = prompts.get(&*id).ok_or_else(|| unknown(PATH.member("id"), &id))?;
    let version = named.member("version").and_then(Raw::non_null);
    let version = version.map(|version| version.text().unwrap_or(version.as_str().into()));
    let found = match &version {
        None => versions.last(),
        wanted => versions.iter().find(|prompt| prompt.version.as_deref() == wanted.as_deref()),
    };
    found.ok_or_else(|| {
        let version = version.unwrap_or_default();
        unknown(PATH.member("version"), &format!("{id}` in version `{version}"))
    })
}

/// The values that a request gives: strings, or objects with a text.
fn values(named: Raw<'_>) -> Result<Values, ApiError> {
    let given = named.member("variables").and_then(Raw::non_null);
    let mut values = Values::new();
    for (name, value) in given.map(Raw::members).unwrap_or_default() {
        let part = value.member_text("type").filter(|kind| kind == "input_text");
        let text = value.text().or_else(|| part.and_then(|_| value.member_text("text")));
        let Some(text) = text else {
            let why = "its value has to be a text";
            return Err(wrong_variable(&name, "unsupported_value", why));
        };
        values.insert(name.into_owned(), text.into_owned());
    }
    Ok(values)
}

fn wrong_variable(name: &str, code: &'static str, why: &str) -> ApiError {
    let name: String = name.chars().take(64).collect();
    let variables = PATH.member("variables");
    let param = variables.member(&name);
    ApiError::invalid(param, code, format!("Invalid `{param}`: {why}."))
}

impl PromptConfig {
    fn check(&self) -> Result<(), String> {
        if let Some(own) = self.parameters.keys().find(|key| OWN.contains(&key.as_str())) {
            return Err(format!("`{own}` is for the request to say, not for `parameters`"));
        }
        let body = self.fill(Raw::unchecked(r#"{"input":""}"#), &Values::new());
        let request = body.request().map_err(|error| error.message)?;
        request.check().map_err(|error| error.message)?;
        for (place, message) in self.messages.iter().enumerate() {
            if !["assistant", "developer", "system", "user"].contains(&&*message.role) {
                return Err(format!("`messages[{place}].role` is no role: `{}`", message.role));
            }
        }
        Ok(())
    }

    /// The names of its variables.
    fn variables(&self) -> BTreeSet<&str> {
        let texts = self.messages.iter().map(|message| &message.content).chain(&self.instructions);
        texts.flat_map(|text| pieces(text)).filter_map(Piece::variable).collect()
    }

    fn fill(&self, body: Raw<'_>, values: &Values) -> Filled {
        let mut out = String::new();
        let members = body.members();
        let is_given =
            |name: &str| members.iter().any(|(key, value)| key == name && !value.is_null());
        let kept = members.iter().filter(|(_, value)| !value.is_null());
        let mut object =
            kept.fold(Object::new(&mut out), |object, (key, value)| object.member(key, *value));
        if !is_given("input") {
            object = object.list("input", [(); 0], |_, ()| {});
        }
        if let Some(instructions) = self.instructions.as_ref().filter(|_| !is_given("instructions"))
        {
            object = object.text("instructions", &replaced(instructions, values));
        }
        for (name, value) in self.parameters.iter().filter(|(name, _)| !is_given(name)) {
            object = object.member_with(name, |out| push_json(out, value));
        }
        object.end();
        let message = |message: &Message| {
            let mut out = String::new();
            Object::new(&mut out)
                .text("type", "message")
                .text("role", &message.role)
                .text("content", &replaced(&message.content, values))
                .end();
            out
        };
        Filled { body: out, messages: self.messages.iter().map(message).collect() }
    }
}

impl Filled {
    /// The request, as far as it has a body.
    ///
    /// # Errors
    /// As [`Request::parse`].
    pub fn request(&self) -> Result<Request<'_>, ApiError> {
        Request::parse(&self.body)
    }

    /// The request that is sent, led by the prompt's messages.
    ///
    /// # Errors
    /// When one of them is no item.
    pub fn leading<'a>(&'a self, request: Request<'a>) -> Result<Request<'a>, ApiError> {
        let items = self.messages.iter().map(|message| Item::parse(message, PATH));
        Ok(request.led_by(items.collect::<Result<_, _>>()?))
    }
}

/// A piece of a text.
enum Piece<'t> {
    Plain(&'t str),
    Variable(&'t str),
}

impl<'t> Piece<'t> {
    fn variable(self) -> Option<&'t str> {
        match self {
            Piece::Variable(name) => Some(name),
            Piece::Plain(_) => None,
        }
    }
}

/// A text in pieces. Braces around anything but a name are text.
fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(open) = text.get(from..).and_then(|rest| rest.find("{{")).map(|at| from + at) {
        let inside = text.get(open + 2..).unwrap_or_default();
        let close = inside.find("}}").unwrap_or_default();
        let name = inside.get(..close).unwrap_or_default().trim();
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(is_name) {
            from = open + 2;
            continue;
        }
        pieces.push(Piece::Plain(text.get(..open).unwrap_or_default()));
        pieces.push(Piece::Variable(name));
        text = inside.get(close + 2..).unwrap_or_default();
        from = 0;
    }
    pieces.push(Piece::Plain(text));
    pieces
}

fn replaced(text: &str, values: &Values) -> String {
    let value = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
    let said = pieces(text).into_iter().map(|piece| match piece {
        Piece::Plain(text) => text,
        Piece::Variable(name) => value(name),
    });
    said.collect()
}

/// A value of the configuration as JSON.
fn push_json(out: &mut String, value: &toml::Value) {
    match value {
        toml::Value::String(text) => push_string(out, text),
        toml::Value::Integer(number) => out.push_str(&number.to_string()),
        toml::Value::Float(number) => out.push_str(&number.to_string()),
        toml::Value::Boolean(flag) => out.push_str(&flag.to_string()),
        toml::Value::Datetime(time) => push_string(out, &time.to_string()),
        toml::Value::Array(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                push_json(out, value);
            }
            out.push(']');
        }
        toml::Value::Table(members) => {
            let object = members.iter().fold(Object::new(out), |object, (key, value)| {
                object.member_with(key, |out| push_json(out, value))
            });
            object.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_replaced_once_and_braces_stay() {
        let values: Values =
            [("a", "{{b}}"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, said) in [
            ("{{a}} and {{ b }}", "{{b}} and 2"),
            ("{\"x\": {{}} }", "{\"x\": {{}} }"),
            ("{{not a name}} {{b}}", "{{not a name}} 2"),
            ("{{open {{b}}", "{{open 2"),
            ("{{", "{{"),
        ] {
            assert_eq!(replaced(text, &values), said);
        }
    }
}
