//! Streams that are not as they should be, a row each: what of them is said, and which notes say what
//! was mended.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use common::{codes, fold, mend, said, terminal, value, violations};

/// What it shows, the frames (`response.` left out of their types), what is said, the notes besides
/// those of a short stream.
type Odd = (&'static str, &'static [&'static str], &'static str, &'static [&'static str]);

/// What every hand-made stream lacks.
const SHORT: &[&str] = &["response_incomplete", "sequence_missing"];

const ODD: &[Odd] = &[
    (
        "four kinds, an object for a delta",
        &[
            r#"{"type":"response.created","response":{"id":"r"}}"#,
            r#"{"type":"response.output_item.delta","output_index":0,"delta":{"type":"output_text_delta","text":"Hel"}}"#,
            r#"{"type":"response.output_item.delta","output_index":0,"delta":{"type":"output_text_delta","text":"lo"}}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}}"#,
            r#"{"type":"response.completed","response":{"id":"r","status":"completed"}}"#,
        ],
        r#"{"text":"Hello"}"#,
        &[
            "delta_is_an_object",
            "event_renamed",
            "item_id_changed",
            "item_id_missing",
            "item_not_added",
            "output_missing_at_end",
            "part_index_missing",
            "part_not_added",
            "part_not_done",
            "text_not_done",
        ],
    ),
    (
        "the item is nowhere but at its end",
        &[
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"f","call_id":"c","name":"n","arguments":"{}"}}"#,
            r#"{"type":"response.completed","response":{"output":[]}}"#,
        ],
        r#"{"call":"{}"}"#,
        &[
            "created_missing",
            "item_not_added",
            "output_missing_at_end",
            "text_not_done",
            "text_without_deltas",
        ],
    ),
    (
        "everything is nowhere but in the terminal snapshot",
        &[r#"{"type":"response.completed","response":{"output":[
                {"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"Hm"}]},
                {"type":"message","id":"m","content":[{"type":"output_text","text":"Hi"},{"type":"refusal","refusal":"no"}]}]}}"#],
        r#"{"reasoning":"Hm","refusal":"no","text":"Hi"}"#,
        &[
            "created_missing",
            "item_only_at_end",
            "part_not_added",
            "text_not_done",
            "text_without_deltas",
        ],
    ),
    (
        "the end of a text goes on where its deltas stopped",
        &[
            r#"{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"a\u00e9"}"#,
            r#"{"type":"response.output_text.done","item_id":"m","output_index":0,"content_index":0,"text":"aéb"}"#,
            r#"{"type":"response.completed","response":{"output":[]}}"#,
        ],
        r#"{"text":"aéb"}"#,
        &[
            "created_missing",
            "item_not_added",
            "item_not_done",
            "output_missing_at_end",
            "part_not_added",
            "part_not_done",
            "text_without_deltas",
        ],
    ),
    (
        "the end of a text contradicts its deltas",
        &[
            r#"{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"x"}"#,
            r#"{"type":"response.output_text.done","item_id":"m","output_index":0,"content_index":0,"text":"ab"}"#,
            r#"{"type":"response.completed","response":{"output":[]}}"#,
        ],
        r#"{"text":"x"}"#,
        &[
            "created_missing",
            "item_not_added",
            "item_not_done",
            "output_missing_at_end",
            "part_not_added",
            "part_not_done",
            "text_contradicted",
        ],
    ),
    (
        "both old names of reasoning, and no parts",
        &[
            r#"{"type":"response.reasoning_summary.delta","item_id":"r","output_index":0,"summary_index":0,"delta":"S"}"#,
            r#"{"type":"response.reasoning.delta","item_id":"r","output_index":0,"content_index":0,"delta":"R"}"#,
            r#"{"type":"response.reasoning.done","item_id":"r","output_index":0,"content_index":0,"text":"R"}"#,
            r#"{"type":"response.completed","response":{"output":[]}}"#,
        ],
        r#"{"reasoning":"SR"}"#,
        &[
            "created_missing",
            "event_renamed",
            "item_not_added",
            "item_not_done",
            "output_missing_at_end",
            "part_not_added",
            "part_not_done",
        ],
    ),
    (
        "a new id with every event",
        &[
            r#"{"type":"response.created","response":{"id":"r"}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"a","role":"assistant","content":[]}}"#,
            r#"{"type":"response.content_part.added","item_id":"b","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}"#,
            r#"{"type":"response.output_text.delta","item_id":"c","output_index":0,"content_index":0,"delta":"Hi"}"#,
            r#"{"type":"response.output_text.done","item_id":"d","output_index":0,"content_index":0,"text":"Hi"}"#,
            r#"{"type":"response.content_part.done","item_id":"e","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hi"}}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"f","role":"assistant","content":[{"type":"output_text","text":"Hi"}]}}"#,
            r#"{"type":"response.completed","response":{"id":"r","output":[{"type":"message","id":"g","role":"assistant","content":[{"type":"output_text","text":"Hi"}]}]}}"#,
        ],
        r#"{"text":"Hi"}"#,
        &["item_id_changed"],
    ),
    (
        "two calls of one index, told apart by their ids",
        &[
            r#"{"type":"response.created","response":{"id":"r"}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"a","call_id":"1","name":"f","arguments":""}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"b","call_id":"2","name":"g","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","item_id":"a","output_index":0,"delta":"[1"}"#,
            r#"{"type":"response.function_call_arguments.delta","item_id":"b","output_index":0,"delta":"[2"}"#,
            r#"{"type":"response.function_call_arguments.done","item_id":"a","output_index":0,"arguments":"[1]"}"#,
            r#"{"type":"response.function_call_arguments.done","item_id":"b","output_index":0,"arguments":"[2]"}"#,
            r#"{"type":"response.completed","response":{"id":"r","output":[]}}"#,
        ],
        r#"{"call":"[1[2]]"}"#,
        &["item_not_done", "output_index_changed", "output_missing_at_end", "text_without_deltas"],
    ),
    (
        "no index anywhere, and one delta for all",
        &[
            r#"{"type":"response.output_text.delta","delta":"Hi"}"#,
            r#"{"type":"response.output_text.delta","delta":" you"}"#,
            r#"{"type":"response.completed","response":{"output":null}}"#,
        ],
        r#"{"text":"Hi you"}"#,
        &[
            "created_missing",
            "item_id_missing",
            "item_not_added",
            "item_not_done",
            "output_index_missing",
            "output_missing_at_end",
            "part_index_missing",
            "part_not_added",
            "part_not_done",
        ],
    ),
    (
        "the text comes in pieces, then again whole in an item of its own",
        &[
            r#"{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"Hi"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"m","content":[{"type":"output_text","text":"Hi"}]}}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"n","content":[{"type":"output_text","text":"Hi"}]}}"#,
            r#"{"type":"response.completed","response":{"output":[]}}"#,
        ],
        r#"{"text":"Hi"}"#,
        &[
            "created_missing",
            "event_repeated",
            "item_not_added",
            "output_missing_at_end",
            "part_not_added",
            "part_not_done",
            "text_not_done",
        ],
    ),
    (
        "two ends, and more after them",
        &[
            r#"{"type":"response.created","response":{"id":"r"}}"#,
            r#"{"type":"response.incomplete","response":{"id":"r","output":[]}}"#,
            r#"{"type":"response.completed","response":{"id":"r","output":[]}}"#,
            r#"{"type":"response.output_text.delta","delta":"late"}"#,
            "[DONE]",
        ],
        "{}",
        &["after_end"],
    ),
    (
        "an end that its own response knows better",
        &[
            r#"{"type":"response.created","response":{"id":"r"}}"#,
            r#"{"type":"response.completed","response":{"id":"r","status":"incomplete","output":[]}}"#,
        ],
        "{}",
        &["status_contradicted"],
    ),
    (
        "a flat error, and nothing more",
        &[r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down"}"#],
        "{}",
        &["created_missing", "terminal_missing"],
    ),
    (
        "an error without a type",
        &[r#"{"error":{"message":"no","code":"x"}}"#, "[DONE]"],
        "{}",
        &["created_missing", "event_without_type", "terminal_missing"],
    ),
    (
        "only [DONE] ends it",
        &[r#"{"type":"response.created","response":{"id":"r"}}"#, "not json", "[DONE]"],
        "{}",
        &["event_malformed", "terminal_missing"],
    ),
];

#[test]
fn odd_streams_are_mended() {
    let mut wrong = Vec::new();
    for (name, frames, texts, notes) in ODD {
        let (events, found) = mend(*frames);
        assert_eq!(violations(&events), vec![], "{name}: {events:#?}");
        assert_eq!(said(&events), value(texts), "{name}");
        assert_eq!(fold(&events), terminal(&events), "{name}");
        let found: Vec<_> =
            codes(&found).into_iter().filter(|code| !SHORT.contains(code)).collect();
        if found != *notes {
            wrong.push(format!("{name}: {found:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
