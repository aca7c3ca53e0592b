//! Request bodies that are listened to: passed on as they come, whatever becomes of them.

use latimer_gateway::Config;
use latimer_gateway::config::Limits;
use latimer_probe::record::account::Outcome;
use latimer_probe::record::exchange::Exchange;

use crate::support::*;
use crate::tapping::Tapped;

/// A request of which a half has come.
struct Halfway {
    tapped: Tapped,
    client: Client,
    line: Line,
}

const HALF: &str = r#"{"model":"m","#;
const REST: &str = r#""input":"Hi"}"#;
const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

/// How a body comes: its headers, its halves, and what ends it.
const FRAMINGS: &[(&str, [&str; 2], &str)] = &[
    ("content-length: 26", [HALF, REST], ""),
    (
        "transfer-encoding: chunked",
        ["D\r\n{\"model\":\"m\",\r\n", "D\r\n\"input\":\"Hi\"}\r\n"],
        "0\r\n\r\n",
    ),
    (
        "transfer-encoding: chunked\r\ntrailer: x-sum",
        ["D\r\n{\"model\":\"m\",\r\n", "D\r\n\"input\":\"Hi\"}\r\n"],
        "0\r\nx-sum: 1\r\n\r\n",
    ),
];

impl Halfway {
    /// The backend has the first half before the client has sent the second.
    async fn start(config: Config, headers: &str, half: &str) -> Halfway {
        let backend = Backend::start().await;
        let tapped = Tapped::start_with(format!("http://{}/", backend.address), None, config).await;
        let client = Client::send(tapped.address, &begun(headers, half)).await;
        let mut line = backend.accept().await;
        line.wait_for(half).await;
        Halfway { tapped, client, line }
    }
}

fn begun(headers: &str, half: &str) -> Vec<u8> {
    let head = "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    format!("{head}{headers}\r\n\r\n{half}").into_bytes()
}

fn asked(exchange: &Exchange<'_>) -> String {
    exchange.request.body.text().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_request_goes_on_as_it_comes() {
    for (headers, [half, rest], end) in FRAMINGS {
        let mut halfway = Halfway::start(Config::default(), headers, half).await;
        halfway.client.say(rest).await;
        halfway.client.say(end).await;
        halfway.line.wait_for(&format!("{rest}{end}")).await;
        halfway.line.say(OK).await;
        assert_eq!(halfway.client.finish().await.text(), "ok");
        let (exchange, account) = halfway.tapped.stop().await.remove(0);
        assert_eq!(asked(&exchange), format!("{HALF}{REST}"), "{headers}");
        assert_eq!(account.request_bytes, Some(26));
        assert_eq!(account.outcome, Some(Outcome::Completed));
        assert!(!account.is_request_unfinished);
    }
}

#[tokio::test]
async fn a_client_that_stops_midway_stops_there() {
    for (headers, [half, _], _) in FRAMINGS {
        let Halfway { tapped, client, line } =
            Halfway::start(Config::default(), headers, half).await;
        drop(client);
        let more = line.left_with().await;
        assert_eq!(more, "", "{headers}: no end is made up");
        let (exchange, account) = tapped.stop().await.remove(0);
        assert_eq!(asked(&exchange), HALF);
        assert!(exchange.response.is_none());
        assert_eq!(account.request_bytes, Some(HALF.len() as u64));
        assert_eq!(account.outcome, Some(Outcome::Cancelled));
        assert!(account.is_request_unfinished);
    }
}

#[tokio::test]
async fn what_is_too_long_for_the_record_goes_on_whole() {
    let limits = Limits { recorded_bytes: HALF.len(), ..Limits::default() };
    for (headers, [half, rest], end) in FRAMINGS {
        let config = Config { limits: limits.clone(), ..Config::default() };
        let mut halfway = Halfway::start(config, headers, half).await;
        halfway.client.say(rest).await;
        halfway.client.say(end).await;
        halfway.line.wait_for(&format!("{rest}{end}")).await;
        halfway.line.say(OK).await;
        assert_eq!(halfway.client.finish().await.text(), "ok");
        let (exchange, account) = halfway.tapped.stop().await.remove(0);
        assert_eq!(asked(&exchange), HALF);
        assert_eq!(account.request_left_out_bytes, REST.len() as u64);
        assert_eq!(account.request_bytes, Some(26));
        assert!(!account.is_request_unfinished);
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_goes_back() {
    for (headers, [half, _], _) in FRAMINGS {
        let mut halfway = Halfway::start(Config::default(), headers, half).await;
        halfway.line.say(OK.replace("200 OK", "413 Too Large")).await;
        halfway.client.wait_for("ok").await;
        halfway.line.assert_left().await;
        let (exchange, account) = halfway.tapped.stop().await.remove(0);
        assert_eq!(exchange.response.as_ref().unwrap().status_code, Some(413));
        assert_eq!(asked(&exchange), HALF);
        assert_eq!(account.outcome, Some(Outcome::Failed));
        assert!(account.is_request_unfinished);
    }
}

#[tokio::test]
async fn a_compressed_request_goes_on_as_it_is_and_is_recorded_plain() {
    let body = gzip(format!("{HALF}{REST}").as_bytes());
    let backend = Backend::start().await;
    let tapped =
        Tapped::start_with(format!("http://{}/", backend.address), None, Config::default()).await;
    let client = Client::send(tapped.address, &post("content-encoding: gzip\r\n", &body)).await;
    let (mut line, heard) = backend.heard().await;
    assert_eq!(heard.body, body);
    assert_eq!(heard.header("content-encoding"), Some("gzip"));
    line.say(OK).await;
    assert_eq!(client.finish().await.text(), "ok");
    let (exchange, account) = tapped.stop().await.remove(0);
    assert_eq!(asked(&exchange), format!("{HALF}{REST}"));
    assert_eq!(account.request_bytes, Some(body.len() as u64));
    assert_eq!(account.request_coding.as_deref(), Some("gzip"));
}

/// The first request leaves a connection behind, which dies with the second on it.
#[tokio::test]
async fn a_request_on_a_dead_connection_is_sent_again_if_its_beginning_is_kept() {
    for (kept, sent_again) in [(HALF.len(), true), (HALF.len() - 1, false)] {
        let limits = Limits { recorded_bytes: kept, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let backend = Backend::start().await;
        let tapped = Tapped::start_with(format!("http://{}/", backend.address), None, config).await;
        let client = Client::send(tapped.address, &post("", "")).await;
        let (mut line, _) = backend.heard().await;
        line.say(whole("200 OK", "", "ok")).await;
        assert_eq!(client.finish().await.status, 200);

        let mut client = Client::send(tapped.address, &begun("content-length: 26", HALF)).await;
        line.wait_for(HALF).await;
        drop(line);
        if sent_again {
            let mut line = backend.accept().await;
            line.wait_for(HALF).await;
            client.say(REST).await;
            line.wait_for(REST).await;
            line.say(OK).await;
        }
        assert_eq!(client.finish().await.status, if sent_again { 200 } else { 502 });
        let (_, account) = tapped.stop().await.remove(1);
        assert_eq!(account.attempts, Some(if sent_again { 2 } else { 0 }));
        backend.assert_quiet().await;
    }
}
