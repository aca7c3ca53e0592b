//! A secret that is known: an operator's key, that of a caller. In: the key. Out: texts without it,
//! in whatever form it stands there: as it is, as JSON writes it, with percent signs as in URLs, in
//! base64 at any place of what was encoded.

use aho_corasick::{AhoCorasick, MatchKind};
use latimer_wire::json::push_string;

use super::{REDACTED, replace};

/// Shorter texts are no keys; taking them out would only garble what is shown.
const SHORTEST: usize = 8;

/// How deep in JSON inside JSON it is looked for: an event that quotes JSON, in a recorded stream.
const DEPTH: usize = 3;

/// A key that must not be shown.
#[derive(Debug, Clone)]
pub struct Known {
    /// As it may stand in a text, the longest first.
    forms: Vec<String>,
    search: AhoCorasick,
}

impl Known {
    /// The secret that `key` is; `None` where it is too short for one.
    pub fn of(key: &str) -> Option<Known> {
        if key.len() < SHORTEST {
            return None;
        }
        let mut forms = vec![key.to_owned(), key.replace('/', "\\/"), percent(key)];
        for _ in 0..DEPTH {
            let escaped = forms.iter().map(|form| inside_json(form)).collect::<Vec<_>>();
            forms.extend(escaped);
        }
        for alphabet in [STANDARD, FOR_URLS] {
            forms.extend((0..3).map(|before| base64_inside(key.as_bytes(), before, alphabet)));
        }
        forms.sort_unstable_by(|one, other| (other.len(), one).cmp(&(one.len(), other)));
        forms.dedup();
        let search =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&forms).ok()?;
        Some(Known { forms, search })
    }

    /// As it may stand in a text, the longest first.
    pub(super) fn forms(&self) -> &[String] {
        &self.forms
    }

    /// Takes it out of a text that is written down.
    ///
    /// ```
    /// let key = latimer_probe::redact::Known::of("operator-key").expect("long enough");
    /// let mut line = br#"{"a":"operator-key","b":"x b3BlcmF0b3Ita2V5 x"}"#.to_vec();
    /// key.erase(&mut line);
    /// assert_eq!(line, br#"{"a":"[REDACTED]","b":"x [REDACTED] x"}"#);
    /// ```
    pub fn erase(&self, text: &mut Vec<u8>) {
        let found: Vec<_> = self.search.find_iter(&*text).map(|hit| hit.range()).collect();
        replace(text, &found);
    }

    /// The text without it.
    pub fn hide(&self, text: String) -> String {
        match self.search.is_match(&text) {
            true => {
                let mut out = String::with_capacity(text.len());
                self.search.replace_all_with(&text, &mut out, |_, _, out| {
                    out.push_str(REDACTED);
                    true
                });
                out
            }
            false => text,
        }
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FOR_URLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What of the base64 of a longer text is sure to stand there, where the key begins behind `before`
/// bytes (of three): the digits that hold bits of the key alone.
fn base64_inside(key: &[u8], before: usize, alphabet: &[u8; 64]) -> String {
    let bit = |at: usize| {
        let byte = key.get(at / 8).copied().unwrap_or_default();
        usize::from(byte >> (7 - at % 8) & 1)
    };
    let skipped = (6 - before * 8 % 6) % 6;
    let digits = (key.len() * 8 - skipped) / 6;
    let digit = |number: usize| {
        let from = skipped + number * 6;
        let value = (from..from + 6).fold(0, |value, at| value << 1 | bit(at));
        alphabet.get(value).copied().map_or('=', char::from)
    };
    (0..digits).map(digit).collect()
}

/// As it stands between the quotes of a JSON string.
fn inside_json(text: &str) -> String {
    let mut literal = String::new();
    push_string(&mut literal, text);
    literal.get(1..literal.len() - 1).unwrap_or_default().to_owned()
}

/// As it stands in a URL, all but what needs no percent sign (RFC 3986, 2.3).
fn percent(key: &str) -> String {
    let escaped = key.bytes().map(|byte| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}
