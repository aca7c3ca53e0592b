//! Laws of what is taken out of a line: the secret is gone, the line is JSON, and to do it again
//! changes nothing; wherever the secret stands, and wherever a stream cuts it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use latimer_probe::redact::{Known, REDACTED, Redactor};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One of each form, made up.
const SECRETS: &[&str] = &[
    "sk-proj-Zt4kX9vQ2mL7pR1sW8yB",
    "sk-ant-api03-Zt4kX9vQ2mL7pR1sW8yB-AA",
    "gsk_Zt4kX9vQ2mL7pR1sW8yBZt4kX9vQ2mL7pR1s",
    "AIzaSyZt4kX9vQ2mL7pR1sW8yBZt4kX9vQ2mL7p",
    "AKIAZT4KX9VQ2ML7PR1S",
    "ghp_Zt4kX9vQ2mL7pR1sW8yBZt4kX9vQ2mL7pR1s",
    "github_pat_11ABCDEFG0Zt4kX9vQ2mL7_pR1sW8yBZt4k",
    "xoxb-123456789012-abcdefABCDEF",
    "hf_Zt4kX9vQ2mL7pR1sW8yBZt4kX9vQ2mL7",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0==\n-----END PRIVATE KEY-----",
];
/// A key that has no form of its own, and is known.
const KEY: &str = "the.operator:key";
/// What has their looks and is none.
const WORDS: &[&str] = &[
    "task-management-with-long-names-2",
    "sk-folding-cube-and-other-spinners",
    "Bearer of good news, and of bad ones",
    "a description of AKIA and hf_",
    "eyJ.a.b",
];

fn erased(line: &str) -> String {
    erased_knowing(KEY, line)
}

fn erased_knowing(key: &str, line: &str) -> String {
    let mut bytes = line.as_bytes().to_vec();
    let redactor = Redactor::default().knowing(&[&Known::of(key).expect("long enough")]);
    redactor.erase(&mut bytes);
    let once = bytes.clone();
    redactor.erase(&mut bytes);
    assert_eq!(bytes, once, "to do it again changes nothing");
    String::from_utf8(bytes).expect("it stays text")
}

fn read(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for word in WORDS {
        let line = json!({ "input": word }).to_string();
        assert_eq!(erased(&line), line);
    }
}

#[test]
fn what_says_that_it_lets_in_goes() {
    let line = json!({"a": "curl -H 'Authorization: Bearer abc123DEF456ghi789' x"}).to_string();
    assert_eq!(erased(&line), line.replace("abc123DEF456ghi789", REDACTED));
}

/// The texts between which a secret may stand: some end in an escape, or in a URL.
fn before() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("key=".to_owned()),
        Just("\n".to_owned()),
        Just("x\t".to_owned()),
        Just("%20".to_owned()),
        "\\PC{0,12} "
    ]
}

proptest! {
    #[test]
    fn a_secret_is_found_wherever_it_stands(
        which in 0..SECRETS.len(), before in before(), after in "[ \n\"\\\\.,é]\\PC{0,20}", depth in 0..3_usize,
    ) {
        let mut text = format!("{before}{}{after}", SECRETS[which]);
        for _ in 0..depth {
            text = json!({ "inner": text }).to_string();
        }
        let line = json!({ "body": text }).to_string();
        let shown = erased(&line);
        let mut inner = read(&shown)["body"].as_str().unwrap().to_owned();
        for _ in 0..depth {
            inner = read(&inner)["inner"].as_str().unwrap().to_owned();
        }
        prop_assert!(inner.starts_with(&before), "{inner}");
        prop_assert!(inner.contains(REDACTED));
        let secret = SECRETS[which].lines().nth(1).unwrap_or(SECRETS[which]);
        prop_assert!(!inner.contains(secret), "{inner}");
    }

    /// Also where it begins or ends inside of what is, or only looks like, a secret of some form.
    #[test]
    fn a_key_that_is_known_is_found_wherever_it_stands(
        before in "([a-z]{0,3} ?(sk-|eyJ|Bearer |xai-|sk-proj-a1b2c3d4e5f6g7h8i9)?){0,2}",
        key in "(-|J|sk-|sk-a1|eyJ|Bearer )?[-a-zA-Z0-9_.:/+= ]{8,30}",
        after in "[-a-zA-Z0-9. ]{0,12}",
    ) {
        let line = json!({ "body": format!("{before}{key}{after}") }).to_string();
        let shown = erased_knowing(&key, &line);
        prop_assert!(shown.contains(REDACTED) && !shown.contains(&key), "{shown}");
        prop_assert!(read(&shown)["body"].is_string());
    }

    #[test]
    fn any_line_stays_json(texts in prop::collection::vec("(sk-|eyJ|-----BEGIN |PRIVATE KEY-----|\\PC|[\\\\\"/\n]){0,20}", 0..6)) {
        let line = json!({ "a": texts, "b": json!(texts).to_string() }).to_string();
        let shown = read(&erased(&line));
        prop_assert_eq!(shown["a"].as_array().unwrap().len(), texts.len());
    }

    #[test]
    fn a_secret_that_a_stream_cuts_is_found(
        which in 0..SECRETS.len(), cuts in prop::collection::vec(1..12_usize, 1..8), chat in any::<bool>(),
    ) {
        // No piece holds a block of lines; the key that is known stands in for it.
        let secret = *SECRETS[..SECRETS.len() - 1].get(which).unwrap_or(&KEY);
        let mut rest = secret;
        let mut pieces = vec!["The \"key\" is:\\ "];
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces.extend([rest, "\n", "Bye."]);
        let event = |piece: &&str| match chat {
            true => json!({"choices": [{"delta": {"content": piece}}]}).to_string(),
            false => json!({"type": "response.output_text.delta", "delta": piece}).to_string(),
        };
        let stream: String = pieces.iter().map(|piece| format!("data: {}\n\n", event(piece))).collect();
        let shown = read(&erased(&json!({ "body": stream }).to_string()));
        let events = shown["body"].as_str().unwrap().split("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
        let texts = events.map(|event| {
            let event = read(event);
            let piece = if chat { &event["choices"][0]["delta"]["content"] } else { &event["delta"] };
            piece.as_str().unwrap().to_owned()
        });
        let text: String = texts.collect();
        prop_assert!(text.starts_with("The \"key\" is:\\ ") && text.ends_with("\nBye."), "{text}");
        prop_assert!(text.contains(REDACTED));
        for length in 8..secret.len() {
            prop_assert!(!text.contains(&secret[secret.len() - length..]), "{text}");
        }
    }
}
