//! Values as Python prints them, because the report this one follows was written in Python:
//! `json.dumps` with its defaults, and `str` of plain values. In: a JSON value. Out: text, or its
//! length without the text.

use std::fmt::{self, Write};

use latimer_wire::json::Node;
use serde_json::Value;

/// How many bytes `json.dumps(value)` has: what its values take, more for what Python spells longer,
/// and two for each comma and colon.
pub(crate) fn json_bytes(value: Node<'_>) -> u64 {
    let text = value.as_str().as_bytes();
    // Most bodies have none of the escapes that Python spells otherwise: one search tells.
    let has = |escape: &str| memchr::memmem::find(text, escape.as_bytes()).is_some();
    let printed = printed_bytes(value, RESPELLED.into_iter().any(has));
    printed.saturating_add_signed(beyond_ascii(text)) as u64
}

/// The beginnings of escapes that Python may spell otherwise.
const RESPELLED: [&str; 2] = ["\\u", "\\/"];

/// How many bytes a value has, but for characters beyond ASCII; where `respelled`, its strings may hold
/// escapes that Python spells otherwise.
fn printed_bytes(value: Node<'_>, respelled: bool) -> usize {
    let bytes = value.as_str().len();
    if value.is_array() || value.is_object() {
        let inside = value.values().map(|value| 2 + printed_bytes(value, respelled)).sum::<usize>();
        // The brackets take what a separator after the last value would.
        return inside.max(2);
    }
    let more = match value.kind() {
        "string" if respelled => respelled_bytes(value.inner().as_bytes()),
        "number" => number(value.as_str().as_bytes()),
        _ => 0,
    };
    bytes.saturating_add_signed(more)
}

/// How many bytes more all characters take that are escaped because they are not printable ASCII:
/// `\uXXXX` instead of two or three bytes or of one, two of them instead of four.
fn beyond_ascii(text: &[u8]) -> isize {
    const fn more(byte: &u8) -> u8 {
        match byte {
            0x7f => 5,
            0xc0..0xe0 => 4,
            0xe0..0xf0 => 3,
            0xf0.. => 8,
            _ => 0,
        }
    }
    // Most of a text is plain, which the greatest byte of many tells. The sum over so few is a byte.
    let is_plain = |many: &&[u8]| many.iter().fold(0, |most, byte| most.max(*byte)) < 0x7f;
    let others = text.chunks(256).filter(|many| !is_plain(many)).flat_map(|many| many.chunks(32));
    others.map(|few| few.iter().map(more).sum::<u8>() as isize).sum()
}

/// How many bytes more the escapes of a string take.
fn respelled_bytes(inner: &[u8]) -> isize {
    let (mut at, mut more) = (0, 0);
    while let Some(found) = inner.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found + 2;
        more += match inner.get(at - 1..) {
            Some([b'u', digits @ ..]) => unicode_escape(digits),
            Some([b'/', ..]) => -1,
            _ => 0,
        };
    }
    more
}

/// How many bytes more an escape takes than the `\uXXXX` it is written as.
fn unicode_escape(digits: &[u8]) -> isize {
    let digits = digits.get(..4).and_then(|hex| std::str::from_utf8(hex).ok());
    let unit = digits.and_then(|hex| u32::from_str_radix(hex, 16).ok());
    match unit.and_then(char::from_u32) {
        Some('"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}') => -4,
        Some(' '..='~') => -5,
        _ => 0,
    }
}

/// How many bytes more Python makes of a number.
fn number(written: &[u8]) -> isize {
    // So many digits are a whole number that stays as it is.
    if written.len() < 19 && written.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let printed_bytes = serde_json::from_slice(written).map(|number| display(&number).len());
    printed_bytes.map_or(0, |printed| printed as isize - written.len() as isize)
}

/// `str(value)` for strings and booleans, `json.dumps(value)` for the rest.
pub(crate) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        other => {
            let mut text = String::new();
            // A string does not refuse to be written to.
            let _ = write_json(other, &mut text);
            text
        }
    }
}

fn write_json(value: &Value, out: &mut String) -> fmt::Result {
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
fn write_number(number: &serde_json::Number, out: &mut String) -> fmt::Result {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return write!(out, "{number}");
    };
    let text = format!("{float:?}");
    match text.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>())) {
        Some((digits, Ok(exponent))) => write!(out, "{digits}e{exponent:+03}"),
        _ => out.write_str(&text),
    }
}

fn write_string(text: &str, out: &mut String) -> fmt::Result {
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

fn write_escape(special: char, out: &mut String) -> fmt::Result {
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
    use latimer_wire::json::{Outline, Raw};

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
        (
            r#"["\u0041\u00e9\u0022\u000a\u0001\u2028", "\ud83d\ude00" , -0, 12345678901234567]"#,
            r#"["A\u00e9\"\n\u0001\u2028", "\ud83d\ude00", -0.0, 12345678901234567]"#,
        ),
        ("[]", "[]"),
    ];

    #[test]
    fn json_is_printed_and_counted_as_python_does() {
        for (recorded, printed) in DUMPS {
            let value = serde_json::from_str(recorded).expect("valid JSON");
            assert_eq!(display(&value), *printed);
            let raw = Raw::parse(recorded).expect("valid JSON");
            assert_eq!(json_bytes(raw.into()), printed.len() as u64, "{recorded}");
            let outline = Outline::of(raw);
            assert_eq!(json_bytes(outline.root()), printed.len() as u64, "{recorded}");
        }
    }
}
