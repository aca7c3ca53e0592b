//! Honest ends: however a backend's answer breaks, the client is told, once, and by whom.

use latimer_gateway::Config;
use latimer_gateway::config::{Limits, Timeouts};

use crate::support::*;

/// How the backend stops after what it said.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Close,
    Reset,
    End,
    Silence,
}

fn impatient(config: Config) -> Config {
    let limits = Limits { event_bytes: 4_000, stream_bytes: 20_000, ..Limits::default() };
    let timeouts = Timeouts { idle_ms: 150, ..Timeouts::default() };
    Config { limits, timeouts, ..config }
}

/// Asks; the backend says its pieces, each but the last once the client has what follows from the
/// one before, and then stops.
async fn play(
    gateway: &Gateway,
    backend: &Backend,
    request: &[u8],
    said: &[(&str, &str)],
    then: Then,
) -> Answered {
    let mut client = Client::send(gateway.address, request).await;
    let (mut line, _) = backend.heard().await;
    for (piece, seen) in said {
        line.say(*piece).await;
        client.wait_for(seen).await;
    }
    let silent = match then {
        Then::Close => {
            drop(line);
            None
        }
        Then::Reset => {
            // A reset may take with it what has not been read yet.
            client.wait_for("Hello").await;
            line.reset();
            None
        }
        Then::End => {
            line.say(piece("")).await;
            Some(line)
        }
        Then::Silence => Some(line),
    };
    let answered = client.finish().await;
    drop(silent);
    answered
}

#[tokio::test]
async fn a_translated_stream_that_breaks_fails_once() {
    let long = delta(&"a".repeat(5_000));
    let error = "data: {\"error\":{\"message\":\"It melted.\",\"code\":\"engine_melted\"}}\n\n";
    let half = "data: {\"choices\":[{\"delta\":{\"cont";
    let endless = piece(&delta("on and on")).repeat(400);
    // what the backend says after its head, how it stops, what the error says besides the hop
    let cases: &[(&str, String, Then, &str)] = &[
        ("nothing", String::new(), Then::Close, "broke"),
        ("nothing", String::new(), Then::End, "before it was complete"),
        ("nothing", String::new(), Then::Silence, "nothing for 150 ms"),
        ("a delta", piece(&delta("Hello")), Then::Close, "broke"),
        ("a delta", piece(&delta("Hello")), Then::Reset, ""),
        ("a delta", piece(&delta("Hello")), Then::End, "before it was complete"),
        ("a delta", piece(&delta("Hello")), Then::Silence, "nothing for 150 ms"),
        ("half an event", piece(half), Then::Close, "broke"),
        ("half an event", piece(half), Then::End, "before it was complete"),
        ("half a character", "3\r\ndat\r\n6\r\na: \"\u{e9}".into(), Then::Close, "broke"),
        ("an error", piece(error), Then::End, "It melted."),
        ("an error later", piece(&(delta("Hello") + error)), Then::Silence, "It melted."),
        ("no JSON", piece("data: {\"choices\": nonsense}\n\n"), Then::End, "not JSON"),
        ("a long event", piece(&long), Then::Silence, "longer than 4000 bytes"),
        ("a line without end", piece(&"a".repeat(5_000)), Then::Silence, "longer than 4000 bytes"),
        ("an endless answer", endless.clone(), Then::Silence, "too long"),
        ("no chunk size", "nonsense\r\n".into(), Then::Silence, "broke"),
    ];
    let backend = Backend::start().await;
    let gateway = Gateway::start(impatient(before(backend.address))).await;
    for (name, said, then, words) in cases {
        let said = [(EVENTS_HEAD, "response.in_progress"), (said.as_str(), "")];
        let answered = play(&gateway, &backend, &post("", ASK_STREAM), &said, *then).await;
        assert_eq!((answered.status, answered.whole), (200, true), "{name}, {then:?}");
        let failed = answered.terminal();
        assert_eq!(failed["type"], "response.failed", "{name}, {then:?}");
        let error = &failed["response"]["error"];
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{name}, {then:?}: {message}");
        if name.starts_with("an error") {
            assert_eq!(error["code"], "engine_melted");
        } else {
            assert!(message.contains(&backend.address.to_string()), "{name}, {then:?}: {message}");
        }
    }
    assert_eq!(gateway.stop().await.outcomes(), vec!["failed"; cases.len()]);
}

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\
    \"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"output\":[]}}\n\n";
const TEXT: &str = "event: response.output_text.delta\ndata: \
    {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"Hello\"}\n\n";

#[tokio::test]
async fn a_stream_passed_on_that_breaks_fails_once_or_is_broken_off() {
    let long = format!("data: {{\"type\":\"x\",\"pad\":\"{}\"}}\n\n", "a".repeat(5_000));
    let begun = piece(&[CREATED, TEXT].concat());
    // what the backend says, how it stops, what the error says; none: no event may stand there
    let cases: &[(&str, String, Then, Option<&str>)] = &[
        ("two events", begun.clone(), Then::Close, Some("broke")),
        ("two events", begun.clone(), Then::End, Some("before it was complete")),
        ("two events", begun.clone(), Then::Silence, Some("nothing for 150 ms")),
        ("half an event", begun.clone() + &piece("event: resp"), Then::Close, None),
        ("half an event", begun.clone() + &piece("event: resp"), Then::End, None),
        ("half an event", begun.clone() + &piece("event: resp"), Then::Silence, None),
        ("at once", piece(&[CREATED, TEXT, "event: resp"].concat()), Then::Close, None),
        ("a long event", begun.clone() + &piece(&long), Then::End, None),
        ("a long event", begun.clone() + &piece(&long), Then::Silence, None),
    ];
    let backend = Backend::start().await;
    let gateway = Gateway::start(impatient(before_responses(backend.address))).await;
    for (name, said, then, words) in cases {
        let said = EVENTS_HEAD.to_owned() + said;
        let said = [(said.as_str(), "")];
        let answered = play(&gateway, &backend, &post("", ASK_STREAM), &said, *then).await;
        let text = answered.text();
        assert!(text.starts_with(&[CREATED, TEXT].concat()), "{name}, {then:?}: {text}");
        let Some(words) = words else {
            assert!(!answered.whole, "{name}, {then:?}: it is broken off");
            assert!(!text.contains("response.failed"), "{name}, {then:?}: {text}");
            continue;
        };
        assert!(answered.whole, "{name}, {then:?}");
        let failed = answered.terminal();
        assert_eq!(failed["type"], "response.failed", "{name}, {then:?}");
        assert_eq!(failed["response"]["id"], "resp_1", "what was known is kept");
        let message = failed["response"]["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{name}, {then:?}: {message}");
        assert!(message.contains(&backend.address.to_string()), "{name}, {then:?}: {message}");
    }
    assert_eq!(gateway.stop().await.outcomes(), vec!["failed"; cases.len()]);
}

#[tokio::test]
async fn what_a_backend_says_went_wrong_is_why_its_stream_failed() {
    let error = "event: error\ndata: {\"type\":\"error\",\"sequence_number\":2,\
        \"code\":\"engine_melted\",\"message\":\"It melted.\"}\n\n";
    let said = EVENTS_HEAD.to_owned() + &piece(&[CREATED, TEXT, error].concat());
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
    let backend = Backend::start().await;
    let gateway = Gateway::start(impatient(before_responses(backend.address))).await;
    for (path, body) in [("/v1/responses", ASK_STREAM), ("/v1/chat/completions", chat)] {
        for then in [Then::End, Then::Close, Then::Silence] {
            let said = [(said.as_str(), "")];
            let asked = post_to(path, "", body);
            let text = play(&gateway, &backend, &asked, &said, then).await.text();
            let last = text.lines().rfind(|line| line.starts_with("data: {")).unwrap();
            assert!(last.contains("engine_melted"), "{path}, {then:?}: {last}");
            assert!(last.contains("It melted."), "{path}, {then:?}: {last}");
        }
    }
    assert_eq!(gateway.stop().await.outcomes(), vec!["failed"; 6]);
}

#[tokio::test]
async fn a_whole_answer_that_breaks_is_an_error() {
    let json = "content-type: application/json\r\n";
    let cut = format!("HTTP/1.1 200 OK\r\n{json}content-length: 999\r\n\r\n{{\"choices\"");
    let error = "{\"error\":{\"message\":\"It melted.\",\"code\":\"engine_melted\"}}";
    let cases: &[(&str, String, Then, u16, &str)] = &[
        ("cut", cut.clone(), Then::Close, 502, "upstream_incomplete"),
        ("stalled", cut, Then::Silence, 502, "upstream_incomplete"),
        ("no JSON", whole("200 OK", json, "<html>"), Then::Silence, 502, "server_error"),
        ("no choice", whole("200 OK", json, "{}"), Then::Silence, 502, "server_error"),
        ("an error", whole("200 OK", json, error), Then::Silence, 502, "engine_melted"),
        ("a stream", EVENTS_HEAD.to_owned() + &piece(&delta("a")), Then::End, 502, "server_error"),
    ];
    let backend = Backend::start().await;
    let gateway = Gateway::start(impatient(before(backend.address))).await;
    for (name, said, then, status, code) in cases {
        let answered = play(&gateway, &backend, &post("", ASK_WHOLE), &[(said, "")], *then).await;
        assert_eq!(answered.status, *status, "{name}");
        let error = answered.error();
        assert_eq!(error["code"], *code, "{name}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&backend.address.to_string()), "{name}: {message}");
    }
    assert_eq!(gateway.stop().await.outcomes(), vec!["failed"; cases.len()]);
}

/// A stream that begins with an error, in the same read as its head, is an error from the start.
#[tokio::test]
async fn an_error_before_the_first_word_is_an_http_error() {
    let error = |inside: &str| EVENTS_HEAD.to_owned() + &piece(&format!("data: {inside}\n\n"));
    // the error object, the status and code the client gets, and whether it is told when to return
    let cases = [
        (
            r#"{"error":{"message":"It melted.","code":"engine_melted"}}"#,
            502,
            "engine_melted",
            false,
        ),
        (r#"{"error":{"message":"Slow down.","code":429}}"#, 429, "rate_limit_exceeded", true),
        (
            r#"{"error":{"message":"Too long: maximum context length is 8","code":400}}"#,
            400,
            "context_length_exceeded",
            false,
        ),
        (
            r#"{"object":"error","message":"No.","type":"BadRequestError","code":404}"#,
            502,
            "BadRequestError",
            false,
        ),
        ("no JSON", 502, "server_error", false),
    ];
    let backend = Backend::start().await;
    let gateway = Gateway::start(impatient(before(backend.address))).await;
    for (inside, status, code, retry) in cases {
        let said = error(inside);
        let request = post("", ASK_STREAM);
        let answered = play(&gateway, &backend, &request, &[(&said, "")], Then::End).await;
        assert_eq!(answered.status, status, "{inside}");
        assert_eq!(answered.error()["code"], code, "{inside}");
        assert_eq!(answered.header("retry-after").is_some(), retry, "{inside}");
        let message = answered.error()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(&backend.address.to_string()), "{message}");
    }
}

#[tokio::test]
async fn the_mock_can_break_in_every_way() {
    let script = r#"
        rule = [
          { when = { user = "cut" }, answer = { text = "abc" }, fault = { kind = "cut", after = 2 } },
          { when = { user = "half" }, answer = { text = "abc" }, fault = { kind = "half", after = 1 } },
          { when = { user = "end" }, answer = { text = "abc" }, fault = { kind = "end", after = 1 } },
          { when = { user = "stall" }, answer = { text = "abc" }, fault = { kind = "stall", after = 1 } },
          { when = { user = "error" }, answer = { text = "abc" }, fault = { kind = "error", after = 2 } },
          { answer = { text = "abc", incomplete = "max_output_tokens" } },
        ]"#;
    let gateway = Gateway::start(impatient(before(mock(script).await))).await;
    for word in ["cut", "half", "end", "stall", "error"] {
        let body = format!("{{\"model\":\"m\",\"input\":\"{word}\",\"stream\":true}}");
        let failed = ask(gateway.address, &post("", body)).await.terminal();
        assert_eq!(failed["type"], "response.failed", "{word}");
    }
    let incomplete = ask(gateway.address, &post("", ASK_STREAM)).await.terminal();
    assert_eq!(incomplete["type"], "response.incomplete");
    assert_eq!(incomplete["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(gateway.stop().await.outcomes().last().unwrap(), "incomplete");
}

#[tokio::test]
async fn comments_are_no_answer() {
    let script =
        "[[rule]]\nfault = { kind = \"keepalive_only:10\" }\nanswer = { text = \"never\" }";
    let model = mock(script).await;
    for config in [before(model), before_responses(model)] {
        let gateway = Gateway::start(impatient(config)).await;
        let text = ask(gateway.address, &post("", ASK_STREAM)).await.text();
        assert!(text.contains("sent nothing for 150 ms"), "{text}");
        assert_eq!(gateway.stop().await.outcomes(), ["failed"]);
    }
}

#[tokio::test]
async fn a_client_that_leaves_at_an_error_leaves_a_failed_answer() {
    let error = "event: error\ndata: {\"type\":\"error\",\"message\":\"It melted.\"}\n\n";
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let mut client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD).await;
    line.say(piece(&[CREATED, error].concat())).await;
    client.wait_for("It melted.").await;
    drop(client);
    line.assert_left().await;
    assert_eq!(gateway.stop().await.outcomes(), ["failed"]);
}
