//! Items as they are stored, and as clients see them in a list.

use latimer_store::{Id, StoredItem};
use latimer_wire::json::{Object, Raw};
use latimer_wire::responses::{Item, Response};

/// An item as it is stored: with an id, its own or one made of `stem` and its place.
pub(crate) fn stored(item: &Item<'_>, stem: &str, place: usize) -> Option<StoredItem> {
    let given = item.id().and_then(|id| id.parse::<Id>().ok());
    let made = || format!("{}_{stem}i{place}", item.id_prefix()).parse().ok();
    let id: Id = given.or_else(made)?;
    let mut json = String::new();
    item.print_as(id.as_str(), &mut json);
    Some(StoredItem { id, json })
}

/// What is in a list only for a client that includes it: the type of an item, the member of it that
/// holds parts, and the member of a part.
const IF_INCLUDED: &[(&str, &str, &str, &str)] = &[
    ("message.input_image.image_url", "message", "content", "image_url"),
    ("computer_call_output.output.image_url", "computer_call_output", "output", "image_url"),
];

/// An item as clients expect to see it in a list: a message has a status, and its content is a list
/// of parts, although a string may have been sent. What a client has to include is left out where it
/// does not.
pub(super) fn shown(item: &str, included: &[&str]) -> String {
    let kind = Raw::unchecked(item).member_text("type").unwrap_or_default();
    let left_out =
        IF_INCLUDED.iter().filter(|(name, of, ..)| *of == kind && !included.contains(name));
    left_out.fold(message(item), |item, (_, _, list, member)| {
        let json = Raw::unchecked(&item);
        let Some(parts) = json.member(list) else { return item };
        let mut out = String::new();
        without(&mut out, parts, member);
        let changed =
            Response::parse(&*item).map(|item| item.with(&[(*list, Raw::unchecked(&out))]));
        changed.map_or(item, Response::into_json)
    })
}

/// Appends an object, or a list of them, without a member.
fn without(out: &mut String, parts: Raw<'_>, name: &str) {
    let push = |out: &mut String, part: Raw<'_>| match part.is_object() {
        true => {
            let kept = part.members().into_iter().filter(|(key, _)| key != name);
            kept.fold(Object::new(out), |object, (key, value)| object.member(&key, value)).end();
        }
        false => out.push_str(part.as_str()),
    };
    if !parts.is_array() {
        return push(out, parts);
    }
    out.push('[');
    for (place, part) in parts.elements().into_iter().enumerate() {
        out.push_str(if place > 0 { "," } else { "" });
        push(out, part);
    }
    out.push(']');
}

/// A message with a status and parts.
fn message(item: &str) -> String {
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
