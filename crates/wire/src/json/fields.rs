//! The members of a JSON object, found in one walk and then looked up by key. In: a value that was
//! checked, or text. Out: values as they stand in it.

use std::borrow::Cow;

use super::{Malformed, Node, Raw, Reader};

/// The members of an object; of any other value, none.
///
/// ```
/// use latimer_wire::json::Fields;
/// let usage = Fields::parse(r#"{"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}"#)?;
/// assert_eq!(usage.number("input_tokens"), Some(3));
/// assert_eq!(usage.fields("input_tokens_details").number("cached_tokens"), Some(2));
/// # Ok::<(), latimer_wire::json::Malformed>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Fields<'a> {
    /// The members of `object`.
    pub fn of(object: impl Into<Node<'a>>) -> Self {
        Fields(object.into().members())
    }

    /// Checks that `text` is one JSON value, and takes its members.
    ///
    /// # Errors
    /// [`Malformed`] with the byte at which the text stops being JSON.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let (mut reader, mut members) = (Reader::new(text), Vec::with_capacity(8));
        match reader.peek_value() {
            Some(b'{') => reader.object(|key, reader| {
                members.push((key, reader.value()?.into()));
                Ok::<(), Malformed>(())
            })?,
            _ => drop(reader.value()?),
        }
        reader.finish()?;
        Ok(Fields(members))
    }

    /// All members, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Node<'a>)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }

    /// A member; the last one, if it is there twice.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// A member as it stands in the text.
    pub fn raw(&self, key: &str) -> Option<Raw<'a>> {
        self.get(key).map(Node::raw)
    }

    /// A member that is a string.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key)?.text()
    }

    /// A member that is a whole number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|number| number.as_str().parse().ok())
    }

    /// A member that is an object, its own members.
    pub fn fields(&self, key: &str) -> Fields<'a> {
        self.get(key).map(Fields::of).unwrap_or_default()
    }
}
