//! A foreign judge: every event and response of `fixtures/chat` parses with the types of
//! `async-openai`, which a Rust client of ours may well be built on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use async_openai::types::responses::{Response, ResponseStreamEvent};
use serde_json::Value;

/// Where its types are narrower than OpenAI's own, both in what a response echoes of its request.
const EXCEPTIONS: &[&str] = &[
    // The choice of a hosted tool under a name that came later (`web_search`).
    "untagged enum ToolChoiceParam",
    // A custom tool without `format`, which is the same as plain text.
    "missing field `format`",
];

#[test]
fn all_that_is_emitted_parses_with_foreign_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/chat");
    let (mut parsed, mut refused) = (0, Vec::new());
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let response = serde_json::from_str::<Value>(line).unwrap()["response"].take();
            let event = serde_json::from_str::<ResponseStreamEvent>(line).map(drop);
            let whole = match response.is_null() {
                true => Ok(()),
                false => serde_json::from_value::<Response>(response).map(drop),
            };
            parsed += 1;
            for error in [event, whole].into_iter().filter_map(Result::err) {
                if !EXCEPTIONS.iter().any(|text| error.to_string().contains(text)) {
                    refused.push(format!("{}: {error}: {line}", path.display()));
                }
            }
        }
    }
    assert!(parsed > 0);
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
