//! `latimer convert` as a user meets it: forms are seen from their beginning, and what comes out is
//! something that `latimer report` reads.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../probe/fixtures");

fn latimer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_latimer")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_is_converted_can_be_reported() {
    let here = tempfile::tempdir().unwrap();
    let recording = here.path().join("traffic.jsonl");
    let recording = recording.to_str().unwrap();
    for (input, exchanges) in
        [("convert/browser.har", 6), ("convert/dump", 2), ("convert/rollout.jsonl", 3)]
    {
        let input = format!("{FIXTURES}/{input}");
        let output = latimer(&["convert", &input, "-o", recording]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr), format!("latimer: {exchanges} exchanges\n"));
        let summary = latimer(&["report", recording, "--format", "json"]);
        let summary: Value = serde_json::from_slice(&summary.stdout).unwrap();
        assert_eq!(summary["sum"]["exchanges"], exchanges, "{input}");
    }
}

#[test]
fn an_archive_is_made_where_the_name_says_so() {
    let here = tempfile::tempdir().unwrap();
    let archive = here.path().join("session.har");
    let archive = archive.to_str().unwrap();
    let agent = format!("{FIXTURES}/summary/agent.jsonl");
    assert!(latimer(&["convert", &agent, "-o", archive]).status.success());
    let printed = latimer(&["convert", archive]);
    let again: Value = serde_json::from_str(text(&printed.stdout).lines().next().unwrap()).unwrap();
    let recorded = fs::read_to_string(&agent).unwrap();
    let first: Value = serde_json::from_str(recorded.lines().next().unwrap()).unwrap();
    assert_eq!(again, first);
    let report = latimer(&["report", archive]);
    assert!(text(&report.stderr).contains("`latimer convert FILE -o traffic.jsonl` makes one"));
}

#[test]
fn what_cannot_be_converted_leaves_nothing_behind() {
    let here = tempfile::tempdir().unwrap();
    let (input, output) = (here.path().join("a"), here.path().join("b.jsonl"));
    let said = |content: &str| {
        fs::write(&input, content).unwrap();
        let done = latimer(&["convert", input.to_str().unwrap(), "-o", output.to_str().unwrap()]);
        assert!(!done.status.success() && !output.exists(), "{}", text(&done.stderr));
        text(&done.stderr)
    };
    assert!(said("data: {}\n\n").contains("it looks like a stream of server-sent events"));
    assert!(
        said("{\"request\":{\"method\":\"GET\",\"url\":\"/\"}}\n").contains("a recording already")
    );
    assert!(said("{\"log\":{}}").contains("there is no `log.entries`"));
}

#[test]
fn flows_need_mitmproxy() {
    let here = tempfile::tempdir().unwrap();
    let flows = here.path().join("flows");
    fs::write(&flows, "12:9:websocket;0:~}").unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_latimer"))
        .args(["convert", flows.to_str().unwrap()])
        .env("PATH", here.path())
        .output()
        .unwrap();
    assert!(!done.status.success());
    assert!(
        text(&done.stderr).contains("`mitmdump` has to be on the PATH"),
        "{}",
        text(&done.stderr)
    );
}
