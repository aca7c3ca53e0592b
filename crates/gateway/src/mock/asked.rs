//! What a request asks, as far as rules look at it. In: a request in Chat Completions or Responses
//! form, or a work order. Out: the same few facts of each.

use latimer_wire::backplane::WorkOrder;
use serde_json::Value;

use super::offered::{self, Offered};
use super::told::{Form, Manner};
use crate::config::Dialect;

/// What is known of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The model it names.
    pub model: String,
    /// The text of the last user message.
    pub user: String,
    /// The addresses of the images beside it.
    pub images: String,
    /// The last message, where it is a tool's output.
    pub tool_output: Option<String>,
    /// How often the model has spoken in this conversation.
    pub answers: usize,
    /// How often since the last user message.
    pub steps: usize,
    pub tools: Vec<Offered>,
    /// The name of the schema that the answer is to follow, and the schema.
    pub schema: Option<(String, Value)>,
    /// How it wants its answer.
    pub manner: Manner,
    pub include_usage: bool,
    /// The work order that it was, if it was one.
    pub work_order_id: String,
    /// What the run is called, where whoever asks says so.
    pub run_id: Option<String>,
}

/// Who has an item of a conversation from whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    User,
    Model,
    Other,
}

/// Counts the model's answers, of which each may be several items in a row: in the whole
/// conversation, and after the last user message.
fn answers(items: impl Iterator<Item = From>) -> (usize, usize) {
    let (mut all, mut steps, mut before) = (0, 0, From::Other);
    for from in items {
        if from == From::Model && before != From::Model {
            all += 1;
            steps += 1;
        }
        if from == From::User {
            steps = 0;
        }
        before = from;
    }
    (all, steps)
}

/// What a request in Chat Completions form asks.
pub(super) fn in_chat(body: &Value) -> Asked {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let user = messages.iter().rev().find(|message| message["role"] == "user");
    let tool = messages.last().filter(|message| message["role"] == "tool");
    let (answers, steps) = answers(messages.iter().map(|message| match message["role"].as_str() {
        Some("user") => From::User,
        Some("assistant") => From::Model,
        _ => From::Other,
    }));
    Asked {
        model: text_at(body, "/model").unwrap_or_default(),
        user: user.map(|message| text_of(&message["content"])).unwrap_or_default(),
        images: user.map(|message| images_of(&message["content"])).unwrap_or_default(),
        tool_output: tool.map(|message| text_of(&message["content"])),
        answers,
        steps,
        tools: offered::offered(body),
        schema: schema(body.pointer("/response_format/json_schema")),
        manner: manner(Dialect::Chat, body),
        include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        work_order_id: String::new(),
        run_id: None,
    }
}

/// What a request in Responses form asks.
pub(super) fn in_hub(body: &Value) -> Asked {
    let items = body["input"].as_array().map(Vec::as_slice).unwrap_or_default();
    let user = items.iter().rev().find(|item| item["role"] == "user");
    let is_output = |item: &&Value| kind(item).ends_with("_output");
    let output = items.last().filter(is_output);
    let (answers, steps) = answers(items.iter().map(|item| match item["role"].as_str() {
        Some("user") => From::User,
        Some("assistant") => From::Model,
        None if kind(item) == "reasoning" || kind(item).ends_with("_call") => From::Model,
        _ => From::Other,
    }));
    Asked {
        model: text_at(body, "/model").unwrap_or_default(),
        user: user.map_or_else(|| text_of(&body["input"]), |item| text_of(&item["content"])),
        images: user.map(|item| images_of(&item["content"])).unwrap_or_default(),
        // A search has found tools, and no text.
        tool_output: output.map(|item| match &item["tools"] {
            Value::Null => text_of(&item["output"]),
            tools => tools.to_string(),
        }),
        answers,
        steps,
        tools: offered::offered(body),
        schema: schema(body.pointer("/text/format")),
        manner: manner(Dialect::Responses, body),
        include_usage: true,
        work_order_id: String::new(),
        run_id: None,
    }
}

/// What a work order asks, of which `hub` is the request in Responses form.
pub(super) fn in_order(order: &WorkOrder, hub: &Value, form: Form) -> Asked {
    let manner = Manner { dialect: Dialect::Backplane, form };
    Asked { manner, work_order_id: order.id.clone(), ..in_hub(hub) }
}

fn manner(dialect: Dialect, body: &Value) -> Manner {
    Manner { dialect, form: Form::wanted(body["stream"] == true) }
}

fn kind(item: &Value) -> &str {
    item["type"].as_str().unwrap_or_default()
}

fn schema(format: Option<&Value>) -> Option<(String, Value)> {
    let format = format?;
    Some((text_at(format, "/name")?, format["schema"].clone()))
}

fn text_at(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// The addresses of the images in a message: Chat has them in an object.
fn images_of(content: &Value) -> String {
    let images = content.as_array().into_iter().flatten().map(|part| &part["image_url"]);
    let addresses = images.filter_map(|image| image.as_str().or_else(|| image["url"].as_str()));
    addresses.collect::<Vec<_>>().join("\n")
}
