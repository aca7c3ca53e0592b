//! What property tests draw from: texts that are hard to carry, responses, events that make no sense.

use std::num::NonZeroUsize;

use latimer_wire::responses::{Kind, Response, unfold};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NOW, printed, value};

pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just(String::new()),
        prop::collection::vec(
            prop::sample::select(vec![
                "\"",
                "\\",
                "\\u",
                "\n",
                "\r\n",
                "\t",
                "\0",
                "\u{7f}",
                "\u{2028}",
                "\u{1f600}",
                "é",
                "{",
                "}",
                "data: ",
                "ud83d",
                "a ",
                "{\"a\":1}",
            ]),
            0..8,
        )
        .prop_map(|tokens| tokens.concat()),
    ]
}

/// A small value that nobody looks into.
pub fn anything() -> impl Strategy<Value = Value> {
    let object = prop::collection::vec((text(), any::<i64>().prop_map(Value::from)), 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()));
    let words = vec![json!(null), json!(1.5), json!([1, {}]), json!("x")];
    prop_oneof![object, prop::sample::select(words)]
}

/// The object without its members that are null, unless they are to be kept.
pub fn sparse(mut object: Value, keep_null: bool) -> Value {
    object.as_object_mut().unwrap().retain(|_, value| keep_null || !value.is_null());
    object
}

pub fn part(of_chat: bool) -> impl Strategy<Value = Value> {
    let output_text = text().prop_map(
        |text| json!({"type":"output_text","text":text,"annotations":[{"type":"x"}],"logprobs":[]}),
    );
    let refusal = text().prop_map(|text| json!({"type":"refusal","refusal":text}));
    let unknown = text().prop_map(|text| json!({"type":"output_hologram","frames":[text]}));
    prop_oneof![4 => output_text, 1 => refusal, u32::from(!of_chat) => unknown]
}

pub fn texts(kind: &'static str) -> impl Strategy<Value = Value> {
    prop::collection::vec(text().prop_map(move |text| json!({"type":kind,"text":text})), 0..3)
        .prop_map(Value::from)
}

pub fn message(of_chat: bool) -> BoxedStrategy<Value> {
    prop::collection::vec(part(of_chat), 0..4)
        .prop_map(|content| json!({"type":"message","role":"assistant","content":content}))
        .boxed()
}

pub fn reasoning() -> BoxedStrategy<Value> {
    (texts("summary_text"), prop::option::of(texts("reasoning_text")), prop::option::of(text()))
        .prop_map(|(summary, content, encrypted)| {
            json!({"type":"reasoning","summary":summary,"content":content,"encrypted_content":encrypted})
        })
        .boxed()
}

pub fn function_call() -> BoxedStrategy<Value> {
    (text(), text())
        .prop_map(|(name, arguments)| {
            json!({"type":"function_call","call_id":"c","name":format!("f{name}"),"arguments":arguments})
        })
        .boxed()
}

pub fn other_call() -> BoxedStrategy<Value> {
    let custom = text().prop_map(
        |input| json!({"type":"custom_tool_call","call_id":"c","name":"n","input":input}),
    );
    let mcp = text().prop_map(
        |arguments| json!({"type":"mcp_call","name":"n","arguments":arguments,"output":"o"}),
    );
    let code = prop::option::of(text())
        .prop_map(|code| json!({"type":"code_interpreter_call","code":code,"outputs":[]}));
    let unknown = (anything(), texts("summary_text")).prop_map(
        |(action, content)| json!({"type":"warp_call","action":action,"content":content,"code":"x"}),
    );
    prop_oneof![custom, mcp, code, unknown].boxed()
}

/// A response of such items; `statuses` are those it may have.
pub fn response(
    items: impl Strategy<Value = Value> + 'static,
    statuses: &'static [&'static str],
) -> BoxedStrategy<Value> {
    let item =
        (items, any::<bool>(), any::<bool>()).prop_map(|(members, keep_null, has_status)| {
            let mut item = sparse(members, keep_null);
            if has_status {
                item["status"] = json!("completed");
            }
            item
        });
    let usage = prop::option::of((0..9_u64, 0..9_u64, 0..9_u64, 0..9_u64, any::<u64>()));
    let reason = prop::sample::select(vec!["max_output_tokens", "content_filter"]);
    let output = prop::collection::vec(item, 0..5);
    (output, prop::sample::select(statuses), reason, usage, anything())
        .prop_map(|(mut output, status, reason, usage, extra)| {
            for (index, item) in output.iter_mut().enumerate() {
                item["id"] = json!(format!("id_{index}"));
                if item["call_id"].is_string() {
                    item["call_id"] = json!(format!("call_{index}"));
                }
            }
            json!({
                "id":"resp_1", "object":"response", "created_at":NOW, "status":status,
                "completed_at": (status == "completed").then_some(NOW), "model":"m",
                "error": (status == "failed").then(|| json!({"code":"x","message":"no"})),
                "incomplete_details": (status == "incomplete").then(|| json!({"reason":reason})),
                "output":output, "metadata":extra, "warp":extra,
                "usage": usage.map(|(input, cached, written, reasoning, total)| json!({
                    "input_tokens":input + cached + written,
                    "input_tokens_details":{"cached_tokens":cached,"cache_write_tokens":written},
                    "output_tokens":reasoning + 1,
                    "output_tokens_details":{"reasoning_tokens":reasoning},
                    "total_tokens":total,
                })),
            })
        })
        .boxed()
}

pub const ENDS: &[&str] = &["completed", "incomplete", "failed"];

pub fn any_response(statuses: &'static [&'static str]) -> BoxedStrategy<Value> {
    let items = prop_oneof![message(false), reasoning(), function_call(), other_call()];
    response(items, statuses)
}

pub fn chat_response(statuses: &'static [&'static str]) -> BoxedStrategy<Value> {
    response(prop_oneof![message(true), reasoning(), function_call()], statuses)
}

pub fn piece() -> impl Strategy<Value = NonZeroUsize> {
    prop_oneof![1..6_usize, Just(1000)].prop_map(|piece| NonZeroUsize::new(piece).unwrap())
}

pub fn unfolded(response: &Value, piece: NonZeroUsize) -> Vec<String> {
    let response = Response::parse(response.to_string()).unwrap();
    printed(|sink| unfold(&response, piece, sink))
}

/// An event of any kind, with any index and any payload, also those that make no sense.
pub fn stray_event() -> impl Strategy<Value = String> {
    let index = || prop_oneof![Just(None), (0..3_u64).prop_map(Some), Just(Some(u64::MAX))];
    let payload = prop_oneof![
        anything(),
        text().prop_map(Value::from),
        prop_oneof![message(false), reasoning(), function_call(), other_call()],
        part(false),
        any_response(ENDS),
    ];
    (prop::sample::select(Kind::ALL), index(), index(), payload).prop_map(
        |(kind, output_index, part_index, payload)| {
            let row = kind.row();
            let mut event = json!({"type":row.name, "output_index":output_index});
            event[row.payload] = payload;
            event[row.index.member().unwrap_or("x")] = json!(part_index);
            event.to_string()
        },
    )
}

/// The events with a member changed; `change` says whether the event stays.
pub fn changed(events: &[String], change: impl Fn(&mut Value) -> bool) -> Vec<String> {
    let mut values: Vec<Value> = events.iter().map(|event| value(event)).collect();
    values.retain_mut(change);
    values.iter().map(Value::to_string).collect()
}

pub fn empty_the_snapshot(event: &mut Value) -> bool {
    if let Some(output) = event.pointer_mut("/response/output") {
        *output = json!([]);
    }
    true
}

pub fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}
