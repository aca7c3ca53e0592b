//! The JSON reader against serde_json: both accept the same texts, see the same values in them, and
//! what is written comes back. The two known differences have a test of their own.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use latimer_wire::json::{Branch, DEPTH_MAX, Malformed, Node, Outline, Raw, Reader, push_string};
use proptest::prelude::*;
use serde_json::Value;

/// Text that is nearly JSON: punctuation, words, numbers, escapes, in any order.
fn nearly_json() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"a\"",
        "\"a\":",
        "\"\":",
        "\\",
        "\\n",
        "\\u",
        "\\/",
        "\"\\u0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\u{1f600}\"",
        "0",
        "1",
        "-",
        "+",
        ".",
        "e",
        "E",
        "1.5e-3",
        "00",
        "true",
        "false",
        "null",
        "nul",
        "[]",
        "{}",
        " ",
        "\n",
        "\t",
        "\r",
        "\u{a0}",
        "\0",
        "\u{1}",
        "x",
        "é",
    ]);
    prop_oneof![
        3 => prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat()),
        1 => any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A valid text, damaged a little: one character taken out or put in.
fn damaged() -> impl Strategy<Value = String> {
    (value(), any::<prop::sample::Index>(), "[\\[\\]{}\",:\\\\0-9a ]?", any::<bool>()).prop_map(
        |(value, at, insert, remove)| {
            let mut chars: Vec<char> = value.to_string().chars().collect();
            let at = at.index(chars.len());
            if remove {
                chars.remove(at);
            }
            let (before, after) = chars.split_at(at);
            before.iter().chain(&insert.chars().collect::<Vec<_>>()).chain(after).collect()
        },
    )
}

/// The inside of a string, mostly long: words, escapes, and now and then what must not be there.
fn inside() -> impl Strategy<Value = String> {
    let escapes =
        vec!["\\n", "\\\"", "\\\\", "\\/", "\\t", "\\u00e9", "\\ud83d\\ude00", "é", "\u{1f600}"];
    let faults = vec!["\n", "\u{1f}", "\\x", "\\u12", "\\u12\"", "\\", "\""];
    let piece = prop_oneof![
        12 => "[a-z ]{0,40}",
        12 => prop::sample::select(escapes).prop_map(str::to_owned),
        1 => prop::sample::select(faults).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Asserts that `node` holds what serde_json read.
fn same(node: Node<'_>, value: &Value) {
    let raw = node.raw();
    match value {
        Value::Null => assert!(raw.is_null()),
        Value::Bool(flag) => assert_eq!(raw.boolean(), Some(*flag)),
        Value::Number(number) => {
            assert_eq!(&raw.as_str().parse::<Value>().unwrap(), value);
            if let Some(count) = number.as_u64() {
                assert_eq!(raw.count(), Some(count));
            }
        }
        Value::String(text) => assert_eq!(raw.text().as_deref(), Some(&**text)),
        Value::Array(elements) => {
            let nodes = node.elements();
            assert_eq!(nodes.len(), elements.len());
            assert_eq!(nodes.iter().map(|node| node.raw()).collect::<Vec<_>>(), raw.elements());
            assert_eq!(node.first_element().map(Node::raw), raw.first_element());
            assert!(node.member("").is_none() && node.members().is_empty());
            nodes.iter().zip(elements).for_each(|(node, value)| same(*node, value));
        }
        Value::Object(members) => {
            for (key, value) in members {
                assert_eq!(node.member(key).map(Node::raw), raw.member(key));
                same(node.member(key).unwrap(), value);
            }
            assert!(raw.members().iter().all(|(key, _)| members.contains_key(&**key)));
            let nodes = node.members().into_iter().map(|(key, node)| (key, node.raw()));
            assert_eq!(nodes.collect::<Vec<_>>(), raw.members());
            assert!(raw.members().len() >= members.len(), "a key may be there twice");
        }
    }
}

/// Both readers on one text. serde_json refuses more: see `known_differences`.
fn agree(text: &str) {
    assert_eq!(Branch::parse(text, 0).map(|branch| branch.raw()), Raw::parse(text));
    match (Raw::parse(text), serde_json::from_str::<Value>(text)) {
        (Ok(raw), Ok(value)) => {
            same(raw.into(), &value);
            same(Outline::of(raw).root(), &value);
            let within = format!("[{text}]");
            let read = Reader::new(&within).array(|_, reader| {
                same(Outline::read(reader)?.root(), &value);
                Ok::<(), Malformed>(())
            });
            assert_eq!(read, Ok(()));
            let branch = Branch::parse(text, 0).unwrap();
            same(branch.node(), &value);
            assert_eq!(branch.elements().map(|it| it.raw()).collect::<Vec<_>>(), raw.elements());
            let members = branch.members().map(|(key, member)| (key, member.raw()));
            assert_eq!(members.collect::<Vec<_>>(), raw.members());
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) => {
            let known = ["number out of range", "surrogate", "unexpected end of hex escape"];
            let error = error.to_string();
            assert!(known.iter().any(|known| error.contains(known)), "{text:?}: {error}");
        }
        (Err(error), Ok(_)) => panic!("{text:?} is JSON, but: {error}"),
    }
}

/// What an outline takes is bounded: a body of tiny values would take twelve times its length.
#[test]
fn a_text_of_too_many_values_has_no_outline() {
    let tiny = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
    assert!(Branch::parse(&tiny(1_000_000), 0).is_ok());
    let error = Branch::parse(&tiny(2_100_000), 0).expect_err("too many");
    assert_eq!(error.what, "more than 2,097,152 values");
    let many = tiny(70_000);
    let read = Outline::read(&mut Reader::new(&many)).expect("it is read anew at each step");
    assert_eq!(read.root().elements().len(), 70_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_accept_the_same_texts(text in prop_oneof![nearly_json(), damaged()]) {
        agree(&text);
    }

    #[test]
    fn both_see_the_same_values(value in value()) {
        agree(&value.to_string());
        agree(&serde_json::to_string_pretty(&value).unwrap());
    }

    #[test]
    fn both_accept_the_same_strings(inside in inside(), after in "[a-z]{0,70}") {
        agree(&format!("\"{inside}{after}\""));
        agree(&format!("[\"{inside}\",\"{after}\"]"));
    }

    /// Where a string is at fault does not depend on how much of it stands before.
    #[test]
    fn what_stands_before_a_fault_moves_it(inside in inside(), before in 0..150_usize) {
        let fault = |before: &str| {
            let fault = Raw::parse(&format!("\"{before}{inside}{:80}", "")).err();
            fault.map(|fault| (fault.what, fault.at - before.len()))
        };
        prop_assert_eq!(fault(&"x".repeat(before)), fault(""));
    }

    #[test]
    fn strings_come_back(text in any::<String>()) {
        let mut literal = String::new();
        push_string(&mut literal, &text);
        let raw = Raw::parse(&literal).unwrap();
        prop_assert_eq!(raw.text().unwrap(), text.as_str());
        prop_assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), text);
    }

    /// What is taken on trust may be nonsense.
    #[test]
    fn an_outline_never_panics(text in nearly_json()) {
        fn walk(node: Node<'_>, text: &str) {
            assert!(text.contains(node.as_str()));
            node.values().for_each(|inner| walk(inner, text));
        }
        walk(Outline::of(Raw::unchecked(&text)).root(), &text);
    }

    #[test]
    fn a_reader_never_panics(text in nearly_json(), skip in 0..4_usize) {
        let mut reader = Reader::new(&text);
        for _ in 0..skip {
            let _ = reader.value();
        }
        let _ = reader.peek_value();
        let _ = reader.object(|key, reader| {
            drop(key);
            reader.value().map(drop)
        });
        prop_assert!(reader.position() <= text.len());
        let _ = reader.finish();
    }
}

#[test]
fn known_differences() {
    let overflow = Raw::parse("[1e999,-1e999]").unwrap();
    assert_eq!(overflow.elements()[0].as_str(), "1e999", "digits are only kept, never a float");
    assert!(serde_json::from_str::<Value>("1e999").is_err());
    let halves = [
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ude00""#, "\u{fffd}"),
        (r#""\ud83dx""#, "\u{fffd}x"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\\ud83d""#, "\\ud83d"),
    ];
    for (literal, text) in halves {
        assert_eq!(Raw::parse(literal).unwrap().text().as_deref(), Some(text), "{literal}");
    }
}

#[test]
fn depth_is_bounded_where_serde_json_bounds_it() {
    for depth in [1, DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(Raw::parse(&text).is_ok(), depth <= DEPTH_MAX, "{depth}");
            assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), depth <= DEPTH_MAX);
        }
    }
}

#[test]
fn a_key_may_be_long_escaped_or_there_twice() {
    let long = "k".repeat(70_000);
    agree(&format!(r#"{{"{long}":1,"a":2,"a":{{"{long}":3}},"":4,"b":[5]}}"#));
}

#[test]
fn an_outline_of_too_many_values_is_read_step_by_step() {
    let many: Value = (0..70_000).collect();
    agree(&many.to_string());
}

#[test]
fn width_is_not_depth() {
    for value in ["[]", "{}", "[[1]]", "{\"a\":{}}"] {
        let text = format!("[{}]", vec![value; 2 * DEPTH_MAX].join(","));
        assert_eq!(Raw::parse(&text).unwrap().elements().len(), 2 * DEPTH_MAX);
    }
}

#[test]
fn numbers_keep_their_digits() {
    for digits in ["12345678901234567890123", "0.10000000000000000000001", "1E+2", "-0", "-0.0e-0"]
    {
        let text = format!("{{\"n\":{digits}}}");
        assert_eq!(Raw::parse(&text).unwrap().member("n").unwrap().as_str(), digits);
    }
}

/// Text, and the byte at which it stops being JSON.
const FAULTS: &[(&str, usize)] = &[
    ("", 0),
    ("  ", 2),
    ("[1,]", 3),
    ("{\"a\" 1}", 5),
    ("{\"a\":1,}", 7),
    ("{a:1}", 1),
    ("01", 1),
    ("1.", 2),
    ("-", 1),
    ("\"a\nb\"", 2),
    ("\"\\x\"", 2),
    ("\"\\u12\"", 2),
    ("\"abc", 4),
    ("tru", 0),
    ("{} {}", 3),
];

#[test]
fn faults_are_named_by_their_byte() {
    for (text, at) in FAULTS {
        assert_eq!(Raw::parse(text).unwrap_err().at, *at, "{text:?}");
    }
}
