//! Text made fit for a place in the report: cut, escaped, fenced. In: anything a
//! recording may hold. Out: text that stays where it is put.

use std::borrow::Cow;

use crate::words::{cut_at, grouped};

/// The first `limit` characters, with `...` when that is not all.
pub(super) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    match cut_at(text, limit) {
        Some(end) => Cow::Owned([text.get(..end).unwrap_or_default(), "..."].concat()),
        None => Cow::Borrowed(text),
    }
}

/// What could end a table's cell or open HTML or a picture, and what stands in its place. The
/// first row keeps a backslash of the text from undoing the escape of a bar.
const INLINE_ESCAPES: &[(&str, &str)] =
    &[("\\|", "\\&#124;"), ("|", "\\|"), ("<", "&lt;"), ("![", "!\\["), ("\n", " "), ("\r", " ")];

/// Text for a line or a table's cell.
pub(super) fn inline(text: &str) -> Cow<'_, str> {
    // Without a jump for each byte, a compiler looks at many of them at once.
    let is_special = |byte| matches!(byte, b'\\' | b'|' | b'<' | b'!' | b'\n' | b'\r');
    if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        return Cow::Borrowed(text);
    }
    let (mut escaped, mut rest) = (String::with_capacity(text.len() + 16), text);
    while let Some(at) = rest.bytes().position(is_special) {
        let (before, tail) = rest.split_at(at);
        let escape = INLINE_ESCAPES.iter().find(|(plain, _)| tail.starts_with(plain));
        let (taken, shown) = match escape {
            Some((plain, shown)) => (plain.len(), *shown),
            None => (1, tail.get(..1).unwrap_or_default()),
        };
        escaped.push_str(before);
        escaped.push_str(shown);
        rest = tail.get(taken..).unwrap_or_default();
    }
    escaped.push_str(rest);
    Cow::Owned(escaped)
}

/// Text for the inside of an HTML element.
pub(super) fn html(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'&' | b'<' | b'>' | b'\n' | b'\r')) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(escaped.replace(['\n', '\r'], " "))
}

/// A code span for a line.
pub(super) fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    match longest_run_of_backticks(&text) {
        0 if !text.is_empty() => format!("`{text}`"),
        run => {
            let delimiter = "`".repeat(run + 1);
            format!("{delimiter} {text} {delimiter}")
        }
    }
}

/// A code span for a table's cell, where a bar needs its escape even between backticks.
pub(super) fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// The longest run of backticks in a text.
pub(super) fn longest_run_of_backticks(text: &str) -> usize {
    let (mut longest, mut run, mut last) = (0, 0, None);
    for at in memchr::memchr_iter(b'`', text.as_bytes()) {
        run = if last.is_some_and(|last| last + 1 == at) { run + 1 } else { 1 };
        longest = longest.max(run);
        last = Some(at);
    }
    longest
}

/// The length of a text in characters, grouped.
pub(super) fn chars(text: &str) -> String {
    grouped(text.chars().count() as u64)
}

#[cfg(test)]
mod tests {
    use super::{code, code_cell, cut, inline};

    #[test]
    fn text_stays_where_it_is_put() {
        assert_eq!(
            inline("a|b\\|c\r\n</details>![x](y)"),
            "a\\|b\\&#124;c  &lt;/details>!\\[x](y)"
        );
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(code("plain|"), "`plain|`");
        assert_eq!(code_cell("a|b"), "`a\\|b`");
    }

    #[test]
    fn cuts_count_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü😀", 3), "äöü...");
    }
}
