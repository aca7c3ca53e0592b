//! What a query asks of a list, and a part of a list in OpenAI's shape.

use std::borrow::Cow;

use latimer_store::{Id, ItemPage, Page};
use latimer_wire::error::ApiError;
use latimer_wire::json::Object;

/// How many elements a part of a list has where the client does not say, and at most.
const PAGE: u32 = 20;
const PAGE_MAX: u32 = 100;

/// The parameters of a query.
pub(crate) struct Query<'q>(Vec<(&'q str, Cow<'q, str>)>);

impl<'q> Query<'q> {
    /// Reads the query of an address. A name may end in `[]`.
    pub fn of(query: Option<&'q str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Query(pairs.map(|(key, value)| (key.trim_end_matches("[]"), plain(value))).collect())
    }

    /// A parameter that is given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| &**value)
    }

    /// All values of a parameter that is a list.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| *key == name).map(|(_, value)| &**value)
    }

    /// A parameter that is `true` or `false`.
    ///
    /// # Errors
    /// A 400 for any other.
    pub fn flag(&self, name: &'static str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(invalid(name, other, "`true` or `false`")),
        }
    }

    /// A parameter that is a whole number.
    ///
    /// # Errors
    /// A 400 for any other.
    pub fn number(&self, name: &'static str) -> Result<Option<u32>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid(name, text, "a whole number"))
    }
}

/// A value without its percent signs.
fn plain(value: &str) -> Cow<'_, str> {
    if !value.contains(['%', '+']) {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (byte, after) = match (first, byte) {
            (b'%', Some(byte)) => (byte, tail.get(2..).unwrap_or_default()),
            (b'+', _) => (b' ', tail),
            (other, _) => (*other, tail),
        };
        bytes.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn invalid(name: &'static str, given: &str, wanted: &str) -> ApiError {
    let given: String = given.chars().take(64).collect();
    let message = format!("Invalid value for `{name}`: `{given}`. It has to be {wanted}.");
    ApiError::invalid(name, "invalid_value", message)
}

/// A part of a list that is asked for.
pub(crate) struct Listing;

impl Listing {
    /// Which part: `after`, `limit` (1 to 100, by default 20), `order` (`desc`, or `asc`).
    ///
    /// # Errors
    /// A 400 that names the parameter.
    pub fn asked(query: &Query<'_>) -> Result<Page, ApiError> {
        let limit = query.number("limit")?.unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(invalid("limit", &limit.to_string(), "from 1 to 100"));
        }
        let descending = match query.get("order") {
            None | Some("desc") => true,
            Some("asc") => false,
            Some(other) => return Err(invalid("order", other, "`asc` or `desc`")),
        };
        let after = query
            .get("after")
            .map(|id| id.parse::<Id>().map_err(|_| invalid("after", id, "the id of an item")));
        Ok(Page { after: after.transpose()?, limit, descending })
    }

    /// The list, as JSON.
    pub fn print(page: &ItemPage, shown: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        let id = |item: Option<&latimer_store::StoredItem>| item.map(|item| item.id.to_string());
        let (first, last) = (id(page.items.first()), id(page.items.last()));
        let mut object =
            Object::new(&mut out)
                .text("object", "list")
                .list("data", &page.items, |out, item| out.push_str(&shown(&item.json)));
        for (key, id) in [("first_id", first), ("last_id", last)] {
            object = match id {
                Some(id) => object.text(key, &id),
                None => object.null(key),
            };
        }
        object.boolean("has_more", page.has_more).end();
        out
    }
}
