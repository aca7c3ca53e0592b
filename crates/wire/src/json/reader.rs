//! The walk over JSON text: objects and arrays by callback, values as [`Raw`] slices. Every byte
//! that is passed is checked (RFC 8259), depth is bounded, and nothing is allocated but keys and
//! strings that hold an escape.

use std::borrow::Cow;

use super::scan::first;
use super::walk::{self, Nobody, Watcher, past_space};
use super::{Malformed, Raw};

/// How deep arrays and objects may nest; serde_json has the same limit.
pub const DEPTH_MAX: usize = 127;

/// A cursor over JSON text.
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Reader { text, at: 0, depth: 0 }
    }

    /// Starts at the beginning of `text`, which is to stand `depth` levels deep in another: what
    /// would be too deep there is too deep here.
    pub fn at_depth(text: &'a str, depth: usize) -> Self {
        Reader { text, at: 0, depth }
    }

    /// All of the text.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The byte at which the reader stands.
    pub fn position(&self) -> usize {
        self.at
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { what, at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = past_space(self.text.as_bytes(), self.at);
    }

    /// The first byte of the next value, which tells its kind.
    pub fn peek_value(&mut self) -> Option<u8> {
        self.skip_space();
        self.peek()
    }

    /// Checks that nothing but space is left.
    ///
    /// # Errors
    /// [`Malformed`] at the first byte that is left over.
    pub fn finish(mut self) -> Result<(), Malformed> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fail("text after the end of the value"),
        }
    }

    /// Passes one value, whatever it is, and returns its text.
    ///
    /// # Errors
    /// [`Malformed`] where it stops being JSON.
    pub fn value(&mut self) -> Result<Raw<'a>, Malformed> {
        self.watched(&mut Nobody)
    }

    /// The same, and `watcher` is told where it is and all that it holds.
    pub(super) fn watched(&mut self, watcher: &mut impl Watcher) -> Result<Raw<'a>, Malformed> {
        self.skip_space();
        let from = self.at;
        self.at = walk::value(self.text.as_bytes(), from, self.depth, watcher)?;
        Ok(Raw::trusted(self.slice(from)))
    }

    /// Walks an object. `member` gets each key and must take its value from the reader.
    ///
    /// # Errors
    /// [`Malformed`] on bad syntax, or whatever `member` returns.
    pub fn object<E: From<Malformed>>(
        &mut self,
        mut member: impl FnMut(Cow<'a, str>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter(b'{', "expected an object")?;
        if !self.leave_if(b'}') {
            loop {
                self.skip_space();
                let literal = walk::key(self.text.as_bytes(), self.at)?;
                let inner = self.text.get(literal.from + 1..literal.to - 1).unwrap_or_default();
                let key = if literal.escaped { unescape(inner) } else { Cow::Borrowed(inner) };
                self.at = walk::colon(self.text.as_bytes(), literal.to)?;
                member(key, self)?;
                if !self.more(b'}', "expected `,` or `}`")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Walks an array. `element` gets each index and must take the value from the reader.
    ///
    /// # Errors
    /// [`Malformed`] on bad syntax, or whatever `element` returns.
    pub fn array<E: From<Malformed>>(
        &mut self,
        mut element: impl FnMut(usize, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter(b'[', "expected an array")?;
        if !self.leave_if(b']') {
            for index in 0.. {
                element(index, self)?;
                if !self.more(b']', "expected `,` or `]`")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self, open: u8, what: &'static str) -> Result<(), Malformed> {
        self.expect(open, what)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail("nested too deeply");
        }
        Ok(())
    }

    fn leave_if(&mut self, close: u8) -> bool {
        self.skip_space();
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        empty
    }

    /// Passes `,` (true) or the closing byte (false).
    fn more(&mut self, close: u8, what: &'static str) -> Result<bool, Malformed> {
        self.skip_space();
        let byte = self.peek();
        if byte == Some(b',') || byte == Some(close) {
            self.at += 1;
            return Ok(byte == Some(b','));
        }
        self.fail(what)
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        self.skip_space();
        if self.peek() != Some(byte) {
            return self.fail(what);
        }
        self.at += 1;
        Ok(())
    }
}

/// Decodes what stands between the quotes of a checked string.
pub(super) fn unescape(inner: &str) -> Cow<'_, str> {
    let Some((plain, mut rest)) = at_backslash(inner) else { return Cow::Borrowed(inner) };
    let mut text = String::with_capacity(inner.len());
    text.push_str(plain);
    loop {
        let mut chars = rest.chars();
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('u') => {
                let (decoded, used) = unicode(chars.as_str());
                text.push(decoded);
                chars = chars.as_str().get(used..).unwrap_or_default().chars();
            }
            Some(other) => text.push(other),
            None => {}
        }
        match at_backslash(chars.as_str()) {
            Some((plain, next)) => {
                text.push_str(plain);
                rest = next;
            }
            None => {
                text.push_str(chars.as_str());
                return Cow::Owned(text);
            }
        }
    }
}

/// What stands before and after the first backslash.
fn at_backslash(text: &str) -> Option<(&str, &str)> {
    let at = first(b'\\', text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The character that starts at the digits of a `\u` escape, and how many bytes it takes.
fn unicode(digits: &str) -> (char, usize) {
    let unit = |at: usize| digits.get(at..at + 4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let high = unit(0).unwrap_or(0xFFFD);
    let low = (digits.get(4..6) == Some("\\u")).then(|| unit(6)).flatten();
    match (char::from_u32(u32::from(high)), low) {
        (Some(plain), _) => (plain, 4),
        (None, Some(low)) => match char::decode_utf16([high, low]).next() {
            Some(Ok(pair)) => (pair, 10),
            _ => (char::REPLACEMENT_CHARACTER, 4),
        },
        (None, None) => (char::REPLACEMENT_CHARACTER, 4),
    }
}
