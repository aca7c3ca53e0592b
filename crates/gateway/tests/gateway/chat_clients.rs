//! Programs that speak Chat Completions: before a backend that speaks Responses, and passed on to one
//! that speaks Chat Completions itself.

use latimer_probe::record::exchange::Payload;
use serde_json::{Value, json};

use crate::support::*;

const CHAT: &str = "/v1/chat/completions";
const HI: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
const HI_STREAM: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},
    "messages":[{"role":"user","content":"Hi"}]}"#;
const JSON: &str = "content-type: application/json\r\n";

/// A Responses stream that says a text and calls two functions, the second before the first is done.
const TEXT_AND_CALLS: &str = concat!(
    r#"data: {"type":"response.created","response":{"id":"resp_1","model":"gpt","output":[]}}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"Hel"}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"lo"}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"a","name":"look","arguments":""}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","call_id":"b","name":"wait","arguments":""}}"#,
    "\n\n",
    r#"data: {"type":"response.function_call_arguments.delta","output_index":2,"delta":"{}"}"#,
    "\n\n",
    r#"data: {"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"at\":1}"}"#,
    "\n\n",
    r#"data: {"type":"response.completed","response":{"status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}}"#,
    "\n\n",
);

fn text_delta(text: &str) -> String {
    let event = json!({"type": "response.output_text.delta", "output_index": 0, "delta": text});
    format!("data: {event}\n\n")
}

/// The chunks of a stream, and whether it said `[DONE]`.
fn chunks(answered: &Answered) -> (Vec<Value>, bool) {
    let text = answered.text();
    let (frames, done) = match text.strip_suffix("data: [DONE]\n\n") {
        Some(frames) => (frames, true),
        None => (text.as_str(), false),
    };
    let data = frames.split("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
    (data.map(|data| serde_json::from_str(data).unwrap()).collect(), done)
}

fn said(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn a_responses_backend_answers_a_chat_client() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;

    let client = Client::send(gateway.address, &post_to(CHAT, "", HI_STREAM)).await;
    let (mut line, heard) = backend.heard().await;
    assert!(heard.head.starts_with("POST /v1/responses HTTP/1.1\r\n"), "{}", heard.head);
    let asked: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!((&asked["model"], &asked["stream"]), (&json!("m"), &json!(true)));
    line.say(EVENTS_HEAD).await;
    line.say(piece(TEXT_AND_CALLS)).await;
    line.say(piece("")).await;
    let answered = client.finish().await;
    assert_eq!(answered.header("content-type"), Some("text/event-stream"));
    let (chunks, done) = chunks(&answered);
    assert!(done && answered.whole, "{}", answered.text());
    assert_eq!(said(&chunks), "Hello");
    let ends: Vec<_> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(ends, ["tool_calls"]);
    assert_eq!(chunks.last().unwrap()["usage"]["total_tokens"], 7);

    // The backend insists on streaming: the whole answer comes all the same.
    let client = Client::send(gateway.address, &post_to(CHAT, "", HI)).await;
    line.request().await;
    line.say(EVENTS_HEAD).await;
    line.say(piece(TEXT_AND_CALLS)).await;
    line.say(piece("")).await;
    let completion = client.finish().await.json();
    assert_eq!(completion["object"], "chat.completion");
    let message = &completion["choices"][0]["message"];
    assert_eq!(message["content"], "Hello");
    let call = |id, name, arguments| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let calls = json!([call("a", "look", r#"{"at":1}"#), call("b", "wait", "{}")]);
    assert_eq!(message["tool_calls"], calls);
    assert_eq!(gateway.stop().await.outcomes(), ["completed", "completed"]);
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so_to_a_chat_client() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    for stream in [true, false] {
        let asked = if stream { HI_STREAM } else { HI };
        let mut client = Client::send(gateway.address, &post_to(CHAT, "", asked)).await;
        let (mut line, _) = backend.heard().await;
        line.say(EVENTS_HEAD).await;
        line.say(piece(&text_delta("half"))).await;
        if stream {
            client.wait_for("half").await;
        }
        line.reset();
        let answered = client.finish().await;
        if stream {
            let (chunks, done) = chunks(&answered);
            assert!(!done, "a broken stream does not say [DONE]: {}", answered.text());
            assert_eq!(said(&chunks), "half");
            assert!(chunks.last().unwrap()["error"]["message"].is_string(), "{}", answered.text());
        } else {
            assert_eq!(answered.status, 502, "{}", answered.text());
            answered.error();
        }
    }
    assert_eq!(gateway.stop().await.outcomes(), ["failed", "failed"]);
}

#[tokio::test]
async fn a_key_that_the_backend_says_back_does_not_reach_a_chat_client() {
    let backend = Backend::start().await;
    let mut config = before_responses(backend.address);
    config.upstream.as_mut().unwrap().api_key_env = Some("KEY".to_owned());
    let gateway = Gateway::start(config).await;
    let mut client = Client::send(gateway.address, &post_to(CHAT, "", HI_STREAM)).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD).await;
    line.say(piece(&text_delta("half"))).await;
    client.wait_for("half").await;
    let message = format!("The key {OPERATOR_KEY} has no credit left.");
    let failed = json!({"type": "response.failed", "response": {
        "status": "failed", "error": {"code": "insufficient_quota", "message": message}}});
    line.say(piece(&format!("data: {failed}\n\n"))).await;
    line.say(piece("")).await;
    let answered = client.finish().await;
    assert!(answered.text().contains("has no credit left"), "{}", answered.text());
    assert!(!answered.text().contains(OPERATOR_KEY), "{}", answered.text());
}

#[tokio::test]
async fn a_stop_sequence_ends_the_answer_and_the_backend() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let asked = HI_STREAM.replacen('{', r#"{"stop":["END"],"#, 1);
    let client = Client::send(gateway.address, &post_to(CHAT, "", asked)).await;
    let (mut line, heard) = backend.heard().await;
    let body: Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!(body.get("stop"), None, "a Responses backend knows no stop sequences");
    line.say(EVENTS_HEAD).await;
    for text in ["one E", "N", "D two"] {
        line.say(piece(&text_delta(text))).await;
    }
    let (chunks, done) = chunks(&client.finish().await);
    assert!(done);
    assert_eq!(said(&chunks), "one ");
    line.assert_left().await;
}

/// Events of an answer that says `text` and used `tokens`.
fn answer(text: &str, tokens: u64) -> String {
    let usage = json!({"input_tokens": 3, "output_tokens": tokens, "total_tokens": 3 + tokens});
    let completed = json!({"type": "response.completed",
        "response": {"status": "completed", "output": [], "usage": usage}});
    format!("{}data: {completed}\n\n", text_delta(text))
}

#[tokio::test]
async fn several_answers_share_one_stream() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let asked = HI_STREAM.replacen('{', r#"{"n":2,"#, 1);
    let client = Client::send(gateway.address, &post_to(CHAT, "", asked)).await;
    let (mut first, _) = backend.heard().await;
    let (mut second, heard) = backend.heard().await;
    assert!(!String::from_utf8(heard.body).unwrap().contains("\"n\""));
    first.say(EVENTS_HEAD).await;
    second.say(EVENTS_HEAD).await;
    second.say(piece(&text_delta("Ho, "))).await;
    first.say(piece(&answer("Hi", 2))).await;
    first.say(piece("")).await;
    second.say(piece(&answer("ho", 5))).await;
    second.say(piece("")).await;
    let (chunks, done) = chunks(&client.finish().await);
    assert!(done, "{chunks:?}");
    let choices = || chunks.iter().filter_map(|chunk| chunk["choices"].get(0));
    let mut texts = [String::new(), String::new()];
    let mut ends = Vec::new();
    for choice in choices() {
        let index = choice["index"].as_u64().unwrap() as usize;
        texts[index] += choice["delta"]["content"].as_str().unwrap_or_default();
        ends.extend(choice["finish_reason"].as_str().map(|reason| (index, reason)));
    }
    texts.sort();
    assert_eq!(texts, ["Hi", "Ho, ho"]);
    ends.sort();
    assert_eq!(ends, [(0, "stop"), (1, "stop")]);
    let usages: Vec<_> = chunks.iter().filter(|chunk| chunk["usage"].is_object()).collect();
    let [usage] = usages[..] else { panic!("one chunk with the usage: {usages:?}") };
    assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(13)));
    assert_eq!(chunks.last(), Some(usage));
    assert_eq!(gateway.stop().await.outcomes(), ["completed"]);
}

#[tokio::test]
async fn several_answers_come_whole() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let asked = HI.replacen('{', r#"{"n":2,"#, 1);
    let client = Client::send(gateway.address, &post_to(CHAT, "", asked)).await;
    for text in ["Hi", "Hi"] {
        let (mut line, _) = backend.heard().await;
        line.say(EVENTS_HEAD).await;
        line.say(piece(&answer(text, 2))).await;
        line.say(piece("")).await;
    }
    let completion = client.finish().await.json();
    let choices = completion["choices"].as_array().unwrap();
    let told = choices.iter().map(|choice| (&choice["index"], &choice["message"]["content"]));
    assert_eq!(told.collect::<Vec<_>>(), [(&json!(0), &json!("Hi")), (&json!(1), &json!("Hi"))]);
    assert_eq!(completion["usage"]["total_tokens"], 10);
}

#[tokio::test]
async fn one_of_several_answers_that_fails_ends_them_all() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let asked = HI_STREAM.replacen('{', r#"{"n":2,"#, 1);

    // Before anything was said: an error, and the other answer is not waited for.
    let client = Client::send(gateway.address, &post_to(CHAT, "", &asked)).await;
    let (first, _) = backend.heard().await;
    let (mut second, _) = backend.heard().await;
    let error = r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#;
    second.say(whole("429 Too Many Requests", JSON, error)).await;
    assert_eq!(client.finish().await.status, 429);
    first.assert_left().await;

    // In the middle: the stream ends as failed.
    let mut client = Client::send(gateway.address, &post_to(CHAT, "", &asked)).await;
    let (mut first, _) = backend.heard().await;
    let mut second = second;
    second.request().await;
    first.say(EVENTS_HEAD).await;
    second.say(EVENTS_HEAD).await;
    for (line, text) in [(&mut first, "half"), (&mut second, "a whole")] {
        line.say(piece(&text_delta(text))).await;
        client.wait_for(text).await;
    }
    second.reset();
    let (chunks, done) = chunks(&client.finish().await);
    assert!(!done && chunks.last().unwrap()["error"]["message"].is_string(), "{chunks:?}");
    first.assert_left().await;
    assert_eq!(gateway.stop().await.outcomes(), ["failed", "failed"]);
}

#[tokio::test]
async fn what_cannot_be_asked_of_a_responses_backend_is_refused() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let cases = [
        (HI.replacen('{', r#"{"n":17,"#, 1), "n"),
        (HI.replace(r#""Hi""#, "7"), "messages[0].content"),
        (r#"{"model":"m"}"#.to_owned(), "messages"),
    ];
    for (body, param) in cases {
        let answered = ask(gateway.address, &post_to(CHAT, "", &body)).await;
        assert_eq!(answered.status, 400, "{body}");
        assert_eq!(answered.error()["param"], param, "{}", answered.text());
    }
    backend.assert_quiet().await;
}

/// Spacing, line ends, unknown members and a number of 23 digits, as no encoder of ours writes them.
const ODD: &str = "{ \"messages\" :[ ],\t\"n\": 12345678901234567890123, \"stream\" : true }\n";
const ODD_CHUNKS: &str = ": hello\r\ndata:{\"choices\":[{\"delta\" : {\"content\":\"a\"}}],\
    \"x\":12345678901234567890123}\r\n\r\nid: 7\ndata: {\"choices\":[{\"delta\":{},\n\
    data: \"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n\
    data: [DONE]\n\n: bye\n";

#[tokio::test]
async fn chat_to_chat_passes_byte_for_byte() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let client = Client::send(gateway.address, &post_to(CHAT, "", ODD)).await;
    let (mut line, heard) = backend.heard().await;
    assert!(heard.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", heard.head);
    assert_eq!(String::from_utf8(heard.body).unwrap(), ODD);
    line.say(EVENTS_HEAD).await;
    for half in [&ODD_CHUNKS[..77], &ODD_CHUNKS[77..]] {
        line.say(piece(half)).await;
    }
    line.say(piece("")).await;
    let answered = client.finish().await;
    assert_eq!((answered.text(), answered.whole), (ODD_CHUNKS.to_owned(), true));

    // Bigger than any buffer.
    let big = format!("{{\"messages\":[],\"pad\":\"{}\"}}", "x".repeat(3 << 20));
    let client = Client::send(gateway.address, &post_to(CHAT, "", &big)).await;
    assert!(line.request().await.body == big.as_bytes());
    line.say(whole("200 OK", JSON, &big)).await;
    assert!(client.finish().await.body == big.as_bytes());

    let recording = gateway.stop().await;
    assert_eq!(recording.outcomes(), ["completed", "completed"]);
    let recorded = recording.exchanges[0].response.as_ref().unwrap();
    assert_eq!(recorded.body, Payload::Text(ODD_CHUNKS.into()));
}

#[tokio::test]
async fn a_chat_stream_that_is_cut_is_never_taken_for_a_whole_one() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let first = delta("half");
    for (text, at_boundary) in [(first.clone(), true), (format!("{first}data: {{\"cho"), false)] {
        let mut client = Client::send(gateway.address, &post_to(CHAT, "", HI_STREAM)).await;
        let (mut line, _) = backend.heard().await;
        line.say(EVENTS_HEAD).await;
        line.say(piece(&text)).await;
        client.wait_for(&text).await;
        line.reset();
        let answered = client.finish().await;
        assert_eq!(answered.whole, at_boundary, "{}", answered.text());
        assert!(answered.text().starts_with(&text) && !answered.text().contains("[DONE]"));
        assert_eq!(answered.text().contains("\"error\""), at_boundary, "{}", answered.text());
    }
    assert_eq!(gateway.stop().await.outcomes(), ["failed", "failed"]);
}

#[tokio::test]
async fn older_paths_are_passed_on() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    for path in ["/v1/embeddings", "/v1/completions"] {
        let client = Client::send(gateway.address, &post_to(path, "", "{ \"input\":\"x\" }")).await;
        let (mut line, heard) = backend.heard().await;
        assert!(heard.head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{}", heard.head);
        assert_eq!(heard.body, b"{ \"input\":\"x\" }");
        line.say(whole("200 OK", JSON, "{ \"data\" :[0.10]}")).await;
        assert_eq!(client.finish().await.text(), "{ \"data\" :[0.10]}");
    }
}
