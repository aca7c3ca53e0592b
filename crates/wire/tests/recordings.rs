//! Streams recorded from real services, read from beside the project and skipped where they are not
//! there. Every event keeps its value, every stream folds to its own snapshot and follows the
//! grammar, every chat stream is lifted to what its chunks say. What is known to differ stands in a
//! table with its reason; a row that no longer holds fails too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test")]

mod common;

use std::num::NonZeroUsize;

use common::{
    Said, fold, frames, lift, parse, printed, recordings, streams, terminal, value, violations,
};
use latimer_wire::json::Raw;
use latimer_wire::responses::{Response, unfold};
use serde_json::{Value, json};

#[test]
fn recorded_events_keep_every_byte_of_their_values() {
    for (name, text) in recordings("responses") {
        for event in streams(&name, &text).concat() {
            let mut out = String::new();
            parse(&event).print(&mut out);
            let [before, after] = [&event, &out].map(|text| {
                let mut members = Raw::parse(text).unwrap().members();
                members.sort_unstable_by(|one, other| one.0.cmp(&other.0));
                members
            });
            assert_eq!(before, after, "{name}");
            assert_eq!(value(&out), value(&event), "{name}");
        }
    }
}

/// Where the finished items differ from the output of the snapshot: file, stream, path, reason.
const DIFFERENCES: &[(&str, usize, &str, &str)] = &[(
    "openai-reasoning-encrypted-content.1.jsonl",
    0,
    "/output/0/encrypted_content",
    "the service encrypts the same content anew for each event",
)];

#[test]
fn recorded_streams_fold_to_their_snapshots() {
    for (name, text) in recordings("responses") {
        for (number, mut stream) in streams(&name, &text).into_iter().enumerate() {
            let mut snapshot = terminal(&stream);
            assert_eq!(fold(&stream)["id"], snapshot["id"], "{name}");
            let empty = snapshot["output"].as_array().unwrap().is_empty();
            if !empty {
                assert_eq!(fold(&stream), snapshot, "{name}");
            }
            let mut last = value(stream.last().unwrap());
            last["response"]["output"] = json!([]);
            *stream.last_mut().unwrap() = last.to_string();
            let mut folded = fold(&stream);
            for (.., path, _) in DIFFERENCES.iter().filter(|row| row.0 == name && row.1 == number) {
                assert_ne!(folded.pointer(path), snapshot.pointer(path), "{name} {path}");
                *folded.pointer_mut(path).unwrap() = snapshot.pointer(path).unwrap().clone();
            }
            if empty {
                // A hand-made stream, or one that failed: the items are all there is.
                snapshot["output"] = folded["output"].clone();
            }
            assert_eq!(folded, snapshot, "{name} stream {number}");
        }
    }
}

#[test]
fn recorded_responses_unfold_and_fold() {
    for (name, text) in recordings("responses") {
        for stream in streams(&name, &text) {
            let snapshot = terminal(&stream);
            let response = Response::parse(snapshot.to_string()).unwrap();
            let events = printed(|sink| unfold(&response, NonZeroUsize::new(7).unwrap(), sink));
            assert_eq!(violations(&events), vec![], "{name}");
            assert_eq!(fold(&events), snapshot, "{name}");
        }
    }
}

/// Where recorded streams break the grammar: file, event, what it breaks, why.
type Deviation = (&'static str, &'static str, &'static str, &'static str);

const DEVIATIONS: &[Deviation] = &[
    (
        "openai-custom-tool.1.jsonl",
        "response.output_item.done",
        "its item is not at a stage where it may come",
        "edited by hand: no sequence numbers, and the end of the input was left out",
    ),
    ("openai-phase.1.jsonl", "response.output_text.done", NUMBER, "trimmed: most deltas left out"),
    (
        "openai-phase.1.jsonl",
        "response.output_item.added",
        "its output index is not the next one",
        "trimmed: the reasoning between the two messages left out",
    ),
    ("openai-phase.1.jsonl", "response.output_text.done", NUMBER, "trimmed: most deltas left out"),
];

const NUMBER: &str = "its sequence number is not the next one";

#[test]
fn recorded_streams_follow_the_grammar() {
    for (name, text) in recordings("responses") {
        let known: Vec<_> = DEVIATIONS.iter().filter(|row| row.0 == name).collect();
        let found: Vec<_> = streams(&name, &text).iter().flat_map(violations).collect();
        let found: Vec<_> =
            found.iter().map(|found| (&*found.event, found.reason.to_string())).collect();
        let known: Vec<_> = known.iter().map(|row| (row.1, row.2.to_owned())).collect();
        assert_eq!(found, known, "{name}");
    }
}

/// What the chunks of a stream say, read in the plainest way there is; status, usage beside.
fn said(chunks: &[Value]) -> (Said, &'static str, Value) {
    let (mut said, mut finish, mut usage) = (Said::default(), Value::Null, Value::Null);
    for chunk in chunks {
        if chunk["usage"].is_object() {
            usage = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        if choice["finish_reason"].is_string() {
            finish = choice["finish_reason"].clone();
        }
        let delta = &choice["delta"];
        let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        said.text += &string(&delta["content"]);
        said.refusal += &string(&delta["refusal"]);
        said.reasoning += &string(&delta["reasoning_content"]);
        for part in delta["content"].as_array().into_iter().flatten() {
            said.text += &string(&part["text"]);
            for thought in part["thinking"].as_array().into_iter().flatten() {
                said.reasoning += &string(&thought["text"]);
            }
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().unwrap_or_default() as usize;
            said.calls.resize(said.calls.len().max(index + 1), Default::default());
            let place = &mut said.calls[index];
            if place[0].is_empty() {
                place[0] = string(&call["id"]);
            }
            place[1] += &string(&call["function"]["name"]);
            place[2] += &string(&call["function"]["arguments"]);
        }
    }
    // One service numbers the calls by content block, so that the first may have index 1.
    said.calls.retain(|call| *call != <[String; 3]>::default());
    let status = match finish.as_str() {
        Some("stop" | "tool_calls") => "completed",
        Some("length" | "content_filter") => "incomplete",
        _ => "failed",
    };
    let tokens = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    // Where the total says so, reasoning was not counted as output; the hub counts it as such.
    let reasoning = tokens("/completion_tokens_details/reasoning_tokens");
    let apart = tokens("/total_tokens") - tokens("/prompt_tokens") - tokens("/completion_tokens");
    let reasoning_apart = if apart == reasoning { reasoning } else { 0 };
    let usage = json!({
        "input_tokens": tokens("/prompt_tokens"),
        "input_tokens_details": {
            "cached_tokens": tokens("/prompt_tokens_details/cached_tokens"), "cache_write_tokens": 0},
        "output_tokens": tokens("/completion_tokens") + reasoning_apart,
        "output_tokens_details": {
            "reasoning_tokens": reasoning},
        "total_tokens": tokens("/total_tokens"),
    });
    (said, status, usage)
}

#[test]
fn recorded_chat_streams_are_lifted_to_what_they_say() {
    for (name, text) in recordings("chat") {
        let data: Vec<String> = match name.ends_with(".sse") {
            true => frames([text.as_bytes()]),
            false => text.lines().map(str::to_owned).collect(),
        };
        let lifted = lift(&data);
        assert_eq!(violations(&lifted), vec![], "{name}");
        let chunks: Vec<Value> =
            data.iter().filter(|data| *data != "[DONE]").map(|data| value(data)).collect();
        let (said, status, usage) = said(&chunks);
        let response = terminal(&lifted);
        eprintln!("{name}: {} events, {status}", lifted.len());
        assert_eq!(Said::of(&response), said, "{name}");
        assert_eq!(response["status"], status, "{name}");
        if chunks.iter().any(|chunk| chunk["usage"].is_object()) {
            assert_eq!(response["usage"], usage, "{name}");
        } else {
            assert_eq!(response["usage"], Value::Null, "{name}");
        }
        assert_eq!(fold(&lifted), response, "{name}");
    }
}
