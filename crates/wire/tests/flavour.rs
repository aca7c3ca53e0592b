//! The flavour of the Open Responses specification: every difference has a case, and nothing else is
//! different.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use std::num::NonZeroUsize;

use common::generate::any_response;
use common::{fold, printed, value};
use latimer_wire::check::{Exhibit, Rule, judge};
use latimer_wire::responses::{Flavour, Response, unfold};
use latimer_wire::sse;
use proptest::prelude::*;
use serde_json::{Value, json};

const OTHER: Flavour = Flavour::OpenResponses;

#[test]
fn events_have_the_names_of_the_specification() {
    // the event, and what becomes of it
    let cases = [
        (
            r#"{"type":"response.reasoning_text.done","text":"x"}"#,
            r#"{"type":"response.reasoning.done","text":"x"}"#,
        ),
        (
            r#"{"type":"response.output_text.delta","n":1.50}"#,
            r#"{"type":"response.output_text.delta","n":1.50}"#,
        ),
        (
            r#"{"type":"response.custom_tool_call_input.delta","delta":"x"}"#,
            r#"{"type":"openai:response.custom_tool_call_input.delta","delta":"x"}"#,
        ),
        (r#"{"type":"acme:trace_event"}"#, r#"{"type":"acme:trace_event"}"#),
        (
            r#"{"type":"response.output_item.added","item":{"type":"custom_tool_call","input":""}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"openai:custom_tool_call","input":""}}"#,
        ),
        (
            r#"{"type":"response.content_part.done","part":{"annotations":[{"type":"url_citation"},{"type":"file_path"}]}}"#,
            r#"{"type":"response.content_part.done","part":{"annotations":[{"type":"url_citation"},{"type":"openai:file_path"}]}}"#,
        ),
        (
            r#"{"type":"response.output_text.annotation.added","annotation":{"type":"file_citation"}}"#,
            r#"{"type":"response.output_text.annotation.added","annotation":{"type":"openai:file_citation"}}"#,
        ),
    ];
    for (hub, other) in cases {
        assert_eq!(Flavour::OpenAi.event(hub, None), hub);
        assert_eq!(OTHER.event(hub, None), other);
        assert_eq!(OTHER.hub_event(other), hub);
    }
    let flat = r#"{"type":"error","code":null,"message":"m","param":"p","sequence_number":4}"#;
    let nested = json!({"type": "error", "sequence_number": 4,
        "error": {"type": "server_error", "code": null, "message": "m", "param": "p"}});
    assert_eq!(value(&OTHER.event(flat, None)), nested);
    assert_eq!(
        OTHER.event(r#"{"n":1}"#, Some("response.queued")),
        r#"{"n":1,"type":"response.queued"}"#
    );
}

#[test]
fn a_response_has_what_the_specification_requires() {
    let hub = json!({
        "object": "response", "temperature": null, "top_p": 0.5, "service_tier": "fast",
        "tools": [{"type": "custom", "name": "c"}, {"type": "function", "name": "f"}],
        "tool_choice": {"type": "custom", "name": "c"}, "reasoning": {"effort": "max"},
        "output": [{"type": "compaction"}, {"type": "mcp_call"}], "extra": 1,
    });
    let other = value(&OTHER.body(&hub.to_string()));
    let wanted = json!({
        "temperature": 1.0, "top_p": 0.5, "presence_penalty": 0.0, "service_tier": "priority",
        "tools": [{"type": "function", "name": "f"}], "tool_choice": "auto",
        "reasoning": {"effort": "xhigh"}, "extra": 1, "usage": null,
        "output": [{"type": "compaction"}, {"type": "openai:mcp_call"}],
    });
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(other[key], *value, "{key}");
    }
    assert_eq!(other.as_object().unwrap().len(), 31 + 1);
    let refused = r#"{"error":{"message":"m","type":"invalid_request_error"}}"#;
    assert_eq!(value(&OTHER.body(refused))["error"]["type"], "invalid_request");
    for body in [r#"{"object":"list","data":[]}"#, "[1]", "no JSON"] {
        assert_eq!(OTHER.body(body), body);
    }
}

/// The events of a response in this flavour.
fn told(response: &Response) -> Vec<String> {
    let events = printed(|sink| unfold(response, NonZeroUsize::new(3).unwrap(), sink));
    events.iter().map(|event| OTHER.event(event, None).into_owned()).collect()
}

proptest! {
    /// Told in the flavour and read back, an answer holds what it held.
    #[test]
    fn nothing_of_the_output_is_lost(json in any_response(&["completed", "incomplete"])) {
        let response = Response::parse(json.to_string()).unwrap();
        let back: Vec<_> = told(&response).iter().map(|event| OTHER.hub_event(event).into_owned()).collect();
        prop_assert_eq!(&fold(&back)["output"], &json["output"]);
    }
}

/// The judge has nothing against such a stream in its own flavour, and does in the other.
#[test]
fn the_judge_knows_both_flavours() {
    let hub = include_str!("../fixtures/check/good.call.sse");
    let mut decoder = sse::Decoder::new(1 << 20);
    decoder.push(hub.as_bytes());
    let mut stream = String::new();
    while let Some(frame) = decoder.next().unwrap() {
        let event = OTHER.event(&frame.data, None);
        let name: Value = value(&event)["type"].clone();
        sse::encode(&mut stream, name.as_str(), &event);
    }
    stream.push_str(OTHER.farewell());
    let rules = |flavour| -> Vec<Rule> {
        let body = stream.as_bytes();
        let findings = judge(&Exhibit { flavour, body, ..Exhibit::default() });
        findings.iter().map(|finding| finding.rule).collect()
    };
    assert_eq!(rules(OTHER), []);
    assert_eq!(rules(Flavour::OpenAi), [Rule::DoneMarker]);
}
