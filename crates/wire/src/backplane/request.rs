//! Requests of the hub as work orders, and back.
//!
//! | the hub's | the work order's |
//! |---|---|
//! | the last user message | `task` |
//! | `model` | `config.model` |
//! | a parameter of the API | `config.vendor.<its name>` |
//! | `input` | `config.vendor.abp.conversation` |
//! | `tools` | `config.vendor.abp.tools` |
//! | anything else | `config.vendor.abp.request` |
//!
//! A work order that somebody else wrote has no conversation: its task and context become one user
//! message.

use super::contract::{Field, Json, Members, Taking};
use super::conversation::{IrContent, IrConversation, IrMessage, IrRole};
use super::items;
use super::order::{PolicyProfile, RuntimeConfig, WorkOrder, WorkspaceMode, WorkspaceSpec};
use super::tools;
use crate::error::ApiError;
use crate::json::{Object, Raw, push_string};
use crate::note::Notes;
use crate::path::Path;
use crate::responses::Request;

/// What a work order says that no request knows.
#[derive(Debug, Clone, Default)]
pub struct OrderHead {
    /// Its id, a UUID.
    pub id: String,
    /// The model to ask for, whatever the request names.
    pub model: Option<String>,
    /// What is allowed.
    pub policy: PolicyProfile,
}

/// The parameters of the Responses API, but for those that have a place of their own; and
/// `client_metadata`, which Codex adds. Source: openai-openapi, `CreateResponse`, May 2026.
const PARAMETERS: &[&str] = &[
    "background",
    "client_metadata",
    "context_management",
    "conversation",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The key in `config.vendor` under which the contract's own additions stand.
const ABP: &str = "abp";

/// The work order that asks for what a request asks for.
///
/// ```
/// use latimer_wire::backplane::{OrderHead, lower_request};
/// use latimer_wire::responses::Request;
/// let request = Request::parse(r#"{"model":"m","input":"Fix the bug","temperature":0.5}"#)?;
/// let order = lower_request(&request, OrderHead { id: "1".to_owned(), ..OrderHead::default() });
/// assert_eq!(order.task, "Fix the bug");
/// assert_eq!(order.config.vendor["temperature"].raw().as_str(), "0.5");
/// # Ok::<(), latimer_wire::error::ApiError>(())
/// ```
pub fn lower_request(request: &Request<'_>, head: OrderHead) -> WorkOrder {
    let messages: Vec<_> = request.input.iter().map(items::message).collect();
    let task = messages.iter().rev().find(|message| message.role == IrRole::User);
    let task = task.map(IrMessage::text).unwrap_or_default();
    let mut vendor = Members::new();
    let mut others = Vec::new();
    for (key, value) in request.members() {
        match &**key {
            "model" if value.is_string() => {}
            "tools" if value.is_array() => {}
            "input" => {}
            known if PARAMETERS.contains(&known) => {
                vendor.insert(known.to_owned(), (*value).into());
            }
            _ => others.push((key, *value)),
        }
    }
    let conversation = IrConversation { messages, ..IrConversation::default() };
    let is_text = request.member("input").is_some_and(Raw::is_string);
    let abp = Json::object(|object| {
        let object = object.text("mode", "mapped");
        let object = object.with("conversation", |out| conversation.print(out));
        let object = if is_text { object.text("input_form", "text") } else { object };
        let object = match request.member("tools").is_some_and(Raw::is_array) {
            true => {
                object.list("tools", request.tools(), |out, tool| tools::lower(&tool).print(out))
            }
            false => object,
        };
        match others.is_empty() {
            true => object,
            false => object.with("request", |out| {
                let object = Object::new(out);
                others.iter().fold(object, |object, (key, value)| object.member(key, *value)).end();
            }),
        }
    });
    vendor.insert(ABP.to_owned(), abp);
    let named = request.member("model").and_then(Raw::text).map(|model| model.into_owned());
    WorkOrder {
        id: head.id,
        task,
        workspace: WorkspaceSpec {
            root: ".".to_owned(),
            mode: WorkspaceMode::PassThrough,
            ..WorkspaceSpec::default()
        },
        policy: head.policy,
        config: RuntimeConfig { model: head.model.or(named), vendor, ..RuntimeConfig::default() },
        ..WorkOrder::default()
    }
}

impl IrMessage {
    /// The words of a message, a line for each block.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|block| match &block.content {
            IrContent::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

/// The request of the hub that asks for what a work order asks for, as a JSON body. What no request
/// can say becomes a note.
///
/// # Errors
/// A 400 that names the member of the work order at fault.
pub fn lift_request(order: &WorkOrder, notes: &mut Notes) -> Result<String, ApiError> {
    let (config, nothing) = (&order.config, Json::default());
    let abp = config.vendor.get(ABP).unwrap_or(&nothing).raw();
    let place = Path::of("config.vendor.abp");
    let mut taking = Taking::new(abp.non_null().unwrap_or(Raw::trusted("{}")), Some(place))?;
    let conversation: Option<IrConversation> = taking.take("conversation")?;
    let offered: Option<Vec<super::IrToolDefinition>> = taking.take("tools")?;
    let form: String = taking.take("input_form")?;
    let others: Members = taking.take("request")?;
    dropped(order, notes);
    let mut body = String::new();
    let mut object = Object::new(&mut body);
    if let Some(model) = &config.model {
        object = object.text("model", model);
    }
    object = match conversation {
        Some(conversation) => {
            object.with("input", |out| push_input(out, &conversation, form == "text"))
        }
        None => object.with("input", |out| push_task(out, order)),
    };
    if let Some(offered) = offered {
        object = object.list("tools", &offered, |out, tool| {
            out.push_str(tools::lift(tool).raw().as_str());
        });
    }
    for (key, value) in config.vendor.iter().filter(|(key, _)| *key != ABP) {
        match PARAMETERS.contains(&key.as_str()) {
            true => object = object.member(key, value.raw()),
            false => notes.add("parameter_dropped", format!("config.vendor.{key}")),
        }
    }
    others.iter().fold(object, |object, (key, value)| object.member(key, value.raw())).end();
    Ok(body)
}

/// What a work order asks for that a model cannot give.
fn dropped(order: &WorkOrder, notes: &mut Notes) {
    let config = &order.config;
    let given = [
        ("config.env", !config.env.is_empty()),
        ("config.max_budget_usd", config.max_budget_usd.is_some()),
        ("config.max_turns", config.max_turns.is_some()),
        ("workspace.include", !order.workspace.include.is_empty()),
        ("workspace.exclude", !order.workspace.exclude.is_empty()),
    ];
    for (name, _) in given.into_iter().filter(|(_, given)| *given) {
        notes.add("parameter_dropped", name);
    }
}

fn push_input(out: &mut String, conversation: &IrConversation, as_text: bool) {
    if let ([message], true) = (conversation.messages.as_slice(), as_text) {
        return push_string(out, &message.text());
    }
    let items: Vec<_> = conversation.messages.iter().flat_map(items::raised).collect();
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(item.raw().as_str());
    }
    out.push(']');
}

/// Task and context as one user message.
fn push_task(out: &mut String, order: &WorkOrder) {
    let mut parts = vec![order.task.clone()];
    if !order.context.files.is_empty() {
        parts.push(format!("Files:\n{}", order.context.files.join("\n")));
    }
    let snippets = order.context.snippets.iter();
    parts.extend(snippets.map(|snippet| format!("{}:\n{}", snippet.name, snippet.content)));
    out.push('[');
    Object::new(out)
        .text("type", "message")
        .text("role", "user")
        .list("content", parts, |out, text| {
            Object::new(out).text("type", "input_text").text("text", &text).end();
        })
        .end();
    out.push(']');
}
