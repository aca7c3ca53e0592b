//! What crosses the gateway untouched, and what does not cross it.

use latimer_gateway::Config;
use latimer_probe::record::exchange::Payload;

use crate::support::*;

/// Odd on purpose: spacing, unknown members, a number of 23 digits, escapes, a second `model`
/// where none counts, no final line end.
const ODD: &str = "{ \"x\" : 12345678901234567890123,\r\n\t\"model\"  :\"gpt-\\u0035\" , \"input\": \
    [ { \"type\":\"tomorrow\", \"model\":\"no\", \"a\": 1.50e+3 } ],\"stream\" : true ,\"z\":\"\\/\"}";

const PASSED: &str = ": hello\r\nevent:response.created\r\ndata:{\"type\":\"response.created\", \
    \"response\":{\"n\":12345678901234567890123}}\r\n\r\nid: 7\nretry: 5\ndata: {\"type\":\n\
    data: \"response.tomorrow\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\
    \"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n\
    data: [DONE]\n\n: bye\n";

fn with_model(mut config: Config) -> Config {
    config.upstream.as_mut().unwrap().model = Some("qwen \"3\"".to_owned());
    config
}

#[tokio::test]
async fn bytes_pass_through_untouched() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let client = Client::send(gateway.address, &post("", ODD)).await;
    let (mut line, heard) = backend.heard().await;
    assert!(heard.head.starts_with("POST /v1/responses HTTP/1.1\r\n"), "{}", heard.head);
    assert_eq!(String::from_utf8(heard.body).unwrap(), ODD);
    line.say(EVENTS_HEAD).await;
    for half in [&PASSED[..99], &PASSED[99..]] {
        line.say(piece(half)).await;
    }
    line.say(piece("")).await;
    let answered = client.finish().await;
    assert_eq!((answered.text(), answered.whole), (PASSED.to_owned(), true));

    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    line.request().await;
    let odd = "{ \"status\" : \"completed\" ,\"n\":12345678901234567890123 }\n\n";
    line.say(whole("200 OK", "content-type: application/json; charset=utf-8\r\n", odd)).await;
    let answered = client.finish().await;
    assert_eq!(answered.text(), odd);
    assert_eq!(answered.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(gateway.stop().await.outcomes(), ["completed", "completed"]);
}

#[tokio::test]
async fn an_answer_without_a_type_comes_in_the_form_that_was_asked_for() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    for (asked, said) in [(ASK_WHOLE, r#"{"status":"completed"}"#), (ODD, PASSED)] {
        let client = Client::send(gateway.address, &post("", asked)).await;
        let (mut line, _) = backend.heard().await;
        line.say([HEAD, &piece(said), &piece("")].concat()).await;
        assert_eq!(client.finish().await.text(), said);
    }
    assert_eq!(gateway.stop().await.outcomes(), ["completed", "completed"]);
}

#[tokio::test]
async fn the_operator_can_choose_the_model() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(with_model(before_responses(backend.address))).await;
    let _client = Client::send(gateway.address, &post("", ODD)).await;
    let (_, heard) = backend.heard().await;
    let wanted = ODD.replacen("\"gpt-\\u0035\"", "\"qwen \\\"3\\\"\"", 1);
    assert_eq!(String::from_utf8(heard.body).unwrap(), wanted);

    let gateway = Gateway::start(with_model(before(backend.address))).await;
    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    let (mut line, heard) = backend.heard().await;
    assert!(heard.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", heard.head);
    let body: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(body["model"], "qwen \"3\"");
    line.say(whole(
        "200 OK",
        "content-type: text/plain\r\n",
        "{\"model\":\"qwen\",\"choices\":[{\"message\":{\"content\":\"ok\"},\"finish_reason\":\"stop\"}]}",
    ))
    .await;
    let answered = client.finish().await.json();
    assert_eq!(answered["model"], "m", "the client gets the name it asked for");
}

#[tokio::test]
async fn headers_cross_unless_they_may_not() {
    const SENT: &str = "authorization: Bearer caller\r\naccept-encoding: gzip, lzma, br\r\n\
        te: trailers\r\nx-hop: 1\r\nproxy-authorization: Basic eDp5\r\nsession_id: s-1\r\n\
        api-key: caller\r\nx-api-key: caller\r\ncookie: caller\r\nopenai-organization: caller\r\n\
        x-odd: \u{fc}\r\nconnection: X-Hop\r\n";
    const ANSWERED: &str = "content-type: application/json\r\nopenai-model: gpt-6\r\n\
        connection: close, x-secret-hop\r\nx-secret-hop: 1\r\nkeep-alive: timeout=5\r\n\
        proxy-authenticate: Basic\r\nx-codex-primary-used-percent: 5\r\nset-cookie: a=1\r\n\
        set-cookie: b=2\r\nx-odd: \u{fc}\r\nx-request-id: req_9\r\n";
    let backend = Backend::start().await;
    for with_key in [false, true] {
        let mut config = before_responses(backend.address);
        config.upstream.as_mut().unwrap().api_key_env = with_key.then(|| "KEY".to_owned());
        let gateway = Gateway::start(config).await;
        let client = Client::send(gateway.address, &post(SENT, ASK_WHOLE)).await;
        let (mut line, heard) = backend.heard().await;
        let key = format!("Bearer {OPERATOR_KEY}");
        let key = if with_key { key.as_str() } else { "Bearer caller" };
        assert_eq!(heard.header("authorization"), Some(key));
        assert_eq!(heard.head.contains("caller"), !with_key, "{}", heard.head);
        assert_eq!(heard.header("session_id"), Some("s-1"));
        assert_eq!(heard.header("x-odd"), Some("\u{fc}"));
        assert_eq!(heard.header("host"), Some(&*backend.address.to_string()));
        assert_eq!(heard.header("accept-encoding"), Some("gzip, br"));
        for name in ["te", "x-hop", "connection", "proxy-authorization"] {
            assert_eq!(heard.header(name), None, "{name}");
        }
        line.say(whole("200 OK", ANSWERED, "{}")).await;
        let answered = client.finish().await;
        for name in ["openai-model", "x-secret-hop", "keep-alive", "proxy-authenticate"] {
            assert_eq!(answered.header(name), None, "{name}");
        }
        assert_eq!(answered.header("x-codex-primary-used-percent"), Some("5"));
        assert_eq!(answered.header("x-request-id"), Some("req_9"));
        assert_eq!(answered.head.matches("set-cookie: ").count(), 2);
        assert!(answered.head.contains("x-odd: \u{fc}"));
    }
}

#[tokio::test]
async fn a_compressed_answer_passes_as_it_came_and_is_seen() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let client = Client::send(gateway.address, &post("accept-encoding: gzip\r\n", ODD)).await;
    let (mut line, _) = backend.heard().await;
    let bytes = gzip(PASSED.as_bytes());
    line.say(EVENTS_IN_GZIP_HEAD).await;
    for half in [&bytes[..60], &bytes[60..]] {
        line.say(piece_of(half)).await;
    }
    line.say(piece("")).await;
    let answered = client.finish().await;
    assert_eq!(answered.header("content-encoding"), Some("gzip"));
    assert!(answered.whole && answered.body == bytes);

    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    line.request().await;
    let said = r#"{"status":"incomplete","usage":{"input_tokens":3}}"#;
    line.say(whole_in_gzip("200 OK", said)).await;
    assert!(client.finish().await.body == gzip(said.as_bytes()));

    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    line.request().await;
    let error = r#"{"error":{"message":"no credit"}}"#;
    line.say(whole_in_gzip("429 Too Many Requests", error)).await;
    let answered = client.finish().await;
    assert_eq!(answered.header("content-encoding"), None);
    let message = answered.error()["message"].to_string();
    assert!(message.contains("no credit"), "{message}");

    let recording = gateway.stop().await;
    assert_eq!(recording.outcomes(), ["completed", "incomplete", "failed"]);
    let body = |index: usize| &recording.exchanges[index].response.as_ref().unwrap().body;
    assert_eq!(body(0), &Payload::Text(PASSED.into()));
    assert_eq!(body(1).json().map(|json| json.raw().as_str()), Some(said));
}

#[tokio::test]
async fn a_compressed_answer_that_is_cut_or_damaged_is_never_taken_for_a_whole_one() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let bytes = gzip(PASSED.as_bytes());
    let damaged = [&bytes[..40], &[0xff; 40]].concat();
    for sent in [&bytes[..bytes.len() / 2], &damaged] {
        let client = Client::send(gateway.address, &post("accept-encoding: gzip\r\n", ODD)).await;
        let (mut line, _) = backend.heard().await;
        line.say(EVENTS_IN_GZIP_HEAD).await;
        line.say(piece_of(sent)).await;
        line.say(piece("")).await;
        let answered = client.finish().await;
        assert!(!answered.whole && sent.starts_with(&answered.body));
    }
    assert_eq!(gateway.stop().await.outcomes(), ["failed", "failed"]);
}

#[tokio::test]
async fn a_translating_backend_gets_only_what_is_meant_for_it() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let sent =
        "authorization: Bearer caller\r\ncookie: c\r\nx-api-key: k\r\norigin: http://localhost\r\n";
    let _client = Client::send(gateway.address, &post(sent, ASK_STREAM)).await;
    let (_, heard) = backend.heard().await;
    assert_eq!(heard.header("authorization"), Some("Bearer caller"));
    assert_eq!(heard.header("accept"), Some("text/event-stream"));
    for name in ["cookie", "x-api-key", "origin"] {
        assert_eq!(heard.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn an_answer_in_the_other_form_is_understood() {
    let json = "content-type: application/json\r\n";
    let completion =
        "{\"choices\":[{\"message\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}";
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(whole("200 OK", json, completion)).await;
    let completed = client.finish().await.terminal();
    assert_eq!(completed["response"]["output"][0]["content"][0]["text"], "Hello");
    drop(line);

    let client = Client::send(gateway.address, &post("", ASK_WHOLE)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD.to_owned() + &piece(&(delta("Hello") + STOP)) + &piece("")).await;
    let answered = client.finish().await.json();
    assert_eq!(answered["output"][0]["content"][0]["text"], "Hello");

    let gateway = Gateway::start(before_responses(backend.address)).await;
    let client = Client::send(gateway.address, &post("", ASK_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    let failed = "{\"status\":\"failed\",\"error\":{\"code\":\"c\",\"message\":\"m\"}}";
    line.say(whole("200 OK", json, failed)).await;
    let answered = client.finish().await;
    assert_eq!((answered.text().as_str(), answered.whole), (failed, true));
    assert_eq!(gateway.stop().await.outcomes(), ["failed"]);
}

#[tokio::test]
async fn a_compressed_answer_that_has_to_be_read_is_refused() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let client =
        Client::send(gateway.address, &post("accept-encoding: gzip\r\n", ASK_STREAM)).await;
    let (mut line, heard) = backend.heard().await;
    assert_eq!(heard.header("accept-encoding"), None);
    line.say(whole_in_gzip("200 OK", "...")).await;
    let answered = client.finish().await;
    let code = &answered.error()["code"];
    assert_eq!((answered.status, code.as_str()), (502, Some("upstream_invalid")));
    assert!(answered.text().contains("gzip"), "{}", answered.text());
}

/// OpenAI's clients read `data`, Codex reads `models`; backends have the one or the other.
#[tokio::test]
async fn a_list_of_models_is_for_both_who_read_it() {
    const ASK: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    const OF_OPENAI: &str = r#"{"object":"list","data":[{"id":"qwen3","object":"model","n":1}]}"#;
    const OF_CODEX: &str = r#"{"models":[{"slug":"gpt-6","priority":7}]}"#;
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    for (sent, id) in [(OF_OPENAI, "qwen3"), (OF_CODEX, "gpt-6")] {
        let client = Client::send(gateway.address, ASK).await;
        let (mut line, heard) = backend.heard().await;
        assert!(heard.head.starts_with("GET /v1/models HTTP/1.1\r\n"), "{}", heard.head);
        line.say(whole("200 OK", "connection: close\r\n", sent)).await;
        let list = client.finish().await.json();
        assert_eq!((&list["object"], &list["data"][0]["id"]), (&"list".into(), &id.into()));
        assert_eq!(list["models"][0]["slug"], id);
        // What the backend said of its models stays.
        let sent: serde_json::Value = serde_json::from_str(sent).unwrap();
        for (name, models) in sent.as_object().unwrap() {
            assert_eq!(&list[name], models);
        }
    }
    for neither in ["[ 1.50 ]", r#"{"data":[],"models":[ ]}"#, "not JSON"] {
        let client = Client::send(gateway.address, ASK).await;
        let (mut line, _) = backend.heard().await;
        line.say(whole("200 OK", "connection: close\r\n", neither)).await;
        assert_eq!(client.finish().await.text(), neither);
    }
}
