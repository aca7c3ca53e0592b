//! `latimer report` as a user meets it: its forms, what it selects, what it says of files that are no
//! recordings.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../probe/fixtures/summary/agent.jsonl");

fn report(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_latimer")).arg("report").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(arguments: &[&str]) -> Value {
    let output = report(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn each_form_is_chosen_by_name_or_by_the_end_of_the_output() {
    let here = tempfile::tempdir().unwrap();
    let starts = [
        ("report.md", "# Codex Traffic"),
        ("report.html", "<!doctype html>"),
        ("report.json", "{\n  \"version\": 1"),
        ("report.csv", "number,line,began_at"),
    ];
    for (name, start) in starts {
        let path = here.path().join(name);
        assert!(report(&[AGENT, "-o", path.to_str().unwrap()]).status.success());
        assert!(fs::read_to_string(&path).unwrap().starts_with(start), "{name}");
    }
    let printed = report(&[AGENT, "--format", "csv"]);
    assert_eq!(text(&printed.stdout), fs::read_to_string(here.path().join("report.csv")).unwrap());
}

#[test]
fn what_is_read_is_not_written_over() {
    let here = tempfile::tempdir().unwrap();
    let recording = here.path().join("traffic.jsonl");
    fs::copy(AGENT, &recording).unwrap();
    let [own, folder] = [&recording, here.path()].map(|path| path.to_str().unwrap());
    for arguments in [
        ["report", own, "-o", own],
        ["report", folder, "-o", own],
        ["report", own, "--output", &format!("{folder}/./traffic.jsonl")],
        ["convert", own, "-o", own],
    ] {
        let refused = Command::new(env!("CARGO_BIN_EXE_latimer")).args(arguments).output().unwrap();
        let said = text(&refused.stderr);
        assert!(said.contains("is what is read; name another output"), "{arguments:?}: {said}");
        assert!(!refused.status.success());
        assert_eq!(fs::read(&recording).unwrap(), fs::read(AGENT).unwrap(), "{arguments:?}");
    }
}

#[test]
fn what_is_written_as_json_has_a_schema() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../probe/docs");
    for (option, published) in [
        ("--schema", "summary.schema.json"),
        ("--schema=summary", "summary.schema.json"),
        ("--schema=diff", "diff.schema.json"),
    ] {
        let printed = report(&[option]);
        assert!(printed.status.success(), "{option}");
        assert_eq!(text(&printed.stdout), fs::read_to_string(docs.join(published)).unwrap());
    }
    assert!(text(&report(&["--schema=turn"]).stderr).contains("summary, diff"));
}

#[test]
fn a_part_can_be_selected() {
    let exchanges = |arguments: &[&str]| {
        json(&[&[AGENT], arguments].concat())["sum"]["exchanges"].as_u64().unwrap()
    };
    assert_eq!(exchanges(&[]), 9);
    assert_eq!(exchanges(&["--session", "0199aa01-thread-c"]), 1);
    assert_eq!(exchanges(&["--model", "gpt-5.5"]), 7);
    assert_eq!(exchanges(&["--status", "error"]), 2);
    assert_eq!(exchanges(&["--status", "429"]), 1);
    assert_eq!(exchanges(&["--since", "2025-11-20 00:54"]), 3);
    let markdown = |arguments: &[&str]| {
        let report = text(&report(&[&[AGENT], arguments].concat()).stdout);
        let numbers = report.lines().filter_map(|line| line.strip_prefix("### Request "));
        let numbers: Vec<_> = numbers.filter_map(|line| line.split(':').next()).collect();
        assert!(report.contains(&format!("\n**Total requests:** {}\n", numbers.len())), "{report}");
        numbers.join(" ")
    };
    assert_eq!(markdown(&["--session", "0199aa01-thread-c"]), "8");
    assert_eq!(markdown(&["--status", "error"]), "3 4");
    assert_eq!(markdown(&["--since", "2025-11-20 00:54", "--layout", "seed"]), "6 7 8");
    assert!(text(&report(&[AGENT, "--since", "yesterday"]).stderr).contains("a time is"));
    assert!(text(&report(&[AGENT, "--status", "odd"]).stderr).contains("a status is"));
}

#[test]
fn prices_of_ones_own_go_before_those_that_come_along() {
    let here = tempfile::tempdir().unwrap();
    let prices = here.path().join("prices.toml");
    let row =
        "[[price]]\nmodel = \"qwen3\"\ninput = 1000\noutput = 0\nsource = \"us\"\ndate = \"now\"";
    fs::write(&prices, row).unwrap();
    let summary = json(&[AGENT, "--prices", prices.to_str().unwrap()]);
    let costs = |name: &str| {
        let models = summary["models"].as_array().unwrap();
        let model = models.iter().find(|model| model["model"] == name).unwrap();
        model["sum"]["cost_usd"].as_f64().unwrap()
    };
    assert_eq!(costs("qwen3"), 0.9);
    assert!(costs("gpt-5.5") > 0.0);
    fs::write(&prices, row.replace("output", "outptu")).unwrap();
    let wrong = report(&[AGENT, "--prices", prices.to_str().unwrap()]);
    assert!(text(&wrong.stderr).contains("outptu"), "{}", text(&wrong.stderr));
}

/// A folder with a closed segment, an older one, and the one that is being written.
fn segments(folder: &Path) {
    let lines: Vec<String> =
        fs::read_to_string(AGENT).unwrap().lines().map(str::to_owned).collect();
    let part = |from: usize, to: usize| lines[from..to].join("\n") + "\n";
    fs::write(folder.join("traffic-2026-11-20T10.jsonl"), part(0, 3)).unwrap();
    let packed = zstd::encode_all((part(3, 5) + "no record\n").as_bytes(), 0).unwrap();
    fs::write(folder.join("traffic-2026-11-20T11.jsonl.zst"), packed).unwrap();
    // It was just compressed.
    fs::write(folder.join("traffic-2026-11-20T11.jsonl"), part(3, 5)).unwrap();
    fs::write(folder.join("traffic-2026-11-20T11.jsonl.index"), "{}").unwrap();
    fs::write(folder.join("traffic.jsonl"), part(5, 9)).unwrap();
    fs::write(folder.join("report.md"), "no segment").unwrap();
}

#[test]
fn a_folder_is_read_with_all_its_segments() {
    let here = tempfile::tempdir().unwrap();
    segments(here.path());
    let folder = here.path().to_str().unwrap();
    let (whole, parts) = (json(&[AGENT]), json(&[folder]));
    assert_eq!(parts["sum"], whole["sum"]);
    assert_eq!(parts["sources"].as_array().unwrap().len(), 3);
    let turns = |summary: &Value| {
        let turns = summary["sessions"][0]["turns"].as_array().unwrap();
        turns.iter().map(|turn| turn["exchanges"].as_array().unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!(turns(&parts), turns(&whole));
    let skipped = &parts["skipped"]["lines"][0];
    assert!(skipped["source"].as_str().unwrap().ends_with("T11.jsonl.zst"));
    assert_eq!(skipped["line"], 3);
    let markdown = text(&report(&[folder]).stdout);
    assert!(
        markdown.contains("1 malformed (first: `") && markdown.contains("T11.jsonl.zst` line 3)")
    );
    assert!(markdown.contains("### Request 9:"));
}

#[test]
fn a_file_of_another_form_is_named() {
    let here = tempfile::tempdir().unwrap();
    let cases: &[(&str, &[u8], &str)] = &[
        ("a.har", b"{\"log\":{\"entries\":[]}}", "an HTTP archive (HAR)"),
        ("a.sse", b"data: {}\n\n", "a stream of server-sent events"),
        ("a.jsonl", b"\x28\xb5\x2f\xfd\x00\x00", "compressed with Zstandard"),
        ("a.txt", b"Dear diary", "no text that is known"),
    ];
    for (name, content, said) in cases {
        let path = here.path().join(name);
        fs::write(&path, content).unwrap();
        let output = report(&[path.to_str().unwrap()]);
        assert!(!output.status.success());
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    let empty = report(&[here.path().join("none").to_str().unwrap()]);
    assert!(text(&empty.stderr).contains("none"));
    fs::create_dir(here.path().join("folder")).unwrap();
    let empty = report(&[here.path().join("folder").to_str().unwrap()]);
    assert!(text(&empty.stderr).contains("there is no recording in"));
}

#[test]
fn two_sessions_are_shown_side_by_side() {
    let (main, child) = ("0199aa01-thread-main", "0199aa01-thread-c");
    let printed = |arguments: &[&str]| {
        let output = report(&[&["--diff"], arguments].concat());
        text(&output.stdout) + &text(&output.stderr)
    };
    let diff = printed(&[main, child, AGENT]);
    for line in [
        "**One:** `0199aa01-thread-main`",
        "| exchanges | 7 | 1 | ≠ |",
        "| of these cached | 14,208 | 0 | ≠ |",
        "## Turn 1: prompt, models, exchanges, errors, calls, said, tokens differ",
        "## Turn 2: only in the one",
    ] {
        assert!(diff.lines().any(|of| of == line), "{line}\n{diff}");
    }
    let same: Value =
        serde_json::from_str(&printed(&[main, main, AGENT, "--format", "json"])).unwrap();
    let turns = same["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 2);
    assert!(turns.iter().all(|turn| turn["differs"] == Value::Array(vec![])));
    let page = printed(&[main, child, AGENT, "--format", "html"]);
    assert!(page.contains("<b>Turn 2: only in the one</b>"), "{page}");

    let here = tempfile::tempdir().unwrap();
    let alone = here.path().join("alone.jsonl");
    let lines = fs::read_to_string(AGENT).unwrap();
    fs::write(&alone, lines.lines().next().unwrap()).unwrap();
    let alone = alone.to_str().unwrap();
    let mixed = printed(&[alone, main, AGENT]);
    assert!(mixed.contains("| exchanges | 1 | 7 | ≠ |"), "{mixed}");
    assert!(printed(&[alone, alone]).contains("| exchanges | 1 | 1 |  |"));

    assert!(printed(&["0199aa01", main, AGENT]).contains("which session of"));
    assert!(printed(&["0199", "0199"]).contains("--diff ID ID FILE"));
    assert!(printed(&["nobody", main, AGENT]).contains("there is no session nobody in"));
    assert!(printed(&[main, child, AGENT, "--format", "csv"]).contains("markdown, html or json"));
}

#[test]
fn turns_are_told_as_they_are_recorded() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("traffic.jsonl");
    let recorded = fs::read_to_string(AGENT).unwrap();
    let (first, rest) = recorded.split_once('\n').unwrap();
    let mut file = fs::File::create(&path).unwrap();
    writeln!(file, "{}", first.replace("Why does", "\\u001b[2JWhy does")).unwrap();
    let mut follow = Command::new(env!("CARGO_BIN_EXE_latimer"))
        .args(["report", "--follow", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "0199aa01 · turn 1: ␛[2JWhy does the test in prime.py fail? Fix it.");
    let line = next();
    assert!(line.starts_with("  #1 · 200 · completed · gpt-5.5 · 2.10 s · 4200 in"), "{line}");
    // What is not whole yet is not told; then the rest of the line comes.
    let (begun, after) = rest.split_at(100);
    file.write_all(begun.as_bytes()).unwrap();
    file.flush().unwrap();
    file.write_all(after.as_bytes()).unwrap();
    assert!(next().starts_with("  #2 "));
    let line = [next(), next(), next()].concat();
    assert!(line.contains("rate_limit_exceeded") && line.contains("attempt 3"), "{line}");
    assert_eq!(next(), "0199aa01 · turn 2: Now also run the linter.");
    let line = next();
    assert!(line.contains("cache miss at input[0].content[0].text, about 3676 tokens"), "{line}");
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn every_turn_is_told_on_a_line_whatever_its_texts_are() {
    let hostile = Path::new(AGENT).with_file_name("hostile.jsonl");
    let recorded = fs::read_to_string(&hostile).unwrap().lines().count();
    let mut follow = Command::new(env!("CARGO_BIN_EXE_latimer"))
        .args(["report", "--follow", hostile.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    for (line, number) in lines.take(2 * recorded).map(Result::unwrap).zip(2..) {
        let start =
            if number % 2 == 0 { " · turn 1: " } else { &format!("  #{} · 200 · ", number / 2) };
        assert!(line.contains(start), "{start:?} in {line:?}");
        let odd = |c: char| {
            c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202e}' | '\u{2066}')
        };
        assert!(!line.contains(odd), "{line:?}");
    }
    follow.kill().unwrap();
    follow.wait().unwrap();
}
