//! What recording an exchange takes, and reporting a recording: `cargo bench`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement")]

#[path = "../../wire/benches/samples/mod.rs"]
mod samples;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use latimer_probe::markdown::{Layout, Options, render};
use latimer_probe::record::exchange;
use latimer_probe::record::{Body, Record};

use self::samples::SIZES;

/// How many exchanges are reported.
const EXCHANGES: usize = 20;

fn main() {
    divan::main();
}

/// An exchange as the gateway records it: a request of `bytes`, and the stream that answered it.
fn write(request: &str, answer: &str, line: &mut Vec<u8>) {
    let record = Record {
        timestamp_unix_ms: 1_700_000_000_000,
        method: "POST",
        url: "http://127.0.0.1:8300/v1/responses",
        request_headers: &[("content-type", "application/json"), ("authorization", "Bearer sk-1")],
        request_body: Body::Json(request.as_bytes()),
        status: Some(200),
        response_headers: &[("content-type", "text/event-stream")],
        response_body: Body::of(answer.as_bytes()),
        is_revealed: false,
        extra: None,
    };
    record.write_line(line);
}

fn exchange_of(bytes: usize) -> (String, String) {
    let request = samples::request(bytes);
    let answer = samples::translated(samples::envelope(&request), &samples::chat_stream());
    (request, answer)
}

#[divan::bench(args = SIZES)]
fn record(bencher: Bencher<'_, '_>, bytes: usize) {
    let (request, answer) = exchange_of(bytes);
    bencher.counter(BytesCount::new(request.len() + answer.len())).bench(|| {
        let mut line = Vec::new();
        write(black_box(&request), black_box(&answer), &mut line);
        line
    });
}

/// A recording of [`EXCHANGES`] exchanges.
fn recording() -> Vec<u8> {
    let (request, answer) = exchange_of(SIZES[0]);
    let mut recording = Vec::new();
    (0..EXCHANGES).for_each(|_| write(&request, &answer, &mut recording));
    recording
}

#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let recording = recording();
    let bencher = bencher.counter(BytesCount::of_slice(&recording));
    bencher
        .counter(ItemsCount::new(EXCHANGES))
        .bench(|| exchange::read(black_box(recording.as_slice())).map(Result::unwrap).count());
}

#[divan::bench]
fn report(bencher: Bencher<'_, '_>) {
    let recording = recording();
    let options = Options { source: "traffic.jsonl", generated_unix_s: 0, layout: Layout::Default };
    let bencher = bencher.counter(BytesCount::of_slice(&recording));
    bencher.counter(ItemsCount::new(EXCHANGES)).bench(|| {
        let mut log = Vec::new();
        (render(black_box(recording.as_slice()), &options, &mut log).unwrap(), log)
    });
}
