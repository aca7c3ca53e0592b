//! A freeform (custom) tool played by a function: its text travels as the one member `input` of the
//! function's arguments. In: the arguments as they grow. Out: the text as it grows, still as the
//! inside of a JSON literal, so that it reaches the client while it is made.

use crate::json::{Object, Raw, push_string, push_unquoted};

/// The member that carries the text.
pub(super) const MEMBER: &str = "input";

/// The parameters of a function that plays a freeform tool.
pub(super) const PARAMETERS: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},"required":["input"],"additionalProperties":false}"#;

/// The arguments that carry `input`, a string literal: the inside of a literal again.
pub(super) fn arguments(input: Raw<'_>) -> String {
    let mut object = String::with_capacity(input.as_str().len() + 16);
    Object::new(&mut object).raw(MEMBER, input).end();
    let mut literal = String::with_capacity(object.len() + object.len() / 8);
    push_string(&mut literal, &object);
    literal
}

/// Reads the text out of arguments that grow.
#[derive(Debug, Default)]
pub(super) struct Freeform {
    /// What of the arguments was not read yet: all of them, until the text begins.
    rest: String,
    /// The beginning of the text was met.
    begun: bool,
    /// The end of the text was met.
    ended: bool,
}

impl Freeform {
    /// Takes a piece of the arguments, decoded, and appends what it adds to the text.
    pub fn push(&mut self, piece: &str, out: &mut String) {
        if self.ended {
            return;
        }
        self.rest.push_str(piece);
        if !self.begun {
            let Some(begins) = text_begins(&self.rest) else { return };
            self.begun = true;
            self.rest.drain(..begins);
        }
        let read = self.read(out);
        self.rest.drain(..read);
    }

    /// Appends what of the rest is whole, up to the closing quote; returns its length. What models
    /// write is often not quite JSON: a line break as it is, a backslash that begins no escape.
    fn read(&mut self, out: &mut String) -> usize {
        let bytes = self.rest.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let plain = bytes.get(at..).unwrap_or_default().iter();
            let plain = plain.take_while(|byte| !matches!(byte, b'"' | b'\\' | ..b' ')).count();
            if plain > 0 {
                out.push_str(self.rest.get(at..at + plain).unwrap_or_default());
                at += plain;
                continue;
            }
            match byte {
                b'"' => {
                    self.ended = true;
                    break;
                }
                b'\\' => match escape(bytes.get(at + 1..).unwrap_or_default()) {
                    Escape::Unfinished => break,
                    Escape::None => {
                        out.push_str("\\\\");
                        at += 1;
                    }
                    Escape::Of(length) => {
                        out.push_str(self.rest.get(at..=at + length).unwrap_or_default());
                        at += 1 + length;
                    }
                },
                _ => {
                    push_unquoted(out, self.rest.get(at..=at).unwrap_or_default());
                    at += 1;
                }
            }
        }
        at
    }

    /// Whether the text was found, so that all of it has been given out.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The text of arguments that are not what was asked for, as the inside of a literal: their
    /// member `input` wherever it stands, their only string, the string they are, or themselves.
    pub fn finish(&self) -> String {
        if let Ok(raw) = Raw::parse(&self.rest) {
            let members = raw.members();
            let only = members.first().filter(|_| members.len() == 1).map(|(_, value)| *value);
            let told = [Some(raw), raw.member(MEMBER), only].into_iter().flatten();
            if let Some(text) = told.into_iter().find(|value| value.is_string()) {
                return text.inner().to_owned();
            }
        }
        let mut inner = String::new();
        push_unquoted(&mut inner, &self.rest);
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

/// What follows a backslash.
enum Escape {
    /// More has to come before that is known.
    Unfinished,
    /// Nothing that JSON knows.
    None,
    /// An escape, this many bytes long.
    Of(usize),
}

fn escape(bytes: &[u8]) -> Escape {
    match bytes {
        [] => Escape::Unfinished,
        [b'u', hex @ ..] => {
            let digits = hex.iter().take(4).take_while(|digit| digit.is_ascii_hexdigit()).count();
            match (digits, hex.len()) {
                (4, _) => Escape::Of(5),
                (digits, length) if digits == length => Escape::Unfinished,
                _ => Escape::None,
            }
        }
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Escape::Of(1),
        _ => Escape::None,
    }
}
