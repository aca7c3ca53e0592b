//! What a fold makes of streams that are not as they should be, a row each: the events of the stream
//! and what of the response is to be seen.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use common::{fold, value};
use serde_json::json;

/// What it shows, the events (`response.` left out of their types), members of the response.
const STREAMS: &[(&str, &[&str], &str)] = &[
    (
        "nothing came",
        &[],
        r#"{"status":"failed","error":{"code":"stream_incomplete",
        "message":"the stream ended without a terminal event"}}"#,
    ),
    (
        "an end without its object",
        &[
            r#"{"type":"created","response":{"id":"r","status":"in_progress","output":[]}}"#,
            r#"{"type":"output_item.done","output_index":0,"item":{"type":"x"}}"#,
            r#"{"type":"incomplete"}"#,
        ],
        r#"{"id":"r","status":"incomplete","output":[{"type":"x"}]}"#,
    ),
    (
        "the first end counts",
        &[
            r#"{"type":"completed","response":{"status":"completed","output":[]}}"#,
            r#"{"type":"failed","response":{"status":"failed"}}"#,
            r#"{"type":"output_item.done","output_index":0,"item":{"type":"x"}}"#,
        ],
        r#"{"status":"completed","output":[]}"#,
    ),
    (
        "a finished item stays",
        &[
            r#"{"type":"output_item.done","output_index":0,"item":{"type":"a"}}"#,
            r#"{"type":"output_item.done","output_index":0,"item":{"type":"b"}}"#,
            r#"{"type":"output_item.added","output_index":0,"item":{"type":"c"}}"#,
            r#"{"type":"output_text.delta","output_index":0,"content_index":0,"delta":"late"}"#,
            r#"{"type":"completed","response":{"output":[]}}"#,
        ],
        r#"{"status":"completed","output":[{"type":"a"}]}"#,
    ),
    (
        "finished items without indices",
        &[
            r#"{"type":"output_item.done","item":{"type":"a"}}"#,
            r#"{"type":"output_item.done","item":{"type":"b"}}"#,
            r#"{"type":"completed","response":{"status":"completed","output":null}}"#,
        ],
        r#"{"status":"completed","output":[{"type":"a"},{"type":"b"}]}"#,
    ),
    (
        "open items without indices",
        &[
            r#"{"type":"output_item.added","item":{"type":"function_call","name":"f"}}"#,
            r#"{"type":"function_call_arguments.delta","delta":"{"}"#,
            r#"{"type":"output_item.added","item":{"type":"function_call","name":"g"}}"#,
            r#"{"type":"function_call_arguments.delta","delta":"["}"#,
        ],
        r#"{"status":"failed","output":[{"type":"function_call","name":"f","arguments":"{"},
            {"type":"function_call","name":"g","arguments":"["}]}"#,
    ),
    (
        "items that nobody announced",
        &[
            r#"{"type":"reasoning_summary_text.delta","output_index":0,"item_id":"i","delta":"a"}"#,
            r#"{"type":"output_text.delta","output_index":1,"content_index":0,"delta":"b"}"#,
            r#"{"type":"output_text.done","output_index":1,"content_index":0,"text":"B"}"#,
            r#"{"type":"custom_tool_call_input.delta","output_index":2,"delta":"c"}"#,
            r#"{"type":"completed","response":{"status":"completed"}}"#,
        ],
        r#"{"status":"completed","output":[
            {"type":"reasoning","id":"i","status":"completed",
             "summary":[{"type":"summary_text","text":"a"}]},
            {"type":"message","role":"assistant","status":"completed",
             "content":[{"type":"output_text","text":"B"}]},
            {"type":"custom_tool_call","status":"completed","input":"c"}]}"#,
    ),
    (
        "a part without its object",
        &[
            r#"{"type":"output_item.added","output_index":0,"item":{"type":"message"}}"#,
            r#"{"type":"content_part.added","output_index":0,"content_index":0}"#,
            r#"{"type":"content_part.done","output_index":0,"content_index":0,"part":null}"#,
        ],
        r#"{"status":"failed","output":[{"type":"message"}]}"#,
    ),
    (
        "a part that opens after its text began",
        &[
            r#"{"type":"output_item.added","output_index":0,"item":{"type":"message"}}"#,
            r#"{"type":"output_text.delta","output_index":0,"content_index":0,"delta":"a"}"#,
            r#"{"type":"content_part.added","output_index":0,"content_index":0,
                "part":{"type":"output_text","text":"","annotations":[]}}"#,
            r#"{"type":"output_text.delta","output_index":0,"content_index":0,"delta":"b"}"#,
        ],
        r#"{"output":[{"type":"message",
            "content":[{"type":"output_text","text":"ab","annotations":[]}]}]}"#,
    ),
    (
        "a text that could belong to anything",
        &[
            r#"{"type":"apply_patch_call_operation_diff.delta","output_index":0,"delta":"a"}"#,
            r#"{"type":"completed","response":{"output":[]}}"#,
        ],
        r#"{"output":[]}"#,
    ),
    (
        "a flat error",
        &[r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}"#],
        r#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow down"}}"#,
    ),
    (
        "a nested error, and the first one",
        &[
            r#"{"type":"error","error":{"type":"overloaded","code":null,"message":"later"}}"#,
            r#"{"type":"error","message":"again"}"#,
        ],
        r#"{"status":"failed","error":{"code":"overloaded","message":"later"}}"#,
    ),
];

#[test]
fn streams_that_are_not_as_they_should_be() {
    for (name, events, expected) in STREAMS {
        let prefixed = events.iter().map(|event| {
            let mut event = value(event);
            if event["type"] != "error" {
                event["type"] = json!(format!("response.{}", event["type"].as_str().unwrap()));
            }
            event.to_string()
        });
        let folded = fold(&prefixed.collect::<Vec<_>>());
        for (member, value) in value(expected).as_object().unwrap() {
            assert_eq!(&folded[member], value, "{name}: {member}");
        }
    }
}
