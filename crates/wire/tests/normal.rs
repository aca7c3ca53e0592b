//! The plain face of a Responses stream: what one event says, what a whole stream makes, chunks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use common::generate::*;
use common::{Said, lift, parse, terminal, value};
use latimer_wire::chat::Chunks;
use latimer_wire::chat::normal::{CallDelta, Normal, fold_stream, normalise};
use latimer_wire::sse::Frame;
use proptest::prelude::*;

/// An event (`response.` left out of its type), and what it says.
const SAID: &[(&str, &str)] = &[
    (r#"{"type":"output_text.delta","delta":"a"}"#, r#"Text("a")"#),
    (
        r#"{"type":"output_item.delta","delta":{"type":"output_text_delta","text":"a"}}"#,
        r#"Text("a")"#,
    ),
    (r#"{"type":"reasoning_summary_text.delta","delta":"r"}"#, r#"Reasoning("r")"#),
    (r#"{"type":"reasoning_text.delta","delta":"r"}"#, r#"Reasoning("r")"#),
    (r#"{"type":"reasoning.delta","delta":"r"}"#, r#"Reasoning("r")"#),
    (r#"{"type":"refusal.delta","delta":"n"}"#, r#"Refusal("n")"#),
    (
        r#"{"type":"output_item.added","output_index":2,"item":{"type":"function_call","call_id":"c","name":"f"}}"#,
        r#"Call(CallDelta { index: 2, id: Some("c"), name: Some("f"), arguments: "" })"#,
    ),
    (
        r#"{"type":"function_call_arguments.delta","output_index":2,"delta":"{"}"#,
        r#"Call(CallDelta { index: 2, id: None, name: None, arguments: "{" })"#,
    ),
    (r#"{"type":"output_item.done","item":{"type":"message"}}"#, "Other"),
    (r#"{"type":"output_text.done","text":"a"}"#, "Other"),
    (r#"{"type":"completed","response":{}}"#, "Done"),
    (r#"{"type":"incomplete","response":{}}"#, "Done"),
    (
        r#"{"type":"failed","response":{"error":{"code":"x","message":"no"}}}"#,
        r#"Failed(Failure { code: "x", message: "no" })"#,
    ),
    (
        r#"{"type":"failed"}"#,
        r#"Failed(Failure { code: "server_error", message: "the response failed, and no reason was given" })"#,
    ),
    (r#"{"error":{"code":"x","message":"no"}}"#, r#"Failed(Failure { code: "x", message: "no" })"#),
    ("[DONE]", "Other"),
    ("{", "Other"),
];

fn frame(data: &str) -> Frame<'_> {
    Frame { event: None, data: data.into() }
}

#[test]
fn one_event_is_made_plain() {
    for (event, said) in SAID {
        let event = event.replace(r#""type":""#, r#""type":"response."#);
        let event = event
            .replace(r#"{"type":"response.output_text_delta""#, r#"{"type":"output_text_delta""#);
        let event = event.replace(r#""item":{"type":"response."#, r#""item":{"type":""#);
        assert_eq!(format!("{:?}", normalise(&frame(&event))), *said, "{event}");
    }
    let named =
        Frame { event: Some("response.output_text.delta".into()), data: r#"{"delta":"x"}"#.into() };
    assert_eq!(normalise(&named), Normal::Text("x".into()));
}

#[test]
fn chunks_built_by_hand_are_chunks() {
    let chunks = Chunks::new("chatcmpl-1", "m", 0);
    let mut out = String::new();
    chunks.reasoning(&mut out, "\"Hm\"");
    chunks.text(&mut out, "Hi\n");
    let call = CallDelta { id: Some("c".into()), name: Some("f".into()), ..CallDelta::default() };
    chunks.call(&mut out, &call);
    chunks.call(&mut out, &CallDelta { arguments: "{}".into(), ..CallDelta::default() });
    let lifted = lift(common::frames([out.as_bytes()]));
    let said = Said::of(&terminal(&lifted));
    assert_eq!((&*said.reasoning, &*said.text), ("\"Hm\"", "Hi\n"));
    assert_eq!(said.calls, [["c", "f", "{}"].map(str::to_owned)]);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn event_by_event_says_what_the_stream_does(
        response in chat_response(&["completed", "incomplete"]), piece in piece(),
    ) {
        let events = unfolded(&response, piece);
        let mut said = Said::default();
        let mut calls: Vec<(u64, [String; 3])> = Vec::new();
        let mut ends = 0;
        for event in &events {
            match normalise(&frame(event)) {
                Normal::Text(delta) => said.text.push_str(&delta),
                Normal::Reasoning(delta) => said.reasoning.push_str(&delta),
                Normal::Refusal(delta) => said.refusal.push_str(&delta),
                Normal::Call(CallDelta { index, id: Some(id), name: Some(name), .. }) => {
                    calls.push((index, [id.into_owned(), name.into_owned(), String::new()]));
                }
                Normal::Call(call) => calls.last_mut().unwrap().1[2].push_str(&call.arguments),
                Normal::Done => ends += 1,
                Normal::Failed(failure) => panic!("{failure:?}"),
                Normal::Other => {}
            }
        }
        said.calls = calls.into_iter().map(|(_, call)| call).collect();
        prop_assert_eq!(said, Said::of(&response));
        prop_assert_eq!(ends, 1);

        let mut stream = String::new();
        events.iter().for_each(|event| parse(event).print_frame(&mut stream));
        let (folded, _) = fold_stream(stream.as_bytes());
        prop_assert_eq!(&value(folded.json().as_str())["output"], &response["output"]);
    }
}
