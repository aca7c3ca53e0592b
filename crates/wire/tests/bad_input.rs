//! A request that is wrong gets a 400 in OpenAI's shape that names the parameter, before any
//! backend is called.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use common::value;
use latimer_wire::chat::{Backend, Profile, lower_request};
use latimer_wire::error::ApiError;
use latimer_wire::json::DEPTH_MAX;
use latimer_wire::note::Notes;
use latimer_wire::responses::Request;
use serde_json::json;

const MISSING: &str = "missing_required_parameter";
const TYPE: &str = "invalid_type";
const VALUE: &str = "invalid_value";
const JSON: &str = "invalid_json";
const UNSUPPORTED: &str = "unsupported_parameter";
const TOO_FEW: &str = "integer_below_min_value";
const LONG: &str = "string_above_max_length";

/// Body, parameter, code.
const CASES: &[(&str, Option<&str>, &str)] = &[
    ("", None, JSON),
    ("[]", None, JSON),
    (r#"{"input":"x""#, None, JSON),
    (r#"{"input":"x"} y"#, None, JSON),
    ("{}", Some("input"), MISSING),
    (r#"{"input":"x","model":"a","model":"b"}"#, Some("model"), "duplicate_parameter"),
    (r#"{"input":"x","in\u0070ut":"y"}"#, Some("input"), "duplicate_parameter"),
    (r#"{"input":7}"#, Some("input"), TYPE),
    (r#"{"input":null}"#, Some("input"), TYPE),
    (r#"{"input":"x","model":7}"#, Some("model"), TYPE),
    (r#"{"input":"x","stream":"yes"}"#, Some("stream"), TYPE),
    (r#"{"input":"x","tools":{}}"#, Some("tools"), TYPE),
    (r#"{"input":"x","temperature":"warm"}"#, Some("temperature"), TYPE),
    (r#"{"input":"x","max_output_tokens":"9"}"#, Some("max_output_tokens"), TYPE),
    (r#"{"input":"x","parallel_tool_calls":1}"#, Some("parallel_tool_calls"), TYPE),
    (r#"{"input":"x","instructions":["a"]}"#, Some("instructions"), TYPE),
    (r#"{"input":"x","metadata":[]}"#, Some("metadata"), TYPE),
    (r#"{"input":"x","reasoning":"high"}"#, Some("reasoning"), TYPE),
    (r#"{"input":"x","text":"json"}"#, Some("text"), TYPE),
    (r#"{"input":"x","tool_choice":7}"#, Some("tool_choice"), TYPE),
    (r#"{"input":"x","tool_choice":"sometimes"}"#, Some("tool_choice"), VALUE),
    (r#"{"input":"x","tool_choice":{}}"#, Some("tool_choice.type"), MISSING),
    (r#"{"input":"x","tool_choice":{"type":"function"}}"#, Some("tool_choice.name"), MISSING),
    (r#"{"input":"x","tool_choice":{"type":"function","name":"f"}}"#, Some("tool_choice"), VALUE),
    (
        r#"{"input":"x","text":{"format":{"type":"json_schema","schema":{}}}}"#,
        Some("text.format.name"),
        MISSING,
    ),
    (
        r#"{"input":"x","text":{"format":{"type":"json_schema","name":"n","schema":"{}"}}}"#,
        Some("text.format.schema"),
        TYPE,
    ),
    (r#"{"input":"x","temperature":-0.1}"#, Some("temperature"), "decimal_below_min_value"),
    (r#"{"input":"x","temperature":3}"#, Some("temperature"), "decimal_above_max_value"),
    (r#"{"input":"x","top_p":-1}"#, Some("top_p"), "decimal_below_min_value"),
    (r#"{"input":"x","top_p":1.01}"#, Some("top_p"), "decimal_above_max_value"),
    (r#"{"input":"x","top_logprobs":-1}"#, Some("top_logprobs"), "integer_below_min_value"),
    (r#"{"input":"x","top_logprobs":21}"#, Some("top_logprobs"), "integer_above_max_value"),
    (r#"{"input":"x","top_logprobs":1.5}"#, Some("top_logprobs"), TYPE),
    (r#"{"input":"x","max_output_tokens":15}"#, Some("max_output_tokens"), TOO_FEW),
    (r#"{"input":"x","max_output_tokens":99.5}"#, Some("max_output_tokens"), TYPE),
    (r#"{"input":"x","max_tool_calls":0}"#, Some("max_tool_calls"), TOO_FEW),
    (r#"{"input":"x","truncation":"some"}"#, Some("truncation"), VALUE),
    (r#"{"input":"x","truncation":true}"#, Some("truncation"), TYPE),
    (r#"{"input":"x","include":"usage"}"#, Some("include"), TYPE),
    (r#"{"input":"x","include":[7]}"#, Some("include[0]"), TYPE),
    (
        r#"{"input":"x","include":["message.output_text.logprobs","usage"]}"#,
        Some("include[1]"),
        VALUE,
    ),
    (r#"{"input":"x","metadata":{"a":1}}"#, Some("metadata.a"), TYPE),
    (r#"{"input":"x","background":"yes"}"#, Some("background"), TYPE),
    (r#"{"input":"x","context_management":{}}"#, Some("context_management"), TYPE),
    (r#"{"input":"x","context_management":["x"]}"#, Some("context_management[0]"), TYPE),
    (r#"{"input":"x","context_management":[{}]}"#, Some("context_management[0].type"), MISSING),
    (
        r#"{"input":"x","context_management":[{"type":"deletion"}]}"#,
        Some("context_management[0].type"),
        VALUE,
    ),
    (
        r#"{"input":"x","context_management":[{"type":"compaction","compact_threshold":0}]}"#,
        Some("context_management[0].compact_threshold"),
        TOO_FEW,
    ),
    (
        r#"{"input":"x","context_management":[{"type":"compaction","compact_threshold":"9"}]}"#,
        Some("context_management[0].compact_threshold"),
        TYPE,
    ),
    (r#"{"input":"x","conversation":7}"#, Some("conversation"), TYPE),
    (r#"{"input":"x","previous_response_id":7}"#, Some("previous_response_id"), TYPE),
    (r#"{"input":"x","prompt":"p"}"#, Some("prompt"), TYPE),
    (r#"{"input":"x","prompt_cache_key":7}"#, Some("prompt_cache_key"), TYPE),
    (r#"{"input":"x","safety_identifier":7}"#, Some("safety_identifier"), TYPE),
    (r#"{"input":"x","service_tier":7}"#, Some("service_tier"), TYPE),
    (r#"{"input":"x","store":"no"}"#, Some("store"), TYPE),
    (r#"{"input":"x","stream_options":true}"#, Some("stream_options"), TYPE),
    (r#"{"input":"x","user":7}"#, Some("user"), TYPE),
    (
        r#"{"input":"x","previous_response_id":"resp_1","conversation":{"id":"conv_1"}}"#,
        Some("previous_response_id"),
        "mutually_exclusive_parameters",
    ),
    // litellm#26167, #28587, #26147, #10808: better no answer than one without its history.
    (r#"{"input":"x","previous_response_id":"resp_1"}"#, Some("previous_response_id"), UNSUPPORTED),
    (r#"{"input":"x","conversation":"conv_1"}"#, Some("conversation"), UNSUPPORTED),
    (r#"{"input":"x","background":true}"#, Some("background"), UNSUPPORTED),
    (r#"{"input":"x","prompt":{"id":"p"}}"#, Some("prompt"), UNSUPPORTED),
    (r#"{"input":"x","audio":{"voice":"v"}}"#, Some("audio"), UNSUPPORTED),
    (r#"{"input":["x"]}"#, Some("input[0]"), TYPE),
    (r#"{"input":[{}]}"#, Some("input[0].type"), MISSING),
    (r#"{"input":[{"id":"msg_1"}]}"#, Some("input[0]"), "unsupported_value"),
    (r#"{"input":[{"type":"message","content":"x"}]}"#, Some("input[0].role"), MISSING),
    (r#"{"input":[{"role":"king","content":"x"}]}"#, Some("input[0].role"), VALUE),
    (r#"{"input":[{"role":["user"],"content":"x"}]}"#, Some("input[0].role"), TYPE),
    (r#"{"input":[{"role":"user"}]}"#, Some("input[0].content"), MISSING),
    (r#"{"input":[{"role":"developer","content":7}]}"#, Some("input[0].content"), TYPE),
    (r#"{"input":[{"role":"user","content":["x"]}]}"#, Some("input[0].content[0]"), TYPE),
    (
        r#"{"input":[{"role":"user","content":[{"text":"x"}]}]}"#,
        Some("input[0].content[0].type"),
        MISSING,
    ),
    (
        r#"{"input":[{"role":"user","content":[{"type":"input_text"}]}]}"#,
        Some("input[0].content[0].text"),
        MISSING,
    ),
    (
        r#"{"input":[{"role":"user","content":"x"},{"type":"function_call","name":"f"}]}"#,
        Some("input[1].call_id"),
        MISSING,
    ),
    (r#"{"input":[{"type":"function_call","call_id":"a"}]}"#, Some("input[0].name"), MISSING),
    (
        r#"{"input":[{"type":"function_call","call_id":7,"name":"f"}]}"#,
        Some("input[0].call_id"),
        TYPE,
    ),
    (
        r#"{"input":[{"type":"custom_tool_call","call_id":"a","name":"f"}]}"#,
        Some("input[0].input"),
        MISSING,
    ),
    (
        r#"{"input":[{"type":"function_call_output","output":"x"}]}"#,
        Some("input[0].call_id"),
        MISSING,
    ),
    (
        r#"{"input":[{"type":"function_call_output","call_id":"a"}]}"#,
        Some("input[0].output"),
        MISSING,
    ),
    (
        r#"{"input":[{"type":"custom_tool_call_output","call_id":"a","output":7}]}"#,
        Some("input[0].output"),
        TYPE,
    ),
    (r#"{"input":"x","tools":["f"]}"#, Some("tools[0]"), TYPE),
    (r#"{"input":"x","tools":[{"name":"f"}]}"#, Some("tools[0].type"), MISSING),
    (r#"{"input":"x","tools":[{"type":"function"}]}"#, Some("tools[0].name"), MISSING),
    (r#"{"input":"x","tools":[{"type":"function","name":""}]}"#, Some("tools[0].name"), MISSING),
    (r#"{"input":"x","tools":[{"type":"namespace"}]}"#, Some("tools[0].name"), MISSING),
    (
        r#"{"input":"x","tools":[{"type":"namespace","name":"n","tools":[{"type":"custom"}]}]}"#,
        Some("tools[0].tools[0].name"),
        MISSING,
    ),
    (
        r#"{"input":[{"type":"additional_tools","tools":[{"type":"function"}]}]}"#,
        Some("input[0].tools[0].name"),
        MISSING,
    ),
];

fn refusal(body: &str, profile: &Profile) -> ApiError {
    let lower = |body| {
        let request = Request::parse(body)?;
        request.check()?;
        lower_request(&request, &Backend { model: None, profile }, &mut Notes::default())
    };
    lower(body).map(|lowered| panic!("{body} became {}", lowered.body)).unwrap_err()
}

#[test]
fn what_is_wrong_is_named() {
    for (body, param, code) in CASES {
        let error = refusal(body, &Profile::default());
        let said = &value(&error.body())["error"];
        assert_eq!(error.status, 400, "{body}");
        assert_eq!(said["type"], "invalid_request_error", "{body}");
        assert_eq!(said["param"], json!(param), "{body}: {error}");
        assert_eq!(said["code"], json!(code), "{body}: {error}");
        let named = param.is_none_or(|param| error.message.contains(param));
        assert!(named, "{body}: {error}");
    }
}

/// Bounds that a case cannot show in a line: what just fits, and what is one too many.
#[test]
fn what_is_too_long_is_named() {
    let text = |name: &str, chars| format!(r#"{{"input":"x","{name}":"{}"}}"#, "ü".repeat(chars));
    let metadata = |pairs, key: usize, value: usize| {
        let (key, value) = ("ü".repeat(key), "ü".repeat(value));
        let pairs = (0..pairs).map(|n| format!("\"{n:02}{key}\":\"{value}\""));
        let pairs: Vec<_> = pairs.collect();
        format!(r#"{{"input":"x","metadata":{{{}}}}}"#, pairs.join(","))
    };
    let deep = format!("metadata.00{}", "ü".repeat(2));
    let cases = [
        (text("prompt_cache_key", 64), text("prompt_cache_key", 65), "prompt_cache_key", LONG),
        (text("safety_identifier", 128), text("safety_identifier", 129), "safety_identifier", LONG),
        (metadata(16, 1, 1), metadata(17, 1, 1), "metadata", "object_above_max_properties"),
        (metadata(1, 62, 1), metadata(1, 63, 1), "metadata", LONG),
        (metadata(1, 2, 512), metadata(1, 2, 513), &deep, LONG),
    ];
    for (fits, too_much, param, code) in cases {
        assert_eq!(Request::parse(&fits).unwrap().check(), Ok(()), "{fits}");
        let error = Request::parse(&too_much).unwrap().check().unwrap_err();
        assert_eq!((error.param.as_deref(), error.code.as_deref()), (Some(param), Some(code)));
    }
}

/// What OpenAI takes is taken: the ends of each range, null for all, and both of no pair.
#[test]
fn what_is_right_passes() {
    let right = [
        r#"{"input":"x","temperature":0,"top_p":1,"top_logprobs":20,"max_output_tokens":16}"#,
        r#"{"input":"x","temperature":2.0,"top_p":0.0,"top_logprobs":0,"max_tool_calls":1}"#,
        r#"{"input":"x","temperature":null,"metadata":null,"include":null,"truncation":null}"#,
        r#"{"input":"x","previous_response_id":"resp_1","conversation":null}"#,
        r#"{"input":"x","max_output_tokens":1e6,"service_tier":"of_tomorrow","store":false}"#,
    ];
    for body in right {
        assert_eq!(Request::parse(body).unwrap().check(), Ok(()), "{body}");
    }
}

/// litellm#27655: a tool that cannot be had is refused by name, where the profile says so.
#[test]
fn a_hosted_tool_is_refused_by_name() {
    let mut profile = Profile::default();
    profile.set("hosted_tools", "refuse").unwrap();
    let error =
        refusal(r#"{"input":"x","tools":[{"type":"custom","name":"c"},{"type":"mcp"}]}"#, &profile);
    assert_eq!((error.status, error.param.as_deref()), (400, Some("tools[1]")));
    assert!(error.message.contains("`mcp`"), "{error}");
}

/// What a response echoes of its request must not be too deep for a reader of the event.
#[test]
fn a_request_is_not_deeper_than_the_event_that_echoes_it() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"input":"x","metadata":{{"a":{open}{close}}}}}"#)
    };
    let profile = Profile::default();
    assert_eq!(refusal(&nested(DEPTH_MAX - 2), &profile).code.as_deref(), Some("invalid_json"));
    let fits = nested(DEPTH_MAX - 3);
    let mut lift = common::lift_for(&fits);
    for event in common::printed(|sink| lift.push("[DONE]", common::NOW, sink)) {
        value(&event);
    }
}
