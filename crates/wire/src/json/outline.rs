//! JSON text with the place of each value in it, so that whatever is asked of it afterwards steps over
//! values without reading them again. In: text that was checked. Out: [`Outline`], made in one pass, and
//! its values as [`Node`]s.

use std::borrow::Cow;
use std::ops::Deref;

use super::steps::{Steps, scalar_end, string_end};
use super::{Raw, pairs};

/// How many values get a place; a text that has more is read anew at each step.
const PLACES_MAX: usize = 1 << 16;

/// Where the values of a text are.
#[derive(Debug, Clone, Default)]
pub struct Outline<'a> {
    text: &'a str,
    /// In the order in which the values begin: each before those that it holds.
    places: Vec<Place>,
}

/// Where a value is.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: u32,
    to: u32,
    /// The number of the first place that is not in it.
    after: u32,
}

/// A value of an [`Outline`], or of a text that has none.
#[derive(Debug, Clone, Copy)]
pub struct Node<'o> {
    raw: Raw<'o>,
    /// The outline, and the number of its place there.
    known: Option<(&'o Outline<'o>, u32)>,
}

impl<'a> Outline<'a> {
    /// Finds the places of all values in `raw`.
    ///
    /// ```
    /// use latimer_wire::json::{Outline, Raw};
    /// let outline = Outline::of(Raw::parse(r#"{"input": [{"role": "user"}]}"#)?);
    /// let input = outline.root().member("input").expect("the input");
    /// assert_eq!(input.elements()[0].member("role").and_then(|role| role.text()).as_deref(), Some("user"));
    /// # Ok::<(), latimer_wire::json::Malformed>(())
    /// ```
    pub fn of(raw: Raw<'a>) -> Self {
        let text = raw.as_str();
        Outline { text, places: places(text.as_bytes()).unwrap_or_default() }
    }

    /// The whole value.
    pub fn root(&self) -> Node<'_> {
        let known = (!self.places.is_empty()).then_some((self, 0));
        Node { raw: Raw::trusted(self.text), known }
    }

    fn node(&self, at: u32) -> Option<Node<'_>> {
        let Place { from, to, .. } = *self.places.get(at as usize)?;
        let raw = Raw::trusted(self.text.get(from as usize..to as usize)?);
        Some(Node { raw, known: Some((self, at)) })
    }

    fn after(&self, at: u32) -> u32 {
        self.places.get(at as usize).map_or(at, |place| place.after)
    }
}

/// The places of all values of a text; none where it has too many of them, or is too long.
fn places(bytes: &[u8]) -> Option<Vec<Place>> {
    u32::try_from(bytes.len()).ok()?;
    let (mut places, mut open, mut at) = (Vec::<Place>::new(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let to = match byte {
            b' ' | b'\n' | b'\t' | b'\r' | b',' | b':' => {
                at += 1;
                continue;
            }
            b']' | b'}' => {
                at += 1;
                let after = places.len() as u32;
                let ended = open.pop().and_then(|number: usize| places.get_mut(number))?;
                (ended.to, ended.after) = (at as u32, after);
                continue;
            }
            b'[' | b'{' => {
                open.push(places.len());
                at + 1
            }
            b'"' => string_end(bytes, at),
            _ => scalar_end(bytes, at),
        };
        if places.len() == PLACES_MAX {
            return None;
        }
        places.push(Place { from: at as u32, to: to as u32, after: places.len() as u32 + 1 });
        at = to;
    }
    open.is_empty().then_some(places)
}

impl<'o> Node<'o> {
    /// The value as it stands in the text.
    pub fn raw(self) -> Raw<'o> {
        self.raw
    }

    /// `None` for `null`, the value otherwise.
    pub fn non_null(self) -> Option<Self> {
        (!self.raw.is_null()).then_some(self)
    }

    /// The values that it holds; of an object, keys and values in turn.
    pub fn values(self) -> impl Iterator<Item = Node<'o>> {
        match self.known {
            Some((outline, at)) => Held::Known { outline, at: at + 1, end: outline.after(at) },
            None if self.is_array() || self.is_object() => Held::Unknown(Steps::into(self.raw)),
            None => Held::None,
        }
    }

    /// The members of an object in their order; nothing for any other value.
    pub fn members(self) -> Vec<(Cow<'o, str>, Node<'o>)> {
        let held = self.is_object().then(|| pairs(self.values())).into_iter().flatten();
        held.map(|(key, value)| (key.text().unwrap_or_default(), value)).collect()
    }

    /// The elements of an array; nothing for any other value.
    pub fn elements(self) -> Vec<Node<'o>> {
        self.is_array().then(|| self.values()).into_iter().flatten().collect()
    }

    /// The first element of an array, where there is one.
    pub fn first_element(self) -> Option<Node<'o>> {
        self.is_array().then(|| self.values())?.next()
    }

    /// The member of an object by its key (the last one, if it is there twice).
    pub fn member(self, key: &str) -> Option<Node<'o>> {
        let held = self.is_object().then(|| pairs(self.values()))?;
        held.filter(|(name, _)| name.means(key)).last().map(|(_, value)| value)
    }

    /// The member of an object, when it is a string: decoded.
    pub fn member_text(self, key: &str) -> Option<Cow<'o, str>> {
        self.member(key)?.text()
    }
}

impl<'o> From<Raw<'o>> for Node<'o> {
    /// A value of which no places are known.
    fn from(raw: Raw<'o>) -> Self {
        Node { raw, known: None }
    }
}

impl<'o> Deref for Node<'o> {
    type Target = Raw<'o>;

    fn deref(&self) -> &Raw<'o> {
        &self.raw
    }
}

/// The values that one holds, one after the other.
enum Held<'o> {
    Known { outline: &'o Outline<'o>, at: u32, end: u32 },
    Unknown(Steps<'o>),
    None,
}

impl<'o> Iterator for Held<'o> {
    type Item = Node<'o>;

    fn next(&mut self) -> Option<Node<'o>> {
        match self {
            Held::Known { at, end, .. } if *at >= *end => None,
            Held::Known { outline, at, .. } => {
                let node = outline.node(*at);
                *at = outline.after(*at);
                node
            }
            Held::Unknown(steps) => steps.next().map(Node::from),
            Held::None => None,
        }
    }
}
