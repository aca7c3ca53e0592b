//! Reports compared with files: `fixtures/<case>.jsonl` with `<case>.md`, and the first report of
//! this kind with its input, where the `shared` folder stands beside the checkout. With
//! `UPDATE_FIXTURES=1` the expected files are written anew, to be looked at.
#![allow(clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use latimer_probe::markdown::{Layout, Options, render};

fn report(recording: &[u8], source: &str, layout: Layout) -> String {
    let options = Options { source, generated_unix_s: 1_770_884_779, layout };
    let mut log = Vec::new();
    let head = render(recording, &options, &mut log);
    let log = String::from_utf8(log);
    assert!(head.is_ok() && log.is_ok(), "reading from memory does not stop, and gives text");
    head.unwrap_or_default() + &log.unwrap_or_default()
}

/// Holds a report against a file, or writes the file anew.
fn expect(path: &Path, report: &str) {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(path, report).expect("the expected report is written");
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(report, expected, "{}", path.display());
}

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let found = folder.is_dir().then_some(folder);
    if found.is_none() {
        println!("skipped: there is no folder `shared` beside the checkout");
    }
    found
}

#[test]
fn the_first_report_comes_out_again() {
    let Some(shared) = shared() else { return };
    let input = fs::read(shared.join("samples/sample_traffic.jsonl")).expect("the sample");
    let seed = fs::read_to_string(shared.join("seeds/000_bf227d0fe6d019a5.txt")).expect("the seed");
    let source = "docs/tutorials/probe/traffic-capture/inputs/sample_traffic.jsonl";
    assert_eq!(report(&input, source, Layout::Seed), seed);

    let default = report(&input, source, Layout::Default);
    let differing = default.lines().zip(seed.lines()).filter(|(ours, theirs)| ours != theirs);
    assert!(differing.clone().all(|pair| pair == ("````", "```")));
    assert_eq!(differing.count(), 4, "two quoted texts hold a fence");
}

#[test]
fn every_fixture_gives_its_report() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).expect("the fixtures") {
        let input = entry.expect("a fixture").path();
        if input.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        cases += 1;
        let name = input.file_name().expect("a name").to_string_lossy().into_owned();
        let report = report(&fs::read(&input).expect("a recording"), &name, Layout::Default);
        expect(&input.with_extension("md"), &report);
    }
    assert!(cases > 0, "the fixtures are found");
}

/// What tries to leave its place in the summary's recording of that name, in full.
#[test]
fn hostile_texts_are_quoted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let recording = fs::read(folder.join("summary/hostile.jsonl")).expect("a recording");
    expect(&folder.join("hostile.md"), &report(&recording, "hostile.jsonl", Layout::Default));
}

#[test]
fn the_first_layout_calls_every_stream_the_same() {
    let recording =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/websocket.jsonl"));
    let recording = recording.expect("a recording");
    let report = report(&recording, "websocket.jsonl", Layout::Seed);
    assert_eq!(report.matches("**SSE Stream** (82 bytes, 2 events)").count(), 2, "{report}");
}

#[test]
fn a_long_recording_is_one_report() {
    const EXCHANGES: usize = 60;
    const MALFORMED_LINE: usize = 55;
    let exchange = |number: usize| {
        let text = "long ".repeat(20_000);
        let body = format!(r#"{{"input":"{text}","key_{number}":{number},"last":1.0}}"#);
        let request = format!(r#"{{"method":"POST","url":"/{}","body":{body}}}"#, number % 7);
        format!("{{\"timestamp\":{number},\"request\":{request}}}\n")
    };
    let mut lines: Vec<String> = (1..=EXCHANGES).map(exchange).collect();
    lines.insert(MALFORMED_LINE - 1, "{}\n".to_owned());
    let report = report(lines.concat().as_bytes(), "long.jsonl", Layout::Default);

    let numbers = report.lines().filter_map(|line| line.strip_prefix("### Request "));
    let numbers: Vec<usize> =
        numbers.filter_map(|line| line.split(':').next()?.parse().ok()).collect();
    assert_eq!(numbers, (1..=EXCHANGES).collect::<Vec<_>>());
    for line in [
        "**Total requests:** 60",
        "**Capture duration:** 59.0s",
        "**Skipped lines:** 1 malformed (first: line 55), 0 torn at the end",
        "| `/1` | POST | 9 |",
        "| `last` | number | 60 |",
        "| `key_28` | number | 1 |",
    ] {
        assert!(report.lines().any(|of| of == line), "{line}");
    }
    assert!(!report.contains("`key_29`"), "a table has thirty rows");
}
