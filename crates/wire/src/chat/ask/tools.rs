//! The tools of a Chat request, and which of them the model may or must call, as the hub has them:
//! one level flatter.

use super::{Asked, Lifted, given, missing, required, unsupported, wrong_type};
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::note::Notes;
use crate::path::Path;

const KINDS: &[&str] = &["function", "custom"];
const CHOICES: &[&str] = &["none", "auto", "required"];

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
pub(super) fn write<'o>(
    mut object: Object<'o>,
    asked: &Asked<'_>,
    lifted: &mut Lifted,
    notes: &mut Notes,
) -> Result<Object<'o>, ApiError> {
    let mut tools: Vec<String> = Vec::new();
    for (index, tool) in list(asked, "tools")?.into_iter().enumerate() {
        tools.push(tool_of(tool, Path::TOOLS.index(index), lifted)?);
    }
    for (index, function) in list(asked, "functions")?.into_iter().enumerate() {
        let mut tool = String::new();
        push_function(&mut tool, function, Path::of("functions").index(index))?;
        tools.push(tool);
    }
    if let Some(options) = asked.given("web_search_options") {
        let mut tool = String::new();
        push_web_search(&mut tool, options);
        tools.push(tool);
    }
    if !tools.is_empty() {
        object = object.list("tools", &tools, |out, tool| out.push_str(tool));
    }
    let choice = match (asked.given("tool_choice"), asked.given("function_call")) {
        (Some(choice), _) => Some(choice_of(choice)?),
        (None, Some(choice)) => Some(legacy_choice(choice)?),
        (None, None) => None,
    };
    match choice {
        Some(choice) if !tools.is_empty() => {
            object = object.raw("tool_choice", Raw::trusted(&choice));
        }
        Some(choice) if !matches!(&*choice, "\"auto\"" | "\"none\"") => {
            notes.add("parameter_dropped", "tool_choice without tools");
        }
        _ => {}
    }
    Ok(object.raw_if("parallel_tool_calls", asked.given("parallel_tool_calls")))
}

fn list<'a>(asked: &Asked<'a>, name: &str) -> Result<Vec<Raw<'a>>, ApiError> {
    match asked.given(name) {
        None => Ok(Vec::new()),
        Some(list) if list.is_array() => Ok(list.elements()),
        Some(other) => Err(wrong_type(name, "an array", other)),
    }
}

fn tool_of(tool: Raw<'_>, path: Path<'_>, lifted: &mut Lifted) -> Result<String, ApiError> {
    if !tool.is_object() {
        return Err(wrong_type(path, "an object", tool));
    }
    let kind = required(tool, "type", path)?.text().unwrap_or_default();
    if !KINDS.contains(&&*kind) {
        return Err(unsupported(path.member("type"), &kind, KINDS));
    }
    let path = path.member(&kind);
    let inner = given(tool, &kind).ok_or_else(|| missing(path))?;
    let mut out = String::new();
    if kind == "custom" {
        lifted.custom_tools = true;
        push_custom(&mut out, inner, path)?;
    } else {
        push_function(&mut out, inner, path)?;
    }
    Ok(out)
}

/// A function. `strict` is said, since where it is not, it means no in Chat and yes in the hub.
fn push_function(out: &mut String, function: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
    let name = required(function, "name", path)?;
    Object::new(out)
        .text("type", "function")
        .raw("name", name)
        .raw_if("description", given(function, "description"))
        .raw("parameters", given(function, "parameters").unwrap_or(Raw::NULL))
        .raw("strict", given(function, "strict").unwrap_or(Raw::trusted("false")))
        .end();
    Ok(())
}

fn push_custom(out: &mut String, custom: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
    let name = required(custom, "name", path)?;
    let object = Object::new(out)
        .text("type", "custom")
        .raw("name", name)
        .raw_if("description", given(custom, "description"));
    let format = given(custom, "format");
    match format.and_then(|format| given(format, "grammar")) {
        Some(grammar) => object
            .with("format", |out| {
                Object::new(out)
                    .text("type", "grammar")
                    .raw_if("syntax", given(grammar, "syntax"))
                    .raw_if("definition", given(grammar, "definition"))
                    .end();
            })
            .end(),
        None => object.raw_if("format", format).end(),
    }
    Ok(())
}

/// The search that the service itself runs is a tool like others in the hub.
fn push_web_search(out: &mut String, options: Raw<'_>) {
    let mut object = Object::new(out)
        .text("type", "web_search")
        .raw_if("search_context_size", given(options, "search_context_size"));
    let location = given(options, "user_location");
    if let Some(place) = location.and_then(|location| given(location, "approximate")) {
        object = object.with("user_location", |out| {
            let mut object = Object::new(out).text("type", "approximate");
            for (key, value) in place.members() {
                object = object.member(&key, value);
            }
            object.end();
        });
    }
    object.end();
}

fn choice_of(choice: Raw<'_>) -> Result<String, ApiError> {
    const PATH: Path<'static> = Path::of("tool_choice");
    if let Some(word) = choice.text() {
        return match CHOICES.contains(&&*word) {
            true => Ok(choice.as_str().to_owned()),
            false => Err(unsupported(PATH, &word, CHOICES)),
        };
    }
    if !choice.is_object() {
        return Err(wrong_type(PATH, "a string or an object", choice));
    }
    let mut out = String::new();
    match &*required(choice, "type", PATH)?.text().unwrap_or_default() {
        "allowed_tools" => push_allowed(&mut out, choice)?,
        _ => push_named(&mut out, choice, PATH)?,
    }
    Ok(out)
}

/// A tool that is named in a choice.
fn push_named(out: &mut String, tool: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
    let kind = required(tool, "type", path)?;
    if !KINDS.contains(&kind.inner()) {
        return Err(unsupported(path.member("type"), kind.inner(), KINDS));
    }
    let path = path.member(kind.inner());
    let inner = given(tool, kind.inner()).ok_or_else(|| missing(path))?;
    Object::new(out).raw("type", kind).raw("name", required(inner, "name", path)?).end();
    Ok(())
}

fn push_allowed(out: &mut String, choice: Raw<'_>) -> Result<(), ApiError> {
    const CHOICE: Path<'static> = Path::of("tool_choice");
    let path = CHOICE.member("allowed_tools");
    let allowed = given(choice, "allowed_tools").ok_or_else(|| missing(path))?;
    let mode = required(allowed, "mode", path)?;
    let path = path.member("tools");
    let tools = given(allowed, "tools").ok_or_else(|| missing(path))?;
    let mut named = Vec::new();
    for (index, tool) in tools.elements().into_iter().enumerate() {
        let mut out = String::new();
        push_named(&mut out, tool, path.index(index))?;
        named.push(out);
    }
    Object::new(out)
        .text("type", "allowed_tools")
        .raw("mode", mode)
        .list("tools", named, |out, tool| out.push_str(&tool))
        .end();
    Ok(())
}

/// The choice as it was said before there were tools.
fn legacy_choice(choice: Raw<'_>) -> Result<String, ApiError> {
    if choice.is_string() {
        return choice_of(choice);
    }
    let name = required(choice, "name", Path::of("function_call"))?;
    let mut out = String::new();
    Object::new(&mut out).text("type", "function").raw("name", name).end();
    Ok(out)
}
