//! A backend that speaks Responses and keeps nothing, and the memory that the gateway gives it.

use latimer_gateway::Config;
use latimer_gateway::state::{Keeper, StateConfig};
use serde_json::{Value, json};

use crate::support::*;

fn forgetful(backend: std::net::SocketAddr) -> Config {
    let mut config = before_responses(backend);
    config.upstream.as_mut().unwrap().remembers = Some(false);
    config
}

/// A response as such a backend gives it.
fn said(text: &str) -> Value {
    json!({"id": "resp_theirs", "object": "response", "created_at": 1, "status": "completed",
        "model": "m", "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "previous_response_id": null, "store": false, "usage": {"input_tokens": 3, "output_tokens": 1},
        "output": [{"type": "message", "id": format!("msg_{text}"), "role": "assistant",
            "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}]})
}

/// Plays the backend for one request: what it was asked, and what the client got.
async fn turn(
    backend: &Backend,
    gateway: &Gateway,
    path: &str,
    body: &Value,
    text: &str,
) -> (Value, Answered) {
    let client = Client::send(gateway.address, &post_to(path, "", body.to_string())).await;
    let (mut line, heard) = backend.heard().await;
    assert!(heard.head.starts_with("POST /v1/responses HTTP/1.1"), "{}", heard.head);
    let json = "content-type: application/json\r\n";
    line.say(whole("200 OK", json, &said(text).to_string())).await;
    (serde_json::from_slice(&heard.body).unwrap(), client.finish().await)
}

/// What the backend is told of the past, in short.
fn texts(sent: &Value) -> Vec<&str> {
    let items = sent["input"].as_array().unwrap().iter();
    items
        .map(|item| match &item["content"] {
            Value::String(text) => text.as_str(),
            parts => parts[0]["text"].as_str().unwrap(),
        })
        .collect()
}

#[tokio::test]
async fn a_responses_backend_without_memory_is_given_one() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(forgetful(backend.address)).await;
    let first = json!({"model": "m", "input": "one", "metadata": {"a": "b"}});
    let (sent, answered) = turn(&backend, &gateway, "/v1/responses", &first, "two").await;
    assert_eq!((&sent["store"], texts(&sent)), (&json!(false), vec!["one"]));
    let first = answered.json();
    assert_eq!((&first["store"], first["id"] == "resp_theirs"), (&json!(true), false));
    assert_eq!(
        (&first["usage"]["input_tokens"], &first["metadata"]),
        (&json!(3), &json!({"a": "b"}))
    );

    for stream in [true, false] {
        let next = json!({"model": "m", "input": "three", "previous_response_id": first["id"],
            "stream": stream});
        let (sent, answered) = turn(&backend, &gateway, "/v1/responses", &next, "four").await;
        assert_eq!(texts(&sent), ["one", "two", "three"]);
        assert_eq!((&sent["stream"], sent.get("previous_response_id")), (&json!(stream), None));
        assert_eq!(sent["input"][1]["id"], "msg_two", "what it made has the id that it gave it");
        let second = match stream {
            true => answered.terminal()["response"].clone(),
            false => answered.json(),
        };
        assert_eq!(second["previous_response_id"], first["id"]);
        let path = format!("/v1/responses/{}", second["id"].as_str().unwrap());
        assert_eq!(ask(gateway.address, &get(&path)).await.json(), second);
    }
    let trigger =
        json!({"previous_response_id": first["id"], "input": [{"type": "compaction_trigger"}]});
    let (sent, answered) = turn(&backend, &gateway, "/v1/responses", &trigger, "All.").await;
    assert_eq!(sent["input"].as_array().unwrap().len(), 3);
    assert_eq!(answered.json()["output"][0]["type"], "compaction");
    let next = json!({"input": "on", "previous_response_id": answered.json()["id"]});
    let (sent, _) = turn(&backend, &gateway, "/v1/responses", &next, "yes").await;
    assert!(texts(&sent)[0].ends_with("\n\nAll."));

    let counted = json!({"input": "x", "previous_response_id": first["id"]}).to_string();
    let counted = ask(gateway.address, &post_to("/v1/responses/input_tokens", "", counted)).await;
    assert!(counted.json()["input_tokens"].as_u64().unwrap() > 20);
    let recorded = gateway.stop().await;
    assert!(recorded.extras().all(|extra| extra["outcome"] == "completed"));
}

/// The mock refuses what it cannot know: that it goes on shows that nothing is asked of it.
#[tokio::test]
async fn conversations_and_background_need_nothing_of_the_backend() {
    let model = mock("[[rule]]\nanswer = { text = \"said\" }").await;
    let gateway = Gateway::start(forgetful(model)).await;
    let opened = ask(gateway.address, &post_to("/v1/conversations", "", "{}")).await.json();
    for turns in 1..3 {
        let body =
            json!({"model": "m", "input": "x", "conversation": opened["id"], "stream": true});
        let answered = ask(gateway.address, &post("", body.to_string())).await;
        assert_eq!(answered.terminal()["response"]["conversation"], json!({"id": opened["id"]}));
        let path = format!("/v1/conversations/{}/items", opened["id"].as_str().unwrap());
        let items = ask(gateway.address, &get(&path)).await.json();
        assert_eq!(items["data"].as_array().unwrap().len(), 2 * turns);
    }
    let body = json!({"model": "m", "input": "x", "background": true, "stream": true});
    let answered = ask(gateway.address, &post("", body.to_string())).await;
    let response = answered.terminal()["response"].clone();
    assert_eq!((&response["status"], &response["background"]), (&json!("completed"), &json!(true)));
    let next = json!({"model": "m", "input": "y", "previous_response_id": response["id"]});
    assert_eq!(ask(gateway.address, &post("", next.to_string())).await.status, 200);
}

#[tokio::test]
async fn without_a_store_nobody_remembers_and_it_is_said() {
    let backend = Backend::start().await;
    let state = StateConfig { store: Keeper::Off, ..StateConfig::default() };
    let gateway = Gateway::start(Config { state, ..forgetful(backend.address) }).await;
    for (name, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
    ] {
        let body = json!({"input": "x", name: value}).to_string();
        let refused = ask(gateway.address, &post("", body)).await;
        assert_eq!((refused.status, refused.error()["param"].as_str()), (400, Some(name)));
    }
    backend.assert_quiet().await;
    let (_, answered) =
        turn(&backend, &gateway, "/v1/responses", &json!({"input": "x"}), "y").await;
    assert_eq!(answered.json()["store"], false);
}
