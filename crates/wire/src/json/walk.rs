//! The walk over one value and all that it holds: every byte that is passed is checked (RFC 8259), and
//! depth is bounded. In: text, and where a value begins in it. Out: where it ends, or [`Malformed`]; a
//! [`Watcher`] is told where each value is. It is one loop without a call for each level: most values
//! are shorter than it would take to call for them.

use super::Malformed;
use super::reader::DEPTH_MAX;
use super::scan::{blocks_bytes, escape_bytes, run_bytes, short_string_bytes};

/// A string on the way: its quotes are the first and the last byte.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Literal {
    pub from: usize,
    pub to: usize,
    /// Whether there is an escape in it.
    pub escaped: bool,
}

/// Who wants to know where values are: each is told of before those that it holds. In an object, each
/// with its key.
pub(super) trait Watcher {
    /// A value that holds no other.
    fn passed(&mut self, key: Option<Literal>, value: Literal);
    /// An object or array begins here.
    fn begins(&mut self, key: Option<Literal>, from: usize);
    /// The innermost object or array that has begun ends here.
    fn ends(&mut self, to: usize);
}

/// Who does not.
pub(super) struct Nobody;

impl Watcher for Nobody {
    fn passed(&mut self, _: Option<Literal>, _: Literal) {}
    fn begins(&mut self, _: Option<Literal>, _: usize) {}
    fn ends(&mut self, _: usize) {}
}

/// Passes the value that begins at `from`, `depth` levels deep, and returns where it ends.
#[inline]
pub(super) fn value(
    bytes: &[u8],
    from: usize,
    depth: usize,
    watcher: &mut impl Watcher,
) -> Result<usize, Malformed> {
    let (mut at, mut open) = (from, depth);
    // A bit for each container that is open, the innermost last: whether it is an object.
    let mut objects = 0_u128;
    loop {
        let mut key = None;
        if is_object(objects) {
            at = past_space(bytes, at);
            let literal = self::key(bytes, at)?;
            at = colon(bytes, literal.to)?;
            key = Some(literal);
        }
        at = past_space(bytes, at);
        match bytes.get(at) {
            Some(b'"') => {
                let literal = string(bytes, at)?;
                watcher.passed(key, literal);
                at = literal.to;
            }
            Some(byte @ (b'{' | b'[')) => {
                watcher.begins(key, at);
                at += 1;
                open += 1;
                if open > DEPTH_MAX {
                    return Err(Malformed { what: "nested too deeply", at });
                }
                objects = objects << 1 | u128::from(*byte == b'{');
                at = past_space(bytes, at);
                if bytes.get(at) != Some(&closing(objects)) {
                    continue;
                }
            }
            _ => {
                let to = scalar(bytes, at)?;
                watcher.passed(key, Literal { from: at, to, escaped: false });
                at = to;
            }
        }
        // With a value may end what holds it, and with that what holds that.
        while open > depth {
            at = past_space(bytes, at);
            match bytes.get(at) {
                Some(b',') => break,
                Some(byte) if *byte == closing(objects) => {}
                _ if is_object(objects) => {
                    return Err(Malformed { what: "expected `,` or `}`", at });
                }
                _ => return Err(Malformed { what: "expected `,` or `]`", at }),
            }
            at += 1;
            watcher.ends(at);
            objects >>= 1;
            open -= 1;
        }
        if open == depth {
            return Ok(at);
        }
        at += 1;
    }
}

/// Whether the innermost of the containers that are open is an object.
fn is_object(objects: u128) -> bool {
    objects & 1 == 1
}

/// What closes it.
fn closing(objects: u128) -> u8 {
    if is_object(objects) { b'}' } else { b']' }
}

/// Where the space ends that may begin at `at`.
#[inline]
pub(super) fn past_space(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(..=b' ') => past_some_space(bytes, at),
        _ => at,
    }
}

fn past_some_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default().iter();
    at + rest.take_while(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r')).count()
}

/// The key that begins at `at`.
#[inline]
pub(super) fn key(bytes: &[u8], at: usize) -> Result<Literal, Malformed> {
    match bytes.get(at) {
        Some(b'"') => string(bytes, at),
        _ => Err(Malformed { what: "expected a key in quotes", at }),
    }
}

/// What comes after the colon behind a key.
#[inline]
pub(super) fn colon(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let at = past_space(bytes, at);
    match bytes.get(at) {
        Some(b':') => Ok(at + 1),
        _ => Err(Malformed { what: "expected `:` after a key", at }),
    }
}

/// The string that begins at `from`. Most are short: the name of a member, or of a kind.
#[inline]
fn string(bytes: &[u8], from: usize) -> Result<Literal, Malformed> {
    match short_string_bytes(bytes.get(from + 1..).unwrap_or_default()) {
        Some(inner) => Ok(Literal { from, to: from + inner + 2, escaped: false }),
        None => long_string(bytes, from),
    }
}

#[inline(never)]
fn long_string(bytes: &[u8], from: usize) -> Result<Literal, Malformed> {
    let (mut at, mut escaped) = (from + 1, false);
    loop {
        at += run_bytes(bytes.get(at..).unwrap_or_default());
        let what = match bytes.get(at) {
            Some(b'"') => return Ok(Literal { from, to: at + 1, escaped }),
            Some(b'\\') => {
                at += 1;
                match escape_bytes(bytes.get(at..).unwrap_or_default()) {
                    Ok(length) => {
                        escaped = true;
                        at += length;
                        at += blocks_bytes(bytes.get(at..).unwrap_or_default());
                        continue;
                    }
                    Err(what) => what,
                }
            }
            Some(_) => "control character inside a string",
            None => "unexpected end inside a string",
        };
        return Err(Malformed { what, at });
    }
}

/// Where the number or word ends that begins at `at`.
fn scalar(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let word: &[u8] = match bytes.get(at) {
        Some(b'-' | b'0'..=b'9') => return number(bytes, at),
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        Some(_) => return Err(Malformed { what: "expected a value", at }),
        None => return Err(Malformed { what: "unexpected end, expected a value", at }),
    };
    match bytes.get(at..at + word.len()) == Some(word) {
        true => Ok(at + word.len()),
        false => Err(Malformed { what: "expected a value", at }),
    }
}

fn number(bytes: &[u8], from: usize) -> Result<usize, Malformed> {
    let is = |at: usize, one_of: &[u8]| bytes.get(at).is_some_and(|byte| one_of.contains(byte));
    let mut at = from + usize::from(is(from, b"-"));
    at = if is(at, b"0") { at + 1 } else { digits(bytes, at)? };
    if is(at, b".") {
        at = digits(bytes, at + 1)?;
    }
    if is(at, b"eE") {
        at += 1;
        at = digits(bytes, at + usize::from(is(at, b"+-")))?;
    }
    Ok(at)
}

/// Where the digits end, one at least, that begin at `at`.
fn digits(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => Err(Malformed { what: "expected a digit", at }),
        some => Ok(at + some),
    }
}
