//! JSON text with the place of each value in it, so that whatever is asked of it afterwards steps over
//! values without reading them again. In: text, which is checked on the way or was before. Out:
//! [`Outline`], made in one pass, and its values: as a [`Node`] that borrows it, or a [`Branch`] that
//! keeps it.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::reader::Reader;
use super::scan::same;
use super::steps::{Steps, scalar_end, string_end};
use super::walk::{Literal, Watcher};
use super::{Malformed, Raw};

/// How many values get a place; a text that has more is read anew at each step.
const PLACES_MAX: usize = 1 << 16;
/// How many values a text may have that is not to be read anew. Each takes 24 bytes, and may have two.
const VALUES_MAX: usize = 1 << 21;

/// How long a value of a request is, nearly, with its share of what holds it.
const BYTES_PER_VALUE: usize = 40;

/// Where the values of a text are.
#[derive(Clone)]
pub struct Outline<'a> {
    whole: Raw<'a>,
    /// In which the places are, and the whole, too.
    text: &'a str,
    /// In the order in which the values begin: each before those that it holds.
    places: Vec<Place>,
}

/// Where a value is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Where its key begins; [`NO_KEY`] where it has none.
    key: u32,
    from: u32,
    to: u32,
    /// The number of the first place that is not in it.
    after: u32,
    /// How long the key is between its quotes; [`UNUSUAL`] where it has to be read.
    key_bytes: u16,
    /// Whether it may be a string with an escape in it.
    escaped: bool,
}

/// The place of the key of an element, or of the whole: no text is that long.
const NO_KEY: u32 = u32::MAX;

/// The length of a key with an escape in it, or of one that is too long to be told.
const UNUSUAL: u16 = u16::MAX;

/// A value of an [`Outline`], or of a text that has none.
#[derive(Debug, Clone, Copy)]
pub struct Node<'o> {
    raw: Raw<'o>,
    /// The outline, and the number of its place there.
    known: Option<(&'o Outline<'o>, u32)>,
}

impl<'a> Outline<'a> {
    /// Checks that `text`, which is to stand `depth` levels deep in another, is exactly one JSON value,
    /// and finds the places of all values in it on the way.
    fn parse(text: &'a str, depth: usize) -> Result<Self, Malformed> {
        let mut growing = Growing::of(text, VALUES_MAX);
        growing
            .places
            .reserve_exact(text.len().min(growing.limit * BYTES_PER_VALUE) / BYTES_PER_VALUE + 8);
        let mut reader = Reader::at_depth(text, depth);
        let whole = reader.watched(&mut growing)?;
        reader.finish()?;
        let places =
            growing.finish().ok_or(Malformed { what: "more than 2,097,152 values", at: 0 })?;
        Ok(Outline { whole, text, places })
    }

    /// Passes a value as [`Reader::value`] does, and finds the places of all values in it on the way.
    ///
    /// # Errors
    /// [`Malformed`] where it stops being JSON.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let text = reader.text();
        let mut growing = Growing::of(text, PLACES_MAX);
        let whole = reader.watched(&mut growing)?;
        Ok(Outline { whole, text, places: growing.finish().unwrap_or_default() })
    }

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
        Outline { whole: raw, text, places: places(text).unwrap_or_default() }
    }

    /// The whole value.
    pub fn root(&self) -> Node<'_> {
        Node { raw: self.whole, known: (!self.places.is_empty()).then_some((self, 0)) }
    }

    /// The whole value as it stands in the text.
    pub fn raw(&self) -> Raw<'a> {
        self.whole
    }

    fn place(&self, at: u32) -> Option<&Place> {
        self.places.get(at as usize)
    }

    fn slice(&self, from: u32, to: u32) -> Raw<'a> {
        self.text.get(from as usize..to as usize).map_or(Raw::NULL, Raw::trusted)
    }

    fn raw_at(&self, at: u32) -> Raw<'a> {
        self.place(at).map_or(Raw::NULL, |place| self.slice(place.from, place.to))
    }

    fn node(&self, at: u32) -> Node<'_> {
        Node { raw: self.raw_at(at), known: Some((self, at)) }
    }

    fn after(&self, at: u32) -> u32 {
        self.place(at).map_or(u32::MAX, |place| place.after)
    }

    /// The numbers of the values that one holds.
    fn held(&self, at: u32) -> impl Iterator<Item = u32> {
        let end = self.after(at);
        std::iter::successors(Some(at + 1), |at| Some(self.after(*at)))
            .take_while(move |at| *at < end)
    }

    /// The key of a member.
    fn key(&self, at: u32) -> Option<Raw<'a>> {
        self.key_of(self.place(at)?)
    }

    fn key_of(&self, place: &Place) -> Option<Raw<'a>> {
        if place.key == NO_KEY {
            return None;
        }
        let to = match place.key_bytes {
            UNUSUAL => string_end(self.text.as_bytes(), place.key as usize) as u32,
            bytes => place.key + u32::from(bytes) + 2,
        };
        Some(self.slice(place.key, to))
    }

    /// What the key of a member means.
    fn key_text(&self, at: u32) -> Cow<'a, str> {
        let key = self.key(at).unwrap_or(Raw::NULL);
        match self.place(at).is_some_and(|place| place.key_bytes == UNUSUAL) {
            true => key.text().unwrap_or_default(),
            false => Cow::Borrowed(key.inner()),
        }
    }

    /// The number of a member of an object (the last one, if it is there twice).
    #[inline]
    fn member(&self, object: u32, key: &str) -> Option<u32> {
        let first = object + 1;
        let held = self.places.get(first as usize..self.place(object)?.after as usize)?;
        let (mut at, mut found) = (0, None);
        while let Some(place) = held.get(at as usize) {
            let may_be = place.key_bytes as usize == key.len() || place.key_bytes == UNUSUAL;
            if may_be && self.is_called(place, key) {
                found = Some(first + at);
            }
            at = place.after - first;
        }
        found
    }

    #[inline]
    fn is_called(&self, place: &Place, key: &str) -> bool {
        if place.key_bytes == UNUSUAL {
            return self.key_of(place).is_some_and(|name| name.means(key));
        }
        let inner = place.key as usize + 1;
        let name = self.text.as_bytes().get(inner..inner + place.key_bytes as usize);
        name.is_some_and(|name| same(name, key.as_bytes()))
    }

    /// What a string means.
    fn text(&self, at: u32) -> Option<Cow<'a, str>> {
        let place = self.place(at)?;
        let (from, to) = (place.from as usize, place.to as usize);
        match self.text.as_bytes().get(from) {
            Some(b'"') if !place.escaped => self.text.get(from + 1..to - 1).map(Cow::Borrowed),
            _ => self.slice(place.from, place.to).text(),
        }
    }
}

/// The value; where all that it holds is, is many times as long.
impl std::fmt::Debug for Outline<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Outline").field(&self.whole).finish()
    }
}

/// Two values are the same where their texts are.
impl PartialEq for Outline<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.whole == other.whole
    }
}

/// Places that are noted down while they are passed.
struct Growing {
    places: Vec<Place>,
    /// The number of the innermost container that has not ended. Until it has, what comes after it is
    /// where the one that holds it is found.
    open: u32,
    /// How many there may be.
    limit: usize,
    /// There were more.
    is_full: bool,
}

impl Growing {
    /// For the values of `text`, if they are not more than `limit`.
    fn of(text: &str, limit: usize) -> Growing {
        let limit = if text.len() < NO_KEY as usize { limit } else { 0 };
        Growing { places: Vec::new(), open: 0, limit, is_full: false }
    }

    /// The places, if each value has one.
    fn finish(self) -> Option<Vec<Place>> {
        (!self.is_full).then_some(self.places)
    }

    #[inline]
    fn add(&mut self, key: Option<Literal>, value: Literal, after: u32) {
        let (key, key_bytes) = match key {
            Some(Literal { from, to, escaped: false }) => {
                (from, u16::try_from(to - from - 2).unwrap_or(UNUSUAL))
            }
            Some(Literal { from, .. }) => (from, UNUSUAL),
            None => (NO_KEY as usize, 0),
        };
        let Literal { from, to, escaped } = value;
        let (key, from, to) = (key as u32, from as u32, to as u32);
        match self.places.len() < self.limit {
            true => self.places.push(Place { key, from, to, after, key_bytes, escaped }),
            false => self.is_full = true,
        }
    }
}

impl Watcher for Growing {
    #[inline]
    fn passed(&mut self, key: Option<Literal>, value: Literal) {
        self.add(key, value, self.places.len() as u32 + 1);
    }

    #[inline]
    fn begins(&mut self, key: Option<Literal>, from: usize) {
        let number = self.places.len() as u32;
        self.add(key, Literal { from, to: from, escaped: false }, self.open);
        self.open = number;
    }

    #[inline]
    fn ends(&mut self, to: usize) {
        let after = self.places.len() as u32;
        if let Some(place) = self.places.get_mut(self.open as usize) {
            self.open = std::mem::replace(&mut place.after, after);
            place.to = to as u32;
        }
    }
}

/// The places of all values of a text that was checked; none where it has too many of them, or is too
/// long.
fn places(text: &str) -> Option<Vec<Place>> {
    let mut growing = Growing::of(text, PLACES_MAX);
    let text = text.as_bytes();
    let (mut at, mut key, mut objects) = (0, None, Vec::new());
    while let Some(byte) = text.get(at).filter(|_| !growing.is_full) {
        let to = match byte {
            b' ' | b'\n' | b'\t' | b'\r' | b',' | b':' => at + 1,
            b']' | b'}' => {
                objects.pop()?;
                growing.ends(at + 1);
                at + 1
            }
            b'[' | b'{' => {
                growing.begins(key.take(), at);
                objects.push(*byte == b'{');
                at + 1
            }
            b'"' => {
                let to = string_end(text, at);
                match (objects.last(), key.take()) {
                    (Some(true), None) => {
                        let inner = text.get(at + 1..to - 1);
                        let escaped = inner.is_none_or(|inner| inner.contains(&b'\\'));
                        key = Some(Literal { from: at, to, escaped });
                    }
                    (_, key) => growing.passed(key, Literal { from: at, to, escaped: true }),
                }
                to
            }
            _ => {
                let to = scalar_end(text, at);
                growing.passed(key.take(), Literal { from: at, to, escaped: false });
                to
            }
        };
        at = to;
    }
    growing.finish().filter(|_| objects.is_empty())
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
            Some((outline, at)) => {
                let end = outline.after(at);
                Held::Known { outline, at: at + 1, end, keyed: self.is_object(), told: false }
            }
            None if self.is_array() || self.is_object() => Held::Unknown(Steps::into(self.raw)),
            None => Held::None,
        }
    }

    /// The members of an object in their order; nothing for any other value.
    pub fn members(self) -> Vec<(Cow<'o, str>, Node<'o>)> {
        match self.known {
            Some((outline, at)) if self.is_object() => {
                outline.held(at).map(|at| (outline.key_text(at), outline.node(at))).collect()
            }
            _ => self.raw.members().into_iter().map(|(key, value)| (key, value.into())).collect(),
        }
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
    #[inline]
    pub fn member(self, key: &str) -> Option<Node<'o>> {
        match self.known {
            Some((outline, at)) => outline.member(at, key).map(|at| outline.node(at)),
            None => self.raw.member(key).map(Node::from),
        }
    }

    /// The string this literal means; `None` when it is no string.
    pub fn text(self) -> Option<Cow<'o, str>> {
        match self.known {
            Some((outline, at)) => outline.text(at),
            None => self.raw.text(),
        }
    }

    /// The member of an object, when it is a string: decoded.
    pub fn member_text(self, key: &str) -> Option<Cow<'o, str>> {
        match self.known {
            Some((outline, at)) => outline.text(outline.member(at, key)?),
            None => self.raw.member_text(key),
        }
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

/// A value that keeps the outline it stands in. To clone it is cheap.
#[derive(Debug, Clone)]
pub struct Branch<'a> {
    outline: Arc<Outline<'a>>,
    at: u32,
}

impl<'a> Branch<'a> {
    /// Checks that `text`, which is to stand `depth` levels deep in another, is exactly one JSON value.
    ///
    /// # Errors
    /// [`Malformed`] with the byte at which the text stops being JSON.
    ///
    /// ```
    /// use latimer_wire::json::Branch;
    /// let item = Branch::parse(r#"{"role": "user", "content": [{"text": "Hi"}]}"#, 0)?;
    /// assert_eq!(item.member("role").and_then(|role| role.text()).as_deref(), Some("user"));
    /// # Ok::<(), latimer_wire::json::Malformed>(())
    /// ```
    pub fn parse(text: &'a str, depth: usize) -> Result<Self, Malformed> {
        Ok(Branch { outline: Arc::new(Outline::parse(text, depth)?), at: 0 })
    }

    /// The value as it stands in the text.
    pub fn raw(&self) -> Raw<'a> {
        self.outline.raw_at(self.at)
    }

    /// To look at, with all that it holds.
    pub fn node(&self) -> Node<'_> {
        self.outline.node(self.at)
    }

    fn at(&self, at: u32) -> Self {
        Branch { outline: Arc::clone(&self.outline), at }
    }

    /// The members of an object in their order; nothing for any other value.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'a, str>, Branch<'a>)> {
        let held = self.raw().is_object().then(|| self.outline.held(self.at));
        let held = held.into_iter().flatten();
        held.map(|at| (self.outline.key_text(at), self.at(at)))
    }

    /// The elements of an array; nothing for any other value.
    pub fn elements(&self) -> impl Iterator<Item = Branch<'a>> {
        let held = self.raw().is_array().then(|| self.outline.held(self.at));
        held.into_iter().flatten().map(|at| self.at(at))
    }

    /// The member of an object by its key (the last one, if it is there twice).
    #[inline]
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        self.outline.member(self.at, key).map(|at| self.outline.raw_at(at))
    }

    /// The member of an object, when it is a string: decoded.
    #[inline]
    pub fn member_text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.outline.text(self.outline.member(self.at, key)?)
    }
}

/// The values that one holds, one after the other.
enum Held<'o> {
    Known {
        outline: &'o Outline<'o>,
        at: u32,
        end: u32,
        /// Whether each is led by its key.
        keyed: bool,
        /// Whether its key was told already.
        told: bool,
    },
    Unknown(Steps<'o>),
    None,
}

impl<'o> Iterator for Held<'o> {
    type Item = Node<'o>;

    fn next(&mut self) -> Option<Node<'o>> {
        match self {
            Held::Known { at, end, .. } if *at >= *end => None,
            Held::Known { outline, at, keyed: true, told, .. } if !*told => {
                *told = true;
                outline.key(*at).map(Node::from)
            }
            Held::Known { outline, at, told, .. } => {
                let node = outline.node(*at);
                (*at, *told) = (outline.after(*at), false);
                Some(node)
            }
            Held::Unknown(steps) => steps.next().map(Node::from),
            Held::None => None,
        }
    }
}
