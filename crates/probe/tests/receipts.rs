//! Receipts that prove something: whatever is changed in a sealed chain is found, whatever is dropped, moved
//! or doubled is named, the canonical form is one, and the lines of a recording are held together.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use latimer_probe::receipt::{
    BrokenLine, Chain, PublicKey, RecordedLines, SigningKey, Tampered, canonical, hash_of, seal,
};
use latimer_probe::seal as line_seal;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

fn receipt(run: u32) -> Value {
    json!({
        "meta": {"run_id": format!("run-{run}"), "work_order_id": "order", "contract_version": "abp/v0.1",
            "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01Z", "duration_ms": 1000},
        "backend": {"id": "model", "backend_version": null, "adapter_version": "1"},
        "capabilities": {"streaming": "native"}, "mode": "mapped", "usage_raw": {"n": 1.5},
        "usage": {"input_tokens": 1, "output_tokens": 2}, "artifacts": [], "outcome": "complete",
        "trace": [{"ts": "2026-01-01T00:00:00Z", "type": "tool_call", "tool_name": "f",
            "input": {"big": 9_007_199_254_740_993_u64, "text": "a"}}],
        "verification": {"git_diff": null, "git_status": null, "harness_ok": false},
        "receipt_sha256": null,
    })
}

fn key() -> (SigningKey, PublicKey) {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = SigningKey::of_pkcs8(pkcs8.as_ref()).unwrap();
    let public = key.public();
    (key, public)
}

/// A chain of `length` receipts as it is exported.
fn chain(length: u32, key: Option<&SigningKey>) -> Value {
    let (mut sealed, mut parent) = (Vec::new(), None);
    for run in 0..length {
        let next = seal(&receipt(run).to_string(), parent.as_deref(), key).unwrap();
        parent = hash_of(&next);
        sealed.push(next);
    }
    serde_json::from_str(&Chain::of(sealed).export("2026-01-01T00:00:02Z")).unwrap()
}

fn verify(chain: &Value, key: Option<&PublicKey>) -> Result<u64, Tampered> {
    Chain::parse(&chain.to_string()).unwrap().verify(key).map(|verified| verified.receipts)
}

/// The places of all leaves.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{key}"), found));
        }
        Value::Array(elements) if !elements.is_empty() => {
            let elements = elements.iter().enumerate();
            elements.for_each(|(at, value)| leaves(value, &format!("{path}/{at}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Another value of the same kind.
fn flipped(value: &Value) -> Value {
    match value {
        Value::Null => json!(1),
        Value::Bool(flag) => json!(!flag),
        Value::Number(number) => json!(number.as_f64().unwrap() + 1.0),
        Value::String(text) => match text.strip_prefix('0') {
            Some(rest) => json!(format!("1{rest}")),
            None => json!(format!("0{}", text.get(1..).unwrap_or_default())),
        },
        Value::Array(_) => json!([1]),
        Value::Object(_) => json!({"x": 1}),
    }
}

#[test]
fn whatever_is_changed_in_a_chain_is_found() {
    let (key, public) = key();
    let good = chain(3, Some(&key));
    assert_eq!(verify(&good, Some(&public)), Ok(3));
    let mut places = Vec::new();
    leaves(&good["entries"], "/entries", &mut places);
    assert!(places.len() > 80, "{places:?}");
    for place in places {
        let mut bad = good.clone();
        let there = bad.pointer_mut(&place).unwrap();
        *there = flipped(there);
        let found = match Chain::parse(&bad.to_string()) {
            Ok(chain) => chain.verify(Some(&public)).is_err(),
            Err(_) => true,
        };
        assert!(found, "{place} can be changed unseen");
    }
}

#[test]
fn the_first_break_is_named() {
    let good = chain(4, None);
    let changed = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut bad = good.clone();
        let entries = bad["entries"].as_array_mut().unwrap();
        change(entries);
        let length = entries.len();
        bad["chain_length"] = json!(length);
        verify(&bad, None).unwrap_err()
    };
    let run = |run: u32| format!("run-{run}");
    assert_eq!(
        changed(&|entries| entries[2]["receipt"]["outcome"] = json!("failed")),
        Tampered::HashMismatch { sequence: 2, run: run(2) }
    );
    assert_eq!(
        changed(&|entries| drop(entries.remove(1))),
        Tampered::ChainGap { after: 0, found: 2 }
    );
    let renumbered = |entries: &mut Vec<Value>| {
        for (number, entry) in entries.iter_mut().enumerate() {
            entry["sequence"] = json!(number);
        }
    };
    let dropped = changed(&|entries| {
        entries.remove(1);
        renumbered(entries);
    });
    assert_eq!(dropped, Tampered::ParentLinkBroken { sequence: 1, run: run(2) });
    let moved = changed(&|entries| {
        entries.swap(1, 2);
        renumbered(entries);
    });
    assert_eq!(moved, Tampered::ParentLinkBroken { sequence: 1, run: run(2) });
    let doubled = changed(&|entries| {
        let again = entries[0].clone();
        entries.push(again);
        renumbered(entries);
    });
    assert_eq!(doubled, Tampered::Duplicate { run: run(0), first: 0, second: 4 });
    let mut short = good.clone();
    short["entries"].as_array_mut().unwrap().pop();
    assert_eq!(verify(&short, None), Err(Tampered::WrongLength { stated: 4, found: 3 }));
    let unsealed = changed(&|entries| entries[0]["receipt"]["receipt_sha256"] = Value::Null);
    assert_eq!(unsealed, Tampered::Unsealed { sequence: 0, run: run(0) });
}

/// A chain whose links stand beside what is hashed can be cut and mended unseen: the origin's do. Ours
/// cannot.
#[test]
fn a_link_beside_the_hash_is_told_apart() {
    let mut foreign = chain(2, None);
    for entry in foreign["entries"].as_array_mut().unwrap() {
        let receipt = entry["receipt"].as_object_mut().unwrap();
        receipt.shift_remove("parent_sha256");
        receipt.shift_remove("receipt_sha256");
        receipt.insert("receipt_sha256".to_owned(), Value::Null);
        let form = canonical(&Value::Object(receipt.clone()).to_string()).unwrap();
        let hash = ring::digest::digest(&ring::digest::SHA256, form.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        receipt.insert("receipt_sha256".to_owned(), json!(hash));
        entry["parent_hash"] = Value::Null;
    }
    let first = foreign["entries"][0]["receipt"]["receipt_sha256"].clone();
    foreign["entries"][1]["parent_hash"] = first;
    let verified = Chain::parse(&foreign.to_string()).unwrap().verify(None).unwrap();
    assert_eq!(verified.loosely_linked, 2);
}

#[test]
fn a_signature_is_of_one_key_and_one_receipt() {
    let ((key, public), (_, other)) = (key(), key());
    let (signed, unsigned) = (chain(2, Some(&key)), chain(2, None));
    assert_eq!(verify(&signed, Some(&public)), Ok(2));
    let invalid = Err(Tampered::SignatureInvalid { sequence: 0, run: "run-0".to_owned() });
    assert_eq!(verify(&signed, Some(&other)), invalid);
    assert_eq!(verify(&unsigned, Some(&public)), invalid);
    let mut swapped = signed.clone();
    swapped["entries"][0]["receipt"]["signature"] =
        signed["entries"][1]["receipt"]["signature"].clone();
    assert_eq!(verify(&swapped, None), invalid);
}

fn sealed_lines(count: u32) -> Vec<Vec<u8>> {
    let mut parent = None;
    let line = |number| {
        let record = json!({"timestamp": 1.0, "request": {"method": "POST", "url": "/", "headers": {}, "body": null},
            "response": null, "latimer": {"id": format!("x{number}")}});
        let mut line = (record.to_string() + "\n").into_bytes();
        line_seal::add(&mut line, parent.as_deref());
        parent = line_seal::digits(&line);
        line
    };
    (0..count).map(line).collect()
}

fn read(lines: &[Vec<u8>]) -> Result<RecordedLines, BrokenLine> {
    let mut read = RecordedLines::default();
    lines.iter().try_for_each(|line| read.push(line)).map(|()| read)
}

#[test]
fn the_lines_of_a_recording_hold_together() {
    let good = sealed_lines(4);
    let whole = read(&good).unwrap();
    assert_eq!((whole.lines, whole.sealed, whole.rows, whole.heads.len()), (4, 4, 1, 1));
    let mut two = good.clone();
    two.extend(sealed_lines(1).into_iter().map(|mut line| {
        line = String::from_utf8(line).unwrap().replace("x0", "y0").into_bytes();
        let text = String::from_utf8(line).unwrap();
        let cut = text.find(",\"sha256\"").unwrap();
        let mut line = (text[..cut].to_owned() + "}}\n").into_bytes();
        line_seal::add(&mut line, None);
        line
    }));
    assert_eq!(read(&two).unwrap().rows, 2);
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut bad = good.clone();
        change(&mut bad);
        read(&bad).unwrap_err()
    };
    assert_eq!(with(&|lines| lines[2][14] = b'2'), BrokenLine::Changed { line: 3 });
    assert_eq!(with(&|lines| drop(lines.remove(1))), BrokenLine::Missing { line: 2 });
    assert_eq!(with(&|lines| lines.swap(1, 2)), BrokenLine::Missing { line: 2 });
    assert_eq!(
        with(&|lines| lines.insert(1, lines[0].clone())),
        BrokenLine::Duplicate { line: 2, id: "x0".to_owned(), first: 1 }
    );
    let unsealed = br#"{"timestamp": 1, "request": {"method": "GET", "url": "/"}}"#.to_vec();
    assert_eq!(with(&|lines| lines.push(unsealed.clone())), BrokenLine::Unsealed { line: 5 });
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_000_000_000_000_000_i64..1_000_000_000_000_000).prop_map(Value::from),
        (-1e15..1e15).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The same value with its members the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect()
        }
        Value::Array(elements) => elements.iter().map(reversed).collect(),
        leaf => leaf.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// One value has one form, however it is written; the form is its own form and means the same.
    #[test]
    fn the_canonical_form_is_one(value in json_value()) {
        let form = canonical(&value.to_string()).unwrap();
        prop_assert_eq!(&canonical(&serde_json::to_string_pretty(&reversed(&value)).unwrap()).unwrap(), &form);
        prop_assert_eq!(&canonical(&form).unwrap(), &form);
        let again: Value = serde_json::from_str(&form).unwrap();
        prop_assert_eq!(canonical(&again.to_string()).unwrap(), form);
    }

    /// Two values have two forms.
    #[test]
    fn other_values_have_other_forms(one in json_value(), other in json_value()) {
        let forms = [&one, &other].map(|value| canonical(&value.to_string()).unwrap());
        prop_assert_eq!(forms[0] == forms[1], one == other || same_number(&one, &other));
    }
}

/// Integers and floats of one value are one to canonical JSON.
fn same_number(one: &Value, other: &Value) -> bool {
    let numbers = one.as_f64().zip(other.as_f64());
    numbers.is_some_and(|(one, other)| one == other)
}

/// RFC 8785, 3.2.3 and appendix B.
#[test]
fn the_canonical_form_is_that_of_the_rfc() {
    let cases = [
        (
            r#"{"peach":1,"péché":2,"pêche":3,"sin":4}"#,
            r#"{"peach":1,"péché":2,"pêche":3,"sin":4}"#,
        ),
        (
            r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","1":"One","\ud83d\ude00":"Emoji"}"#,
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"€\":\"Euro Sign\",\"😀\":\"Emoji\"}",
        ),
        (
            "[333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001, -0]",
            "[333333333.3333333,1e+30,4.5,0.002,1e-27,0]",
        ),
    ];
    for (text, form) in cases {
        assert_eq!(canonical(text).unwrap_or_else(|error| panic!("{error}: {text}")), form);
    }
    assert!(canonical(r#"{"a":1,"a":2}"#).is_err());
    assert!(canonical("9007199254740993").is_err());
}
