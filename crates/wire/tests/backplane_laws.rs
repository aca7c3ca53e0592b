//! Laws of the backplane spoke: a request survives the way through a work order, an answer the way
//! through agent events, a document the way through the types.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{NOW, parse, printed, terminal, value, violations};
use latimer_wire::backplane::{
    AgentEvent, Lift, Lower, Message, Offered, OrderHead, Receipt, RunHead, WorkOrder,
    lift_request, lower_request,
};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

/// All files below `fixtures` that end like this.
fn fixtures(end: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders = fs::read_dir(root).unwrap().map(|folder| folder.unwrap().path());
    let files =
        folders.filter(|path| path.is_dir()).flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(end));
    paths.sort();
    assert!(!paths.is_empty(), "no {end}");
    paths
}

/// A request through a work order, which goes over the wire as text.
fn and_back(request: &str) -> Value {
    let hub = Request::parse(request).unwrap();
    let order = lower_request(&hub, OrderHead { id: "1".to_owned(), ..OrderHead::default() });
    let order = WorkOrder::parse(&order.to_json()).unwrap();
    let mut notes = Notes::default();
    let back = lift_request(&order, &mut notes).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    value(&back)
}

#[test]
fn every_request_survives_a_work_order() {
    for path in fixtures(".request.json").into_iter().chain(fixtures(".hub.json")) {
        let request = fs::read_to_string(&path).unwrap();
        if value(&request).get("input").is_none() {
            continue; // a request of another dialect
        }
        assert_eq!(and_back(&request), value(&request), "{}", path.display());
    }
}

/// Events through what an agent says, which goes over the wire as text.
fn events_and_back(request: &str, events: &str) -> Vec<String> {
    let hub = Request::parse(request).unwrap();
    let mut lower = Lower::new(RunHead { run_id: "1".to_owned(), ..RunHead::default() });
    let mut lines = String::new();
    for event in events.lines() {
        lower.push(&parse(event), NOW * 1000, &mut |event: &AgentEvent| {
            let event = Box::new(event.clone());
            Message::Event { ref_id: None, event }.print_line(&mut lines);
        });
    }
    let receipt = Box::new(lower.receipt(NOW * 1000));
    Message::Final { ref_id: None, receipt }.print_line(&mut lines);
    let mut lift = Lift::new(Envelope::new(&hub, "resp_1", NOW), "1").with_tools(Offered::of(&hub));
    printed(|sink| {
        lines.lines().for_each(|line| lift.push(line, NOW, sink));
        lift.end(NOW, sink);
    })
}

#[test]
fn every_answer_survives_what_an_agent_says() {
    for path in fixtures(".events.jsonl") {
        let name = path.display();
        let events = fs::read_to_string(&path).unwrap();
        let request = path.to_str().unwrap().replace(".events.jsonl", ".request.json");
        let request = fs::read_to_string(request).unwrap();
        let back = events_and_back(&request, &events);
        assert_eq!(violations(&back), vec![], "{name}");
        let events: Vec<String> = events.lines().map(str::to_owned).collect();
        let (before, after) = (terminal(&events), terminal(&back));
        assert_eq!(before["status"], after["status"], "{name}");
        assert_eq!(before["error"], after["error"], "{name}");
        if before["status"] != "failed" {
            assert_eq!(calls_last(&before["output"]), calls_last(&after["output"]), "{name}");
            let tokens = |usage: &Value| {
                let (read, made) = (&usage["input_tokens"], &usage["output_tokens"]);
                (read.clone(), made.clone(), usage["input_tokens_details"].clone())
            };
            assert_eq!(tokens(&before["usage"]), tokens(&after["usage"]), "{name}");
        }
    }
}

/// The items, calls after all others: they wait until it is known whose they are.
fn calls_last(output: &Value) -> Vec<Value> {
    let is_call = |item: &Value| {
        ["function_call", "custom_tool_call"].contains(&item["type"].as_str().unwrap())
    };
    let items = output.as_array().unwrap().clone();
    let (calls, others): (Vec<_>, Vec<_>) = items.into_iter().partition(is_call);
    others.into_iter().chain(calls).collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(config())]

    /// What the contract does not name is kept, wherever it stands.
    #[test]
    fn documents_survive_the_types(
        text in ".{0,20}", value in json_value(), more in json_value(), number in any::<u64>(),
    ) {
        let order = json!({
            "id": text, "task": text, "lane": "workspace_first", "new": more,
            "workspace": {"root": text, "mode": "pass_through", "include": [text], "exclude": [], "new": more},
            "context": {"files": [text], "snippets": [{"name": text, "content": text, "new": more}]},
            "policy": {"allowed_tools": [text], "disallowed_tools": [], "deny_read": [], "deny_write": [],
                "allow_network": [], "deny_network": [], "require_approval_for": []},
            "requirements": {"required": [{"capability": "streaming", "min_support": "any"}]},
            "config": {"model": text, "vendor": {"x": value}, "env": {"A": text}, "max_budget_usd": 1.5,
                "max_turns": 3},
        });
        prop_assert_eq!(common::value(&WorkOrder::parse(&order.to_string()).unwrap().to_json()), order);
        let receipt = json!({
            "meta": {"run_id": text, "work_order_id": text, "contract_version": "abp/v0.1",
                "started_at": text, "finished_at": text, "duration_ms": number},
            "backend": {"id": text, "backend_version": null, "adapter_version": text},
            "capabilities": {"streaming": "native", "tool_new": {"restricted": {"reason": text}}},
            "mode": "passthrough", "usage_raw": value, "new": more,
            "usage": {"input_tokens": number, "output_tokens": null, "cache_read_tokens": null,
                "cache_write_tokens": null, "request_units": null, "estimated_cost_usd": 0.25},
            "trace": [
                {"ts": text, "type": "tool_call", "tool_name": text, "tool_use_id": null,
                    "parent_tool_use_id": text, "input": value, "new": more},
                {"ts": text, "type": "made_up", "new": more, "ext": {"x": value}},
            ],
            "artifacts": [{"kind": text, "path": text}],
            "verification": {"git_diff": text, "git_status": null, "harness_ok": true},
            "outcome": "partial", "receipt_sha256": null,
        });
        prop_assert_eq!(common::value(&Receipt::parse(&receipt.to_string()).unwrap().to_json()), receipt);
    }

    /// Items of any shape survive as well, known or not.
    #[test]
    fn items_of_any_shape_survive_a_work_order(
        text in ".{0,20}", inside in json_value(), kind in prop::sample::select(vec![
            "message", "reasoning", "function_call", "custom_tool_call", "function_call_output",
            "custom_tool_call_output", "warp_call", "input_text", "output_text", "refusal", "input_image",
        ]),
        key in prop::sample::select(vec!["content", "summary", "arguments", "output", "input", "new"]),
        role in prop::sample::select(vec!["user", "assistant", "system", "developer", "narrator"]),
    ) {
        let part = json!({"type": kind, "text": text, key: inside});
        let request = json!({"input": [
            {"type": kind, "role": role, "call_id": text, "name": text, "arguments": text, "id": text, key: inside},
            {"type": kind, "role": role, "call_id": text, "summary": [part], "content": [part], "output": [part]},
            {"role": role, "content": text},
        ], "tools": [{"type": "function", "name": text, key: inside}, {"type": kind}]});
        prop_assert_eq!(and_back(&request.to_string()), request);
    }
}
