//! Steps through JSON that was checked before: nothing is checked again, and a string is passed at
//! the speed of a search for its closing quote.

use super::Raw;
use super::scan::first;

/// The values of a checked object or array, one after the other: in an object keys and values take
/// turns.
#[derive(Debug, Clone)]
pub(super) struct Steps<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Steps<'a> {
    /// Into `container`, an object or an array.
    pub fn into(container: Raw<'a>) -> Self {
        Steps { text: container.as_str(), at: 1 }
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let bytes = self.text.as_bytes();
        let between = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b',' | b':');
        let from = self.at + bytes.get(self.at..)?.iter().position(|byte| !between(byte))?;
        self.at = match bytes.get(from)? {
            b']' | b'}' => return None,
            b'"' => string_end(bytes, from),
            b'[' | b'{' => container_end(bytes, from),
            _ => scalar_end(bytes, from),
        };
        self.text.get(from..self.at).map(Raw::trusted)
    }
}

/// Where the string ends that begins at `from`.
pub(super) fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| first(b'"', rest)) {
        let inside = bytes.get(from + 1..at + found).unwrap_or_default();
        let escapes = inside.iter().rev().take_while(|byte| **byte == b'\\').count();
        at += found + 1;
        if escapes % 2 == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Where the object or array ends that begins at `from`.
fn container_end(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 1 => return at + 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

pub(super) fn scalar_end(bytes: &[u8], from: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\t' | b'\r');
    let length = bytes.get(from..).and_then(|rest| rest.iter().position(ends));
    length.map_or(bytes.len(), |length| from + length)
}
