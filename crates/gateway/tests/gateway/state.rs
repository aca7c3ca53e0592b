//! What is kept between requests before a backend that keeps nothing: responses that are stored,
//! continued, asked for and forgotten.

use std::net::SocketAddr;

use latimer_gateway::Config;
use latimer_gateway::state::{Keeper, StateConfig};
use latimer_scratch::PostgresServer;
use serde_json::{Value, json};

use crate::support::*;

/// A model that always says the same.
const SAID: &str = "[[rule]]\nanswer = { text = \"said\" }";

/// Asks, and gives the response.
async fn respond(gateway: SocketAddr, body: Value) -> Value {
    let answered = ask(gateway, &post("", body.to_string())).await;
    assert_eq!(answered.status, 200, "{}", answered.text());
    answered.json()
}

/// Plays the backend for one request: what it was asked, and what came of it for the client.
async fn turn(backend: &Backend, gateway: SocketAddr, body: Value) -> (Value, Answered) {
    said(backend, gateway, body, &delta("said")).await
}

/// The same, with what it says.
async fn said(
    backend: &Backend,
    gateway: SocketAddr,
    body: Value,
    chunk: &str,
) -> (Value, Answered) {
    let client = Client::send(gateway, &post("", body.to_string())).await;
    let (mut line, heard) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(chunk) + &piece(STOP) + &piece("")).await;
    (serde_json::from_slice(&heard.body).unwrap(), client.finish().await)
}

/// Until something is to be kept nobody tends the store, neither as the gateway runs nor as it stops.
#[tokio::test]
async fn a_gateway_that_keeps_nothing_leaves_its_file_empty() {
    for (store, is_empty) in [(false, true), (true, false)] {
        let gateway = Gateway::start(before(mock(SAID).await)).await;
        let file = gateway.directory.path().join("state.db");
        respond(gateway.address, json!({"model": "m", "input": "x", "store": store})).await;
        gateway.stop().await;
        assert_eq!(std::fs::metadata(&file).unwrap().len() == 0, is_empty, "store: {store}");
    }
}

#[tokio::test]
async fn a_stored_response_is_continued_and_its_instructions_are_not() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let first = json!({"model": "m", "instructions": "Be brief.", "input": "one", "stream": true});
    let (sent, answered) = turn(&backend, gateway.address, first).await;
    assert_eq!(sent["messages"][0], json!({"role": "system", "content": "Be brief."}));
    let response = answered.terminal()["response"].clone();
    assert_eq!(response["store"], true);

    // Both ways of asking, from the same response: a chain may fork.
    for stream in [true, false] {
        let next = json!({"model": "m", "input": "two", "stream": stream,
            "previous_response_id": response["id"]});
        let (sent, answered) = turn(&backend, gateway.address, next).await;
        assert_eq!(
            sent["messages"],
            json!([{"role": "user", "content": "one"}, {"role": "assistant", "content": "said"},
                {"role": "user", "content": "two"}]),
        );
        let second = match stream {
            true => answered.terminal()["response"].clone(),
            false => answered.json(),
        };
        assert_eq!(second["previous_response_id"], response["id"]);
        let third = json!({"model": "m", "input": [{"role": "user", "content": "three"}],
            "previous_response_id": second["id"], "stream": true});
        let (sent, _) = turn(&backend, gateway.address, third).await;
        let said: Vec<_> =
            sent["messages"].as_array().unwrap().iter().map(|m| &m["content"]).collect();
        assert_eq!(said, ["one", "said", "two", "said", "three"]);
    }
}

/// ogx#3269, ogx#3268: the outputs of tools were missing from the stored chain.
#[tokio::test]
async fn calls_and_their_outputs_are_part_of_the_chain() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let call = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\
        \"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n";
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    let asked = json!({"model": "m", "input": "go", "tools": tools});
    let (_, first) = said(&backend, gateway.address, asked, call).await;

    let output = json!([{"type": "function_call_output", "call_id": "call_1", "output": "42"}]);
    let next = json!({"model": "m", "input": output, "previous_response_id": first.json()["id"]});
    let (_, answered) = turn(&backend, gateway.address, next).await;
    let last =
        json!({"model": "m", "input": "and?", "previous_response_id": answered.json()["id"]});
    let (sent, _) = turn(&backend, gateway.address, last).await;
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant", "user"]);
    assert_eq!(messages[2], json!({"role": "tool", "tool_call_id": "call_1", "content": "42"}));
}

#[tokio::test]
async fn a_response_is_given_back_its_input_listed_and_both_forgotten() {
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let input = json!([{"role": "user", "content": "one"},
        {"type": "message", "id": "msg_mine", "role": "user", "content": [{"type": "input_text", "text": "two"}]}]);
    let body =
        json!({"model": "m", "input": input, "metadata": {"topic": "tests"}, "max_tool_calls": 3});
    let response = respond(gateway.address, body).await;
    assert_eq!(response["metadata"], json!({"topic": "tests"}));
    assert_eq!(response["max_tool_calls"], 3);
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());

    let again = ask(gateway.address, &get(&path)).await;
    assert_eq!((again.status, again.json()), (200, response.clone()));

    let list = ask(gateway.address, &get(&format!("{path}/input_items?order=asc"))).await.json();
    assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(false)));
    assert_eq!(list["data"][0]["content"], json!([{"type": "input_text", "text": "one"}]));
    assert_eq!(list["data"][0]["type"], "message");
    assert_eq!(
        (&list["data"][1]["id"], &list["last_id"]),
        (&json!("msg_mine"), &json!("msg_mine"))
    );
    let page = ask(gateway.address, &get(&format!("{path}/input_items?limit=1"))).await.json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&json!("msg_mine"), &json!(true)));
    let after = format!("{path}/input_items?limit=1&after=msg_mine");
    assert_eq!(ask(gateway.address, &get(&after)).await.json()["data"][0]["id"], list["first_id"]);
    for (query, param) in [("limit=0", "limit"), ("limit=101", "limit"), ("order=up", "order")] {
        let refused = ask(gateway.address, &get(&format!("{path}/input_items?{query}"))).await;
        assert_eq!((refused.status, refused.error()["param"].as_str()), (400, Some(param)));
    }

    let deleted = ask(gateway.address, &bare("DELETE", &path, "")).await.json();
    assert_eq!(deleted, json!({"id": response["id"], "object": "response", "deleted": true}));
    for (method, path) in
        [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/input_items"))]
    {
        let gone = ask(gateway.address, &bare(method, &path, "")).await;
        assert_eq!(
            (gone.status, gone.error()["type"].as_str()),
            (404, Some("invalid_request_error"))
        );
    }
    let next = json!({"input": "x", "previous_response_id": response["id"]});
    let refused = ask(gateway.address, &post("", next.to_string())).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.error()["code"], "previous_response_not_found");
    assert_eq!(refused.error()["param"], "previous_response_id");
}

/// Pictures may be long: a list has them for who includes them.
#[tokio::test]
async fn what_is_not_included_is_left_out_of_a_list() {
    const IMAGE: &str = "message.input_image.image_url";
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let input = json!([{"role": "user", "content": [{"type": "input_text", "text": "one"},
        {"type": "input_image", "image_url": "data:,x", "detail": "low"}]}]);
    let response = respond(gateway.address, json!({"model": "m", "input": input})).await;
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    let opened = json!({"items": input}).to_string();
    let opened = ask(gateway.address, &post_to("/v1/conversations", "", opened)).await.json();
    let conversation = format!("/v1/conversations/{}", opened["id"].as_str().unwrap());
    for list in [format!("{path}/input_items"), format!("{conversation}/items")] {
        for (query, url) in [
            ("", Value::Null),
            ("?include[]=reasoning.encrypted_content", Value::Null),
            (
                "?include=reasoning.encrypted_content&include=message.input_image.image_url",
                json!("data:,x"),
            ),
        ] {
            let listed = ask(gateway.address, &get(&format!("{list}{query}"))).await.json();
            let parts = &listed["data"][0]["content"];
            assert_eq!((&parts[0]["text"], &parts[1]["detail"]), (&json!("one"), &json!("low")));
            assert_eq!(parts[1]["image_url"], url, "{list}{query}");
        }
    }
    for path in [path.clone(), format!("{path}/input_items"), format!("{conversation}/items")] {
        let refused =
            ask(gateway.address, &get(&format!("{path}?include={IMAGE}&include=all"))).await;
        assert_eq!((refused.status, refused.error()["param"].as_str()), (400, Some("include[1]")));
    }
    let unsure = ask(gateway.address, &get(&format!("{path}?include_obfuscation=maybe"))).await;
    assert_eq!(unsure.error()["param"], "include_obfuscation");
}

#[tokio::test]
async fn a_stored_response_is_streamed_again_from_any_event() {
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let response = respond(gateway.address, json!({"model": "m", "input": "one"})).await;
    let path = format!("/v1/responses/{}?stream=true", response["id"].as_str().unwrap());
    let all = ask(gateway.address, &get(&path)).await;
    assert_eq!(all.header("content-type"), Some("text/event-stream"));
    assert_eq!(all.terminal()["response"], response);
    let rest = ask(gateway.address, &get(&format!("{path}&starting_after=3"))).await;
    assert_eq!(rest.events(), all.events()[4..]);
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_not() {
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let asked = json!({"model": "m", "input": "one", "store": false});
    let response = respond(gateway.address, asked).await;
    assert_eq!(response["store"], false);
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(ask(gateway.address, &get(&path)).await.status, 404);
}

/// A response is seen by who sent its key, and by nobody else, whatever they ask.
#[tokio::test]
async fn another_key_sees_nothing() {
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let (mine, theirs) =
        ("authorization: Bearer sk-mine\r\n", "authorization: Bearer sk-theirs\r\n");
    let body =
        json!({"model": "m", "input": [{"role": "user", "content": "secret", "id": "msg_1"}]});
    let response = ask(gateway.address, &post(mine, body.to_string())).await.json();
    let id = response["id"].as_str().unwrap();
    let path = format!("/v1/responses/{id}");
    assert_eq!(ask(gateway.address, &bare("GET", &path, mine)).await.status, 200);

    let unknown = ask(gateway.address, &bare("GET", "/v1/responses/resp_none", theirs)).await;
    for headers in [theirs, ""] {
        for (method, path) in [
            ("GET", path.clone()),
            ("GET", format!("{path}?stream=true")),
            ("GET", format!("{path}/input_items")),
            ("DELETE", path.clone()),
        ] {
            let refused = ask(gateway.address, &bare(method, &path, headers)).await;
            let told = refused.text().replace(id, "resp_none");
            assert_eq!((refused.status, told), (404, unknown.text()), "{method} {path}");
        }
        for body in [
            json!({"input": "x", "previous_response_id": id}),
            json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
            json!({"input": [{"type": "item_reference", "id": response["output"][0]["id"]}]}),
        ] {
            let refused = ask(gateway.address, &post(headers, body.to_string())).await;
            assert!(matches!(refused.status, 400 | 404), "{body}");
            assert!(!refused.text().contains("secret"));
        }
    }
    assert_eq!(ask(gateway.address, &bare("GET", &path, mine)).await.status, 200);
}

#[tokio::test]
async fn a_reference_stands_for_its_item() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let (_, answered) =
        turn(&backend, gateway.address, json!({"model": "m", "input": "one"})).await;
    let reference = json!({"id": answered.json()["output"][0]["id"]});
    let next = json!({"model": "m", "input": [reference, {"role": "user", "content": "two"}]});
    let (sent, _) = turn(&backend, gateway.address, next).await;
    assert_eq!(
        sent["messages"],
        json!([{"role": "assistant", "content": "said"}, {"role": "user", "content": "two"}]),
    );
}

/// What a client sent in this turn is named by its place there, and what came before by its own.
#[tokio::test]
async fn an_error_names_the_place_in_what_was_sent() {
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let first = respond(gateway.address, json!({"model": "m", "input": "one"})).await;
    let broken =
        json!({"input": [{"role": "user", "content": 7}], "previous_response_id": first["id"]});
    let refused = ask(gateway.address, &post("", broken.to_string())).await;
    assert_eq!(refused.error()["param"], "input[0].content");
}

#[tokio::test]
async fn the_oldest_turns_are_left_out_where_the_client_allows_it() {
    let backend = Backend::start().await;
    let mut config = before(backend.address);
    config.upstream.as_mut().unwrap().context_tokens = Some(100);
    let gateway = Gateway::start(config).await;
    let long = "a".repeat(300);
    let input = json!([{"role": "developer", "content": "rules"}, {"role": "user", "content": long},
        {"role": "assistant", "content": "2"}, {"role": "user", "content": "now"}]);
    let body = json!({"model": "m", "input": input, "truncation": "auto"});
    let (sent, answered) = turn(&backend, gateway.address, body).await;
    let said: Vec<_> = sent["messages"].as_array().unwrap().iter().map(|m| &m["content"]).collect();
    assert_eq!(said, ["rules", "now"]);
    assert!(answered.header("latimer-notes").unwrap().contains("input_truncated=1"));
    let whole = json!({"model": "m", "input": input});
    let (sent, _) = turn(&backend, gateway.address, whole).await;
    assert_eq!(sent["messages"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn the_tokens_of_a_request_are_estimated_and_it_is_said() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let (_, first) =
        turn(&backend, gateway.address, json!({"model": "m", "input": "a".repeat(400)})).await;
    for (body, least) in [
        (json!({"model": "m", "input": "Hi"}), 1),
        (json!({"model": "m", "input": "Hi", "previous_response_id": first.json()["id"]}), 100),
    ] {
        let request = post_to("/v1/responses/input_tokens", "", body.to_string());
        let counted = ask(gateway.address, &request).await;
        assert_eq!(counted.json()["object"], "response.input_tokens");
        let tokens = counted.json()["input_tokens"].as_u64().unwrap();
        assert!((least..least + 50).contains(&tokens), "{tokens}");
        assert_eq!(counted.header("latimer-notes"), Some("input_tokens_estimated=1"));
    }
    backend.assert_quiet().await;
}

#[tokio::test]
async fn a_chain_that_is_too_long_is_refused() {
    let backend = Backend::start().await;
    let state = StateConfig { history_items: 3, ..StateConfig::default() };
    let gateway = Gateway::start(Config { state, ..before(backend.address) }).await;
    let (_, one) = turn(&backend, gateway.address, json!({"input": "1"})).await;
    let next = json!({"input": "2", "previous_response_id": one.json()["id"]});
    let (_, two) = turn(&backend, gateway.address, next).await;
    let third = json!({"input": "3", "previous_response_id": two.json()["id"]});
    let refused = ask(gateway.address, &post("", third.to_string())).await;
    assert_eq!((refused.status, &refused.error()["code"]), (400, &json!("history_too_long")));
    backend.assert_quiet().await;
}

/// A store that cannot be reached takes no answer with it: the answer says that it is not stored.
#[tokio::test]
async fn traffic_goes_on_without_the_store_and_nothing_is_pretended() {
    let model = mock(SAID).await;
    let gone = Keeper::Postgres("postgres://nobody@127.0.0.1:1/none".to_owned());
    for fail_closed in [false, true] {
        let state = StateConfig { store: gone.clone(), fail_closed, ..StateConfig::default() };
        let gateway = Gateway::start(Config { state, ..before(model) }).await;
        let streamed = ask(gateway.address, &post("", ASK_STREAM)).await.terminal();
        assert_eq!(streamed["response"]["store"], false);
        let whole = ask(gateway.address, &post("", ASK_WHOLE)).await;
        if fail_closed {
            assert_eq!(streamed["response"]["error"]["code"], "state_unavailable");
            assert_eq!((whole.status, whole.header("retry-after")), (503, Some("2")));
        } else {
            assert_eq!(streamed["type"], "response.completed");
            assert_eq!((whole.status, &whole.json()["store"]), (200, &json!(false)));
            assert_eq!(whole.header("latimer-notes"), Some("response_not_stored=1"));
        }
        let unstored = json!({"input": "x", "store": false});
        assert_eq!(ask(gateway.address, &post("", unstored.to_string())).await.status, 200);
        for request in [
            post("", json!({"input": "x", "previous_response_id": "resp_1"}).to_string()),
            post("", json!({"input": "x", "background": true}).to_string()),
            get("/v1/responses/resp_1"),
        ] {
            let refused = ask(gateway.address, &request).await;
            assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
            assert_eq!(refused.error()["code"], "state_unavailable");
        }
    }
}

/// vllm#26934, lmstudio#1188: what was said was gone after a restart.
#[tokio::test]
async fn another_gateway_on_the_same_directory_goes_on() {
    let backend = Backend::start().await;
    let first = Gateway::start(before(backend.address)).await;
    let (_, answered) = turn(&backend, first.address, json!({"input": "one"})).await;
    let second = Gateway::start_in(first.directory, before(backend.address)).await;
    let next = json!({"input": "two", "previous_response_id": answered.json()["id"]});
    let (sent, _) = turn(&backend, second.address, next).await;
    assert_eq!(sent["messages"].as_array().unwrap().len(), 3);
}

/// A client whose turns go to one gateway and to the other, before and after the database has crashed.
#[tokio::test]
async fn gateways_over_one_database_serve_one_conversation() {
    let Some(database) = PostgresServer::start().unwrap() else { return };
    let backend = Backend::start().await;
    let state = StateConfig {
        store: Keeper::Postgres(database.address()),
        wait_ms: 500,
        ..StateConfig::default()
    };
    let config = || Config { state: state.clone(), ..before(backend.address) };
    let gateways = [Gateway::start(config()).await, Gateway::start(config()).await];
    let opened = ask(gateways[0].address, &post_to("/v1/conversations", "", "{}")).await.json();
    let mut previous = Value::Null;
    for at in 0..4 {
        let gateway = gateways[at % 2].address;
        let named = json!({"input": format!("{at}"), "previous_response_id": previous,
            "stream": at == 1});
        let (sent, answered) = turn(&backend, gateway, named).await;
        assert_eq!(sent["messages"].as_array().unwrap().len(), 2 * at + 1);
        let response =
            if at == 1 { answered.terminal()["response"].clone() } else { answered.json() };
        previous = response["id"].clone();
        let joined = json!({"input": format!("{at}"), "conversation": opened["id"]});
        let (sent, _) = turn(&backend, gateway, joined).await;
        assert_eq!(sent["messages"].as_array().unwrap().len(), 2 * at + 1);
    }

    database.crash().unwrap();
    let (_, answered) = turn(&backend, gateways[0].address, json!({"input": "alone"})).await;
    assert_eq!(answered.json()["store"], false);
    database.begin().unwrap();
    for gateway in &gateways {
        let path = format!("/v1/responses/{}", previous.as_str().unwrap());
        let known = async {
            // A connection of before the crash may be tried first.
            while ask(gateway.address, &get(&path)).await.status != 200 {}
        };
        within("what was acknowledged is there", known).await;
        let named = json!({"input": "on", "previous_response_id": previous});
        let (sent, _) = turn(&backend, gateway.address, named).await;
        assert_eq!(sent["messages"].as_array().unwrap().len(), 9);
    }
}

#[tokio::test]
async fn a_gateway_that_keeps_nothing_says_so() {
    let state = StateConfig { store: Keeper::Off, ..StateConfig::default() };
    let gateway = Gateway::start(Config { state, ..before(mock(SAID).await) }).await;
    let response = respond(gateway.address, json!({"model": "m", "input": "one"})).await;
    assert_eq!(response["store"], false);
    assert_eq!(ask(gateway.address, &get("/v1/responses/resp_1")).await.status, 404);
    for member in ["previous_response_id", "conversation"] {
        let body = json!({"input": "x", member: "resp_1"});
        let refused = ask(gateway.address, &post("", body.to_string())).await;
        assert_eq!((refused.status, refused.error()["param"].as_str()), (400, Some(member)));
    }
}

/// A backend that keeps its own state is asked about it, byte for byte.
#[tokio::test]
async fn what_a_backend_keeps_itself_passes() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    for (method, path) in [
        ("GET", "/v1/responses/resp_1?include[]=x"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/v1/conversations/conv_1/items?limit=5"),
        ("POST", "/v1/responses/input_tokens"),
        ("POST", "/v1/responses/compact"),
    ] {
        let client = Client::send(gateway.address, &bare(method, path, "")).await;
        let (mut line, heard) = backend.heard().await;
        assert!(heard.head.starts_with(&format!("{method} {path} HTTP/1.1")), "{}", heard.head);
        line.say(whole("200 OK", "content-type: application/json\r\n", "{ \"as\": \"it is\" }"))
            .await;
        assert_eq!(client.finish().await.text(), "{ \"as\": \"it is\" }");
    }
}
