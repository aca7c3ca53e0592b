//! Each form of recordings on a round trip, or against a file: `fixtures/convert/<case>` with
//! `<case>.expected.jsonl`. `docs/formats.md` lists the forms, and names the tests here. With
//! `UPDATE_FIXTURES=1` the expected files are written anew, to be looked at.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use latimer_probe::formats::har::{self, Archive};
use latimer_probe::formats::otlp::Traces;
use latimer_probe::formats::{dump, rollout};
use latimer_probe::summary::{Summarizer, SummaryOptions};
use latimer_probe::{formats::form::FileForm, record::exchange};
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn fixture(name: &str) -> String {
    fs::read_to_string(folder("fixtures").join(name)).expect("a fixture")
}

fn expect(name: &str, found: &str) {
    let path = folder("fixtures").join(name);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, found).expect("the expected file is written");
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "{name}");
}

/// All recordings among the fixtures.
fn recordings() -> Vec<(String, Vec<u8>)> {
    let folders = ["fixtures", "fixtures/summary"].map(folder);
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let files = files.map(|file| file.expect("a file").path());
    let recordings = files.filter(|file| file.extension().is_some_and(|end| end == "jsonl"));
    let read = |file: PathBuf| (file.display().to_string(), fs::read(&file).expect("a recording"));
    recordings.map(read).collect()
}

fn archive_of(recording: &str) -> String {
    let mut out = Vec::new();
    let mut archive = Archive::begin(&mut out).expect("an archive");
    for exchange in exchange::read(recording.as_bytes()).flatten() {
        archive.exchange(&exchange, &mut out).expect("an entry");
    }
    archive.finish(&mut out).expect("an end");
    String::from_utf8(out).expect("text")
}

fn read_archive(archive: &str) -> Result<String, String> {
    let mut lines = Vec::new();
    har::read(archive, &mut |line| {
        lines.extend_from_slice(line);
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok(String::from_utf8(lines).expect("text"))
}

#[test]
fn an_archive_brings_a_recording_back() {
    let recordings = recordings();
    assert!(recordings.len() > 5);
    for (name, recording) in recordings {
        let archive = archive_of(&String::from_utf8_lossy(&recording));
        assert_eq!(FileForm::of(archive.as_bytes()), FileForm::Har, "{name}");
        assert!(serde_json::from_str::<Value>(&archive).is_ok(), "{name}");
        let again = read_archive(&archive).expect("our own archive");
        assert_eq!(told(&recording), told(again.as_bytes()), "{name}");
        // What a record written today hides is hidden now; from here on nothing changes.
        let twice = read_archive(&archive_of(&again)).expect("our own archive");
        assert_eq!(again, twice, "{name}");
    }
}

/// What must come back of each exchange, whatever was hidden of headers and URLs.
fn told(recording: &[u8]) -> Vec<String> {
    let told = exchange::read(recording).flatten().map(|exchange| {
        let answered = exchange.response.as_ref().map(|answer| (answer.status_code, &answer.body));
        let at = exchange.timestamp_unix_ms.unwrap_or_default();
        let asked = (&exchange.request.method, &exchange.request.body);
        format!("{at} {asked:?} {answered:?} {:?}", exchange.latimer)
    });
    told.collect()
}

#[test]
fn an_archive_of_a_browser_is_read() {
    let lines = read_archive(&fixture("convert/browser.har")).expect("an archive");
    assert!(!lines.contains("canary"), "what is converted is redacted");
    expect("convert/browser.expected.jsonl", &lines);
}

#[test]
fn what_is_no_archive_is_an_error_that_names_the_place() {
    let said = |archive: &str| read_archive(archive).expect_err("an error");
    assert_eq!(said("{"), "the archive is no JSON: expected a key in quotes at byte 1");
    assert_eq!(said("{}"), "the archive: there is no `log.entries`");
    let entry = "{\"log\":{\"entries\":[{\"request\":{\"method\":\"GET\",\"url\":\"/\"}},{}]}}";
    assert_eq!(said(entry), "entry 2: there is no `request` with a method and a URL");
}

#[test]
fn a_dump_folder_is_read() {
    let mut lines = Vec::new();
    for name in ["000001-1763600000123", "000002-1763600004456"] {
        let read = |end: &str| {
            fs::read_to_string(folder("fixtures/convert/dump").join(format!("{name}{end}"))).ok()
        };
        let request = read(dump::REQUEST_END).expect("a request");
        let response = read(dump::RESPONSE_END);
        let name = format!("{name}{}", dump::REQUEST_END);
        dump::read(&name, &request, response.as_deref(), &mut |line| {
            lines.extend_from_slice(line);
            Ok(())
        })
        .expect("an exchange");
    }
    let lines = String::from_utf8(lines).expect("text");
    assert!(!lines.contains("canary"), "what is converted is redacted");
    expect("convert/dump.expected.jsonl", &lines);
}

#[test]
fn a_session_log_is_read() {
    let mut lines = Vec::new();
    let exchanges = rollout::read(&fixture("convert/rollout.jsonl"), &mut |line| {
        lines.extend_from_slice(line);
        Ok(())
    });
    assert_eq!(exchanges.expect("a log"), 3);
    expect("convert/rollout.expected.jsonl", &String::from_utf8(lines).expect("text"));
}

#[test]
fn traces_follow_the_conventions() {
    let mut out = Vec::new();
    let mut traces = Traces::begin(&mut out).expect("traces");
    let mut summarizer = Summarizer::new(SummaryOptions::default());
    let recording = fixture("summary/agent.jsonl");
    summarizer
        .read("agent.jsonl", recording.as_bytes(), &mut |placed| traces.exchange(placed, &mut out))
        .expect("a recording");
    traces.finish(&mut out).expect("an end");
    let traces =
        String::from_utf8(out).expect("text").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let parsed: Value = serde_json::from_str(&traces).expect("JSON");
    let spans = parsed["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans");
    for span in spans {
        let is_hex = |id: &Value, digits: usize| {
            id.as_str()
                .is_some_and(|id| id.len() == digits && id.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        assert!(is_hex(&span["traceId"], 32) && is_hex(&span["spanId"], 16), "{span}");
    }
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| &span["spanId"]).collect();
    assert_eq!(ids.len(), spans.len());
    expect("convert/agent.otlp.json", &traces);
}

#[cfg(feature = "parquet")]
#[test]
fn a_table_says_the_same_as_parquet() {
    use latimer_probe::formats::parquet::Table;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let recording = fixture("summary/agent.jsonl");
    let mut out = Vec::new();
    let mut table = Table::new(&mut out).expect("a table");
    let mut summarizer = Summarizer::new(SummaryOptions::default());
    summarizer
        .read("agent.jsonl", recording.as_bytes(), &mut |placed| table.row(placed))
        .expect("a recording");
    table.finish().expect("an end");
    assert_eq!(FileForm::of(&out), FileForm::Parquet);

    let reader = SerializedFileReader::new(bytes::Bytes::from(out)).expect("a file");
    let rows: Vec<_> = reader.get_row_iter(None).expect("rows").flatten().collect();
    let csv = fixture("summary/agent.csv");
    let mut lines = csv.lines();
    let heads: Vec<&str> = lines.next().expect("a head").split(',').collect();
    assert_eq!(rows.len(), lines.clone().count());
    for (row, line) in rows.iter().zip(lines) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), heads.len(), "no cell of this table has a comma");
        for ((name, field), (head, cell)) in row.get_column_iter().zip(heads.iter().zip(cells)) {
            assert_eq!(name, head);
            if !["began_at", "cost_usd", "lost_tokens_estimate"].contains(head) {
                let shown = field.to_string();
                assert_eq!(shown.trim_matches('"').replace("null", ""), cell, "{head}");
            }
        }
    }
}

#[test]
fn the_list_of_forms_names_a_test_for_each() {
    let list = fs::read_to_string(folder("docs/formats.md")).expect("the list");
    let rows: Vec<&str> = list.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 5);
    for row in rows {
        let held = row.trim_end_matches(" |").rsplit(" | ").next().expect("a last cell");
        let mut words = held.split('`').skip(1);
        let test = words.next().expect("a test");
        let file = held.rsplit(' ').next().filter(|file| file.ends_with(".rs"));
        let path = match file {
            Some(file) if file.starts_with("crates/") => folder("../..").join(file),
            Some(file) => folder(file),
            None => folder("tests/convert.rs"),
        };
        let source = fs::read_to_string(&path).expect("the tests");
        assert!(source.contains(&format!("fn {test}()")), "{test} is not in {}", path.display());
    }
}
