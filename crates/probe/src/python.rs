//! Values as Python prints them, because the report this one follows was written in Python:
//! `json.dumps` with its defaults, and `str` of plain values. In: a JSON value. Out: text, or its
//! length without the text.

use std::fmt::{self, Write};

use serde_json::Value;

/// How many bytes `json.dumps(value)` has.
pub(crate) fn json_bytes(value: &Value) -> u64 {
    let mut counter = Counter(0);
    // Neither a counter nor a string refuses to be written to.
    let _ = write_json(value, &mut counter);
    counter.0
}

/// `str(value)` for strings and booleans, `json.dumps(value)` for the rest.
pub(crate) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        other => {
            let mut text = String::new();
            let _ = write_json(other, &mut text);
            text
        }
    }
}

struct Counter(u64);

impl Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len() as u64;
        Ok(())
    }
}

fn write_json(value: &Value, out: &mut impl Write) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(elements) => {
            out.write_char('[')?;
            for (at, element) in elements.iter().enumerate() {
                out.write_str(if at > 0 { ", " } else { "" })?;
                write_json(element, out)?;
            }
            out.write_char(']')
        }
        Value::Object(members) => {
            out.write_char('{')?;
            for (at, (key, member)) in members.iter().enumerate() {
                out.write_str(if at > 0 { ", " } else { "" })?;
                write_string(key, out)?;
                out.write_str(": ")?;
                write_json(member, out)?;
            }
            out.write_char('}')
        }
    }
}

/// Python's `repr` of a float turns to exponents at the same sizes as Rust's `Debug`, but writes
/// them with a sign and two digits.
fn write_number(number: &serde_json::Number, out: &mut impl Write) -> fmt::Result {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return write!(out, "{number}");
    };
    let text = format!("{float:?}");
    match text.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>())) {
        Some((digits, Ok(exponent))) => write!(out, "{digits}e{exponent:+03}"),
        _ => out.write_str(&text),
    }
}

fn write_string(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.find(|c| !matches!(c, ' '..='~') || matches!(c, '"' | '\\')) {
        let (plain, tail) = rest.split_at(at);
        out.write_str(plain)?;
        let mut chars = tail.chars();
        if let Some(special) = chars.next() {
            write_escape(special, out)?;
        }
        rest = chars.as_str();
    }
    out.write_str(rest)?;
    out.write_char('"')
}

fn write_escape(special: char, out: &mut impl Write) -> fmt::Result {
    match special {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\u{8}' => out.write_str("\\b"),
        '\u{c}' => out.write_str("\\f"),
        other => {
            let mut units = [0; 2];
            other.encode_utf16(&mut units).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{display, json_bytes};

    /// Left: JSON as recorded. Right: what CPython 3 makes of it with `json.dumps(json.loads(..))`.
    const DUMPS: &[(&str, &str)] = &[
        (r#"{"a":[1,-2,true,null],"b":{}}"#, r#"{"a": [1, -2, true, null], "b": {}}"#),
        (
            r#"["é","😀","\u007f","\u0001","\/"]"#,
            r#"["\u00e9", "\ud83d\ude00", "\u007f", "\u0001", "/"]"#,
        ),
        (r#"["\b\f\n\r\t\"\\"]"#, r#"["\b\f\n\r\t\"\\"]"#),
        ("[1.0,1.50,-0.0,1E5,0.1]", "[1.0, 1.5, -0.0, 100000.0, 0.1]"),
        (
            "[1e16,1e15,1e-4,1e-5,1.5e-7,1e300]",
            "[1e+16, 1000000000000000.0, 0.0001, 1e-05, 1.5e-07, 1e+300]",
        ),
        (
            "[18446744073709551615,-9223372036854775808]",
            "[18446744073709551615, -9223372036854775808]",
        ),
        ("[]", "[]"),
    ];

    #[test]
    fn json_is_printed_and_counted_as_python_does() {
        for (recorded, printed) in DUMPS {
            let value = serde_json::from_str(recorded).expect("valid JSON");
            assert_eq!(display(&value), *printed);
            assert_eq!(json_bytes(&value), printed.len() as u64);
        }
    }
}
