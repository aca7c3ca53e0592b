//! JSON in its one canonical form (RFC 8785), and the hash of it. What the form cannot hold apart is
//! refused: a member that is there twice, a number that no double holds exactly. `serde_json_canonicalizer`
//! writes the form.

use latimer_wire::json::{Object, Raw};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::{HASH, SIGNATURE};

/// Why a text has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// It is no JSON, or no object.
    #[error("it is no JSON object: {0}")]
    Malformed(String),
    /// A member is there twice.
    #[error("the member `{0}` is there twice")]
    Twice(String),
    /// A number has more digits than a double holds.
    #[error("the number {0} has no exact form; it has to be a string")]
    Inexact(String),
}

/// The canonical form of a JSON text.
///
/// # Errors
/// [`NotCanonical`] where it has none.
///
/// ```
/// use latimer_probe::receipt::canonical;
/// assert_eq!(canonical(r#"{"b": 1.0, "a": "\u00e9"}"#)?, r#"{"a":"é","b":1}"#);
/// assert!(canonical("[12345678901234567890]").is_err());
/// # Ok::<(), latimer_probe::receipt::NotCanonical>(())
/// ```
pub fn canonical(json: &str) -> Result<String, NotCanonical> {
    check(json)?;
    let value: Value = serde_json::from_str(json).map_err(malformed)?;
    print(&value)
}

/// The hash of a receipt, as lower-case hex: of its canonical form without seal and signature.
pub(super) fn hashed(members: &Map<String, Value>) -> Result<String, NotCanonical> {
    let mut members = members.clone();
    members.insert(HASH.to_owned(), Value::Null);
    members.shift_remove(SIGNATURE);
    let form = print(&Value::Object(members))?;
    Ok(hexadecimal(digest(&SHA256, form.as_bytes()).as_ref()))
}

fn print(value: &Value) -> Result<String, NotCanonical> {
    serde_json_canonicalizer::to_string(value).map_err(malformed)
}

fn malformed(error: impl std::fmt::Display) -> NotCanonical {
    NotCanonical::Malformed(error.to_string())
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    let pairs = hexadecimal.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).ok().filter(|digits| digits.len() == 2)?;
        u8::from_str_radix(digits, 16).ok()
    });
    pairs.collect()
}

/// Whether a text is JSON that has a canonical form.
pub(super) fn check(json: &str) -> Result<(), NotCanonical> {
    check_value(Raw::parse(json).map_err(malformed)?)
}

fn check_value(value: Raw<'_>) -> Result<(), NotCanonical> {
    if value.is_object() {
        let members = value.members();
        for (at, (key, value)) in members.iter().enumerate() {
            if members.iter().take(at).any(|(before, _)| before == key) {
                return Err(NotCanonical::Twice(key.to_string()));
            }
            check_value(*value)?;
        }
    } else if value.is_array() {
        value.elements().into_iter().try_for_each(check_value)?;
    } else if value.kind() == "number" && !is_exact(value.as_str()) {
        return Err(NotCanonical::Inexact(value.as_str().to_owned()));
    }
    Ok(())
}

/// The text with the numbers that have no exact form as strings.
pub(super) fn exact(json: &str) -> Result<String, NotCanonical> {
    let mut out = String::with_capacity(json.len());
    push_exact(&mut out, Raw::parse(json).map_err(malformed)?);
    Ok(out)
}

fn push_exact(out: &mut String, value: Raw<'_>) {
    if value.is_object() {
        let members = value.members().into_iter();
        members
            .fold(Object::new(out), |object, (key, value)| {
                object.member_with(&key, |out| push_exact(out, value))
            })
            .end();
    } else if value.is_array() {
        out.push('[');
        for (index, element) in value.elements().into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_exact(out, element);
        }
        out.push(']');
    } else if value.kind() == "number" && !is_exact(value.as_str()) {
        out.push('"');
        out.push_str(value.as_str());
        out.push('"');
    } else {
        out.push_str(value.as_str());
    }
}

/// How many significant digits a double can be written with.
const DIGITS: usize = 17;

/// Whether a number means the same after it was a double: a whole number exactly, any other as far as
/// doubles can be written.
fn is_exact(number: &str) -> bool {
    let Ok(double) = number.parse::<f64>() else { return false };
    let given = significant(number);
    if double == 0.0 || !double.is_finite() {
        return given.is_empty();
    }
    match number.contains(['.', 'e', 'E']) {
        true => given.len() <= DIGITS,
        false => number.parse::<i128>().is_ok_and(|whole| double as i128 == whole),
    }
}

/// The digits of a number that count, without leading and trailing zeros.
fn significant(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}
