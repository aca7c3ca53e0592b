//! Summaries compared with files: `fixtures/summary/<case>.jsonl` with `<case>.json`, `.csv`, `.html` and
//! `.md`, which has no log;
//! the published schema; what hostile recordings make of every form of the report. With
//! `UPDATE_FIXTURES=1` the expected files are written anew, to be looked at.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use latimer_probe::markdown::{self, Layout, MarkdownReport, Options};
use latimer_probe::summary::{self, Prices, Summarizer, Summary, SummaryLimits, SummaryOptions};
use latimer_probe::{formats::csv, html};
use serde_json::Value;

mod schema;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Holds a text against a file, or writes the file anew.
fn expect(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(path, found).expect("the expected file is written");
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, expected, "{}", path.display());
}

const AGENT: &[u8] = include_bytes!("../fixtures/summary/agent.jsonl");

fn options() -> SummaryOptions {
    // Prices of its own: a change of the shipped ones changes no fixture.
    let prices = "[[price]]\nmodel = \"gpt-5.5\"\ninput = 5.0\ncached = 0.5\noutput = 30.0\n\
                  source = \"a test\"\ndate = \"2026-11-20\"";
    let prices = Prices::parse(prices).expect("prices");
    SummaryOptions { generated_unix_s: 1_770_884_779, prices, ..SummaryOptions::default() }
}

fn summarize(recording: &[u8], options: SummaryOptions) -> (Summary, String) {
    let mut rows = Vec::new();
    csv::write_head(&mut rows).expect("rows");
    let mut summarizer = Summarizer::new(options);
    let read =
        summarizer.read("case.jsonl", recording, &mut |placed| csv::write_row(placed, &mut rows));
    assert!(read.is_ok(), "reading from memory does not stop");
    (summarizer.finish(), String::from_utf8(rows).expect("text"))
}

fn page(summary: &Summary) -> String {
    let mut page = Vec::new();
    html::write(summary, &mut page).expect("a page");
    String::from_utf8(page).expect("text")
}

/// The page without its style, which is the same for all.
fn unstyled(summary: &Summary) -> String {
    let page = page(summary);
    let style = include_str!("../src/html/style.css").trim_end();
    assert_eq!(page.matches(style).count(), 1, "a page has its style in it");
    page.replacen(style, "", 1)
}

/// The head and the log of a Markdown report.
fn markdown(recording: &[u8], source: &str, summary: SummaryOptions) -> [String; 2] {
    let generated_unix_s = summary.generated_unix_s;
    let options = Options { source, generated_unix_s, layout: Layout::Default };
    let (mut head, mut log) = (Vec::new(), Vec::new());
    let mut report = MarkdownReport::with_summary(options, summary);
    report.read(source, recording, &mut log).expect("reading from memory does not stop");
    report.write_head(&mut head).expect("a head");
    [head, log].map(|part| String::from_utf8(part).expect("text"))
}

#[test]
fn every_fixture_gives_its_summary() {
    let mut cases = 0;
    for entry in fs::read_dir(folder("fixtures/summary")).expect("the fixtures") {
        let input = entry.expect("a fixture").path();
        if input.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        cases += 1;
        let recording = fs::read(&input).expect("a recording");
        let (summary, rows) = summarize(&recording, options());
        let json = serde_json::to_string_pretty(&summary).expect("JSON") + "\n";
        expect(&input.with_extension("json"), &json);
        expect(&input.with_extension("csv"), &rows);
        expect(&input.with_extension("html"), &unstyled(&summary));
        let [head, _] = markdown(&recording, "case.jsonl", options());
        expect(&input.with_extension("md"), &head);
    }
    assert!(cases > 0, "the fixtures are found");
}

#[test]
fn what_passes_on_a_websocket_beside_messages_is_told() {
    let recording = fs::read(folder("fixtures/websocket.jsonl")).expect("a recording");
    let (summary, _) = summarize(&recording, options());
    let page = page(&summary);
    for words in ["1 ping", "1 ping, 1 pong", "1 ping, 1 pong, closed by the client: 1000 enough"] {
        assert!(page.contains(&format!(">{words}</")), "{words}");
    }
    let summary = serde_json::to_value(&summary).expect("JSON");
    let last = &summary["sessions"][0]["turns"][1]["exchanges"][0]["websocket"];
    let closed = serde_json::json!({"by": "client", "code": 1000, "reason": "enough"});
    assert_eq!(*last, serde_json::json!({"pings": 1, "pongs": 1, "closed": closed}));
}

#[test]
fn the_schema_is_that_of_the_types() {
    expect(&folder("docs/summary.schema.json"), &(summary::schema() + "\n"));
    expect(&folder("docs/diff.schema.json"), &(summary::diff_schema() + "\n"));
}

#[test]
fn what_is_written_fits_the_published_schema() {
    let published = [summary::schema(), summary::diff_schema()];
    let [ours, diffs] = published.map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
    let value = |written: String| serde_json::from_str::<Value>(&written).expect("JSON");
    let mut pairs = 0;
    for case in ["summary/agent", "summary/sub-agent", "websocket", "failed", "incomplete"] {
        let recording = fs::read(folder(&format!("fixtures/{case}.jsonl"))).expect("a recording");
        let (summary, _) = summarize(&recording, options());
        let written = value(serde_json::to_string(&summary).expect("JSON"));
        assert_eq!(schema::fits(&ours, &written), Ok(()), "{case}");
        for (one, other) in summary.sessions.iter().zip(summary.sessions.iter().skip(1)) {
            pairs += 1;
            let diff = summary::diff(one, other);
            let written = value(serde_json::to_string(&diff).expect("JSON"));
            assert_eq!(schema::fits(&diffs, &written), Ok(()), "{case}: {} {}", one.id, other.id);
            assert!(schema::fits(&ours, &written).is_err(), "a difference is no summary");
        }
    }
    assert!(pairs > 1, "there are sessions to compare");
}

/// Texts that try to leave the place they are put in.
const HOSTILE: &[&str] = &[
    "```\n# a heading\n````\n~~~",
    "</details></summary></pre></bdi></td></table><script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title='owned'\"><a href=\"javascript:alert(1)\">",
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m",
    "\u{202e}gnp.exe\u{202c} \u{2066}\u{200f}مرحبا שלום",
    "a\0b\u{feff}c\u{2028}d",
    "=HYPERLINK(\"http://x\",\"y\"),\"\r\n@a",
    "| a | b |\n|---|\n![x](http://x/y) [z](javascript:1)",
    "]]> --> */ </style> </title> &amp; &#60;",
];

/// A recording with a text wherever a text can be.
fn hostile(text: &str) -> String {
    let text = Value::from(text);
    let item = format!(
        r#"{{"type":"message","role":{text},"content":[{{"type":"input_text","text":{text}}}]}}"#
    );
    let call = format!(
        r#"{{"type":"function_call","id":"i","call_id":{text},"name":{text},"arguments":{text}}}"#
    );
    let request = |input: &str| {
        format!(
            r#"{{"model":{text},"instructions":{text},"prompt_cache_key":{text},"input":[{input}],"tools":[{{"type":{text},"name":{text}}}]}}"#
        )
    };
    let answer = format!(
        r#"{{"id":{text},"object":"response","status":"failed","output":[{call}],"error":{{"code":{text},"message":{text}}}}}"#
    );
    let record = |at: u32, input: &str| {
        format!(
            r#"{{"timestamp":{at},"request":{{"method":{text},"url":{text},"headers":{{"content-type":{text}}},"body":{body}}},"response":{{"status_code":200,"headers":{{"content-type":{text}}},"body":{answer}}},"latimer":{{"id":"x","request_kind":{text},"outcome":"failed","notes":[{{"code":{text},"detail":{text}}}]}}}}"#,
            body = request(input),
        )
    };
    let changed = item.replacen("input_text\",\"text\":\"", "input_text\",\"text\":\"!", 1);
    [record(1, &item), record(2, &format!("{changed},{call}")), "{".to_owned()].join("\n")
}

#[test]
fn hostile_texts_stay_in_their_places() {
    for text in HOSTILE {
        let recording = hostile(text);
        let (summary, rows) = summarize(recording.as_bytes(), options());
        assert_eq!((summary.sum.exchanges, summary.skipped.torn), (2, 1), "{text:?}");
        stays_on_the_page(&page(&summary), text);
        assert!(rows.lines().all(|row| !row.contains(",=") && !row.starts_with('=')), "{rows}");
        let json = serde_json::to_string(&summary).expect("JSON");
        assert!(serde_json::from_str::<Value>(&json).is_ok());
        assert!(!json.contains(|c: char| c < ' '), "{text:?}");
    }
}

/// Nothing of a text is markup of the page, or does anything to who reads it.
fn stays_on_the_page(page: &str, text: &str) {
    let controls = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!page.contains(controls), "{text:?}");
    assert!(!page.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\u{2028}']), "{text:?}");
    for markup in ["<script", "<img", "onerror=\"", "javascript:alert(1)\">", "</style> <"] {
        assert!(!page.contains(markup), "{markup} of {text:?}");
    }
    let opened = page.matches("<details").count();
    assert_eq!(opened, page.matches("</details>").count(), "{text:?}");
}

#[test]
fn hostile_texts_leave_no_fence_of_the_markdown_report() {
    for text in HOSTILE {
        let report = markdown(hostile(text).as_bytes(), text, options()).concat();
        let outside = outside_of_fences(&report);
        for markup in ["<script", "<img", "\n# a heading", "![x]"] {
            assert!(!outside.contains(markup), "{markup} of {text:?}:\n{outside}");
        }
        let (opened, closed) = ("<details>\n", "\n</details>");
        assert_eq!(outside.matches(opened).count(), outside.matches(closed).count(), "{text:?}");
    }
}

#[test]
fn hostile_texts_stay_in_their_places_where_two_sessions_are_compared() {
    for text in HOSTILE {
        let (summary, _) = summarize(hostile(text).as_bytes(), options());
        let (ours, _) = summarize(AGENT, options());
        let diff = summary::diff(&summary.sessions[0], &ours.sessions[0]);
        let mut page = Vec::new();
        html::write_diff(&diff, &mut page).expect("a page");
        stays_on_the_page(&String::from_utf8(page).expect("text"), text);
        let outside = outside_of_fences(&markdown::diff(&diff));
        for markup in ["<script", "<img", "\n# a heading", "![x]", "</details>", "\n@a"] {
            assert!(!outside.contains(markup), "{markup} of {text:?}:\n{outside}");
        }
    }
}

/// The lines that are in no fenced block, without their code spans, by the rules of CommonMark.
fn outside_of_fences(markdown: &str) -> String {
    let mut fence: Option<&str> = None;
    let mut outside = String::new();
    for line in markdown.split('\n') {
        let marks = line.trim_start();
        let run = marks.len() - marks.trim_start_matches('`').len();
        let bar = marks.get(..run).unwrap_or_default();
        match fence {
            Some(open) if run >= open.len() && marks.trim_end() == bar => fence = None,
            Some(_) => {}
            None if run >= 3 => fence = Some(bar),
            None => outside.extend([&without_code(line), "\n"]),
        }
    }
    outside
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    let Some(from) = line.find('`') else { return line.to_owned() };
    let (before, tail) = line.split_at(from);
    let inside = tail.trim_start_matches('`');
    let fence = &tail[..tail.len() - inside.len()];
    let mut at = 0;
    while let Some(found) = inside[at..].find(fence) {
        let rest = inside[at + found..].trim_start_matches('`');
        let run = inside.len() - at - found - rest.len();
        if run == fence.len() {
            return before.to_owned() + &without_code(rest);
        }
        at = inside.len() - rest.len();
    }
    before.to_owned() + fence + &without_code(inside)
}

#[test]
fn ten_megabytes_in_one_value_become_an_excerpt() {
    const TIMES: usize = 10 << 17;
    let record = |input: &str| {
        format!(
            "{{\"request\":{{\"method\":\"POST\",\"url\":\"/\",\"body\":{{\"input\":{input}}}}}}}\n"
        )
    };
    let long = format!("\"{}\"", "ä€😀".repeat(TIMES));
    let recording = record(&format!("[{long}]")) + &record(&format!("[{long},\"b\"]"));
    let (summary, rows) = summarize(recording.as_bytes(), options());
    let added = &summary.sessions[0].turns[0].exchanges[0].added[0];
    assert_eq!((added.chars, added.bytes), (3 * TIMES as u64, 9 * TIMES as u64 + 2));
    assert!(page(&summary).len() < 20_000 && rows.len() < 1_000);
    let message = record(&format!("[{{\"role\":\"user\",\"content\":{long}}}]"));
    let [head, log] = markdown(message.as_bytes(), "long.jsonl", options());
    let quoted = format!("\n```\n{}\n```\n", long.trim_matches('"'));
    assert!(head.len() < 20_000 && log.contains(&quoted), "the log has all of it, and once");
    assert!(log.len() < quoted.len() + 20_000);

    let (summary, rows) = summarize(hostile(&"x".repeat(100_000)).as_bytes(), options());
    assert!(page(&summary).len() + rows.len() < 60_000, "no name is too long to be shown");
}

#[test]
fn what_is_kept_is_bounded_and_what_is_counted_is_not() {
    const EXCHANGES: u64 = 200;
    let line = |number: u64| {
        format!(
            "{{\"timestamp\":{number},\"request\":{{\"method\":\"POST\",\"url\":\"/v1/responses\",\
             \"body\":{{\"model\":\"m\",\"prompt_cache_key\":\"s{}\",\"input\":\"text {number}\"}}}}}}\n",
            number % 20
        )
    };
    let recording: String = (0..EXCHANGES).map(line).collect();
    let limits = SummaryLimits {
        exchanges: 50,
        sessions: 5,
        prefix_bytes: 100,
        excerpt_bytes: 300,
        skipped_lines: 1,
    };
    let (summary, rows) = summarize(recording.as_bytes(), SummaryOptions { limits, ..options() });
    assert_eq!(summary.sum.exchanges, EXCHANGES);
    assert_eq!(summary.left_out_exchanges, EXCHANGES - 50);
    let kept = summary.sessions.iter().flat_map(|session| &session.turns);
    let kept: Vec<_> = kept.flat_map(|turn| &turn.exchanges).collect();
    assert_eq!(kept.len(), 50);
    let excerpts = kept.iter().flat_map(|facts| &facts.added).map(|added| added.text.len());
    assert!(excerpts.sum::<usize>() <= 300);
    assert_eq!(rows.lines().count() as u64, EXCHANGES + 1, "each exchange has its row");
}
