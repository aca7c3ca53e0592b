//! The script's answer as a response of the hub. In: an answer, and the request it answers. Out: a
//! whole response, with what the script leaves to the request filled in: texts it quotes, calls
//! it asks for by name, values after a schema.

use std::borrow::Cow;

use latimer_wire::responses::{self, Envelope, Failure, Snapshot, Status, Usage};
use serde_json::{Value, json};

use super::asked::Asked;
use super::offered;
use super::sample::sample;
use super::script::{Answer, Call};

/// `number` tells answers apart; `created` is when they say they were made, in Unix seconds.
pub(super) fn response(
    answer: &Answer,
    asked: &Asked,
    number: u64,
    created: u64,
) -> responses::Response {
    let status = if answer.incomplete.is_some() { "incomplete" } else { "completed" };
    let named = if answer.call_named { offered::named(asked) } else { None };
    let text = if named.is_some() { None } else { text(answer, asked) };
    let scripted = || answer.calls.iter().map(|scripted| call(scripted, asked)).collect();
    let calls: Vec<Call> = named.map_or_else(scripted, |call| vec![call]);
    let mut output = Vec::new();
    if let Some(reasoning) = &answer.reasoning {
        output.push(json!({"id": format!("rs_mock{number}"), "type": "reasoning",
            "summary": [{"type": "summary_text", "text": reasoning}]}));
    }
    let refusal = answer.refusal.iter().map(|text| json!({"type": "refusal", "refusal": text}));
    let text = text.map(
        |text| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text}),
    );
    let content: Vec<Value> = text.into_iter().chain(refusal).collect();
    if !content.is_empty() {
        output.push(json!({"id": format!("msg_mock{number}"), "type": "message", "status": status,
            "role": "assistant", "content": content}));
    }
    for (index, call) in calls.iter().enumerate() {
        let number = format!("{number}_{index}");
        output.push(offered::call_item(call, &asked.tools, &number, status));
    }
    around(answer, &output, asked, number, created)
}

/// What the answer says, if it says something.
fn text(answer: &Answer, asked: &Asked) -> Option<String> {
    let silent = answer.text.is_none() && answer.calls.is_empty() && answer.refusal.is_none();
    match &asked.schema {
        Some((_, schema)) if answer.structured || silent => Some(sample(schema).to_string()),
        _ => answer.text.as_ref().map(|text| filled(text, asked)),
    }
}

/// A call with the places in its arguments filled.
fn call(scripted: &Call, asked: &Asked) -> Call {
    let arguments = arguments(&scripted.arguments, asked);
    Call { name: scripted.name.clone(), arguments }
}

/// The strings inside arguments with their places filled; arguments that are one string are sent as
/// they are.
fn arguments(scripted: &Value, asked: &Asked) -> Value {
    let inside = |value: &Value| match value {
        Value::String(text) => Value::from(filled(text, asked)),
        other => arguments(other, asked),
    };
    match scripted {
        Value::Array(items) => items.iter().map(inside).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), inside(value))).collect()
        }
        other => other.clone(),
    }
}

/// A text with its places filled; what fills them is not read again, and what has nothing to fill it
/// stays.
fn filled(text: &str, asked: &Asked) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let place = behind.split_once('}');
        match place.and_then(|(name, after)| Some((named(name, asked)?, after))) {
            Some((with, after)) => {
                filled.push_str(&with);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled + rest
}

/// What a place stands for: the last user text, a tool's output, or a member of an output that is
/// JSON, by its pointer (RFC 6901).
fn named<'a>(name: &str, asked: &'a Asked) -> Option<Cow<'a, str>> {
    let output = asked.tool_output.as_deref().unwrap_or_default();
    match name {
        "user" => Some(asked.user.as_str().into()),
        "tool_output" => Some(output.into()),
        _ => {
            let pointer = name.strip_prefix("tool_output").filter(|rest| rest.starts_with('/'))?;
            match serde_json::from_str::<Value>(output).ok()?.pointer(pointer)? {
                Value::String(text) => Some(text.clone().into()),
                other => Some(other.to_string().into()),
            }
        }
    }
}

fn around(
    answer: &Answer,
    output: &[Value],
    asked: &Asked,
    number: u64,
    created: u64,
) -> responses::Response {
    let items: Vec<String> = output.iter().map(Value::to_string).collect();
    let usage = Usage {
        input: answer.input_tokens,
        cached: answer.cached_tokens,
        output: answer.output_tokens,
        reasoning: answer.reasoning_tokens,
        total: answer.input_tokens.saturating_add(answer.output_tokens),
        ..Usage::default()
    };
    let snapshot = Snapshot {
        status: if answer.incomplete.is_some() { Status::Incomplete } else { Status::Completed },
        completed_at: Some(created),
        failure: None::<&Failure>,
        reason: answer.incomplete.as_deref(),
        usage: Some(&usage),
    };
    let request = json!({"model": asked.model, "input": ""}).to_string();
    let request = responses::Request::parse(&request).unwrap_or_default();
    let mut json = String::new();
    Envelope::new(&request, &format!("resp_mock{number}"), created).print(
        &mut json,
        &items.join(","),
        &snapshot,
    );
    responses::Response::parse(json).unwrap_or_default()
}
