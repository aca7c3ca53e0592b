//! Request bodies: compressed, damaged, too long.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use latimer_gateway::Config;
use latimer_gateway::config::Limits;
use latimer_probe::record::exchange::Payload;

use crate::support::*;

fn small() -> Config {
    let limits = Limits { body_bytes: 20_000, decoded_body_bytes: 4_000, ..Limits::default() };
    Config { limits, ..Config::default() }
}

type Coder = fn(&[u8]) -> Vec<u8>;

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// One uncompressed meta-block (RFC 7932, section 9.2), which is all a decoder needs.
fn brotli(body: &[u8]) -> Vec<u8> {
    let head = ((body.len() as u32 - 1) << 4 | 1 << 20).to_le_bytes();
    [&head[..3], body, &[3]].concat()
}

const CODERS: &[(&str, Coder)] = &[
    ("zstd", zstd),
    ("gzip", gzip),
    ("GZIP", gzip),
    ("x-gzip", gzip),
    ("deflate", zlib),
    ("deflate", deflate),
    ("br", brotli),
    ("identity", <[u8]>::to_vec),
    (" , zstd", zstd),
];

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    post(&format!("content-encoding: {coding}\r\n"), body)
}

#[tokio::test]
async fn a_compressed_body_goes_on_as_it_came_or_plain_where_it_is_changed() {
    let backend = Backend::start().await;
    let mut with_model = before_responses(backend.address);
    with_model.upstream.as_mut().unwrap().model = Some("m".to_owned());
    for (config, changed) in [(before_responses(backend.address), false), (with_model, true)] {
        let gateway = Gateway::start(config).await;
        for (coding, code) in CODERS {
            let body = code(ASK_WHOLE.as_bytes());
            let client = Client::send(gateway.address, &coded(coding, &body)).await;
            let (mut line, heard) = backend.heard().await;
            let (wanted, named) = match changed {
                true => (ASK_WHOLE.as_bytes(), None),
                false => (&*body, Some(*coding)),
            };
            assert!(heard.body == wanted, "{coding}");
            assert_eq!(heard.header("content-encoding").map(str::trim), named.map(str::trim));
            line.say(whole("200 OK", "connection: close\r\n", "{}")).await;
            assert_eq!(client.finish().await.status, 200, "{coding}");
        }
        let recorded = gateway.stop().await;
        let asked = |body: &Payload<'_>| {
            body.json().and_then(|body| body.root().member_text("input")).as_deref() == Some("Hi")
        };
        assert!(recorded.exchanges.iter().all(|exchange| asked(&exchange.request.body)));
    }
}

#[tokio::test]
async fn what_cannot_be_decompressed_is_refused() {
    let bomb = format!("{{\"input\":\"{}\"}}", "a".repeat(10_000));
    let damage = |code: Coder| {
        let mut body = code(ASK_WHOLE.as_bytes());
        body.truncate(body.len() - 6);
        body
    };
    let mut cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("compress", b"x".to_vec(), 415, "unsupported_encoding"),
        ("\u{ff}", b"x".to_vec(), 415, "unsupported_encoding"),
        ("gzip, zstd", zstd(&gzip(ASK_WHOLE.as_bytes())), 415, "unsupported_encoding"),
        ("gzip\r\ncontent-encoding: br", b"x".to_vec(), 415, "unsupported_encoding"),
        ("gzip", b"\x1f\x8bno".to_vec(), 400, "invalid_encoding"),
        ("zstd", b"{}".to_vec(), 400, "invalid_encoding"),
        ("deflate", b"\x78\x9c\xff\xff\xff".to_vec(), 400, "invalid_encoding"),
        // Large-window brotli (not RFC 7932) would make the decoder allocate up to a gibibyte.
        ("br", b"\x11\x1e\x00".to_vec(), 400, "invalid_encoding"),
        // A zstd frame that asks for a window of 128 MiB.
        ("zstd", b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00".to_vec(), 400, "invalid_encoding"),
    ];
    for (coding, code) in CODERS.iter().filter(|(coding, _)| *coding != "identity") {
        assert!(*coding == "br" || code(bomb.as_bytes()).len() < 100, "{coding} bomb is small");
        cases.push((*coding, code(bomb.as_bytes()), 413, "body_too_large"));
        if *coding != "deflate" {
            cases.push((*coding, damage(*code), 400, "invalid_encoding"));
        }
    }
    let gateway = Gateway::start(small()).await;
    for (coding, body, status, reason) in &cases {
        let answered = ask(gateway.address, &coded(coding, body)).await;
        assert_eq!(answered.status, *status, "{coding}: {}", answered.text());
        assert_eq!(answered.error()["code"], *reason, "{coding}");
    }
    let answered = ask(gateway.address, &post("", ASK_WHOLE)).await;
    assert_eq!(answered.status, 200, "and the next one is served");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let gateway = Gateway::start(small()).await;
    let declared =
        "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20001\r\n\r\n{";
    let chunked =
        "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let filled = piece(&"a".repeat(5_000)).repeat(20);
    for request in [
        declared.to_owned(),
        declared.to_owned() + &"a".repeat(20_000),
        chunked.to_owned() + &filled,
        chunked.to_owned() + &filled + "0\r\n\r\n",
        declared.to_owned().replace("20001", "8000000") + &"a".repeat(30_000),
    ] {
        let answered = ask(gateway.address, request.as_bytes()).await;
        assert_eq!(answered.status, 413);
        assert_eq!(answered.error()["code"], "body_too_large");
        assert_eq!(answered.header("connection"), Some("close"));
    }
    let asking = declared.replace("\r\n\r\n{", "\r\nexpect: 100-continue\r\n\r\n");
    let answered = ask(gateway.address, asking.as_bytes()).await;
    assert_eq!(answered.status, 413, "it is not asked to go on: {}", answered.head);
}

#[tokio::test]
async fn a_sender_of_too_much_still_sees_the_answer() {
    let mut config = small();
    config.limits.body_bytes = 16 << 20;
    let gateway = Gateway::start(config).await;
    let filler = "a".repeat(8 << 20);
    let declared = format!("content-length: {}\r\n\r\n", 24 << 20) + &filler.repeat(3);
    let chunked = "transfer-encoding: chunked\r\n\r\n".to_owned() + &piece(&filler).repeat(4);
    for rest in [declared, chunked + "0\r\n\r\n"] {
        let request = "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\n".to_owned() + &rest;
        let answered = ask(gateway.address, request.as_bytes()).await;
        assert_eq!((answered.status, &answered.error()["code"]), (413, &"body_too_large".into()));
    }
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let mut config = small();
    config.timeouts.body_ms = 50;
    let gateway = Gateway::start(config).await;
    let request = "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{";
    let answered = ask(gateway.address, request.as_bytes()).await;
    assert_eq!((answered.status, answered.error()["code"].as_str()), (408, Some("body_timeout")));
}
