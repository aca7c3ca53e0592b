//! Items of the hub as events of an agent, and back. What an event does not say of the item rides in
//! its `ext`: the members that are left (`item`), or all of an item that no event says (`raw`).

use super::contract::{Json, Members};
use super::event::AgentEventKind;
use super::same::same;
use super::tools::{OfferedTool, call_item};
use crate::json::{Object, Raw};
use crate::responses::Status;

/// The key in the `ext` of a message's first delta that holds the message's id.
pub(super) const ITEM_ID: &str = "item_id";

/// The key in the `ext` of a delta that says that the model refuses.
pub(super) const REFUSAL: &str = "refusal";

/// The event that says an item, and its `ext`.
pub(super) fn event_of(item: Raw<'_>) -> (AgentEventKind, Members) {
    let word = |key| item.member_text(key).unwrap_or_default().into_owned();
    let (kind, said): (_, &[&str]) = match &*word("type") {
        "function_call" => {
            let arguments = word("arguments");
            let input = Json::parse(&arguments).unwrap_or_else(|_| Json::string(&arguments));
            (tool_call(item, input), &["call_id", "name", "arguments"])
        }
        "custom_tool_call" => {
            let input = item.member("input").map(Json::from).unwrap_or_default();
            (tool_call(item, input), &["call_id", "name", "input"])
        }
        _ => (AgentEventKind::AssistantMessage { text: text_of(item) }, &["role", "content"]),
    };
    let rest = Json::object(|object| {
        let members = item.members().into_iter().filter(|(key, _)| !said.contains(&&**key));
        members.fold(object, |object, (key, value)| object.member(&key, value))
    });
    let ext = Members::from([("item".to_owned(), rest)]);
    match item_of(&kind, &ext) {
        Some(again) if same(again.raw(), item) => (kind, ext),
        _ => (kind, Members::from([("raw".to_owned(), item.into())])),
    }
}

fn tool_call(item: Raw<'_>, input: Json) -> AgentEventKind {
    AgentEventKind::ToolCall {
        tool_name: item.member_text("name").unwrap_or_default().into_owned(),
        tool_use_id: item.member_text("call_id").map(|id| id.into_owned()),
        parent_tool_use_id: None,
        input,
    }
}

/// The words of a message, refusals included; none of any other item.
fn text_of(item: Raw<'_>) -> String {
    let parts = item.member("content").map(Raw::elements).unwrap_or_default();
    let is_message = item.member_text("type").as_deref() == Some("message");
    let texts = parts
        .iter()
        .filter(|_| is_message)
        .filter_map(|part| part.member_text("text").or_else(|| part.member_text("refusal")));
    texts.collect()
}

/// The item that an event and its `ext` say; `None` where the event came without.
pub(super) fn item_of(kind: &AgentEventKind, ext: &Members) -> Option<Json> {
    if let Some(raw) = ext.get("raw") {
        return Some(raw.clone());
    }
    let rest = ext.get("item")?.raw().members();
    let said = match kind {
        AgentEventKind::AssistantMessage { text } => message_item(text),
        AgentEventKind::ToolCall { tool_name, tool_use_id, input, .. } => {
            let custom = rest
                .iter()
                .any(|(key, value)| key == "type" && value.inner() == "custom_tool_call");
            let tool = OfferedTool { name: tool_name.clone(), namespace: None, is_custom: custom };
            call_item(&tool, tool_use_id.as_deref().unwrap_or_default(), input.raw())
        }
        _ => return None,
    };
    Some(Json::object(|object| {
        let said = said.raw().members();
        let new = said.iter().filter(|(key, _)| rest.iter().all(|(known, _)| known != key));
        let all = rest.iter().chain(new);
        all.fold(object, |object, (key, value)| object.member(key, *value))
    }))
}

/// A message of the assistant, in the form in which services make one.
pub(super) fn message_item(text: &str) -> Json {
    Json::object(|object| {
        let object = object.text("type", "message").text("status", Status::Completed.name());
        object.text("role", "assistant").list("content", [text], |out, text| {
            Object::new(out)
                .text("type", "output_text")
                .text("text", text)
                .raw("annotations", Raw::EMPTY_ARRAY)
                .raw("logprobs", Raw::EMPTY_ARRAY)
                .end();
        })
    })
}

/// What an agent did by itself, as a summary of its reasoning: clients show it and do nothing.
pub(super) fn deed_item(text: &str) -> Json {
    Json::object(|object| {
        object.text("type", "reasoning").list("summary", [text], |out, text| {
            Object::new(out).text("type", "summary_text").text("text", text).end();
        })
    })
}
