//! Compaction: a summary, sealed, takes the place of what came before, and any gateway with the key
//! reads it again.

use std::path::Path;

use latimer_gateway::Config;
use latimer_gateway::state::{Keeper, StateConfig};
use serde_json::{Value, json};

use crate::support::*;

const INTRODUCTION: &str = "Summary of the conversation up to here, which stands in its place:";

/// Plays the backend for one request to a path: what it was asked, and what the client got.
async fn turn(
    backend: &Backend,
    gateway: &Gateway,
    path: &str,
    body: &Value,
    says: &str,
) -> (Value, Answered) {
    let client = Client::send(gateway.address, &post_to(path, "", body.to_string())).await;
    let (mut line, heard) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&delta(says)) + &piece(STOP) + &piece("")).await;
    (serde_json::from_slice(&heard.body).unwrap(), client.finish().await)
}

fn contents(sent: &Value) -> Vec<&str> {
    let messages = sent["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap()).collect()
}

/// A gateway without a store, whose key is in this directory.
async fn with_key_in(backend: &Backend, directory: &Path) -> Gateway {
    let directory = Some(directory.to_owned());
    let state = StateConfig { store: Keeper::Off, directory, ..StateConfig::default() };
    Gateway::start(Config { state, ..before(backend.address) }).await
}

/// As Codex asks before a provider that it takes for OpenAI (0.169): the last item is the wish, and
/// exactly one compaction item has to come back. Another gateway with the same key goes on with it.
#[tokio::test]
async fn a_trigger_brings_one_compaction_that_any_replica_opens() {
    let backend = Backend::start().await;
    let key = Folder::new();
    let gateway = with_key_in(&backend, key.path()).await;
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    let input = json!([{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"},
        {"type": "compaction_trigger"}]);
    let body = json!({"model": "m", "instructions": "Be brief.", "input": input, "tools": tools,
        "stream": true, "store": false, "text": {"format": {"type": "json_object"}}});
    let (sent, answered) = turn(&backend, &gateway, "/v1/responses", &body, "All of it.").await;
    assert_eq!(contents(&sent)[..3], ["Be brief.", "one", "two"]);
    assert!(contents(&sent)[3].starts_with("Write a summary"));
    assert_eq!((&sent["tool_choice"], &sent["response_format"]), (&json!("none"), &Value::Null));
    let response = answered.terminal()["response"].clone();
    let output = response["output"].as_array().unwrap();
    assert_eq!((output.len(), output[0]["type"].as_str()), (1, Some("compaction")));
    let done = answered.events().into_iter().find(|e| e["type"] == "response.output_item.done");
    assert_eq!(done.unwrap()["item"], output[0], "Codex reads only this event");
    assert!(!answered.text().contains("All of it."), "it is sealed");

    let replica = with_key_in(&backend, key.path()).await;
    let input = json!([{"role": "user", "content": "one"}, output[0], {"role": "user", "content": "go on"}]);
    let (sent, _) =
        turn(&backend, &replica, "/v1/responses", &json!({"input": input}), "Yes.").await;
    let summary = format!("{INTRODUCTION}\n\nAll of it.");
    assert_eq!(contents(&sent), ["one", &*summary, "go on"]);
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_by_its_place() {
    let backend = Backend::start().await;
    let (here, there) = (Folder::new(), Folder::new());
    let gateway = with_key_in(&backend, here.path()).await;
    let stranger = with_key_in(&backend, there.path()).await;
    let body = json!({"input": [{"role": "user", "content": "x"}, {"type": "compaction_trigger"}]});
    let (_, answered) = turn(&backend, &gateway, "/v1/responses", &body, "All.").await;
    let ours = answered.json()["output"][0].clone();
    for item in [ours, json!({"type": "compaction", "encrypted_content": "gAAAAAB"})] {
        let input = json!([{"role": "user", "content": "x"}, item]);
        let refused = ask(stranger.address, &post("", json!({"input": input}).to_string())).await;
        let error = refused.error();
        assert_eq!((refused.status, &error["code"]), (400, &json!("invalid_encrypted_content")));
        assert_eq!(error["param"], "input[1].encrypted_content");
    }
    backend.assert_quiet().await;
}

#[tokio::test]
async fn a_stored_chain_is_compacted_and_goes_on_from_the_summary() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let first = json!({"model": "m", "input": "one"});
    let (_, answered) = turn(&backend, &gateway, "/v1/responses", &first, "two").await;
    let trigger = json!({"model": "m", "input": [{"type": "compaction_trigger"}],
        "previous_response_id": answered.json()["id"]});
    let (sent, answered) = turn(&backend, &gateway, "/v1/responses", &trigger, "Summed up.").await;
    assert_eq!(contents(&sent)[..2], ["one", "two"]);
    let next =
        json!({"model": "m", "input": "three", "previous_response_id": answered.json()["id"]});
    let (sent, _) = turn(&backend, &gateway, "/v1/responses", &next, "four").await;
    assert_eq!(contents(&sent), [&*format!("{INTRODUCTION}\n\nSummed up."), "three"]);
}

#[tokio::test]
async fn the_endpoint_gives_the_compaction_itself() {
    let backend = Backend::start().await;
    let config = before(backend.address);
    let prompt = Some("Sum it up.".to_owned());
    let state = StateConfig { compaction_prompt: prompt, ..StateConfig::default() };
    let gateway = Gateway::start(Config { state, ..config }).await;
    let (_, first) =
        turn(&backend, &gateway, "/v1/responses", &json!({"model": "m", "input": "one"}), "two")
            .await;
    let body = json!({"model": "m", "previous_response_id": first.json()["id"]});
    let (sent, answered) = turn(&backend, &gateway, "/v1/responses/compact", &body, "All.").await;
    assert_eq!(contents(&sent), ["one", "two", "Sum it up."]);
    let compaction = answered.json();
    assert_eq!(compaction["object"], "response.compaction");
    assert_eq!(compaction["output"].as_array().unwrap().len(), 1);
    assert_eq!(compaction["output"][0]["type"], "compaction");
    assert!(compaction["created_at"].is_u64() && compaction.get("usage").is_some());
}

#[tokio::test]
async fn a_summary_that_did_not_come_is_no_compaction() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let input = json!([{"role": "user", "content": "x"}, {"type": "compaction_trigger"}]);
    for (stream, said) in [
        (true, EVENTS_HEAD.to_owned() + &piece(STOP) + &piece("")),
        (false, EVENTS_HEAD.to_owned() + &piece(STOP) + &piece("")),
        (true, whole("503 Service Unavailable", "", "{\"error\":{\"message\":\"Busy.\"}}")),
    ] {
        let body = json!({"input": input, "stream": stream}).to_string();
        let client = Client::send(gateway.address, &post("", body)).await;
        backend.heard().await.0.say(&said).await;
        let answered = client.finish().await;
        match answered.status {
            200 => assert_eq!(answered.terminal()["type"], "response.failed"),
            status => assert!(matches!(status, 502 | 503), "{}", answered.text()),
        }
        assert!(!answered.text().contains("encrypted_content"));
    }
}

/// An answer of a backend that says what it used.
fn counted(text: &str) -> String {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\n";
    let stop = STOP.replace("data: [DONE]", &format!("{usage}data: [DONE]"));
    EVENTS_HEAD.to_owned() + &piece(&delta(text)) + &piece(&stop) + &piece("")
}

/// A client that lets the server compact (`context_management`): the answer begins with a compaction, and
/// the model saw a summary and the last turn. Both ways of going on lead to the same.
#[tokio::test]
async fn a_request_over_the_threshold_is_compacted_and_answered() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let long = "a".repeat(400);
    let first = json!({"model": "m", "input": [{"role": "developer", "content": "rules"},
        {"role": "user", "content": long}]});
    let (_, first) = turn(&backend, &gateway, "/v1/responses", &first, "two").await;
    let managed = json!([{"type": "compaction", "compact_threshold": 100}]);
    for stream in [true, false] {
        let body = json!({"model": "m", "input": "three", "stream": stream,
            "previous_response_id": first.json()["id"], "context_management": managed});
        let client = Client::send(gateway.address, &post("", body.to_string())).await;
        let (mut line, heard) = backend.heard().await;
        let sent: Value = serde_json::from_slice(&heard.body).unwrap();
        assert_eq!(contents(&sent)[..3], ["rules", &*long, "two"]);
        assert!(contents(&sent)[3].starts_with("Write a summary"));
        line.say(counted("All.")).await;
        let heard = line.request().await;
        let sent: Value = serde_json::from_slice(&heard.body).unwrap();
        let summary = format!("{INTRODUCTION}\n\nAll.");
        assert_eq!(contents(&sent), ["rules", &*summary, "three"]);
        line.say(counted("four")).await;
        let answered = client.finish().await;
        assert_eq!(answered.header("latimer-notes"), Some("input_compacted=1"));
        drop(line);
        let response = match stream {
            true => answered.terminal()["response"].clone(),
            false => answered.json(),
        };
        assert_eq!(response["usage"]["input_tokens"], 14, "both passes");
        let output = response["output"].as_array().unwrap();
        let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["compaction", "message"]);
        if stream {
            let done = answered.events().into_iter();
            let done = done.filter(|event| event["type"] == "response.output_item.done");
            let items: Vec<_> = done.map(|event| event["item"].clone()).collect();
            assert_eq!(&items, output);
        }

        let next = json!({"model": "m", "input": "five", "previous_response_id": response["id"]});
        let (sent, _) = turn(&backend, &gateway, "/v1/responses", &next, "six").await;
        assert_eq!(contents(&sent), ["rules", &*summary, "three", "four", "five"]);
        let whole = json!({"model": "m", "input": [{"role": "user", "content": long},
            {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"},
            output[0], output[1], {"role": "user", "content": "five"}]});
        let (sent, _) = turn(&backend, &gateway, "/v1/responses", &whole, "six").await;
        assert_eq!(contents(&sent), ["rules", &*summary, "three", "four", "five"]);
    }
}

#[tokio::test]
async fn a_request_under_the_threshold_is_answered_as_it_is() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let tool = json!({"type": "function", "name": "long", "description": "a".repeat(400),
        "parameters": {}});
    let threshold = json!([{"type": "compaction", "compact_threshold": 100}]);
    for (managed, tools, note) in [
        (&threshold, json!([]), None),
        (&json!([{"type": "compaction"}]), json!([]), Some("input_not_compacted=1")),
        // Over the threshold, and nothing to sum up.
        (&threshold, json!([tool]), Some("input_not_compacted=1")),
    ] {
        let body = json!({"model": "m", "input": [{"role": "developer", "content": "rules"},
            {"role": "user", "content": "one"}], "tools": tools, "context_management": managed});
        let client = Client::send(gateway.address, &post("", body.to_string())).await;
        let (mut line, heard) = backend.heard().await;
        line.say(counted("two")).await;
        let sent: Value = serde_json::from_slice(&heard.body).unwrap();
        assert_eq!(contents(&sent), ["rules", "one"]);
        let answered = client.finish().await;
        assert_eq!(answered.header("latimer-notes"), note);
        assert_eq!(answered.json()["output"].as_array().unwrap().len(), 1);
    }
    let bad = json!({"input": "one", "context_management": [{"type": "forget"}]});
    let refused = ask(gateway.address, &post("", bad.to_string())).await;
    assert_eq!(
        (refused.status, &refused.error()["param"]),
        (400, &json!("context_management[0].type"))
    );
    backend.assert_quiet().await;
}

/// A summary that cannot be had takes no answer with it.
#[tokio::test]
async fn a_request_that_cannot_be_compacted_is_answered_whole() {
    let backend = Backend::start().await;
    let mut config = before(backend.address);
    config.upstream.as_mut().unwrap().context_tokens = Some(100);
    let gateway = Gateway::start(config).await;
    let long = "a".repeat(400);
    let body = json!({"model": "m", "context_management": [{"type": "compaction"}],
        "input": [{"role": "user", "content": long}, {"role": "user", "content": "now"}]});
    let client = Client::send(gateway.address, &post("", body.to_string())).await;
    let (mut line, _) = backend.heard().await;
    line.say(whole("503 Service Unavailable", "connection: close\r\n", "{}")).await;
    drop(line);
    let (mut line, heard) = backend.heard().await;
    let sent: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(contents(&sent), [&*long, "now"]);
    line.say(counted("four")).await;
    let answered = client.finish().await;
    assert_eq!(answered.header("latimer-notes"), Some("input_not_compacted=1"));
    assert_eq!(answered.json()["output"][0]["type"], "message");
}
