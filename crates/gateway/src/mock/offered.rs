//! The tools that a request offers, under the names a script calls them by, and a call in the form
//! that its tool asks for. In: a request in Chat Completions or Responses form. Out: names, items.

use serde_json::{Value, json};

use super::script::Call;

/// A tool of a request.
#[derive(Debug)]
pub(super) struct Offered {
    /// What a script calls it: `namespace__name`, as Chat has it.
    pub called: String,
    namespace: Option<String>,
    name: String,
    form: Form,
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
            });
        }
    }
}

/// A call as an item of the hub. `number`: tells calls apart.
pub(super) fn call_item(call: &Call, tools: &[Offered], number: &str, status: &str) -> Value {
    let tool = tools.iter().find(|tool| tool.called == call.name);
    let arguments = match &call.arguments {
        Value::String(text) => text.clone(),
        Value::Null => "{}".to_owned(),
        table => table.to_string(),
    };
    let form = tool.map_or(Form::Function, |tool| tool.form);
    let mut item = match form {
        Form::Function => json!({"type": "function_call", "arguments": arguments}),
        Form::Custom => {
            let input = call.arguments.get("input").and_then(Value::as_str);
            json!({"type": "custom_tool_call", "input": input.unwrap_or(&arguments)})
        }
        Form::Search => {
            json!({"type": "tool_search_call", "execution": "client", "arguments": call.arguments})
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
