//! Backends that answer with an error, or not at all.

use latimer_gateway::config::Timeouts;
use latimer_gateway::{Config, UpstreamConfig};

use crate::support::*;

#[tokio::test]
async fn a_backend_that_is_not_there_is_named() {
    let nobody = Backend::start().await.address;
    let gateway = Gateway::start(before(nobody)).await;
    for body in [ASK_STREAM, ASK_WHOLE] {
        let answered = ask(gateway.address, &post("", body)).await;
        let error = answered.error();
        assert_eq!((answered.status, error["code"].as_str()), (502, Some("upstream_unreachable")));
        assert!(error["message"].as_str().unwrap().contains(&nobody.to_string()), "{error}");
    }
    assert_eq!(gateway.stop().await.outcomes(), ["failed", "failed"]);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_named() {
    let url = Some("http://backend.invalid/v1".to_owned());
    let upstream = Some(UpstreamConfig { url, ..UpstreamConfig::default() });
    let gateway = Gateway::start(Config { upstream, ..Config::default() }).await;
    let answered = ask(gateway.address, &post("", ASK_STREAM)).await;
    assert_eq!(answered.status, 502);
    assert!(answered.text().contains("backend.invalid"), "{}", answered.text());
}

#[tokio::test]
async fn an_answer_that_does_not_begin_is_an_error() {
    // what the backend does instead of answering; status and code that come of it
    let garbage = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
    let huge = format!("HTTP/1.1 200 OK\r\nx-pad: {}\r\n\r\n", "a".repeat(1 << 20));
    let cases: &[(&str, Option<&str>, u16, &str)] = &[
        ("closes", None, 502, "upstream_closed"),
        ("half a head", Some("HTTP/1.1 200 OK\r\ncontent-"), 502, "upstream_closed"),
        ("garbage", Some(garbage), 502, "upstream_invalid"),
        ("a huge head", Some(&huge), 502, "upstream_invalid"),
    ];
    let backend = Backend::start().await;
    let timeouts = Timeouts { first_byte_ms: 150, ..Timeouts::default() };
    let config = Config { timeouts, ..before(backend.address) };
    let gateway = Gateway::start(config).await;
    for (name, said, status, code) in cases {
        let client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
        let (mut line, _) = backend.heard().await;
        if let Some(said) = said {
            let _ = line.try_say(said).await;
        }
        drop(line);
        let answered = client.finish().await;
        let error = answered.error();
        assert_eq!((answered.status, error["code"].as_str()), (*status, Some(*code)), "{name}");
        assert!(answered.text().contains(&backend.address.to_string()), "{name}");
        backend.assert_quiet().await; // a request on a new connection is sent once
    }
    let client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (line, _) = backend.heard().await;
    let answered = client.finish().await;
    assert_eq!((answered.status, &answered.error()["code"]), (504, &"upstream_timeout".into()));
    line.assert_left().await;
}

#[tokio::test]
async fn an_error_status_keeps_its_meaning() {
    let json = "content-type: application/json\r\n";
    let slow = "retry-after: 7\r\nx-request-id: req_1\r\nx-ratelimit-limit-tokens: 9\r\n\
        x-codex-plan: plus\r\n";
    let shaped = r#"{"error":{"message":"Slow down.","type":"tokens","param":"model","code":"rate_limit_exceeded","resets_at": 12345678901234567890}}"#;
    let page = format!("<html>{}</html>", "busy ".repeat(40_000));
    let long =
        format!("{{\"error\":{{\"message\":\"{}\",\"code\":\"long\"}}}}", "a".repeat(50_000));
    let latin = b"HTTP/1.1 500 Oops\r\ncontent-length: 6\r\n\r\nd\xe9faut".to_vec();
    // what the backend answers; status, code, type, and a word of the message
    type Case<'a> = (Vec<u8>, u16, Option<&'a str>, &'a str, &'a str);
    let cases: Vec<Case<'_>> = vec![
        (
            whole("429 Too Many Requests", &[json, slow].concat(), shaped).into(),
            429,
            Some("rate_limit_exceeded"),
            "tokens",
            "Slow down.",
        ),
        (whole("503 Gone", "", &page).into(), 503, None, "server_error", "<html>busy busy"),
        (whole("400 Bad", json, &long).into(), 400, Some("long"), "invalid_request_error", "aaaa"),
        (
            whole("401 No", json, r#"{"error":"no key"}"#).into(),
            401,
            None,
            "authentication_error",
            "no key",
        ),
        (whole("502 Bad", "", "").into(), 502, None, "server_error", "502"),
        (latin, 500, None, "server_error", "d\u{fffd}faut"),
        (
            b"HTTP/1.1 500 Oops\r\ncontent-length: 99\r\n\r\nhalf".to_vec(),
            500,
            None,
            "server_error",
            "half",
        ),
        (
            whole("302 Found", "location: http://192.0.2.1/\r\n", "").into(),
            502,
            None,
            "server_error",
            "302",
        ),
    ];
    let backend = Backend::start().await;
    for config in [before(backend.address), before_responses(backend.address)] {
        let gateway = Gateway::start(config.clone()).await;
        for (said, status, code, kind, word) in &cases {
            for body in [ASK_STREAM, ASK_WHOLE] {
                let client = Client::send(gateway.address, &post("", body)).await;
                let (mut line, _) = backend.heard().await;
                line.say(said).await;
                drop(line);
                let answered = client.finish().await;
                let error = answered.error();
                assert_eq!(answered.status, *status, "{error}");
                assert_eq!((error["code"].as_str(), error["type"].as_str()), (*code, Some(*kind)));
                let message = error["message"].as_str().unwrap();
                assert!(message.contains(word), "{error}");
                assert!(message.contains(&backend.address.to_string()), "{error}");
                assert!(message.len() < 5_000, "{} bytes", message.len());
                if *status == 429 {
                    assert_eq!(error["param"], "model");
                    assert!(answered.text().contains("\"resets_at\":12345678901234567890"));
                    let passed = config.upstream.as_ref().unwrap().dialect.is_some();
                    assert_eq!(answered.header("x-codex-plan").is_some(), passed);
                    for (name, value) in [
                        ("retry-after", "7"),
                        ("x-request-id", "req_1"),
                        ("x-ratelimit-limit-tokens", "9"),
                    ] {
                        assert_eq!(answered.header(name), Some(value), "{name}");
                    }
                }
                if *status == 503 {
                    assert!(message.len() < 400, "a snippet: {message}");
                }
                backend.assert_quiet().await;
            }
        }
        let outcomes = gateway.stop().await.outcomes();
        assert_eq!(outcomes, vec!["failed"; 2 * cases.len()]);
    }
}
