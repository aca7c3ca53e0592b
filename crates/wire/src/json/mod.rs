//! JSON that stays text. A body is read once, by borrowing: [`Reader`] walks it and checks every
//! byte it passes, [`Raw`] is one value as it stands in its source. No tree is built, numbers keep
//! their digits and strings the literals they came as.
//!
//! In: text that is already known to be UTF-8. Out: slices of it, or [`Malformed`] with the byte
//! where reading stopped. Nothing here knows any dialect.

mod fields;
mod outline;
mod reader;
mod scan;
mod steps;
mod walk;
mod write;

pub use fields::Fields;
pub use outline::{Branch, Node, Outline};
pub use reader::{DEPTH_MAX, Reader};
pub use scan::{BLOCK_BYTES, places};
pub(crate) use write::push_number;
pub use write::{Object, push_string, push_unquoted, with_text_member};

use std::borrow::Cow;

use self::steps::Steps;

/// Text that is not JSON: what was wrong, and at which byte of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What was found or missing, in words.
    pub what: &'static str,
    /// Offset from the start of the text, in bytes.
    pub at: usize,
}

/// One JSON value as the text it came as, without the space around it.
///
/// A `Raw` is made from text that was checked ([`Raw::parse`], [`Reader::value`]) or written by this
/// crate, so reading its members cannot fail on syntax; or it is taken on trust
/// ([`Raw::unchecked`]), and a nonsense of members is found in a nonsense of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The value `null`.
    pub const NULL: Raw<'static> = Raw("null");
    /// The value `[]`.
    pub const EMPTY_ARRAY: Raw<'static> = Raw("[]");

    /// Checks that `text` is exactly one JSON value.
    ///
    /// # Errors
    /// [`Malformed`] with the byte at which the text stops being JSON.
    ///
    /// ```
    /// use latimer_wire::json::Raw;
    /// let raw = Raw::parse(r#" {"n": 12345678901234567890123} "#)?;
    /// assert_eq!(raw.member("n").map(|n| n.as_str()), Some("12345678901234567890123"));
    /// assert_eq!(Raw::parse("[1,]").unwrap_err().at, 3);
    /// # Ok::<(), latimer_wire::json::Malformed>(())
    /// ```
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut reader = Reader::new(text);
        let raw = reader.value()?;
        reader.finish()?;
        Ok(raw)
    }

    /// Takes text on trust, to look at what only passes by. Where it is no JSON, what is found in it
    /// means nothing.
    pub const fn unchecked(text: &'a str) -> Self {
        Raw(text)
    }

    /// Takes text that this crate has just written, or checked before.
    pub(crate) const fn trusted(text: &'a str) -> Self {
        Raw(text)
    }

    /// The text itself.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    fn first(self) -> u8 {
        self.0.as_bytes().first().copied().unwrap_or(b'n')
    }

    /// Whether this is `null`.
    pub fn is_null(self) -> bool {
        self.first() == b'n'
    }

    /// Whether this is a string.
    pub fn is_string(self) -> bool {
        self.first() == b'"'
    }

    /// Whether this is an object.
    pub fn is_object(self) -> bool {
        self.first() == b'{'
    }

    /// Whether this is an array.
    pub fn is_array(self) -> bool {
        self.first() == b'['
    }

    /// `None` for `null`, the value otherwise: most fields mean the same null and absent.
    pub fn non_null(self) -> Option<Self> {
        (!self.is_null()).then_some(self)
    }

    /// The kind of value in a word, for messages: `string`, `object`, ...
    pub fn kind(self) -> &'static str {
        match self.first() {
            b'"' => "string",
            b'{' => "object",
            b'[' => "array",
            b't' | b'f' => "boolean",
            b'n' => "null",
            _ => "number",
        }
    }

    /// What stands between the quotes of a string, still escaped; empty for any other value.
    pub fn inner(self) -> &'a str {
        match self.is_string() {
            true => self.0.get(1..self.0.len().saturating_sub(1)).unwrap_or_default(),
            false => "",
        }
    }

    /// The string this literal means; `None` when it is no string.
    /// Half a surrogate pair becomes U+FFFD.
    pub fn text(self) -> Option<Cow<'a, str>> {
        self.is_string().then(|| reader::unescape(self.inner()))
    }

    /// The value of `true` or `false`.
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// A whole number that is not negative. A string of digits counts as one too, since some
    /// backends send their counts that way; `12.0` as well.
    pub fn count(self) -> Option<u64> {
        let digits = if self.is_string() { self.inner() } else { self.0 };
        let digits = digits.strip_suffix(".0").unwrap_or(digits);
        digits.parse().ok()
    }

    /// The keys, as literals, and the values of an object; nothing for any other value.
    fn pairs(self) -> impl Iterator<Item = (Raw<'a>, Raw<'a>)> {
        pairs(self.is_object().then(|| Steps::into(self)).into_iter().flatten())
    }

    /// Whether this is a string that means `text`.
    fn means(self, text: &str) -> bool {
        match self.inner() {
            plain if plain == text => true,
            // An escape is longer than what it means.
            other if other.len() <= text.len() => false,
            escaped => reader::unescape(escaped) == text,
        }
    }

    /// The members of an object in their order; nothing for any other value.
    pub fn members(self) -> Vec<(Cow<'a, str>, Raw<'a>)> {
        self.pairs().map(|(key, value)| (reader::unescape(key.inner()), value)).collect()
    }

    /// The elements of an array; nothing for any other value.
    pub fn elements(self) -> Vec<Raw<'a>> {
        self.is_array().then(|| Steps::into(self)).into_iter().flatten().collect()
    }

    /// The first element of an array, where there is one.
    pub fn first_element(self) -> Option<Raw<'a>> {
        self.is_array().then(|| Steps::into(self))?.next()
    }

    /// The member of an object by its key (the last one, if it is there twice).
    pub fn member(self, key: &str) -> Option<Raw<'a>> {
        self.pairs().filter(|(name, _)| name.means(key)).last().map(|(_, value)| value)
    }

    /// The member of an object, when it is a string: decoded.
    pub fn member_text(self, key: &str) -> Option<Cow<'a, str>> {
        self.member(key).and_then(Raw::text)
    }
}

/// Values that take turns, two by two.
fn pairs<T>(mut values: impl Iterator<Item = T>) -> impl Iterator<Item = (T, T)> {
    std::iter::from_fn(move || Some((values.next()?, values.next()?)))
}

impl std::fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
