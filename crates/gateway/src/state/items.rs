//! Items as they are stored, and as clients see them in a list.

use latimer_store::{Id, StoredItem};
use latimer_wire::json::{Object, Raw};
use latimer_wire::responses::Item;

/// An item as it is stored: with an id, its own or one made of `stem` and its place.
pub(crate) fn stored(item: &Item<'_>, stem: &str, place: usize) -> Option<StoredItem> {
    let given = item.id().and_then(|id| id.parse::<Id>().ok());
    let made = || format!("{}_{stem}i{place}", item.id_prefix()).parse().ok();
    let id: Id = given.or_else(made)?;
    let mut json = String::new();
    item.print_as(id.as_str(), &mut json);
    Some(StoredItem { id, json })
}

/// An item as clients expect to see it in a list: a message has a status, and its content is a list
/// of parts, although a string may have been sent.
pub(super) fn shown(item: &str) -> String {
    let json = Raw::unchecked(item);
    let is_message = json.member_text("type").as_deref() == Some("message");
    if !is_message {
        return item.to_owned();
    }
    let part = match json.member_text("role").as_deref() {
        Some("assistant") => "output_text",
        _ => "input_text",
    };
    let mut out = String::new();
    let mut object = Object::new(&mut out);
    for (key, value) in json.members() {
        object = match value.is_string() && key == "content" {
            true => object.list("content", [value], |out, text| {
                let text_part = Object::new(out).text("type", part).raw("text", text);
                match part {
                    "output_text" => text_part.raw("annotations", Raw::EMPTY_ARRAY).end(),
                    _ => text_part.end(),
                }
            }),
            false => object.member(&key, value),
        };
    }
    if json.member("status").is_none() {
        object = object.text("status", "completed");
    }
    object.end();
    out
}
