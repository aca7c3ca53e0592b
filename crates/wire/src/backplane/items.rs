//! Items of the hub as messages of the conversation, and back. In: an item's members. Out: a message
//! that says the same to whoever knows the contract alone, with all the rest of the item in its
//! `metadata`:
//!
//! | key | what it holds |
//! |---|---|
//! | `item` | the item's members that the message does not say, its id and type among them |
//! | `form` | `text` where the item's content was one string and not a list of parts |
//! | `raw` | the item as it came, where no message says it |
//!
//! Blocks hold `part` and `raw` in the same way. Whether a message says all of its item is not
//! guessed: it is made an item again and compared.

use std::borrow::Cow;

use super::contract::{Json, Members};
use super::conversation::{IrContent, IrContentBlock, IrMessage, IrRole};
use super::same::same;
use crate::json::{Object, Raw, push_string};
use crate::responses::Item;

/// The members of an item or part.
pub(super) type Given<'i, 'a> = &'i [(Cow<'a, str>, Raw<'a>)];

/// Roles of the hub that the conversation has under another name.
const ROLES: &[(&str, IrRole)] = &[
    ("user", IrRole::User),
    ("assistant", IrRole::Assistant),
    ("system", IrRole::System),
    ("developer", IrRole::System),
];

fn find<'a>(members: Given<'_, 'a>, key: &str) -> Option<Raw<'a>> {
    members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
}

fn text_of(members: Given<'_, '_>, key: &str) -> String {
    find(members, key).and_then(Raw::text).unwrap_or_default().into_owned()
}

/// All members but some, as an object.
fn without(members: Given<'_, '_>, said: &[&str]) -> Json {
    let rest = members.iter().filter(|(key, _)| !said.contains(&&**key));
    Json::object(|object| rest.fold(object, |object, (key, value)| object.member(key, *value)))
}

fn whole(members: Given<'_, '_>) -> Json {
    without(members, &[])
}

/// The message that says an item.
pub(super) fn message(item: &Item<'_>) -> IrMessage {
    let members = &item.members();
    let said = said(&item.kind, members);
    let all = whole(members);
    if let [again] = raised(&said).as_slice()
        && same(again.raw(), all.raw())
    {
        return said;
    }
    // What blocks can show is kept for readers; the item itself comes back from `raw`.
    let metadata = Members::from([("raw".to_owned(), all)]);
    IrMessage { metadata, ..said }
}

/// The message with the members that are not said in its metadata; it may not say all of the item.
fn said(kind: &str, members: Given<'_, '_>) -> IrMessage {
    let mut role = IrRole::Assistant;
    let (said, content): (&[&str], Vec<IrContentBlock>) = match kind {
        "message" => {
            let name = text_of(members, "role");
            role = ROLES.iter().find(|(known, _)| *known == name).map_or(IrRole::User, |row| row.1);
            let said: &[&str] =
                if name == role.name() { &["role", "content"] } else { &["content"] };
            (said, blocks(find(members, "content"), role))
        }
        "reasoning" => (&["summary", "content"], thoughts(members)),
        "function_call" => {
            let input = find(members, "arguments").and_then(Raw::text).unwrap_or_default();
            let input = Json::parse(&input).unwrap_or_else(|_| Json::string(&input));
            (&["call_id", "name", "arguments"], vec![call(members, input)])
        }
        "custom_tool_call" => {
            let input = find(members, "input").map(Json::from).unwrap_or_default();
            (&["call_id", "name", "input"], vec![call(members, input)])
        }
        "function_call_output" | "custom_tool_call_output" => {
            role = IrRole::Tool;
            (&["call_id", "output"], vec![result(members)])
        }
        _ => (&[], Vec::new()),
    };
    let mut metadata = Members::from([("item".to_owned(), without(members, said))]);
    let body = said.last().and_then(|member| find(members, member));
    if body.is_some_and(Raw::is_string) && !kind.ends_with("_call") {
        metadata.insert("form".to_owned(), Json::string("text"));
    }
    IrMessage { role, content, metadata, rest: Members::new() }
}

fn result(members: Given<'_, '_>) -> IrContentBlock {
    let tool_use_id = text_of(members, "call_id");
    let content = blocks(find(members, "output"), IrRole::Tool);
    IrContent::ToolResult { tool_use_id, content, is_error: false }.into()
}

fn call(members: Given<'_, '_>, input: Json) -> IrContentBlock {
    let (id, name) = (text_of(members, "call_id"), text_of(members, "name"));
    IrContent::ToolUse { id, name, input }.into()
}

/// What a content says: a string, or a list of parts.
fn blocks(content: Option<Raw<'_>>, role: IrRole) -> Vec<IrContentBlock> {
    match content {
        Some(text) if text.is_string() => {
            let text = text.text().unwrap_or_default().into_owned();
            vec![IrContent::Text { text }.into()]
        }
        Some(parts) => parts.elements().into_iter().map(|part| block(part, role)).collect(),
        None => Vec::new(),
    }
}

/// The type of a part with text, where nothing else is said.
fn text_type(role: IrRole) -> &'static str {
    if role == IrRole::Assistant { "output_text" } else { "input_text" }
}

/// A block that says a part; what it leaves out is in its metadata.
fn block(part: Raw<'_>, role: IrRole) -> IrContentBlock {
    let members = part.members();
    let kind = text_of(&members, "type");
    let picture = find(&members, "image_url").and_then(Raw::text);
    let picture = picture.as_deref().and_then(data_url);
    let (said, content): (&[&str], _) = match (&*kind, picture) {
        ("input_text" | "output_text" | "text", _) => {
            (&["text"], IrContent::Text { text: text_of(&members, "text") })
        }
        ("refusal", _) => (&["refusal"], IrContent::Text { text: text_of(&members, "refusal") }),
        ("input_image", Some((media_type, data))) => {
            let (media_type, data) = (media_type.to_owned(), data.to_owned());
            (&["image_url"], IrContent::Image { media_type, data })
        }
        _ => (&[], IrContent::Text { text: placeholder(&kind, &members) }),
    };
    let mut block = IrContentBlock::from(content);
    let usual = kind == text_type(role) || kind == "input_image";
    let is_said = |key: &str| said.contains(&key) || usual && key == "type";
    let left = members.iter().filter(|(key, _)| !is_said(key));
    let left: Vec<_> = left.cloned().collect();
    if !left.is_empty() {
        block.metadata.insert("part".to_owned(), whole(&left));
    }
    if said.is_empty() || !same(raised_part(&block, role).raw(), part) {
        block.metadata = Members::from([("raw".to_owned(), part.into())]);
    }
    block
}

/// Media type and bytes of a picture that is in its address.
fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// What stands for a part that the conversation cannot say: its type and its name or address.
fn placeholder(kind: &str, members: Given<'_, '_>) -> String {
    let name = ["filename", "file_id", "file_url", "image_url"].into_iter();
    let name = name.map(|key| text_of(members, key)).find(|name| !name.is_empty());
    match name.filter(|name| !name.starts_with("data:")) {
        Some(name) => format!("[{kind}: {name}]"),
        None => format!("[{kind}]"),
    }
}

/// What a reasoning item tells: its summary, then its content.
fn thoughts(members: Given<'_, '_>) -> Vec<IrContentBlock> {
    let mut thoughts = Vec::new();
    for list in ["summary", "content"] {
        for part in find(members, list).map(Raw::elements).unwrap_or_default() {
            let text = part.member_text("text").unwrap_or_default().into_owned();
            let mut thought = IrContentBlock::from(IrContent::Thinking { text });
            if list == "content" {
                thought.metadata.insert("list".to_owned(), Json::string(list));
            }
            thoughts.push(thought);
        }
    }
    thoughts
}

/// The items that a message says; one for each thing said, where others wrote it.
pub(super) fn raised(message: &IrMessage) -> Vec<Json> {
    if let Some(raw) = message.metadata.get("raw") {
        return vec![raw.clone()];
    }
    let own = message.metadata.get("item");
    let is_said = |block: &&IrContentBlock| is_of_message(&block.content);
    let (said, others): (Vec<_>, Vec<_>) = message.content.iter().partition(is_said);
    let thinking = |block: &&&IrContentBlock| matches!(block.content, IrContent::Thinking { .. });
    let thoughts: Vec<_> = others.iter().filter(thinking).copied().collect();
    let kind = own.and_then(|own| own.raw().member_text("type"));
    let mut items = Vec::new();
    if !thoughts.is_empty() || kind.as_deref() == Some("reasoning") {
        items.push(raised_thoughts(own, &thoughts));
    }
    let speaks = kind.as_deref().is_none_or(|kind| kind == "message");
    if !said.is_empty() || own.is_some() && others.is_empty() && speaks {
        items.push(raised_message(message, own, &said));
    }
    let calls = others.iter().filter_map(|block| raised_call(message, own, block));
    items.extend(calls);
    items
}

fn is_of_message(content: &IrContent) -> bool {
    matches!(content, IrContent::Text { .. } | IrContent::Image { .. } | IrContent::Other { .. })
}

/// An item of the members that were kept, and of `said`, which `write` adds where they do not say it.
fn item(own: Option<&Json>, usual: &str, write: impl FnOnce(Object<'_>) -> Object<'_>) -> Json {
    let kept = own.map(|own| own.raw().members()).unwrap_or_default();
    Json::object(|object| {
        let object = if own.is_none() { object.text("type", usual) } else { object };
        write(kept.iter().fold(object, |object, (key, value)| object.member(key, *value)))
    })
}

fn raised_message(message: &IrMessage, own: Option<&Json>, said: &[&IrContentBlock]) -> Json {
    let named = own.is_some_and(|own| own.raw().member("role").is_some());
    item(own, "message", |object| {
        let object = if named { object } else { object.text("role", message.role.name()) };
        object.with("content", |out| push_content(out, message, said))
    })
}

/// A content: one string where it came as one, else the parts.
fn push_content(out: &mut String, message: &IrMessage, blocks: &[&IrContentBlock]) {
    let is_text = message.metadata.get("form").is_some_and(|form| form.raw().inner() == "text");
    if let ([IrContentBlock { content: IrContent::Text { text }, .. }], true) = (blocks, is_text) {
        return push_string(out, text);
    }
    out.push('[');
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(raised_part(block, message.role).raw().as_str());
    }
    out.push(']');
}

/// The part that a block says.
fn raised_part(block: &IrContentBlock, role: IrRole) -> Json {
    if let Some(raw) = block.metadata.get("raw") {
        return raw.clone();
    }
    let kept = block.metadata.get("part").map(|part| part.raw().members()).unwrap_or_default();
    let kind = find(&kept, "type").and_then(Raw::text);
    let member = if kind.as_deref() == Some("refusal") { "refusal" } else { "text" };
    Json::object(|object| {
        let usual = match &block.content {
            IrContent::Image { .. } => "input_image",
            _ => text_type(role),
        };
        let object = if kind.is_none() { object.text("type", usual) } else { object };
        let object = kept.iter().fold(object, |object, (key, value)| object.member(key, *value));
        match &block.content {
            IrContent::Text { text } => object.text(member, text),
            IrContent::Image { media_type, data } => {
                object.text("image_url", &format!("data:{media_type};base64,{data}"))
            }
            other => object.text("text", &format!("[{}]", other.name())),
        }
    })
}

fn raised_thoughts(own: Option<&Json>, thoughts: &[&IrContentBlock]) -> Json {
    let of = |list: &str| -> Vec<&str> {
        let here = |block: &&&IrContentBlock| {
            let named = block.metadata.get("list").map(|name| name.raw().inner());
            named.unwrap_or("summary") == list
        };
        let texts = thoughts.iter().filter(here).filter_map(|block| match &block.content {
            IrContent::Thinking { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    };
    let push = |kind: &'static str| {
        move |out: &mut String, text: &str| {
            Object::new(out).text("type", kind).text("text", text).end();
        }
    };
    item(own, "reasoning", |object| {
        let object = object.list("summary", of("summary"), push("summary_text"));
        match of("content") {
            none if none.is_empty() => object,
            texts => object.list("content", texts, push("reasoning_text")),
        }
    })
}

fn raised_call(message: &IrMessage, own: Option<&Json>, block: &IrContentBlock) -> Option<Json> {
    let kind = own.and_then(|own| own.raw().member_text("type"));
    match &block.content {
        IrContent::ToolUse { id, name, input } => {
            let custom = kind.as_deref() == Some("custom_tool_call");
            Some(item(own, "function_call", |object| {
                let object = object.text("call_id", id).text("name", name);
                match custom {
                    true => object.raw("input", input.raw()),
                    false => object.text("arguments", input.raw().as_str()),
                }
            }))
        }
        IrContent::ToolResult { tool_use_id, content, is_error } => {
            let blocks: Vec<_> = content.iter().collect();
            let only_text = own.is_none().then(|| plain_text(&blocks)).flatten();
            Some(item(own, "function_call_output", |object| {
                let object = object.text("call_id", tool_use_id);
                let object = match (own, is_error) {
                    (None, true) => object.text("status", "incomplete"),
                    _ => object,
                };
                match only_text {
                    Some(text) => object.text("output", text),
                    None => object.with("output", |out| push_content(out, message, &blocks)),
                }
            }))
        }
        _ => None,
    }
}

/// The text of an output that is nothing else.
fn plain_text<'b>(blocks: &[&'b IrContentBlock]) -> Option<&'b str> {
    match blocks {
        [IrContentBlock { content: IrContent::Text { text }, metadata, .. }]
            if metadata.is_empty() =>
        {
            Some(text)
        }
        _ => None,
    }
}
