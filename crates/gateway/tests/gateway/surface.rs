//! What is served where, with no backend but the embedded model.

use latimer_gateway::{Config, Server};

use crate::support::*;

#[tokio::test]
async fn the_embedded_model_answers_with_no_backend() {
    let gateway = Gateway::start(Config::default()).await;
    let streamed = ask(gateway.address, &post("", ASK_STREAM)).await;
    assert_eq!((streamed.status, streamed.whole), (200, true));
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    assert!(streamed.header("x-request-id").is_some());
    let completed = streamed.terminal();
    assert_eq!(completed["type"], "response.completed");
    let said = completed["response"]["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(said.ends_with("You said: Hi"), "{said}");

    let whole = ask(gateway.address, &post("", ASK_WHOLE)).await;
    assert_eq!(whole.header("content-type"), Some("application/json"));
    assert_eq!(whole.json()["status"], "completed");
    assert_eq!(whole.json()["output"][0]["content"][0]["text"], said);
    assert_eq!(gateway.stop().await.outcomes(), ["completed", "completed"]);
}

#[tokio::test]
async fn every_path_has_its_answer() {
    const UPGRADE: &str = "upgrade: WebSocket\r\nconnection: upgrade\r\n";
    // request line, more headers, status, the error's code or "" for none
    const CASES: &[(&str, &str, u16, &str)] = &[
        ("GET /healthz", "", 200, ""),
        ("GET /v1/models", "", 200, ""),
        ("GET /v1/models?client_version=1", "", 200, ""),
        ("GET /", "", 404, "not_found"),
        ("GET //v1/models", "", 404, "not_found"),
        ("POST /v1/responses", "", 400, "invalid_json"),
        ("POST /v1/chat/completions", "", 400, "strict"),
        ("POST /v1/nothing", "", 404, "not_found"),
        ("GET /v1/responses", "", 405, "method_not_allowed"),
        ("DELETE /v1/models", "", 405, "method_not_allowed"),
        ("GET /v1/responses", UPGRADE, 426, "invalid_handshake"),
        ("GET /healthz", "origin: https://evil.example\r\n", 403, "forbidden_origin"),
    ];
    let gateway = Gateway::start(Config::default()).await;
    for (line, headers, status, code) in CASES {
        let request =
            format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n");
        let answered = ask(gateway.address, request.as_bytes()).await;
        assert_eq!((answered.status, answered.whole), (*status, true), "{line}");
        match *code {
            "" => assert!(answered.json().is_object(), "{line}"),
            code => assert_eq!(answered.error()["code"], code, "{line}"),
        }
        assert_eq!(answered.header("allow").is_some(), *status == 405, "{line}");
    }
    let long = format!(
        "GET /{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "a".repeat(9000)
    );
    let answered = ask(gateway.address, long.as_bytes()).await;
    assert_eq!(answered.status, 404);
    assert!(answered.body.len() < 2000, "an error does not give a long path back");
    let long = format!("GET / HTTP/1.1\r\nconnection: close\r\nx: {}\r\n\r\n", "a".repeat(300_000));
    assert_eq!(ask(gateway.address, long.as_bytes()).await.status, 431);
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused_in_words() {
    let gateway = Gateway::start(Config::default()).await;
    let deep = format!("{{\"input\":{}", "[".repeat(100_000));
    let cases: &[&[u8]] = &[
        b"",
        b"{",
        b"[]",
        b"\"input\"",
        b"{\"input\":\"\xff\"}",
        b"{\"input\":1}",
        deep.as_bytes(),
    ];
    for body in cases {
        let answered = ask(gateway.address, &post("", body)).await;
        assert_eq!(
            answered.status,
            400,
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(20)])
        );
        assert_eq!(answered.error()["type"], "invalid_request_error");
    }
}

/// Only what is translated is checked: a backend of the same dialect judges for itself.
#[tokio::test]
async fn a_value_out_of_range_is_named_and_goes_to_no_other_dialect() {
    const HOT: &str = r#"{"model":"m","input":"Hi","temperature":3}"#;
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let error = ask(gateway.address, &post("", HOT)).await.error();
    assert_eq!(
        (&error["param"], &error["code"]),
        (&"temperature".into(), &"decimal_above_max_value".into())
    );
    backend.assert_quiet().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let client = Client::send(gateway.address, &post("", HOT)).await;
    let (mut line, heard) = backend.heard().await;
    assert_eq!(String::from_utf8(heard.body).unwrap(), HOT);
    line.say(whole("400 Bad Request", "", r#"{"error":{"message":"Too hot."}}"#)).await;
    assert!(client.finish().await.text().contains("Too hot."));
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let gateway = Gateway::start(Config::default()).await;
    let config =
        Config { listen: Some(gateway.address), recording: Some(false), ..Config::default() };
    let refused = Server::bind(config.resolve(|_| None).unwrap()).await.err().expect("it is taken");
    assert!(refused.to_string().contains(&gateway.address.to_string()), "{refused}");
}

#[tokio::test]
async fn stopping_waits_for_open_answers_and_not_for_idle_clients() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let silent = Client::send(gateway.address, b"").await;
    let idle =
        Client::send(gateway.address, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&delta("one"))).await;
    client.wait_for("one").await;
    let stopping = tokio::spawn(gateway.stop());
    line.say(piece(STOP) + &piece("")).await;
    assert_eq!(client.finish().await.terminal()["type"], "response.completed");
    assert_eq!(stopping.await.unwrap().outcomes(), ["completed"]);
    drop((silent, idle));
}

/// The list of what is kept: every endpoint that is served for it is there, and every test it names.
#[tokio::test]
async fn the_list_of_endpoints_is_whole() {
    let list = include_str!("../../docs/state.md");
    let gateway = Gateway::start(Config::default()).await;
    let nowhere = ask(gateway.address, &get("/nowhere")).await.error();
    let served = nowhere["message"].as_str().unwrap().split("Served are: ").nth(1).unwrap();
    let kept = |path: &&str| path.contains("/responses") || path.contains("/conversations");
    for endpoint in served.trim_end_matches('.').split(", ").filter(kept) {
        assert!(list.contains(&format!("| `{endpoint}` |")), "{endpoint} is not in the list");
    }
    let sources = [
        ("background", include_str!("background.rs")),
        ("bad_days", include_str!("bad_days.rs")),
        ("compaction", include_str!("compaction.rs")),
        ("conversations", include_str!("conversations.rs")),
        ("flavour", include_str!("flavour.rs")),
        ("forgetful", include_str!("forgetful.rs")),
        ("prompts", include_str!("prompts.rs")),
        ("latimer/tests/state.rs", include_str!("../../../latimer/tests/state.rs")),
        ("state", include_str!("state.rs")),
        ("websocket", include_str!("websocket.rs")),
        ("surface", include_str!("surface.rs")),
    ];
    let names = list.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::"));
    let mut count = 0;
    for (module, test) in names {
        let source = sources.iter().find(|(name, _)| *name == module);
        let is_there = source.is_some_and(|(_, text)| text.contains(&format!("fn {test}()")));
        assert!(is_there, "{module}::{test} is no test");
        count += 1;
    }
    assert!(count > 30, "{count} tests are named");
}
