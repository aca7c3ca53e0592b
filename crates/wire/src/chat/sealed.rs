//! Reasoning that a backend wants back as it gave it (`reasoning_details` of OpenRouter: signatures,
//! blobs), carried by the client inside the `encrypted_content` of a reasoning item. In: the pieces
//! of all chunks. Out: one text with our mark, and the pieces again in the next turn. What another
//! service sealed stays closed.

use crate::base64;
use crate::json::{Object, Raw};

/// What our own envelopes begin with: who made it, and which form it has.
const MARK: &str = "latimer.1:";

/// Members that grow from chunk to chunk; of all others the last counts.
const GROWING: &[&str] = &["text", "summary", "data"];

/// Details in the making: of each its members, as JSON text.
#[derive(Debug, Default)]
pub(super) struct Details {
    list: Vec<Vec<(String, String)>>,
}

impl Details {
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes a piece: more of the detail of its type and index, or a new one.
    pub fn push(&mut self, piece: Raw<'_>) {
        if !piece.is_object() {
            return;
        }
        let members = piece.members();
        let find = |key: &str| piece.member(key).and_then(Raw::non_null).map(Raw::as_str);
        let same = |detail: &Vec<(String, String)>, key: &str| {
            detail.iter().find(|(name, _)| name == key).map(|(_, value)| &**value) == find(key)
        };
        let place = self.list.iter().rposition(|one| same(one, "type") && same(one, "index"));
        let last = place.is_some_and(|place| place + 1 == self.list.len());
        let place = place.filter(|_| find("index").is_some() || (last && find("data").is_none()));
        let Some(detail) = place.and_then(|place| self.list.get_mut(place)) else {
            let given = members.into_iter().filter(|(_, value)| !value.is_null());
            let given = given.map(|(key, value)| (key.into_owned(), value.as_str().to_owned()));
            return self.list.push(given.collect());
        };
        for (key, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
            match detail.iter_mut().find(|(name, _)| *name == key) {
                Some((_, text)) if GROWING.contains(&&*key) && value.is_string() => {
                    text.pop();
                    text.push_str(value.inner());
                    text.push('"');
                }
                Some((_, text)) => value.as_str().clone_into(text),
                None => detail.push((key.into_owned(), value.as_str().to_owned())),
            }
        }
    }

    /// All details in our envelope.
    pub fn seal(&self) -> String {
        let mut json = String::from("[");
        for (index, detail) in self.list.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            let object = detail.iter().fold(Object::new(&mut json), |object, (key, value)| {
                object.member(key, Raw::trusted(value))
            });
            object.end();
        }
        json.push(']');
        let mut sealed = MARK.to_owned();
        base64::push(&mut sealed, json.as_bytes());
        sealed
    }
}

/// The type of a detail that is ours: what one call came with.
const CALL: &str = "latimer.call";

/// What a call came with, as a detail; its id is its index.
pub(super) fn call_detail(id: Raw<'_>, extra_content: Raw<'_>) -> String {
    let mut detail = String::new();
    Object::new(&mut detail)
        .text("type", CALL)
        .raw("index", id)
        .raw("extra_content", extra_content)
        .end();
    detail
}

/// The id of the call and what it came with, where a detail is of that kind.
pub(super) fn of_call(detail: Raw<'_>) -> Option<(Raw<'_>, Raw<'_>)> {
    let ours = detail.member("type").is_some_and(|kind| kind.inner() == CALL);
    detail.member("index").zip(detail.member("extra_content")).filter(|_| ours)
}

/// The details inside one of our envelopes, as a JSON array; `None` when it is none of ours.
pub(super) fn open(sealed: &str) -> Option<String> {
    let json = String::from_utf8(base64::read(sealed.strip_prefix(MARK)?)?).ok()?;
    Raw::parse(&json).is_ok_and(Raw::is_array).then_some(json)
}
