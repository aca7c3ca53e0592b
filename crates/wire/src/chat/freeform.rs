//! A freeform (custom) tool played by a function: its text travels as the one member `input` of the
//! function's arguments. In: the arguments as they grow. Out: the text as it grows, still as the
//! inside of a JSON literal, so that it reaches the client while it is made.

use crate::json::{Object, Raw, push_string};

/// The member that carries the text.
pub(super) const MEMBER: &str = "input";

/// The parameters of a function that plays a freeform tool.
pub(super) const PARAMETERS: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},"required":["input"],"additionalProperties":false}"#;

/// The arguments that carry `input`, a string literal: the inside of a literal again.
pub(super) fn arguments(input: Raw<'_>) -> String {
    let mut object = String::new();
    Object::new(&mut object).raw(MEMBER, input).end();
    let mut literal = String::new();
    push_string(&mut literal, &object);
    literal
}

/// Reads the text out of arguments that grow.
#[derive(Debug, Default)]
pub(super) struct Freeform {
    /// The arguments so far, decoded once: JSON text.
    arguments: String,
    /// Where in them the text begins, once that is known.
    begins: Option<usize>,
    /// How far they were given out.
    given: usize,
    /// The end of the text was met.
    ended: bool,
}

impl Freeform {
    /// Takes a piece of the arguments, decoded, and gives what it adds to the text.
    pub fn push(&mut self, piece: &str) -> &str {
        self.arguments.push_str(piece);
        if self.begins.is_none() {
            self.begins = text_begins(&self.arguments);
            self.given = self.begins.unwrap_or_default();
        }
        if self.begins.is_none() || self.ended {
            return "";
        }
        let rest = self.arguments.get(self.given..).unwrap_or_default();
        let (length, ended) = whole_characters(rest);
        self.ended = ended;
        let from = self.given;
        self.given += length;
        self.arguments.get(from..from + length).unwrap_or_default()
    }

    /// At the end: the whole text, as the inside of a literal. Arguments that are not what was
    /// asked for give their only string member, the string they are, or all of themselves.
    pub fn finish(&self) -> String {
        let begins = self.begins.unwrap_or_default();
        if let Some(said) = self.arguments.get(begins..self.given).filter(|_| self.begins.is_some())
        {
            return said.to_owned();
        }
        if let Ok(raw) = Raw::parse(&self.arguments) {
            if raw.is_string() {
                return raw.inner().to_owned();
            }
            if let [(_, only)] = raw.members().as_slice()
                && only.is_string()
            {
                return only.inner().to_owned();
            }
        }
        let mut inner = String::new();
        crate::json::push_unquoted(&mut inner, &self.arguments);
        inner
    }
}

/// Where the text begins in `{"input":"...`, with space anywhere; `None` while it is not known.
fn text_begins(arguments: &str) -> Option<usize> {
    let rest = arguments.trim_start().strip_prefix('{')?;
    let rest = rest.trim_start().strip_prefix("\"input\"")?;
    let rest = rest.trim_start().strip_prefix(':')?;
    let rest = rest.trim_start().strip_prefix('"')?;
    Some(arguments.len() - rest.len())
}

/// How much of the inside of a literal can be given out: up to its closing quote (then it has
/// ended), and no escape or pair of surrogates by half.
fn whole_characters(inner: &str) -> (usize, bool) {
    let bytes = inner.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        let place = at + found;
        if bytes.get(place) == Some(&b'"') {
            return (place, true);
        }
        let length = match (bytes.get(place + 1), inner.get(place + 2..place + 6)) {
            (None, _) => return (place, false),
            (Some(b'u'), None) => return (place, false),
            (Some(b'u'), Some(hex)) if is_high_surrogate(hex) => 12,
            (Some(b'u'), Some(_)) => 6,
            (Some(_), _) => 2,
        };
        if place + length > bytes.len() {
            return (place, false);
        }
        at = place + length;
    }
    (bytes.len(), false)
}

fn is_high_surrogate(hex: &str) -> bool {
    u16::from_str_radix(hex, 16).is_ok_and(|unit| (0xD800..0xDC00).contains(&unit))
}
