//! Conversations: opened, read, changed, and continued by the turns that name them.

use serde_json::{Value, json};

use crate::support::*;

const SAID: &str = "[[rule]]\nanswer = { text = \"said\" }";
const MINE: &str = "authorization: Bearer sk-mine\r\n";

/// `POST`s and gives the body of the answer.
async fn send(to: &Gateway, path: &str, body: Value) -> Value {
    let answered = ask(to.address, &post_to(path, MINE, body.to_string())).await;
    assert_eq!(answered.status, 200, "{}", answered.text());
    answered.json()
}

async fn fetch(from: &Gateway, path: &str) -> Value {
    ask(from.address, &bare("GET", path, MINE)).await.json()
}

fn texts(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().unwrap();
    items.iter().map(|item| item["content"][0]["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_conversation_is_opened_changed_and_deleted() {
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let items = json!([{"role": "user", "content": "one"}]);
    let body = json!({"items": items, "metadata": {"topic": "tests"}});
    let opened = send(&gateway, "/v1/conversations", body).await;
    assert_eq!(opened["object"], "conversation");
    assert_eq!(opened["metadata"], json!({"topic": "tests"}));
    let path = format!("/v1/conversations/{}", opened["id"].as_str().unwrap());
    assert_eq!(fetch(&gateway, &path).await, opened);
    let changed = send(&gateway, &path, json!({"metadata": {"topic": "more"}})).await;
    assert_eq!(changed["metadata"], json!({"topic": "more"}));

    let more = json!({"items": [{"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}]});
    let added = send(&gateway, &format!("{path}/items"), more).await;
    assert_eq!(texts(&added), ["two", "three"]);
    assert_eq!(added["data"][0]["content"][0]["type"], "output_text");
    let list = fetch(&gateway, &format!("{path}/items?order=asc")).await;
    assert_eq!(texts(&list), ["one", "two", "three"]);
    assert_eq!(texts(&fetch(&gateway, &format!("{path}/items?limit=2")).await), ["three", "two"]);

    let item = format!("{path}/items/{}", list["data"][1]["id"].as_str().unwrap());
    assert_eq!(fetch(&gateway, &item).await, list["data"][1]);
    let left = ask(gateway.address, &bare("DELETE", &item, MINE)).await.json();
    assert_eq!(left["id"], opened["id"], "the conversation");
    assert_eq!(ask(gateway.address, &bare("GET", &item, MINE)).await.status, 404);
    assert_eq!(texts(&fetch(&gateway, &format!("{path}/items?order=asc")).await), ["one", "three"]);

    let deleted = ask(gateway.address, &bare("DELETE", &path, MINE)).await.json();
    assert_eq!(deleted["object"], "conversation.deleted");
    assert_eq!(ask(gateway.address, &bare("GET", &path, MINE)).await.status, 404);
}

#[tokio::test]
async fn a_turn_knows_its_conversation_and_is_appended_to_it() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let items = json!([{"role": "developer", "content": "Be kind."}]);
    let opened = send(&gateway, "/v1/conversations", json!({"items": items})).await;
    for (named, wanted) in [
        (json!(opened["id"]), vec!["Be kind.", "hello"]),
        (json!({"id": opened["id"]}), vec!["Be kind.", "hello", "said", "hello"]),
    ] {
        let body = json!({"model": "m", "input": "hello", "conversation": named});
        let client = Client::send(gateway.address, &post(MINE, body.to_string())).await;
        let (mut line, heard) = backend.heard().await;
        line.say(EVENTS_HEAD.to_owned() + &piece(&delta("said")) + &piece(STOP) + &piece("")).await;
        let sent: Value = serde_json::from_slice(&heard.body).unwrap();
        let messages = sent["messages"].as_array().unwrap();
        assert_eq!(messages.iter().map(|m| &m["content"]).collect::<Vec<_>>(), wanted);
        assert_eq!(client.finish().await.json()["conversation"], json!({"id": opened["id"]}));
    }
    let path = format!("/v1/conversations/{}/items?order=asc", opened["id"].as_str().unwrap());
    let list = fetch(&gateway, &path).await;
    assert_eq!(texts(&list), ["Be kind.", "hello", "said", "hello", "said"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_conversation_is_named() {
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let many = json!({"items": vec![json!({"role": "user", "content": "x"}); 21]});
    for (body, param) in [
        (json!({"items": "x"}), "items"),
        (many, "items"),
        (json!({"items": [{"role": "user", "content": "x"}, {"content": "x"}]}), "items[1].type"),
        (json!({"metadata": {"k": 1}}), "metadata.k"),
    ] {
        let refused =
            ask(gateway.address, &post_to("/v1/conversations", "", body.to_string())).await;
        assert_eq!(
            (refused.status, refused.error()["param"].as_str()),
            (400, Some(param)),
            "{body}"
        );
    }
    let body = json!({"input": "x", "conversation": "conv_none"});
    let unknown = ask(gateway.address, &post("", body.to_string())).await;
    assert_eq!((unknown.status, unknown.error()["param"].as_str()), (404, Some("conversation")));
}

#[tokio::test]
async fn another_key_sees_no_conversation() {
    let gateway = Gateway::start(before(mock(SAID).await)).await;
    let items = json!([{"role": "user", "content": "secret", "id": "msg_1"}]);
    let opened = send(&gateway, "/v1/conversations", json!({"items": items})).await;
    let id = opened["id"].as_str().unwrap();
    let path = format!("/v1/conversations/{id}");
    let theirs = "authorization: Bearer sk-theirs\r\n";
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("GET", format!("{path}/items")),
        ("GET", format!("{path}/items/msg_1")),
        ("DELETE", format!("{path}/items/msg_1")),
    ] {
        let refused = ask(gateway.address, &bare(method, &path, theirs)).await;
        assert_eq!(refused.status, 404, "{method} {path}");
    }
    for (path, body) in [
        (path.clone(), json!({"metadata": {}})),
        (format!("{path}/items"), json!({"items": items})),
        ("/v1/responses".to_owned(), json!({"input": "x", "conversation": id})),
    ] {
        let refused = ask(gateway.address, &post_to(&path, theirs, body.to_string())).await;
        assert_eq!(refused.status, 404, "{path}");
    }
    assert_eq!(texts(&fetch(&gateway, &format!("{path}/items")).await), ["secret"]);
}
