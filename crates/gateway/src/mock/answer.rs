//! The script's answer as a response of the hub. In: an answer, and the request it answers. Out: a
//! whole response, with what the script leaves to the request filled in: texts it quotes, calls
//! it asks for by name, values after a schema.

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
    let calls: Vec<&Call> = named.as_ref().map_or(answer.calls.iter().collect(), |call| vec![call]);
    let text = if named.is_some() { None } else { text(answer, asked) };
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
    for (index, call) in calls.into_iter().enumerate() {
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
        _ => answer.text.as_ref().map(|text| {
            let output = asked.tool_output.as_deref().unwrap_or_default();
            filled(text, &[("{user}", &asked.user), ("{tool_output}", output)])
        }),
    }
}

/// A text with its places filled; what fills them is not read again.
fn filled(text: &str, places: &[(&str, &str)]) -> String {
    let next = places.iter().filter_map(|place| Some((text.find(place.0)?, place))).min();
    match next {
        None => text.to_owned(),
        Some((at, (name, with))) => {
            let (before, rest) = text.split_at(at);
            let rest = rest.strip_prefix(name).unwrap_or_default();
            format!("{before}{with}{}", filled(rest, places))
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
