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
    let key = tempfile::tempdir().unwrap();
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
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
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
