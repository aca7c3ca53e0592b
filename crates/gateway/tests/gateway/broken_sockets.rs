//! WebSockets before the judge that are broken on purpose: each breaks one rule, and a sound one none.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use latimer_gateway::config::Timeouts;
use latimer_gateway::examine::{Examined, examine};
use latimer_gateway::{Config, UpstreamConfig};
use latimer_wire::check::{Api, Rule};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{LOCAL, whole, within};

/// The events of a sound answer, one a message.
const SOUND: &str = include_str!("../../../wire/fixtures/check/good.sse");
/// How long the judge waits for the next one, and how often the server says that it is there.
const IDLE_MS: u64 = 200;
const PING: Duration = Duration::from_millis(40);

/// What a server does to its answers.
type Breaks = fn(&mut Vec<Message>);

/// What is broken, how, and what is found; with none it is sound.
const CASES: &[(&str, Breaks, Option<Rule>)] = &[
    ("nothing", |_| {}, None),
    ("lines in a message", |said| change(said, |event| *event = event.replace(',', ",\n")), None),
    (
        "the order",
        |said| swap(said, "response.in_progress", "output_item.added"),
        Some(Rule::ResponseOrder),
    ),
    ("no numbers", |said| without_numbers(said), Some(Rule::SequenceMissing)),
    ("a number twice", |said| change(said, with_a_number_twice), Some(Rule::SequenceOrder)),
    ("no end", |said| drop(said.pop()), Some(Rule::NoTerminal)),
    (
        "closed in the middle",
        |said| said.splice(4.., [Message::Close(None)]).for_each(drop),
        Some(Rule::NoTerminal),
    ),
    ("no JSON", |said| said.insert(4, Message::text("nonsense")), Some(Rule::FrameNotJson)),
    (
        "no text",
        |said| said[4] = Message::binary(said[4].clone().into_data()),
        Some(Rule::MessageNotText),
    ),
    ("another past", |said| change(said, of_another), Some(Rule::PreviousDiffers)),
    ("never an answer", Vec::clear, Some(Rule::NotAnswered)),
    ("closed at once", |said| *said = vec![Message::Close(None)], Some(Rule::NotAnswered)),
    ("an error", |said| *said = vec![refusal(500)], Some(Rule::NotAnswered)),
    ("whatever is asked", |_| {}, Some(Rule::RefusalMissing)),
];

fn change(said: &mut [Message], how: impl Fn(&mut String)) {
    for message in said {
        let mut event = message.to_text().unwrap().to_owned();
        how(&mut event);
        *message = Message::text(event);
    }
}

fn swap(said: &mut [Message], one: &str, other: &str) {
    let at = |kind: &str| said.iter().position(|m| m.to_text().unwrap().contains(kind)).unwrap();
    let (one, other) = (at(one), at(other));
    said.swap(one, other);
    for (number, message) in said.iter_mut().enumerate() {
        let mut event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        event["sequence_number"] = json!(number);
        *message = Message::text(event.to_string());
    }
}

fn without_numbers(said: &mut [Message]) {
    change(said, |event| {
        let mut members: Value = serde_json::from_str(event).unwrap();
        members.as_object_mut().unwrap().remove("sequence_number");
        *event = members.to_string();
    });
}

fn with_a_number_twice(event: &mut String) {
    *event = event.replace("\"sequence_number\":5", "\"sequence_number\":4");
}

fn of_another(event: &mut String) {
    *event = event.replace("\"model\"", "\"previous_response_id\":\"resp_8\",\"model\"");
}

fn refusal(status: u16) -> Message {
    let error = json!({"message": "No.", "type": "server_error", "param": null, "code": "no"});
    Message::text(json!({"type": "error", "status": status, "error": error}).to_string())
}

/// A server that has a WebSocket, and nothing else.
async fn server(breaks: Breaks, refuses: bool) -> SocketAddr {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, breaks, refuses));
        }
    });
    address
}

async fn serve(mut socket: TcpStream, breaks: Breaks, refuses: bool) {
    let mut request = [0; 4_096];
    let read = socket.peek(&mut request).await.unwrap();
    if !String::from_utf8_lossy(&request[..read]).contains("pgrade: websocket") {
        let error = json!({"error": {"message": "No.", "type": "invalid_request_error"}});
        let answer = whole("404 No", "connection: close\r\n", &error.to_string());
        let _ = socket.write_all(answer.as_bytes()).await;
        return;
    }
    let mut socket = accept_async(socket).await.unwrap();
    loop {
        let asked = match tokio::time::timeout(PING, socket.next()).await {
            Err(_) if socket.send(Message::Ping("there".into())).await.is_ok() => continue,
            Ok(Some(Ok(Message::Text(asked)))) => asked,
            Ok(Some(Ok(_))) => continue,
            _ => return,
        };
        let mut said = vec![refusal(400)];
        if !(refuses && asked.contains("resp_that_never_was")) {
            let events = SOUND.lines().filter_map(|line| line.strip_prefix("data: "));
            said = events.map(Message::text).collect();
            breaks(&mut said);
        }
        for message in said {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
}

async fn examined(address: SocketAddr) -> Vec<Examined> {
    let url = Some(format!("http://{address}/v1"));
    let upstream = Some(UpstreamConfig { url, ..UpstreamConfig::default() });
    let timeouts = Timeouts { idle_ms: IDLE_MS, ..Timeouts::default() };
    let config = Config { upstream, timeouts, ..Config::default() };
    let settings = config.resolve(|_| None).unwrap();
    let examining = examine(settings, Some(Api::Responses));
    let examined = within("it is examined", examining).await.unwrap();
    examined.into_iter().filter(|examined| examined.name.contains("WebSocket")).collect()
}

#[tokio::test]
async fn each_broken_socket_is_found_out() {
    for (name, breaks, rule) in CASES {
        let refuses = *rule != Some(Rule::RefusalMissing);
        let examined = examined(server(*breaks, refuses).await).await;
        let findings = examined.iter().flat_map(|examined| &examined.findings);
        let found: BTreeSet<_> = findings.map(|finding| finding.rule).collect();
        assert_eq!(found, BTreeSet::from_iter(*rule), "{name}: {examined:#?}");
        assert_eq!(examined.len(), 3, "{name}: {examined:#?}");
        // What comes after an answer without an end is passed over, and said to be.
        let ends = !matches!(rule, Some(Rule::NoTerminal | Rule::NotAnswered));
        let skipped = examined.iter().filter(|examined| examined.skipped.is_some()).count();
        assert_eq!(skipped == 0, ends || *name == "an error", "{name}: {examined:#?}");
    }
}
