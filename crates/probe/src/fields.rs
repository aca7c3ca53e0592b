//! The members of a JSON object, found in one walk and then looked up by key. In: a value that was
//! checked, or text. Out: values as they stand in it.

use std::borrow::Cow;

use latimer_wire::json::{Malformed, Node, Raw, Reader};

/// The members of an object; of any other value, none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Fields<'a> {
    /// The members of `object`.
    pub(crate) fn of(object: impl Into<Node<'a>>) -> Self {
        Fields(object.into().members())
    }

    /// Checks that `text` is one JSON value, and takes its members.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Malformed> {
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
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Node<'a>)> {
        self.0.iter().map(|(key, value)| (&**key, *value))
    }

    /// A member; the last one, if it is there twice.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'a>> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// A member that is a string.
    pub(crate) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key)?.text()
    }

    /// A member that is a whole number.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|number| number.as_str().parse().ok())
    }

    /// A member that is an object, its own members.
    pub(crate) fn fields(&self, key: &str) -> Fields<'a> {
        self.get(key).map(Fields::of).unwrap_or_default()
    }
}

/// The value as a tree, for what is shown in another form than it came in.
pub(crate) fn tree(raw: Raw<'_>) -> serde_json::Value {
    // Halves of surrogate pairs and huge numbers have no place in a tree; their text has.
    serde_json::from_str(raw.as_str()).unwrap_or_else(|_| raw.as_str().into())
}
