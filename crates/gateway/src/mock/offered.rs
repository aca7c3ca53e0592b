//! The tools that a request offers, under the names a script calls them by, and a call in the form
//! that its tool asks for. In: a request in Chat Completions or Responses form. Out: names, items.

use serde_json::{Value, json};

use super::asked::Asked;
use super::sample::sample;
use super::script::Call;

/// A tool of a request.
#[derive(Debug)]
pub(super) struct Offered {
    /// What a script calls it: `namespace__name`, as Chat has it.
    pub called: String,
    namespace: Option<String>,
    name: String,
    form: Form,
    /// What its arguments have to be.
    parameters: Value,
}

/// What a call of a tool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Function,
    Custom,
    Search,
}

/// The types of tools that can be called, and what a call of one is.
const FORMS: &[(&str, Form)] =
    &[("function", Form::Function), ("custom", Form::Custom), ("tool_search", Form::Search)];

/// All tools of a request, those that its items carry included.
pub(super) fn offered(body: &Value) -> Vec<Offered> {
    let mut tools = Vec::new();
    add(&body["tools"], None, &mut tools);
    for item in body["input"].as_array().into_iter().flatten() {
        add(&item["tools"], None, &mut tools);
    }
    tools
}

fn add(list: &Value, namespace: Option<&str>, tools: &mut Vec<Offered>) {
    for tool in list.as_array().into_iter().flatten() {
        let kind = tool["type"].as_str().unwrap_or_default();
        // Chat has the name one level deeper; the tool search has no other name than its type.
        let named = tool.get("name").or_else(|| tool.get(kind)?.get("name"));
        let name = named.and_then(Value::as_str).unwrap_or(kind);
        if kind == "namespace" {
            add(&tool["tools"], Some(name), tools);
        } else if let Some((_, form)) = FORMS.iter().find(|(known, _)| *known == kind) {
            tools.push(Offered {
                called: namespace.map_or(name.to_owned(), |space| {
                    // Codex 0.130 has the separator at the end of the namespace already.
                    format!("{}__{name}", space.trim_end_matches("__"))
                }),
                namespace: namespace.map(str::to_owned),
                name: name.to_owned(),
                form: *form,
                parameters: parameters(tool, kind).cloned().unwrap_or(Value::Null),
            });
        }
    }
}

fn parameters<'a>(tool: &'a Value, kind: &str) -> Option<&'a Value> {
    tool.get("parameters").or_else(|| tool.get(kind)?.get("parameters"))
}

/// A call of the tool that the user names: of several the one with the longest name. The JSON object
/// that the user writes behind the name is its arguments.
pub(super) fn named(asked: &Asked) -> Option<Call> {
    let found = asked.tools.iter().filter_map(|tool| {
        let names = [&tool.called, &tool.name].into_iter();
        let behind = names.filter_map(|name| behind(&asked.user, name)).next()?;
        Some((tool, behind))
    });
    let (tool, behind) = found.max_by_key(|(tool, _)| tool.name.len())?;
    let object = behind.find('{').and_then(|at| behind.get(at..)).and_then(|text| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        values.next()?.ok()
    });
    Some(Call { name: tool.called.clone(), arguments: object.unwrap_or_default() })
}

/// What stands behind a name that is a word of the text.
fn behind<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(name).filter(|_| !name.is_empty()).find_map(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let behind = rest.strip_prefix(name)?;
        (!before.ends_with(inside) && !behind.starts_with(inside)).then_some(behind)
    })
}

/// A call as an item of the hub. `number`: tells calls apart.
pub(super) fn call_item(call: &Call, tools: &[Offered], number: &str, status: &str) -> Value {
    let tool = tools.iter().find(|tool| tool.called == call.name);
    let form = tool.map_or(Form::Function, |tool| tool.form);
    let given = match (&call.arguments, tool.map(|tool| &tool.parameters)) {
        (Value::Null, Some(parameters)) if parameters.is_object() => sample(parameters),
        (Value::Null, _) if form == Form::Custom => sample(&json!({"type": "string"})),
        (Value::Null, _) => json!({}),
        (given, _) => given.clone(),
    };
    let arguments = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
    let mut item = match form {
        Form::Function => json!({"type": "function_call", "arguments": arguments}),
        Form::Custom => {
            let input = given.get("input").and_then(Value::as_str);
            json!({"type": "custom_tool_call", "input": input.unwrap_or(&arguments)})
        }
        Form::Search => {
            json!({"type": "tool_search_call", "execution": "client", "arguments": given})
        }
    };
    let of_tool = [
        ("name", Some(tool.map_or(&call.name, |tool| &tool.name)).filter(|_| form != Form::Search)),
        ("namespace", tool.and_then(|tool| tool.namespace.as_ref())),
    ];
    let own = [("id", format!("item_mock{number}")), ("call_id", format!("call_mock{number}"))];
    if let Value::Object(members) = &mut item {
        members.insert("status".to_owned(), status.into());
        members.extend(own.map(|(key, text)| (key.to_owned(), text.into())));
        let given = of_tool.into_iter().filter_map(|(key, text)| Some((key, text?)));
        members.extend(given.map(|(key, text)| (key.to_owned(), text.as_str().into())));
    }
    item
}
