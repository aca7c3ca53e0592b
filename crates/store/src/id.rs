//! Names. In: text from anywhere. Out: an [`Id`] that is safe in a path, a query and a log line, or
//! a refusal. An id is opaque: no meaning is read from it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest id, in bytes.
const LONGEST: usize = 128;

/// The id of a response, a conversation, an item or a gateway: 1 to 128 of `A-Z a-z 0-9 _ -`.
///
/// ```
/// use latimer_store::Id;
/// assert!("resp_67ccd2".parse::<Id>().is_ok());
/// assert!("../../etc/passwd".parse::<Id>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

/// A text that is no id. It is not shown: it may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 1 to 128 of the characters A-Z a-z 0-9 _ -")]
pub struct InvalidId;

impl Id {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> From<[u8; N]> for Id {
    /// Bytes that no one else has, in hexadecimal: a digest, a UUID.
    fn from(bytes: [u8; N]) -> Self {
        const { assert!(0 < N && 2 * N <= LONGEST) };
        Id(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }
}

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let sound = (1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed);
        if sound { Ok(Id(text.into())) } else { Err(InvalidId) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Whose something is. Who asks is found out elsewhere; a key must never be its own tenant, only
/// what stands for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Id);

impl Tenant {
    /// The tenant that is called so.
    pub fn new(name: Id) -> Self {
        Tenant(name)
    }

    /// What it is called.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn only_safe_texts_are_ids() {
        let long = "a".repeat(129);
        let unsound = ["", "a/b", "a.b", "a b", "a\0", "a\n", "%2f", "é", &long];
        assert!(unsound.iter().all(|text| text.parse::<Id>().is_err()));
        assert!(["a", "-_09AZ", &long[1..]].iter().all(|text| text.parse::<Id>().is_ok()));
    }
}
