//! Prompts that the operator keeps, named by clients.

use latimer_gateway::Config;
use serde_json::{Value, json};

use crate::support::*;

const PROMPTS: &str = r#"
[[prompts.greeting]]
version = "1"
instructions = "Old."

[[prompts.greeting]]
version = "2"
instructions = "Greet {{name}} in {{language}}."
messages = [{ role = "user", content = "My name is {{name}}." }]
parameters = { model = "small", temperature = 0.5, tools = [{ type = "function", name = "f", parameters = { type = "object" } }] }
"#;

async fn keeping(backend: &Backend) -> Gateway {
    let prompts = toml::from_str::<Config>(PROMPTS).unwrap().prompts;
    Gateway::start(Config { prompts, ..before(backend.address) }).await
}

/// Plays the backend for one request: what it was asked, and what the client got.
async fn turn(backend: &Backend, gateway: &Gateway, body: &Value) -> (Value, Value) {
    let client = Client::send(gateway.address, &post("", body.to_string())).await;
    let (mut line, heard) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&delta("said")) + &piece(STOP) + &piece("")).await;
    (serde_json::from_slice(&heard.body).unwrap(), client.finish().await.json())
}

fn contents(sent: &Value) -> Vec<&str> {
    let messages = sent["messages"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_prompt_is_filled_and_what_the_request_says_itself_counts() {
    let backend = Backend::start().await;
    let gateway = keeping(&backend).await;
    let prompt = json!({"id": "greeting", "variables":
        {"name": "A\"da", "language": {"type": "input_text", "text": "{{name}}"}}});
    let (sent, first) = turn(&backend, &gateway, &json!({"prompt": prompt})).await;
    assert_eq!(contents(&sent), ["Greet A\"da in {{name}}.", "My name is A\"da."]);
    assert_eq!((&sent["model"], &sent["temperature"]), (&json!("small"), &json!(0.5)));
    assert_eq!(sent["tools"][0]["function"]["name"], "f");
    assert_eq!((&first["prompt"], &first["model"]), (&prompt, &json!("small")));

    // It leads what came before, and is no part of it.
    let next = json!({"prompt": prompt, "input": "Hi", "previous_response_id": first["id"],
        "instructions": "Own.", "temperature": 1});
    let (sent, second) = turn(&backend, &gateway, &next).await;
    assert_eq!(contents(&sent), ["Own.", "My name is A\"da.", "said", "Hi"]);
    assert_eq!(sent["temperature"], 1);
    let last = json!({"input": "Bye", "previous_response_id": second["id"]});
    let (sent, _) = turn(&backend, &gateway, &last).await;
    assert_eq!(contents(&sent), ["said", "Hi", "said", "Bye"]);

    let old = json!({"prompt": {"id": "greeting", "version": "1"}, "input": "Hi"});
    let (sent, _) = turn(&backend, &gateway, &old).await;
    assert_eq!(contents(&sent), ["Old.", "Hi"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_prompt_is_named() {
    let backend = Backend::start().await;
    let gateway = keeping(&backend).await;
    let both = json!({"name": "x", "language": "y", "more": "z"});
    for (prompt, status, param, code) in [
        (json!({}), 400, "prompt.id", "missing_required_parameter"),
        (json!({"id": "farewell"}), 404, "prompt.id", "prompt_not_found"),
        (json!({"id": "greeting", "version": "3"}), 404, "prompt.version", "prompt_not_found"),
        (json!({"id": "greeting"}), 400, "prompt.variables.language", "missing_required_parameter"),
        (
            json!({"id": "greeting", "variables": both}),
            400,
            "prompt.variables.more",
            "unknown_parameter",
        ),
        (
            json!({"id": "greeting", "variables": {"name": {"type": "input_image"}}}),
            400,
            "prompt.variables.name",
            "unsupported_value",
        ),
    ] {
        for path in ["/v1/responses", "/v1/responses/input_tokens"] {
            let body = json!({"prompt": prompt}).to_string();
            let refused = ask(gateway.address, &post_to(path, "", body)).await;
            let error = refused.error();
            assert_eq!(
                (refused.status, error["param"].as_str(), error["code"].as_str()),
                (status, Some(param), Some(code)),
                "{error}"
            );
        }
    }
    backend.assert_quiet().await;
}
