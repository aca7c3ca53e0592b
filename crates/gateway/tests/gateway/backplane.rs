//! Agents as backends: the example sidecar and worse ones, behind a program's pipes or behind HTTP; and
//! clients with work orders before any backend.

use std::path::Path;
use std::time::Duration;

use latimer_gateway::backplane::Policy;
use latimer_gateway::config::{Limits, Timeouts};
use latimer_gateway::{Config, Dialect, UpstreamConfig};
use latimer_probe::receipt::Chain;
use serde_json::{Value, json};

use crate::support::*;

const HELLO: &str = r#"{"t":"hello","contract_version":"abp/v0.1","backend":{"id":"x"},"capabilities":{"streaming":"native"},"mode":"mapped"}"#;

/// The configuration with an agent that a command starts.
fn agent(command: &str) -> Config {
    let url = Some(format!("stdio:{command}"));
    let upstream = UpstreamConfig { url, ..UpstreamConfig::default() };
    Config { upstream: Some(upstream), ..Config::default() }
}

fn example() -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/sidecar.py");
    agent(&format!("python3 '{}'", path.display()))
}

/// An agent of a few lines of shell, which begins well.
fn shell(script: &str) -> Config {
    agent(&format!("sh -c \"echo '{}'; read order; {script}\"", HELLO.replace('"', "\\\"")))
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": text})
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "name": name, "parameters": {"type": "object"}})
}

fn asking(text: &str) -> String {
    json!({"model": "m", "input": [user(text)], "tools": [tool("get_weather"), {"type": "namespace",
        "name": "fs", "tools": [tool("read")]}, {"type": "custom", "name": "apply_patch"}],
        "stream": true})
    .to_string()
}

fn text_of(response: &Value) -> String {
    let items = response["output"].as_array().unwrap().iter();
    let parts = items.filter_map(|item| item["content"][0]["text"].as_str());
    parts.collect()
}

#[tokio::test]
async fn an_agent_answers_a_client_of_responses() {
    let gateway = Gateway::start(example()).await;
    let answered = ask(gateway.address, &post("", asking("one two"))).await;
    let response = answered.terminal()["response"].clone();
    assert_eq!(response["status"], "completed", "{response}");
    assert_eq!(text_of(&response), "You said: one two");
    assert_eq!(response["usage"]["output_tokens"], 8);
    let deltas = answered.events();
    let deltas = deltas.iter().filter(|event| event["type"] == "response.output_text.delta");
    assert_eq!(deltas.count(), 4, "it streams");

    let whole = ask(gateway.address, &post("", r#"{"model":"m","input":"whole"}"#)).await.json();
    assert_eq!(text_of(&whole), "You said: whole");
    let models = ask(
        gateway.address,
        b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    assert_eq!(models.await.json()["data"][0]["id"], "codex-mini-latest");
    let recording = gateway.stop().await;
    assert_eq!(recording.outcomes(), ["completed", "completed", "completed"]);
}

#[tokio::test]
async fn an_agent_calls_the_tools_of_the_client_and_hears_the_result() {
    let gateway = Gateway::start(example()).await;
    for (called, name, kind) in [
        ("get_weather", "get_weather", "function_call"),
        ("fs", "fs", "reasoning"),
        ("apply_patch", "apply_patch", "custom_tool_call"),
    ] {
        let body = asking(&format!("call {called} {{\"input\": \"Oslo\"}}"));
        let answered = ask(gateway.address, &post("", &body)).await;
        let item = answered.terminal()["response"]["output"][0].clone();
        assert_eq!(item["type"], kind, "{item}");
        if kind == "reasoning" {
            continue; // it is no tool but a namespace
        }
        assert_eq!(item["name"], name);
        let output = json!({"type": item["type"].as_str().unwrap().to_owned() + "_output",
            "call_id": item["call_id"], "output": "Rain."});
        let body = json!({"model": "m", "input": [user("x"), item, output]}).to_string();
        let response = ask(gateway.address, &post("", &body)).await.json();
        assert_eq!(text_of(&response), "The tool answered: Rain.", "{response}");
    }
}

#[tokio::test]
async fn what_an_agent_did_itself_is_shown_and_not_asked_for() {
    let gateway = Gateway::start(example()).await;
    let answered = ask(gateway.address, &post("", asking("run cargo test"))).await;
    let output = answered.terminal()["response"]["output"].clone();
    assert_eq!(output[0]["type"], "reasoning");
    assert_eq!(output[0]["summary"][0]["text"], "`cargo test` (exit 0)\ndone");
    assert_eq!(output[1]["content"][0]["text"], "It is done.");
}

#[tokio::test]
async fn an_agent_that_fails_is_a_clear_error() {
    let unknown = agent("/no/such/agent");
    let second = "{\\\"t\\\":\\\"event\\\",\\\"ref_id\\\":\\\"other\\\",\\\"event\\\":{\\\"ts\\\":\\\"\\\",\\\"type\\\":\\\"run_started\\\"}}";
    // the agent, what it is asked, the status, words of the message
    let cases: Vec<(Config, &str, u16, &[&str])> = vec![
        (example(), "fail", 502, &["told to fail"]),
        (example(), "die", 502, &["ended before its receipt", "exit status: 3", "told to die"]),
        (unknown, "x", 502, &["cannot start the agent", "/no/such/agent"]),
        (agent("true"), "x", 502, &["ended before its hello", "exit status: 0"]),
        (agent("sh -c 'echo nonsense; sleep 9'"), "x", 502, &["no message"]),
        (agent("sh -c 'echo {}; sleep 9'"), "x", 502, &["no message", "`t`"]),
        (shell("echo nonsense"), "x", 502, &["a line of the agent is no message"]),
        (shell(&format!("echo '{second}'")), "x", 502, &["another run, `other`"]),
        (shell("head -c 5000 /dev/zero"), "x", 502, &["longer than 4096 bytes"]),
        (
            agent(&format!(
                "sh -c \"echo '{}'; sleep 9\"",
                HELLO.replace('"', "\\\"").replace("v0.1", "v9.1")
            )),
            "x",
            502,
            &["abp/v9.1"],
        ),
        (agent("sleep 9"), "x", 504, &["no hello within 200 ms"]),
    ];
    for (config, asked, status, words) in cases {
        let timeouts =
            Timeouts { connect_ms: if status == 504 { 200 } else { 9_000 }, ..Timeouts::default() };
        let limits = Limits { event_bytes: 4096, ..Limits::default() };
        let gateway = Gateway::start(Config { timeouts, limits, ..config }).await;
        let body = json!({"model": "m", "input": asked}).to_string();
        let answered = ask(gateway.address, &post("", &body)).await;
        let message = answered.error()["message"].as_str().unwrap().to_owned();
        assert_eq!(answered.status, status, "{asked}: {message}");
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn an_agent_that_hangs_is_given_up_and_ended() {
    let directory = Folder::new();
    let pid = directory.path().join("pid");
    let hanging = shell(&format!("echo $$ > '{}'; sleep 1000", pid.display()));
    let timeouts = Timeouts { idle_ms: 300, ..Timeouts::default() };
    let gateway = Gateway::start(Config { timeouts, ..hanging }).await;
    let answered = ask(gateway.address, &post("", asking("x"))).await;
    assert_eq!(answered.terminal()["response"]["status"], "failed", "{}", answered.text());
    ended(&pid).await;
    assert_eq!(gateway.stop().await.outcomes(), ["failed"]);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_agent() {
    let directory = Folder::new();
    let pid = directory.path().join("pid");
    let gateway =
        Gateway::start(shell(&format!("echo $$ > '{}'; sleep 1000", pid.display()))).await;
    let mut client = Client::send(gateway.address, &post("", asking("x"))).await;
    client.wait_for("response.created").await;
    within("the agent runs", async {
        while std::fs::read_to_string(&pid).unwrap_or_default().trim().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(client);
    ended(&pid).await;
    assert_eq!(gateway.stop().await.outcomes(), ["cancelled"]);
}

/// The process whose id is in the file is no more.
async fn ended(pid: &Path) {
    let pid = std::fs::read_to_string(pid).unwrap().trim().to_owned();
    let is_alive = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    };
    within("the agent ends", async {
        while is_alive() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_policy_forbids_does_not_reach_the_client() {
    let mut config = example();
    let policy = Policy { disallowed_tools: vec!["get_*".to_owned()], ..Policy::default() };
    config.upstream.as_mut().unwrap().policy = policy;
    let gateway = Gateway::start(config).await;
    let answered = ask(gateway.address, &post("", asking("call get_weather"))).await;
    let response = answered.terminal()["response"].clone();
    assert!(!answered.text().contains("function_call"), "{}", answered.text());
    assert!(text_of(&response).contains("`disallowed_tools`"), "{response}");
    let recording = gateway.stop().await;
    assert!(recording.text.contains("policy_denied"));
}

#[tokio::test]
async fn a_chat_client_is_served_by_an_agent() {
    let gateway = Gateway::start(example()).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let request = post_to("/v1/chat/completions", "", body);
    let answer = ask(gateway.address, &request).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "You said: hi", "{answer}");
}

/// A script that calls a tool where the user wants it, and else says back.
const SCRIPT: &str = r#"
[[rule]]
when = { user_matches = "weather" }
answer = { text = "Look: ", calls = [{ name = "get_weather", arguments = { city = "Oslo" } }] }
[[rule]]
answer = { text = "Fine.", input_tokens = 5, output_tokens = 2 }
"#;

fn order(task: &str, more: Value) -> String {
    let mut order = json!({"id": "0191d6b6-0000-7000-8000-000000000002", "task": task,
    "config": {"model": "m", "vendor": {"abp": {
        "conversation": {"messages": [{"role": "user", "content": [{"type": "text", "text": task}]}]},
        "tools": [{"name": "get_weather", "description": "", "parameters": {"type": "object"}}],
    }}}});
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order.to_string()
}

fn run(headers: &str, order: String) -> Vec<u8> {
    post_to("/backplane/v1/run", headers, order)
}

fn kinds(receipt: &Value) -> Vec<&str> {
    let trace = receipt["trace"].as_array().unwrap();
    trace.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_work_order_is_run_by_any_backend() {
    let model = mock(SCRIPT).await;
    for config in [before(model), before_responses(model), example()] {
        let is_agent = config.upstream.as_ref().unwrap().url.as_ref().unwrap().starts_with("stdio");
        let gateway = Gateway::start(config).await;
        let first = ask(gateway.address, &run("", order("call get_weather", json!({})))).await;
        assert_eq!(first.status, 200, "{}", first.text());
        let receipt = first.json();
        assert_eq!(receipt["outcome"], "complete", "{receipt}");
        assert_eq!(receipt["meta"]["work_order_id"], "0191d6b6-0000-7000-8000-000000000002");
        let call = receipt["trace"].as_array().unwrap().iter();
        let call = call.clone().find(|event| event["type"] == "tool_call").expect("a call");
        assert_eq!(call["tool_name"], "get_weather");

        let events = run("accept: text/event-stream\r\n", order("hello", json!({})));
        let events = ask(gateway.address, &events).await;
        assert!(events.text().starts_with("event: run_started\ndata: {"), "{}", events.text());
        let said = events.text();
        let last = said.trim_end().rsplit("\n\n").next().unwrap();
        let second = last.strip_prefix("event: receipt\ndata: ").unwrap();
        let ends = if is_agent { "You said: hello" } else { "Fine." };
        assert!(second.contains(ends), "{second}");
        assert!(events.text().contains("event: assistant_delta"), "{}", events.text());

        let run_id = receipt["meta"]["run_id"].as_str().unwrap();
        let path = format!("/backplane/v1/receipts/{run_id}");
        assert_eq!(ask(gateway.address, &get(&path)).await.body, first.body);
        assert_eq!(ask(gateway.address, &get("/backplane/v1/receipts/other")).await.status, 404);
        let chain = Chain::of([first.text(), second.to_owned()]);
        assert_eq!(chain.verify(None).unwrap().receipts, 2);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_run_that_fails_has_a_receipt_too() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let asked = run("", order("x", json!({})));
    let client = tokio::spawn(async move { ask(gateway.address, &asked).await });
    let (mut line, _) = backend.heard().await;
    let cut = "{\"choices\":[{\"delta\":{\"content\":\"half\"}}]}";
    let body = format!("data: {cut}\n\n");
    line.say(whole("200 OK", "content-type: text/event-stream\r\n", &body)).await;
    let receipt = client.await.unwrap().json();
    assert_eq!(receipt["outcome"], "failed", "{receipt}");
    assert_eq!(kinds(&receipt), ["run_started", "error", "run_completed"]);
    assert!(receipt["receipt_sha256"].is_string());
}

#[tokio::test]
async fn what_a_work_order_forbids_is_stopped_and_said() {
    let model = mock(SCRIPT).await;
    for config in [before(model), before_responses(model), example()] {
        let is_agent = config.upstream.as_ref().unwrap().url.as_ref().unwrap().starts_with("stdio");
        let gateway = Gateway::start(config).await;
        let policy =
            json!({"policy": {"deny_network": ["oslo"], "disallowed_tools": ["get_weather"]}});
        let asked = run("", order("call get_weather", policy));
        let answered = ask(gateway.address, &asked).await;
        let receipt = answered.json();
        assert!(!kinds(&receipt).contains(&"tool_call"), "{receipt}");
        if !is_agent {
            // The mock calls it although it was not offered.
            assert_eq!(receipt["outcome"], "partial", "{receipt}");
            let warning = receipt["trace"].as_array().unwrap().iter();
            let warning = warning.clone().find(|e| e["ext"]["policy_denied"].is_object()).unwrap();
            assert_eq!(warning["ext"]["policy_denied"]["rule"], "disallowed_tools");
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn what_a_work_order_requires_is_checked_before_anything_runs() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let needs = |capability: &str, level: &str| json!({"requirements": {"required": [{"capability": capability, "min_support": level}]}});
    let unsupported = run("", order("x", needs("code_execution", "emulated")));
    let error = ask(gateway.address, &unsupported).await.error();
    assert_eq!(error["code"], "capability_unsupported");
    assert_eq!(error["param"], "requirements.required[0]");
    backend.assert_quiet().await;

    let emulated = run("", order("x", needs("session_resume", "emulated")));
    let client = tokio::spawn(async move { ask(gateway.address, &emulated).await });
    let (mut line, _) = backend.heard().await;
    line.say(whole("200 OK", "content-type: text/event-stream\r\n", &(delta("Hi") + STOP))).await;
    let receipt = client.await.unwrap().json();
    assert_eq!(receipt["trace"][1]["ext"]["emulated"], "session_resume", "{receipt}");
    assert_eq!(receipt["capabilities"]["session_resume"], "emulated");

    let gateway = Gateway::start(example()).await;
    let lacking = run("", order("x", needs("mcp_client", "native")));
    let error = ask(gateway.address, &lacking).await.error();
    assert_eq!(error["code"], "capability_unsupported", "{error}");
}

#[tokio::test]
async fn capabilities_are_told() {
    let gateway = Gateway::start(Config::default()).await;
    let told = ask(gateway.address, &get("/backplane/v1/capabilities")).await.json();
    assert_eq!(told["contract_version"], "abp/v0.1");
    let upstream = &told["upstreams"][0];
    assert_eq!(upstream["dialect"], "chat");
    assert_eq!(upstream["capabilities"]["streaming"], "native");
    assert_eq!(upstream["capabilities"]["session_resume"], "emulated");
    assert_eq!(upstream["capabilities"]["mcp_server"], "unsupported");
}

#[tokio::test]
async fn one_gateway_is_the_agent_of_another() {
    let model = mock(SCRIPT).await;
    let behind = Gateway::start(before(model)).await;
    let url = Some(format!("http://{}", behind.address));
    let dialect = Some(Dialect::Backplane);
    let upstream = Some(UpstreamConfig { url, dialect, ..UpstreamConfig::default() });
    let gateway = Gateway::start(Config { upstream, ..Config::default() }).await;
    let answered = ask(gateway.address, &post("", asking("the weather"))).await;
    let response = answered.terminal()["response"].clone();
    assert_eq!(response["status"], "completed", "{response}");
    assert_eq!(response["output"][0]["content"][0]["text"], "Look: ");
    assert_eq!(response["output"][1]["name"], "get_weather");
}
