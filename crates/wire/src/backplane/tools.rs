//! Tools of the hub as tool definitions of the contract, and back; and the way back from the name a
//! backend calls to the tool that the client offered.

use std::collections::BTreeMap;

use super::contract::{Json, Members};
use super::conversation::IrToolDefinition;
use super::same::same;
use crate::json::Raw;
use crate::path::Path;
use crate::responses::{Request, Status, Tool};

/// A tool as the contract says it; what it leaves out is in the metadata: the members that are not
/// said (`tool`), or all of a tool that is no function (`raw`).
pub(super) fn lower(tool: &Tool<'_>) -> IrToolDefinition {
    const SAID: &[&str] = &["name", "description", "parameters"];
    let members = tool.members();
    let text = |key| tool.member(key).and_then(Raw::text).unwrap_or_default().into_owned();
    let parameters = tool.member("parameters").filter(|parameters| parameters.is_object());
    let rest = Json::object(|object| {
        let is_rest =
            |key: &str| !SAID.contains(&key) && (key, &*tool.kind) != ("type", "function");
        let rest = members.iter().filter(|(key, _)| is_rest(key));
        rest.fold(object, |object, (key, value)| object.member(key, *value))
    });
    let definition = IrToolDefinition {
        name: tool.name().into_owned(),
        description: text("description"),
        parameters: parameters.map_or_else(|| Json::object(|object| object), Json::from),
        metadata: match rest.raw().as_str() {
            "{}" => Members::new(),
            _ => Members::from([("tool".to_owned(), rest)]),
        },
        rest: Members::new(),
    };
    let all = Json::object(|object| {
        members.iter().fold(object, |object, (key, value)| object.member(key, *value))
    });
    match same(lift(&definition).raw(), all.raw()) {
        true => definition,
        false => {
            IrToolDefinition { metadata: Members::from([("raw".to_owned(), all)]), ..definition }
        }
    }
}

/// The tool that a definition says.
pub(super) fn lift(definition: &IrToolDefinition) -> Json {
    if let Some(raw) = definition.metadata.get("raw") {
        return raw.clone();
    }
    let rest = definition.metadata.get("tool").map(|rest| rest.raw().members()).unwrap_or_default();
    Json::object(|object| {
        let object = match rest.iter().any(|(key, _)| key == "type") {
            true => object,
            false => object.text("type", "function"),
        };
        let object = object.text("name", &definition.name);
        let object = match definition.description.as_str() {
            "" => object,
            description => object.text("description", description),
        };
        let object = object.raw("parameters", definition.parameters.raw());
        rest.iter().fold(object, |object, (key, value)| object.member(key, *value))
    })
}

/// The tools that a client offered, by the names under which they may be called.
#[derive(Debug, Clone, Default)]
pub struct Offered {
    tools: BTreeMap<String, OfferedTool>,
}

/// A tool that a client offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OfferedTool {
    pub name: String,
    pub namespace: Option<String>,
    /// Called with a text instead of arguments.
    pub is_custom: bool,
}

impl Offered {
    /// The tools of a request. A tool in a namespace is found as `namespace.name`, and as `name`
    /// where no other is called so.
    pub fn of(request: &Request<'_>) -> Self {
        let mut offered = Offered::default();
        for tool in request.tools() {
            if tool.kind != "namespace" {
                offered.add(&tool, None);
                continue;
            }
            let inner =
                tool.inner().into_iter().filter_map(|inner| Tool::of(inner, Path::TOOLS).ok());
            inner.for_each(|inner| offered.add(&inner, Some(&tool.name())));
        }
        offered
    }

    fn add(&mut self, tool: &Tool<'_>, namespace: Option<&str>) {
        if !matches!(&*tool.kind, "function" | "custom") {
            return;
        }
        let found = OfferedTool {
            name: tool.name().into_owned(),
            namespace: namespace.map(str::to_owned),
            is_custom: tool.kind == "custom",
        };
        if let Some(namespace) = namespace {
            self.tools.insert(format!("{namespace}.{}", found.name), found.clone());
            self.tools.entry(found.name.clone()).or_insert(found);
        } else {
            self.tools.insert(found.name.clone(), found);
        }
    }

    /// The tool of this name.
    pub(super) fn find(&self, name: &str) -> Option<&OfferedTool> {
        self.tools.get(name)
    }
}

/// A call of an offered tool as an item of the hub.
pub(super) fn call_item(tool: &OfferedTool, call_id: &str, input: Raw<'_>) -> Json {
    Json::object(|object| {
        let kind = if tool.is_custom { "custom_tool_call" } else { "function_call" };
        let object = object.text("type", kind).text("status", Status::Completed.name());
        let object = object.text("call_id", call_id).text("name", &tool.name);
        let object = match &tool.namespace {
            Some(namespace) => object.text("namespace", namespace),
            None => object,
        };
        match tool.is_custom {
            true => {
                let text = input.text().or_else(|| input.member_text("input"));
                object.text("input", text.as_deref().unwrap_or(input.as_str()))
            }
            false => object.text("arguments", input.as_str()),
        }
    })
}
