//! The Responses API over a WebSocket: the same answers as over HTTP, continued from memory.

use futures_util::{SinkExt, StreamExt};
use latimer_gateway::Config;
use latimer_gateway::config::{Limits, Timeouts};
use latimer_wire::responses::Flavour;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::*;

/// A client's WebSocket.
struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(to: SocketAddr) -> Socket {
        Socket::open_at(to, "/v1/responses").await
    }

    async fn open_at(to: SocketAddr, path: &str) -> Socket {
        let stream = TcpStream::connect(to).await.unwrap();
        let opening = client_async(format!("ws://localhost{path}"), stream);
        Socket(within("the handshake", opening).await.unwrap().0)
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn next(&mut self) -> Option<Message> {
        within("a message", self.0.next()).await.map(Result::unwrap)
    }

    /// The next text message; pings are passed over.
    async fn event(&mut self) -> Value {
        loop {
            match self.next().await.expect("the connection is open") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// All messages up to the one that ends an answer.
    async fn answer(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.event().await);
            let kind = events.last().unwrap()["type"].as_str().unwrap();
            let ends = ["response.completed", "response.incomplete", "response.failed", "error"];
            if ends.contains(&kind) {
                return events;
            }
        }
    }

    /// The last message of an answer.
    async fn end(&mut self) -> Value {
        self.answer().await.pop().unwrap()
    }

    /// Asks, and reads the answer to its end.
    async fn ask(&mut self, message: Value) -> Value {
        self.say(message).await;
        self.end().await
    }

    /// How the other end closes.
    async fn close(mut self) -> CloseCode {
        loop {
            match self.next().await.expect("a close") {
                Message::Close(close) => return close.unwrap().code,
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn create(input: Value) -> Value {
    json!({"type": "response.create", "model": "m", "input": input, "store": false})
}

fn with(mut message: Value, more: Value) -> Value {
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

fn response_id(end: &Value) -> &str {
    assert_eq!(end["type"], "response.completed", "{end}");
    end["response"]["id"].as_str().unwrap()
}

/// The messages a Chat backend was asked with.
fn messages(heard: &Heard) -> Value {
    let body: Value = serde_json::from_slice(&heard.body).unwrap();
    body["messages"].clone()
}

/// What differs from answer to answer.
fn without_ids(mut events: Vec<Value>) -> Vec<Value> {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(members) => {
                let of_one = ["id", "item_id", "created_at", "completed_at"];
                members.retain(|key, _| !of_one.contains(&key.as_str()));
                members.values_mut().for_each(forget);
            }
            Value::Array(elements) => elements.iter_mut().for_each(forget),
            _ => {}
        }
    }
    events.iter_mut().for_each(forget);
    events
}

#[tokio::test]
async fn the_events_are_those_of_a_stream() {
    let gateway = Gateway::start(Config::default()).await;
    let streamed = ask(gateway.address, &post("", ASK_STREAM)).await;
    let mut socket = Socket::open(gateway.address).await;
    socket.say(json!({"type": "response.create", "model": "m", "input": "Hi"})).await;
    let told = socket.answer().await;
    assert_eq!(without_ids(told), without_ids(streamed.events()));
    // the connection goes on
    assert_eq!(socket.ask(create("Again".into())).await["type"], "response.completed");
    drop(socket);
    let recording = gateway.stop().await;
    assert_eq!(recording.outcomes(), ["completed"; 3]);
    let places: Vec<_> =
        recording.extras().map(|extra| extra["websocket"]["message"].as_u64()).collect();
    assert_eq!(places, [None, Some(1), Some(2)]);
}

#[tokio::test]
async fn what_nobody_stores_is_continued_from_memory() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut socket = Socket::open(gateway.address).await;

    let rules = json!([{"role": "developer", "content": "Be brief."}]);
    let warm = socket.ask(with(create(rules), json!({"generate": false}))).await;
    assert_eq!(warm["response"]["output"], json!([]));
    let mut last = response_id(&warm).to_owned();

    let call = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":\
                {\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let output = json!([{"type": "function_call_output", "call_id": "c1", "output": "7"}]);
    let turns = [("Hi".into(), call.to_owned(), 2), (output, delta("Seven.") + STOP, 4)];
    let (mut line, mut first) = (None, true);
    for (input, said, count) in turns {
        let tools = json!([{"type": "function", "name": "f", "parameters": {}}]);
        let more = json!({"previous_response_id": last, "tools": tools});
        socket.say(with(create(input), more)).await;
        if std::mem::take(&mut first) {
            line = Some(backend.accept().await);
        }
        let line = line.as_mut().unwrap();
        let heard = line.request().await;
        assert_eq!(messages(&heard).as_array().unwrap().len(), count, "{}", messages(&heard));
        assert_eq!(messages(&heard)[0]["content"], "Be brief.");
        line.say(EVENTS_HEAD.to_owned() + &piece(&said) + &piece("")).await;
        let events = socket.answer().await;
        for event in [&events[0], events.last().unwrap()] {
            assert_eq!(event["response"]["previous_response_id"], json!(last), "{event}");
        }
        last = response_id(events.last().unwrap()).to_owned();
    }
    drop(socket);
    backend.assert_quiet().await;
    let recording = gateway.stop().await;
    assert_eq!(recording.outcomes(), ["completed"; 3]);
}

#[tokio::test]
async fn what_is_not_held_is_not_found() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut socket = Socket::open(gateway.address).await;
    let continuing = |id: &str| with(create("Hi".into()), json!({"previous_response_id": id}));
    let error = socket.ask(continuing("resp_elsewhere")).await;
    assert_eq!((&error["type"], &error["status"]), (&json!("error"), &json!(400)));
    assert_eq!(error["error"]["code"], "previous_response_not_found");
    assert_eq!(error["error"]["param"], "previous_response_id");

    // a continuation that fails lets go of what it continued
    let warm = socket.ask(with(create("One".into()), json!({"generate": false}))).await;
    let id = response_id(&warm).to_owned();
    socket.say(continuing(&id)).await;
    let (mut line, _) = backend.heard().await;
    let headers = "retry-after: 7\r\nset-cookie: a=b\r\n";
    line.say(whole("429 Too Many", headers, r#"{"error":{"message":"Slow down."}}"#)).await;
    let error = socket.end().await;
    assert_eq!(
        (&error["status"], &error["error"]["type"]),
        (&json!(429), &"rate_limit_error".into())
    );
    assert_eq!(error["error"]["headers"]["retry-after"], "7");
    assert!(!error.to_string().contains("cookie"), "{error}");
    let error = socket.ask(continuing(&id)).await;
    assert_eq!(error["error"]["code"], "previous_response_not_found");
    backend.assert_quiet().await;
}

#[tokio::test]
async fn a_history_that_is_too_long_is_not_held() {
    let limits = Limits { websocket_held_bytes: 2_000, ..Limits::default() };
    let gateway = Gateway::start(Config { limits, ..Config::default() }).await;
    let mut socket = Socket::open(gateway.address).await;
    for (input, code) in
        [("short".to_owned(), None), ("long ".repeat(999), Some("previous_response_not_found"))]
    {
        let id = response_id(&socket.ask(create(input.into())).await).to_owned();
        let more = json!({"previous_response_id": id, "generate": false});
        let end = socket.ask(with(create(json!([])), more)).await;
        assert_eq!(end["error"]["code"].as_str(), code, "{end}");
    }
}

#[tokio::test]
async fn lanes_answer_beside_each_other_and_each_in_order() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut socket = Socket::open(gateway.address).await;
    let on = |lane: &str, text: &str| with(create(text.into()), json!({"stream_id": lane}));
    socket.say(on("a", "one")).await;
    let (mut first, _) = backend.heard().await;
    socket.say(on("a", "two")).await;
    socket.say(on("b", "three")).await;
    let (mut third, heard) = backend.heard().await;
    assert_eq!(messages(&heard)[0]["content"], "three", "two waits for one");

    third.say(EVENTS_HEAD.to_owned() + &piece(&(delta("3") + STOP)) + &piece("")).await;
    let mut ends = Vec::new();
    while ends.is_empty() {
        let event = socket.event().await;
        assert!(event["stream_id"] == "a" || event["stream_id"] == "b", "{event}");
        ends.extend((event["type"] == "response.completed").then(|| event["stream_id"].clone()));
    }
    assert_eq!(ends, ["b"]);
    first.say(EVENTS_HEAD.to_owned() + &piece(&(delta("1") + STOP)) + &piece("")).await;
    assert_eq!(socket.end().await["response"]["output"][0]["content"][0]["text"], "1");
    drop(third);
    let heard = first.request().await;
    assert_eq!(messages(&heard)[0]["content"], "two");
    first.say(EVENTS_HEAD.to_owned() + &piece(&(delta("2") + STOP)) + &piece("")).await;
    let end = socket.end().await;
    assert_eq!(
        (&end["stream_id"], &end["response"]["output"][0]["content"][0]["text"]),
        (&"a".into(), &"2".into())
    );
}

#[tokio::test]
async fn a_connection_has_its_bounds() {
    let backend = Backend::start().await;
    let limits = Limits { websocket_lanes: 2, websocket_requests: 3, ..Limits::default() };
    let gateway = Gateway::start(Config { limits, ..before(backend.address) }).await;
    let mut socket = Socket::open(gateway.address).await;
    for lane in ["a", "b", "c", "a", "b"] {
        socket.say(with(create("Hi".into()), json!({"stream_id": lane}))).await;
    }
    let mut refused = Vec::new();
    while refused.len() < 2 {
        let event = socket.event().await;
        refused.extend((event["type"] == "error").then(|| event.clone()));
    }
    let told = |error: &Value| (error["stream_id"].clone(), error["error"]["code"].clone());
    let reached = json!("websocket_stream_limit_reached");
    assert_eq!(told(&refused[0]), ("c".into(), reached.clone()));
    assert_eq!(told(&refused[1]), ("b".into(), reached));
}

#[tokio::test]
async fn a_message_that_is_no_request_is_answered() {
    // the message, the code, the parameter
    let cases: &[(&str, &str, Value)] = &[
        ("{", "invalid_json", Value::Null),
        ("[]", "invalid_json", Value::Null),
        (r#"{"input":"Hi"}"#, "invalid_value", "type".into()),
        (r#"{"type":"response.dance"}"#, "invalid_value", "type".into()),
        (r#"{"type":"response.create"}"#, "missing_required_parameter", "input".into()),
        (r#"{"type":"response.cancel"}"#, "response_not_active", Value::Null),
        (
            r#"{"type":"response.create","input":"x","background":true}"#,
            "unsupported_parameter",
            "background".into(),
        ),
        (
            r#"{"type":"response.create","input":"x","top_p":7}"#,
            "decimal_above_max_value",
            "top_p".into(),
        ),
        (
            r#"{"type":"response.create","input":"x","top_p":7,"generate":false}"#,
            "decimal_above_max_value",
            "top_p".into(),
        ),
    ];
    let gateway = Gateway::start(Config::default()).await;
    let mut socket = Socket::open(gateway.address).await;
    for (message, code, param) in cases {
        socket.0.send(Message::text(*message)).await.unwrap();
        let error = socket.event().await;
        assert_eq!((&error["type"], &error["status"]), (&"error".into(), &400.into()), "{message}");
        assert_eq!(
            (&error["error"]["code"], &error["error"]["param"]),
            (&json!(code), param),
            "{message}"
        );
    }
    socket.0.send(Message::binary(&b"{}"[..])).await.unwrap();
    assert_eq!(socket.event().await["error"]["code"], "invalid_json");
    let steer =
        json!({"type": "response.steer", "previous_response_id": "resp_1", "input": "Left!"});
    socket.say(steer).await;
    let failed = socket.event().await;
    assert_eq!(failed["type"], "response.steer.failed");
    assert_eq!(failed["error"]["code"], "steering_not_supported");
    assert_eq!(failed["steer"], json!({"input": "Left!", "previous_response_id": "resp_1"}));
}

/// A connection carries one conversation in that flavour.
#[tokio::test]
async fn open_responses_has_no_lanes() {
    for (flavour, path) in [
        (Flavour::OpenResponses, "/v1/responses"),
        (Flavour::OpenAi, "/open-responses/v1/responses"),
    ] {
        let gateway = Gateway::start(Config { flavour, ..Config::default() }).await;
        let mut socket = Socket::open_at(gateway.address, path).await;
        let error = socket.ask(with(create("Hi".into()), json!({"stream_id": "a"}))).await;
        assert_eq!(
            (&error["error"]["param"], &error["stream_id"]),
            (&"stream_id".into(), &"a".into())
        );
        let end = socket.ask(create("Hi".into())).await;
        assert_eq!(
            (&end["type"], &end["response"]["temperature"]),
            (&"response.completed".into(), &1.0.into())
        );
    }
}

#[tokio::test]
async fn who_leaves_or_cancels_frees_the_backend() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    for cancels in [true, false] {
        let mut socket = Socket::open(gateway.address).await;
        socket.say(create("Hi".into())).await;
        let (mut line, _) = backend.heard().await;
        line.say(EVENTS_HEAD.to_owned() + &piece(&delta("Hello"))).await;
        while socket.event().await["delta"] != "Hello" {}
        if cancels {
            let error = socket.ask(json!({"type": "response.cancel"})).await;
            assert_eq!(error["error"]["code"], "response_cancelled");
        }
        drop(socket);
        line.assert_left().await;
    }
    assert_eq!(gateway.stop().await.outcomes(), ["cancelled"; 2]);
}

#[tokio::test]
async fn who_reads_nothing_is_let_go_with_his_backend() {
    let timeouts = Timeouts { client_write_ms: 100, ..Timeouts::default() };
    let backend = Backend::start().await;
    let gateway = Gateway::start(Config { timeouts, ..before(backend.address) }).await;
    let mut socket = Socket::open(gateway.address).await;
    socket.say(create("Hi".into())).await;
    let (mut line, _) = backend.heard().await;
    line.say(EVENTS_HEAD).await;
    let endless = piece(&delta(&"on and on ".repeat(99)).repeat(99));
    while line.try_say(&endless).await.is_ok() {}
    line.assert_left().await;
    drop(socket);
}

#[tokio::test]
async fn a_connection_stays_open_for_so_long() {
    let timeouts = Timeouts { websocket_ms: 150, keep_alive_ms: 20, ..Timeouts::default() };
    let backend = Backend::start().await;
    let gateway = Gateway::start(Config { timeouts, ..before(backend.address) }).await;
    let mut idle = Socket::open(gateway.address).await;
    let mut socket = Socket::open(gateway.address).await;
    assert_eq!(idle.next().await, Some(Message::Ping(Bytes::new())), "silence is filled");
    socket.say(create("Hi".into())).await;
    let (mut line, _) = backend.heard().await;
    let error = idle.event().await;
    assert_eq!(error["error"]["code"], "websocket_connection_limit_reached");
    assert_eq!(idle.close().await, CloseCode::Normal);

    // the time is up; what was begun comes to its end
    line.say(EVENTS_HEAD.to_owned() + &piece(&(delta("1") + STOP)) + &piece("")).await;
    assert_eq!(socket.end().await["type"], "response.completed");
    assert_eq!(socket.event().await["error"]["code"], "websocket_connection_limit_reached");
    assert_eq!(socket.close().await, CloseCode::Normal);
}

#[tokio::test]
async fn stopping_answers_what_was_begun_and_closes() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let idle = Socket::open(gateway.address).await;
    let mut socket = Socket::open(gateway.address).await;
    socket.say(create("Hi".into())).await;
    let (mut line, _) = backend.heard().await;
    let stopping = tokio::spawn(gateway.stop());
    assert_eq!(idle.close().await, CloseCode::Away);
    let refused = socket.ask(with(create("More".into()), json!({"stream_id": "b"}))).await;
    assert_eq!(refused["error"]["code"], "server_is_overloaded");
    line.say(EVENTS_HEAD.to_owned() + &piece(&(delta("1") + STOP)) + &piece("")).await;
    assert_eq!(socket.end().await["type"], "response.completed");
    assert_eq!(socket.close().await, CloseCode::Away);
    assert_eq!(stopping.await.unwrap().outcomes(), ["completed"]);
}

#[tokio::test]
async fn a_message_that_is_too_long_is_the_last() {
    let limits = Limits { body_bytes: 1_000, ..Limits::default() };
    let gateway = Gateway::start(Config { limits, ..Config::default() }).await;
    let mut socket = Socket::open(gateway.address).await;
    let error = socket.ask(create("x".repeat(2_000).into())).await;
    assert_eq!(error["error"]["code"], "body_too_large");
    assert_eq!(socket.close().await, CloseCode::Size);
}

#[tokio::test]
async fn a_ping_is_answered_and_a_message_may_come_with_the_handshake() {
    let gateway = Gateway::start(Config::default()).await;
    let mut socket = Socket::open(gateway.address).await;
    socket.0.send(Message::Ping(Bytes::from_static(b"you?"))).await.unwrap();
    assert_eq!(socket.next().await, Some(Message::Pong(Bytes::from_static(b"you?"))));

    let hello = "GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: \
                 keep-alive, Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: \
                 dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let text = br#"{"type":"nothing"}"#;
    let frame = [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], &text[..]].concat();
    let mut client = Client::send(gateway.address, &[hello.as_bytes(), &frame].concat()).await;
    client.wait_for("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").await; // the key's answer in RFC 6455, 1.3
    client.wait_for("invalid_value").await;
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused() {
    const ASKS: &str = "upgrade: websocket\r\nconnection: upgrade\r\n";
    const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "sec-websocket-version: 13\r\n";
    // the method, the headers, status and code
    let cases: &[(&str, &[&str], u16, &str)] = &[
        ("GET", &[ASKS, VERSION], 400, "invalid_handshake"),
        ("GET", &[ASKS, VERSION, "sec-websocket-key: short\r\n"], 400, "invalid_handshake"),
        ("GET", &[ASKS, KEY, "sec-websocket-version: 8\r\n"], 426, "invalid_handshake"),
        ("GET", &["upgrade: websocket\r\n", VERSION, KEY], 400, "invalid_handshake"),
        ("POST", &[ASKS, VERSION, KEY], 400, "invalid_handshake"),
        ("GET", &[ASKS, VERSION, KEY, "origin: https://evil.example\r\n"], 403, "forbidden_origin"),
    ];
    let gateway = Gateway::start(Config::default()).await;
    let off = Config { websockets: Some(false), ..Config::default() };
    let off = Gateway::start(off).await;
    for (method, headers, status, code) in cases {
        let headers = headers.concat();
        let request =
            format!("{method} /v1/responses HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        let mut client = Client::send(gateway.address, request.as_bytes()).await;
        client.wait_for(&format!("HTTP/1.1 {status} ")).await;
        client.wait_for(&format!("\"code\":\"{code}\"")).await;
    }
    let request =
        format!("GET /v1/responses HTTP/1.1\r\nhost: localhost\r\n{ASKS}{KEY}{VERSION}\r\n");
    let mut client = Client::send(off.address, request.as_bytes()).await;
    client.wait_for("HTTP/1.1 426 ").await;
    client.wait_for("websocket_not_supported").await;
}

/// What is stored is continued on any connection, and what is only held goes on from it.
#[tokio::test]
async fn what_is_stored_is_continued_anywhere() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before(backend.address)).await;
    let mut last = None;
    // what is said, whether it is stored, and how many messages the backend is asked with
    for (text, store, count) in [("one", true, 1), ("two", true, 3), ("three", false, 5)] {
        let mut socket = Socket::open(gateway.address).await;
        let more = json!({"store": store, "previous_response_id": last});
        socket.say(with(create(text.into()), more)).await;
        let (mut line, heard) = backend.heard().await;
        assert_eq!(messages(&heard).as_array().unwrap().len(), count);
        line.say(EVENTS_HEAD.to_owned() + &piece(&(delta("ok") + STOP)) + &piece("")).await;
        let end = socket.end().await;
        assert_eq!(
            (&end["response"]["store"], &end["response"]["previous_response_id"]),
            (&json!(store), &json!(last))
        );
        last = Some(response_id(&end).to_owned());
        drop(line);
        if !store {
            socket.say(with(create("four".into()), json!({"previous_response_id": last}))).await;
            let (_line, heard) = backend.heard().await;
            assert_eq!(messages(&heard).as_array().unwrap().len(), 7, "{}", messages(&heard));
        }
    }
}

/// A backend that speaks Responses is asked over HTTP. What it stores is its own to continue; what it
/// does not is continued from memory.
#[tokio::test]
async fn a_backend_of_the_same_dialect_is_asked_over_http() {
    let said = |id: &str, store: bool| {
        let item = r#"{"type":"message","id":"m","role":"assistant","content":[]}"#;
        let response =
            format!(r#"{{"id":"{id}","status":"completed","store":{store},"output":[{item}]}}"#);
        let events = format!(
            "event: response.tomorrow\ndata: {{\"n\":1.0}}\n\ndata: {{\"type\":\"error\",\
             \"message\":\"Oh\",\"code\":null,\"param\":null,\"sequence_number\":1}}\n\n\
             data: {{\"type\":\"response.completed\",\"response\":{response}}}\n\ndata: [DONE]\n\n"
        );
        EVENTS_HEAD.to_owned() + &piece(&events) + &piece("")
    };
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let mut socket = Socket::open(gateway.address).await;
    socket.say(json!({"type": "response.create", "odd": 1, "input": "Hi", "stream_id": "a"})).await;
    let (mut line, heard) = backend.heard().await;
    assert_eq!(String::from_utf8_lossy(&heard.body), r#"{"odd":1,"input":"Hi","stream":true}"#);
    assert!(heard.header("sec-websocket-key").is_none() && heard.header("upgrade").is_none());
    line.say(said("resp_1", true)).await;
    assert_eq!(
        socket.event().await,
        json!({"type": "response.tomorrow", "n": 1.0, "stream_id": "a"})
    );
    let error = json!({"type": "server_error", "code": null, "message": "Oh", "param": null});
    let wanted = json!({"type": "error", "sequence_number": 1, "stream_id": "a", "error": error});
    assert_eq!(socket.event().await, wanted);
    assert_eq!(socket.end().await["response"]["id"], "resp_1");

    let continuing =
        |id: &str| json!({"type": "response.create", "previous_response_id": id, "input": "On"});
    for (id, next, store) in [("resp_1", "resp_2", false), ("resp_2", "resp_3", false)] {
        socket.say(continuing(id)).await;
        let body: Value = serde_json::from_slice(&line.request().await.body).unwrap();
        assert_eq!(body["previous_response_id"], "resp_1", "it has stored this one");
        let items = body["input"].as_array().map_or(0, Vec::len);
        assert_eq!(items, if id == "resp_1" { 0 } else { 3 }, "{body}");
        line.say(said(next, store)).await;
        while socket.event().await["response"]["id"] != next {}
    }
}

#[tokio::test]
async fn an_answer_that_comes_whole_or_breaks_off_is_told_too() {
    let backend = Backend::start().await;
    let gateway = Gateway::start(before_responses(backend.address)).await;
    let mut socket = Socket::open(gateway.address).await;
    socket.say(create("Hi".into())).await;
    let (mut line, _) = backend.heard().await;
    let response = r#"{"id":"resp_1","status":"completed","store":false,"output":[]}"#;
    line.say(whole("200 OK", "content-type: application/json\r\n", response)).await;
    let kinds: Vec<_> = socket.answer().await.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["response.created", "response.in_progress", "response.completed"]);

    socket.say(create("Hi".into())).await;
    line.request().await;
    line.say(EVENTS_HEAD.to_owned() + &piece("data: {\"type\":\"response.created\",\"resp")).await;
    line.reset();
    let error = socket.end().await;
    assert_eq!(
        (&error["status"], &error["error"]["code"]),
        (&502.into(), &"stream_incomplete".into())
    );
}
