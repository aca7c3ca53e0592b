//! The flavour `open-responses`: the same answers, told as that specification has them.

use latimer_gateway::Config;
use latimer_wire::responses::Flavour;
use serde_json::{Value, json};

use crate::support::*;

fn other(config: Config) -> Config {
    Config { flavour: Flavour::OpenResponses, ..config }
}

/// The data of each frame; the last one is no JSON.
fn frames(text: &str) -> (Vec<Value>, String) {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut data: Vec<_> = data.collect();
    let last = data.pop().unwrap().to_owned();
    (data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect(), last)
}

#[tokio::test]
async fn a_chat_backend_is_told_in_the_flavour() {
    let script = "[[rule]]\nanswer = { reasoning = 'Hm.', calls = [{ name = 'c', arguments = { input = 'x' } }], \
                  input_tokens = 1, output_tokens = 1 }\n";
    let gateway = Gateway::start(other(before(mock(script).await))).await;
    let asked = json!({"model": "m", "input": "Hi", "stream": true, "presence_penalty": 0.5,
        "tools": [{"type": "custom", "name": "c"}]});
    let answered =
        ask(gateway.address, &post("accept-encoding: gzip\r\n", asked.to_string())).await;
    let (events, last) = frames(&answered.text());
    assert_eq!((last.as_str(), answered.whole), ("[DONE]", true));
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"openai:response.custom_tool_call_input.done"), "{kinds:?}");
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["output"][1]["type"], "openai:custom_tool_call");
    assert_eq!((&response["tools"], &response["presence_penalty"]), (&json!([]), &json!(0.5)));

    let mut asked = asked;
    asked["stream"] = false.into();
    let whole = ask(gateway.address, &post("", asked.to_string())).await.json();
    assert_eq!(whole["output"][1]["type"], "openai:custom_tool_call");
    let refused = ask(gateway.address, &post("", r#"{"input":"Hi","top_p":7}"#)).await;
    assert_eq!((refused.status, &refused.error()["type"]), (400, &json!("invalid_request")));
    let other = ask(gateway.address, &post_to("/v1/chat/completions", "", "{}")).await;
    assert_eq!(other.error()["type"], "invalid_request_error", "Chat has one flavour");
}

/// What a Responses backend says is told too, its bytes do not pass; a flat error becomes a nested one,
/// and a stream that ends there fails.
#[tokio::test]
async fn a_responses_backend_is_told_in_the_flavour() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(other(before_responses(backend.address))).await;
    let client =
        Client::send(gateway.address, &post("accept-encoding: gzip\r\n", ASK_STREAM)).await;
    let (mut line, heard) = backend.heard().await;
    assert_eq!(heard.header("accept-encoding"), None);
    let said = "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\"}}\n\n\
                event: response.reasoning_text.delta\ndata: {\"type\":\"response.reasoning_text.delta\",\
                \"sequence_number\":1}\n\ndata: {\"type\":\"error\",\"sequence_number\":2,\"code\":\"c\",\
                \"message\":\"Oh\",\"param\":null}\n\n";
    line.say(EVENTS_HEAD.to_owned() + &piece(&said[..150]) + &piece(&said[150..]) + &piece(""))
        .await;
    let answered = client.finish().await;
    let (events, last) = frames(&answered.text());
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["response.created", "response.reasoning.delta", "error", "response.failed"]);
    assert_eq!(last, "[DONE]");
    assert_eq!(events[0]["response"]["temperature"], 1.0);
    assert_eq!(events[2]["error"]["message"], "Oh");
    assert!(answered.text().contains("event: response.reasoning.delta\n"));
}

/// One gateway for clients of both: a path may begin with the name of a flavour.
#[tokio::test]
async fn a_path_names_its_flavour() {
    let model = mock("[[rule]]\nanswer = { text = 'said' }").await;
    for (config, usual) in [(before(model), false), (other(before(model)), true)] {
        let gateway = Gateway::start(config).await;
        let told = |prefix: &str, is_other: Option<bool>| {
            (format!("{prefix}/v1/responses"), is_other.unwrap_or(usual))
        };
        for (path, is_other) in
            [told("", None), told("/openai", Some(false)), told("/open-responses", Some(true))]
        {
            let answered = ask(gateway.address, &post_to(&path, "", ASK_STREAM)).await;
            assert_eq!(answered.text().contains("data: [DONE]"), is_other, "{path}");
            let refused = post_to(&path, "", r#"{"input":"x","top_p":7}"#);
            let refused = ask(gateway.address, &refused).await;
            let kind = if is_other { "invalid_request" } else { "invalid_request_error" };
            assert_eq!(refused.error()["type"], kind, "{path}");
            let unknown = get(&format!("{path}/resp_none?stream=false"));
            assert_eq!(ask(gateway.address, &unknown).await.status, 404, "{path}");
        }
        for nowhere in ["/open-responses", "/open-responses/healthz", "/other/v1/responses"] {
            assert_eq!(ask(gateway.address, &get(nowhere)).await.status, 404, "{nowhere}");
        }
    }
}
