//! The tools of a hub request as a Chat backend takes them. In: the request's tools, those inside
//! its `additional_tools` items and those a tool search has found. Out: `tools`, `tool_choice`, and
//! the [`Toolbox`] that finds the way back.

use std::ops::Range;

use super::freeform;
use super::profile::{HostedTools, Profile};
use super::toolbox::{Becomes, Known, Toolbox, push_schema};
use crate::error::ApiError;
use crate::json::{Node, Object, Raw, push_string, push_unquoted};
use crate::note::Notes;
use crate::path::Path;
use crate::responses::{Request, Tool, missing};

/// Input items that carry tools.
const CARRIERS: &[&str] = &["additional_tools", "tool_search_output"];

/// What a tool choice can be in one word.
const MODES: &[&str] = &["none", "auto", "required"];

/// The name of the function that stands for the tool search.
pub(super) const SEARCH: &str = "tool_search";

/// What is sent, each definition already written.
pub(super) struct Tools {
    pub toolbox: Toolbox,
    /// All definitions, one after the other.
    written: String,
    /// Name towards the backend, and where its definition is written.
    definitions: Vec<(String, Range<usize>)>,
    /// `web_search_options`, where the backend runs the search itself.
    web_search: Option<String>,
}

impl Tools {
    /// Reads all tools of a request.
    ///
    /// # Errors
    /// A 400 that names the tool, where it is not right or the profile refuses it.
    pub fn collect(
        request: &Request<'_>,
        profile: &Profile,
        notes: &mut Notes,
    ) -> Result<Self, ApiError> {
        let given = request.given("tools").map_or(0, |tools| tools.as_str().len());
        let mut tools = Tools {
            toolbox: Toolbox::default(),
            written: String::with_capacity(given + given / 8),
            definitions: Vec::new(),
            web_search: None,
        };
        for (index, tool) in request.tools().enumerate() {
            tools.add(&tool, None, Path::TOOLS.index(index), profile, notes)?;
        }
        for (place, item) in request.input.iter().enumerate() {
            if !CARRIERS.contains(&&*item.kind) {
                continue;
            }
            let item_path = request.place(place);
            let carried = item_path.member("tools");
            let list = item.node("tools").map(Node::elements).unwrap_or_default();
            for (index, tool) in list.into_iter().enumerate() {
                let path = carried.index(index);
                tools.add(&Tool::of(tool, path)?, None, path, profile, notes)?;
            }
        }
        tools.check_choice(request)?;
        Ok(tools)
    }

    /// Checks that the tool choice is one, and that a tool that has to be called is there.
    fn check_choice(&self, request: &Request<'_>) -> Result<(), ApiError> {
        let Some(choice) = request.given("tool_choice") else { return Ok(()) };
        let invalid = |found: &str| {
            let message = format!("Invalid value for `tool_choice`: {found}.");
            Err(ApiError::invalid("tool_choice", "invalid_value", message))
        };
        if let Some(mode) = choice.text() {
            return match MODES.contains(&&*mode) {
                true => Ok(()),
                false => invalid(&format!("`{mode}` is none of {}", MODES.join(", "))),
            };
        }
        match choice.member_text("type").as_deref() {
            None => Err(missing("tool_choice.type")),
            Some("function" | "custom") if choice.member_text("name").is_none() => {
                Err(missing("tool_choice.name"))
            }
            Some("function" | "custom") => {
                let wire = wire_name(choice, &self.toolbox);
                match self.definitions.iter().any(|(name, _)| *name == wire) {
                    true => Ok(()),
                    false => invalid(&format!("`{wire}` is not among the tools")),
                }
            }
            Some(_) => Ok(()),
        }
    }

    fn add(
        &mut self,
        tool: &Tool<'_>,
        namespace: Option<&str>,
        path: Path<'_>,
        profile: &Profile,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        match (&*tool.kind, namespace) {
            ("function", _) => {
                let known = named(tool, namespace, path, Becomes::Function)?;
                self.define(known, notes, |out, wire| push_function(out, wire, tool, profile));
            }
            ("custom", _) if profile.custom_tools => {
                let known = named(tool, namespace, path, Becomes::Custom)?;
                self.define(known, notes, |out, wire| push_custom(out, wire, tool));
            }
            ("custom", _) => {
                let known = named(tool, namespace, path, Becomes::CustomInFunction)?;
                self.define(known, notes, |out, wire| push_freeform(out, wire, tool));
            }
            ("namespace", None) => {
                let name = required_name(tool, path)?;
                if tool.member("description").is_some_and(|words| !words.inner().is_empty()) {
                    notes.add("description_dropped", format!("namespace {name}"));
                }
                let inside = path.member("tools");
                for (index, inner) in tool.inner().into_iter().enumerate() {
                    let path = inside.index(index);
                    self.add(&Tool::of(inner, path)?, Some(&name), path, profile, notes)?;
                }
            }
            ("tool_search", None) if tool.member("execution").map(Raw::inner) == Some("client") => {
                let name = SEARCH.to_owned();
                let known = Known { becomes: Becomes::Search, namespace: None, name };
                self.define(known, notes, |out, wire| push_function(out, wire, tool, profile));
            }
            _ => self.hosted(tool, path, profile, notes)?,
        }
        Ok(())
    }

    /// Adds a definition; a tool that is there already is not sent twice.
    fn define(&mut self, known: Known, notes: &mut Notes, write: impl FnOnce(&mut String, &str)) {
        let wire = match self.toolbox.add(known) {
            Ok(wire) => wire,
            Err(known) => return notes.add("tool_repeated", known.name),
        };
        let from = self.written.len();
        write(&mut self.written, &wire);
        self.definitions.push((wire, from..self.written.len()));
    }

    /// A tool that the service would run itself.
    fn hosted(
        &mut self,
        tool: &Tool<'_>,
        path: Path<'_>,
        profile: &Profile,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        match profile.hosted_tools {
            HostedTools::Refuse => {
                let message = format!(
                    "The backend has no tool of the type `{}` (`{path}`). Leave it out.",
                    tool.kind
                );
                return Err(ApiError::invalid(path, "unsupported_tool", message));
            }
            HostedTools::Native if tool.kind.starts_with("web_search") => {
                let mut options = String::new();
                let given = |key| tool.member(key).and_then(Raw::non_null);
                let location = given("user_location");
                let mut object = Object::new(&mut options)
                    .raw_if("search_context_size", given("search_context_size"));
                if let Some(location) = location {
                    object = object.with("user_location", |out| push_location(out, location));
                }
                object.end();
                self.web_search = Some(options);
            }
            HostedTools::Native | HostedTools::Drop => {
                notes.add("tool_dropped", format!("{} ({})", tool.name(), tool.kind));
            }
        }
        Ok(())
    }

    /// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
    pub fn write<'o>(
        &self,
        mut object: Object<'o>,
        request: &Request<'_>,
        profile: &Profile,
        notes: &mut Notes,
    ) -> Object<'o> {
        if let Some(options) = &self.web_search {
            object = object.raw("web_search_options", Raw::trusted(options));
        }
        let choice = Choice::of(request.given("tool_choice"), &self.toolbox, notes);
        let all = profile.allowed_tools;
        let sent = self.definitions.iter().filter(|(wire, _)| all || choice.allows(wire));
        let sent: Vec<_> = sent.filter_map(|(_, place)| self.written.get(place.clone())).collect();
        if sent.is_empty() {
            if matches!(&choice, Choice::One(_)) || choice.mode() == Some("required") {
                notes.add("tool_choice_dropped", "no tool is left to choose");
            }
            return object;
        }
        object = object.list("tools", sent, |out, definition| out.push_str(definition));
        object = match &choice {
            Choice::Unsaid => object,
            Choice::Among(mode, names) if all => object.with("tool_choice", |out| {
                let write = |out: &mut String| {
                    Object::new(out)
                        .text("mode", mode)
                        .list("tools", names, |out, wire| self.push_choice(out, wire))
                        .end();
                };
                Object::new(out).text("type", "allowed_tools").with("allowed_tools", write).end();
            }),
            Choice::Mode(mode) | Choice::Among(mode, _) => {
                object.with("tool_choice", |out| push_string(out, mode))
            }
            Choice::One(wire) => object.with("tool_choice", |out| self.push_choice(out, wire)),
        };
        let parallel = request.given("parallel_tool_calls");
        if !profile.refused.contains(&"parallel_tool_calls") {
            return object.raw_if("parallel_tool_calls", parallel);
        }
        if parallel.and_then(Raw::boolean) == Some(false) {
            notes.add(
                "parameter_dropped",
                format!("parallel_tool_calls (profile {})", profile.name),
            );
        }
        object
    }

    /// Appends a tool as one that is chosen.
    fn push_choice(&self, out: &mut String, wire: &str) {
        let custom = self.toolbox.find(wire).map(|known| known.becomes) == Some(Becomes::Custom);
        let kind = if custom { "custom" } else { "function" };
        let name = |out: &mut String| Object::new(out).text("name", wire).end();
        Object::new(out).text("type", kind).with(kind, name).end();
    }
}

/// Which tools the model may or must call.
enum Choice {
    Unsaid,
    /// `none`, `auto`, `required`.
    Mode(String),
    /// This one.
    One(String),
    /// As the mode says, but only these: the others are not sent.
    Among(String, Vec<String>),
}

impl Choice {
    fn of(choice: Option<Raw<'_>>, toolbox: &Toolbox, notes: &mut Notes) -> Choice {
        let Some(choice) = choice else { return Choice::Unsaid };
        if let Some(mode) = choice.text() {
            return Choice::Mode(mode.into_owned());
        }
        match choice.member_text("type").as_deref() {
            Some("function" | "custom") => Choice::One(wire_name(choice, toolbox)),
            Some("allowed_tools") => {
                let mode = choice.member_text("mode").unwrap_or("auto".into()).into_owned();
                let tools = choice.member("tools").map(Raw::elements).unwrap_or_default();
                let names = tools.into_iter().map(|tool| wire_name(tool, toolbox));
                Choice::Among(mode, names.collect())
            }
            kind => {
                notes.add("tool_choice_dropped", kind.unwrap_or("without a type"));
                Choice::Unsaid
            }
        }
    }

    fn mode(&self) -> Option<&str> {
        match self {
            Choice::Mode(mode) | Choice::Among(mode, _) => Some(mode),
            Choice::Unsaid | Choice::One(_) => None,
        }
    }

    fn allows(&self, wire: &str) -> bool {
        match self {
            Choice::Among(_, names) => names.iter().any(|name| name == wire),
            _ => true,
        }
    }
}

/// What a tool that is chosen by name is called towards the backend.
fn wire_name(tool: Raw<'_>, toolbox: &Toolbox) -> String {
    let name = tool.member_text("name").unwrap_or_default();
    toolbox.called(tool.member_text("namespace").as_deref(), &name).into_owned()
}

fn required_name(tool: &Tool<'_>, path: Path<'_>) -> Result<String, ApiError> {
    match tool.member("name").and_then(Raw::text).filter(|name| !name.is_empty()) {
        Some(name) => Ok(name.into_owned()),
        None => Err(missing(path.member("name"))),
    }
}

fn named(
    tool: &Tool<'_>,
    namespace: Option<&str>,
    path: Path<'_>,
    becomes: Becomes,
) -> Result<Known, ApiError> {
    let name = required_name(tool, path)?;
    Ok(Known { becomes, namespace: namespace.map(str::to_owned), name })
}

fn push_function(out: &mut String, wire: &str, tool: &Tool<'_>, profile: &Profile) {
    let given = |key| tool.member(key).and_then(Raw::non_null);
    Object::new(out)
        .text("type", "function")
        .with("function", |out| {
            let mut function =
                Object::new(out).text("name", wire).raw_if("description", given("description"));
            if let Some(parameters) = given("parameters") {
                function = function.with("parameters", |out| {
                    push_schema(out, parameters, profile.schema_refused);
                });
            }
            function.raw_if("strict", given("strict")).end();
        })
        .end();
}

/// A freeform tool as the backend's own.
fn push_custom(out: &mut String, wire: &str, tool: &Tool<'_>) {
    let format = tool.member("format").filter(|format| format.is_object());
    Object::new(out)
        .text("type", "custom")
        .with("custom", |out| {
            let custom = Object::new(out)
                .text("name", wire)
                .raw_if("description", tool.member("description").and_then(Raw::non_null));
            match format {
                Some(format) if format.member("definition").is_some() => custom
                    .with("format", |out| {
                        Object::new(out)
                            .text("type", "grammar")
                            .with("grammar", |out| {
                                Object::new(out)
                                    .raw_if("syntax", format.member("syntax"))
                                    .raw_if("definition", format.member("definition"))
                                    .end();
                            })
                            .end();
                    })
                    .end(),
                format => custom.raw_if("format", format).end(),
            }
        })
        .end();
}

/// A freeform tool as a function with one string; what its grammar wants is said in words.
fn push_freeform(out: &mut String, wire: &str, tool: &Tool<'_>) {
    let mut description = String::from("\"");
    description.push_str(tool.member("description").map(Raw::inner).unwrap_or_default());
    let format = tool.member("format").unwrap_or(Raw::NULL);
    if let Some(definition) = format.member("definition") {
        let syntax = format.member_text("syntax").unwrap_or_default();
        let break_between = if description.len() > 1 { "\n\n" } else { "" };
        let words = format!("{break_between}The input has to match this grammar ({syntax}):\n");
        push_unquoted(&mut description, &words);
        description.push_str(definition.inner());
    }
    description.push('"');
    let description = Some(Raw::trusted(&description)).filter(|text| !text.inner().is_empty());
    Object::new(out)
        .text("type", "function")
        .with("function", |out| {
            Object::new(out)
                .text("name", wire)
                .raw_if("description", description)
                .raw("parameters", Raw::trusted(freeform::PARAMETERS))
                .end();
        })
        .end();
}

/// Where the user is: flat in the hub, one level deeper in Chat.
fn push_location(out: &mut String, location: Raw<'_>) {
    Object::new(out)
        .text("type", "approximate")
        .with("approximate", |out| {
            let mut object = Object::new(out);
            for key in ["city", "country", "region", "timezone"] {
                object = object.raw_if(key, location.member(key).and_then(Raw::non_null));
            }
            object.end();
        })
        .end();
}
