//! The surface of the mapping's first specification, under its names: requests are built, become work
//! orders, and receipts become responses. It is a plain face of the spoke, for adapters written by
//! hand; what goes over the wire is made by [`lower_request`] and
//! [`Lift`](super::Lift).
//!
//! ```
//! use latimer_wire::backplane::{Outcome, Receipt};
//! use latimer_wire::backplane::codex::{CodexInputItem, CodexRequestBuilder, CodexResponse};
//!
//! let request = CodexRequestBuilder::new()
//!     .input([CodexInputItem::message("user", "Fix the bug in main.rs")])
//!     .max_output_tokens(4096)
//!     .build();
//! let order = request.to_work_order("0191d6b6-0000-7000-8000-000000000001")?;
//! assert_eq!(order.task, "Fix the bug in main.rs");
//! assert_eq!(order.config.model.as_deref(), Some("codex-mini-latest"));
//! assert_eq!(order.config.vendor["max_output_tokens"].raw().count(), Some(4096));
//!
//! let receipt = Receipt::parse(r#"{
//!     "meta": {"run_id": "r1"}, "outcome": "complete",
//!     "usage": {"input_tokens": 100, "output_tokens": 50},
//!     "trace": [{"ts": "2026-01-01T00:00:00Z", "type": "assistant_message", "text": "Fixed."}]
//! }"#)?;
//! let response = CodexResponse::of_receipt(&receipt, &request.model);
//! assert_eq!(response.id, "resp_r1");
//! assert_eq!(response.status.as_deref(), Some("completed"));
//! assert_eq!(response.usage.map(|usage| usage.total_tokens), Some(150));
//! # Ok::<(), latimer_wire::error::ApiError>(())
//! ```

use super::contract::{Field, Json, Taking, objects, tagged};
use super::event::{AgentEvent, AgentEventKind};
use super::order::WorkOrder;
use super::receipt::{Outcome, Receipt};
use super::request::{OrderHead, lower_request};
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::path::Path;
use crate::responses::{Request, Status};

/// The model where none is named.
pub const DEFAULT_MODEL: &str = "codex-mini-latest";

/// Declares values that are told apart by their type, as what can stand in a list.
macro_rules! typed {
    ($($name:ident)*) => {
        $(impl Field for $name {
            fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
                $name::take(&mut Taking::new(value, Some(path))?)
            }

            fn print(&self, out: &mut String) {
                self.put(Object::new(out)).end();
            }
        })*
    };
}

tagged! {
    /// What the model is to read.
    CodexInputItem by "type" {
        /// A message.
        Message = "message" {
            /// `system`, `user` or `assistant`.
            role(required): String,
            /// The words.
            content: String,
        }
        /// A call that the model made before.
        FunctionCall = "function_call" {
            /// The item's id.
            id: String,
            /// Tells the call from others.
            call_id: String,
            /// Which function.
            name: String,
            /// Its arguments, JSON in a string.
            arguments: String,
        }
        /// What the function said.
        FunctionCallOutput = "function_call_output" {
            /// The call that is answered.
            call_id: String,
            /// What it said.
            output: String,
        }
    }
}

tagged! {
    /// A tool that the model may call.
    CodexTool by "type" {
        /// A function of the client's.
        Function = "function" {
            /// Its name.
            name: String,
            /// What it does.
            description: String,
            /// A JSON schema of its arguments.
            parameters: Json,
        }
        /// Code that the service runs.
        CodeInterpreter = "code_interpreter" {}
        /// A search in the service's files.
        FileSearch = "file_search" {
            /// How many results at most.
            max_num_results: Option<u32>,
        }
        /// A search on the web.
        WebSearch = "web_search" {}
    }
}

tagged! {
    /// The form of the answer's text.
    CodexTextFormat by "type" {
        /// Free.
        Text = "text" {}
        /// A JSON object.
        JsonObject = "json_object" {}
        /// JSON after a schema.
        JsonSchema = "json_schema" {
            /// The schema's name.
            name: String,
            /// The schema.
            schema: Json,
            /// Whether it has to be kept exactly.
            strict: bool,
        }
    }
}

tagged! {
    /// A part of a message.
    CodexContentPart by "type" {
        /// Words.
        OutputText = "output_text" {
            /// The words.
            text: String,
        }
    }
}

tagged! {
    /// What the model made.
    CodexResponseItem by "type" {
        /// A message.
        Message = "message" {
            /// `assistant`.
            role: String,
            /// Its parts.
            content: Vec<CodexContentPart>,
        }
        /// A call.
        FunctionCall = "function_call" {
            /// The item's id.
            id: String,
            /// Tells the call from others.
            call_id: Option<String>,
            /// Which function.
            name: String,
            /// Its arguments, JSON in a string.
            arguments: String,
        }
    }
}

tagged! {
    /// More of an item.
    CodexStreamDelta by "type" {
        /// More of its text.
        OutputTextDelta = "output_text_delta" {
            /// What comes after what came before.
            text: String,
        }
    }
}

tagged! {
    /// A step of a stream, in the form of the first specification;
    /// [`Mend`](crate::responses::Mend) reads it as well.
    CodexStreamEvent by "type" {
        /// The response exists.
        ResponseCreated = "response.created" {
            /// As it begins.
            response(required): CodexResponse,
        }
        /// An item grows.
        OutputItemDelta = "response.output_item.delta" {
            /// The place of the item.
            output_index: u64,
            /// What is new.
            delta(required): CodexStreamDelta,
        }
        /// An item is finished.
        OutputItemDone = "response.output_item.done" {
            /// The place of the item.
            output_index: u64,
            /// All of it.
            item(required): CodexResponseItem,
        }
        /// The response is finished.
        ResponseCompleted = "response.completed" {
            /// All of it.
            response(required): CodexResponse,
        }
    }
}

typed! {
    CodexInputItem CodexTool CodexTextFormat CodexContentPart CodexResponseItem CodexStreamDelta
    CodexStreamEvent
}

objects! {
    /// A response.
    CodexResponse {
        /// `resp_` and the run's id.
        id: String,
        /// The model that was asked for.
        model: String,
        /// What it made.
        output: Vec<CodexResponseItem>,
        /// What it used.
        usage: Option<CodexUsage>,
        /// How it stands.
        status: Option<String>,
    }

    /// Tokens that were used.
    CodexUsage {
        /// Read by the model.
        input_tokens: u64,
        /// Made by the model.
        output_tokens: u64,
        /// Both.
        total_tokens: u64,
    }
}

impl CodexInputItem {
    /// A message.
    pub fn message(role: &str, content: &str) -> Self {
        CodexInputItem::Message { role: role.to_owned(), content: content.to_owned() }
    }
}

/// A request, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct CodexRequest {
    /// The model that is asked for.
    pub model: String,
    /// What it is to read.
    pub input: Vec<CodexInputItem>,
    /// How many tokens it may make.
    pub max_output_tokens: Option<u32>,
    /// How freely it chooses, from 0 to 2.
    pub temperature: Option<f64>,
    /// What it may call.
    pub tools: Vec<CodexTool>,
    /// The form of its text.
    pub text: Option<CodexTextFormat>,
}

impl CodexRequest {
    /// The request as a JSON body.
    pub fn to_json(&self) -> String {
        let mut body = String::new();
        let print = |out: &mut String, field: &CodexInputItem| field.print(out);
        let mut object = Object::new(&mut body).text("model", &self.model);
        object = object.list("input", &self.input, print);
        if let Some(tokens) = self.max_output_tokens {
            object = object.number("max_output_tokens", tokens.into());
        }
        if let Some(temperature) = self.temperature {
            object = object.with("temperature", |out| temperature.print(out));
        }
        if !self.tools.is_empty() {
            object = object.list("tools", &self.tools, |out, tool| tool.print(out));
        }
        if let Some(format) = &self.text {
            object = object.with("text", |out| {
                Object::new(out).with("format", |out| format.print(out)).end();
            });
        }
        object.end();
        body
    }

    /// The work order that asks for the same; `id` is its id, a UUID.
    ///
    /// # Errors
    /// A 400 where the request is none that a service would take.
    pub fn to_work_order(&self, id: &str) -> Result<WorkOrder, ApiError> {
        let head = OrderHead { id: id.to_owned(), ..OrderHead::default() };
        Ok(lower_request(&Request::parse(&self.to_json())?, head))
    }
}

/// Builds a [`CodexRequest`].
#[derive(Debug, Clone, Default)]
pub struct CodexRequestBuilder {
    model: Option<String>,
    input: Vec<CodexInputItem>,
    max_output_tokens: Option<u32>,
    temperature: Option<f64>,
    tools: Vec<CodexTool>,
    text: Option<CodexTextFormat>,
}

impl CodexRequestBuilder {
    /// With nothing in it yet.
    pub fn new() -> Self {
        CodexRequestBuilder::default()
    }

    /// The model; without it, [`DEFAULT_MODEL`].
    #[must_use]
    pub fn model(self, model: &str) -> Self {
        CodexRequestBuilder { model: Some(model.to_owned()), ..self }
    }

    /// What the model is to read.
    #[must_use]
    pub fn input(self, input: impl IntoIterator<Item = CodexInputItem>) -> Self {
        CodexRequestBuilder { input: input.into_iter().collect(), ..self }
    }

    /// How many tokens it may make.
    #[must_use]
    pub fn max_output_tokens(self, tokens: u32) -> Self {
        CodexRequestBuilder { max_output_tokens: Some(tokens), ..self }
    }

    /// How freely it chooses, from 0 to 2.
    #[must_use]
    pub fn temperature(self, temperature: f64) -> Self {
        CodexRequestBuilder { temperature: Some(temperature), ..self }
    }

    /// What it may call.
    #[must_use]
    pub fn tools(self, tools: impl IntoIterator<Item = CodexTool>) -> Self {
        CodexRequestBuilder { tools: tools.into_iter().collect(), ..self }
    }

    /// The form of its text.
    #[must_use]
    pub fn text(self, text: CodexTextFormat) -> Self {
        CodexRequestBuilder { text: Some(text), ..self }
    }

    /// The request.
    pub fn build(self) -> CodexRequest {
        CodexRequest {
            model: self.model.unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            input: self.input,
            max_output_tokens: self.max_output_tokens,
            temperature: self.temperature,
            tools: self.tools,
            text: self.text,
        }
    }
}

impl CodexResponse {
    /// The response that a receipt tells of; `model` is the one that was asked for.
    pub fn of_receipt(receipt: &Receipt, model: &str) -> Self {
        let mut output: Vec<CodexResponseItem> = Vec::new();
        let mut begun = String::new();
        for event in &receipt.trace {
            if let AgentEventKind::AssistantDelta { text } = &event.kind {
                begun.push_str(text);
                continue;
            }
            let item = CodexResponseItem::of(event);
            // Deltas that no message follows are a message of their own.
            if !matches!(item, Some(CodexResponseItem::Message { .. })) && !begun.is_empty() {
                output.push(CodexResponseItem::message(&begun));
            }
            begun.clear();
            output.extend(item);
        }
        if !begun.is_empty() {
            output.push(CodexResponseItem::message(&begun));
        }
        CodexResponse {
            id: format!("resp_{}", receipt.meta.run_id),
            model: model.to_owned(),
            output,
            usage: receipt.usage.usage().map(|usage| CodexUsage {
                input_tokens: usage.input,
                output_tokens: usage.output,
                total_tokens: usage.total,
                ..CodexUsage::default()
            }),
            status: Some(Status::from(receipt.outcome).name().to_owned()),
            ..CodexResponse::default()
        }
    }

    /// How the run ended, by the response's status; `None` while it goes on.
    pub fn outcome(&self) -> Option<Outcome> {
        let ends = [Status::Completed, Status::Incomplete, Status::Failed];
        let status = self.status.as_deref();
        ends.into_iter().find(|end| Some(end.name()) == status).map(Outcome::from)
    }
}

impl CodexResponseItem {
    fn message(text: &str) -> Self {
        let content = vec![CodexContentPart::OutputText { text: text.to_owned() }];
        CodexResponseItem::Message { role: "assistant".to_owned(), content }
    }

    /// The item that an event says; the id of a call stands for an item's id that is not known.
    pub fn of(event: &AgentEvent) -> Option<Self> {
        match &event.kind {
            AgentEventKind::AssistantMessage { text } => Some(CodexResponseItem::message(text)),
            AgentEventKind::ToolCall { tool_name, tool_use_id, input, .. } => {
                let own = event.ext.get("item").and_then(|item| item.raw().member_text("id"));
                let id = own.map(|id| id.into_owned());
                Some(CodexResponseItem::FunctionCall {
                    id: id.or_else(|| tool_use_id.clone()).unwrap_or_default(),
                    call_id: tool_use_id.clone(),
                    name: tool_name.clone(),
                    arguments: input.raw().as_str().to_owned(),
                })
            }
            _ => None,
        }
    }

    /// The event that says the item; `None` where it is of a kind that is not known.
    pub fn event_kind(&self) -> Option<AgentEventKind> {
        match self {
            CodexResponseItem::Message { content, .. } => {
                let text = content.iter().filter_map(|part| match part {
                    CodexContentPart::OutputText { text } => Some(text.as_str()),
                    CodexContentPart::Other { .. } => None,
                });
                Some(AgentEventKind::AssistantMessage { text: text.collect() })
            }
            CodexResponseItem::FunctionCall { id, call_id, name, arguments } => {
                Some(AgentEventKind::ToolCall {
                    tool_name: name.clone(),
                    tool_use_id: call_id.clone().or_else(|| Some(id.clone())),
                    parent_tool_use_id: None,
                    input: Json::parse(arguments).unwrap_or_else(|_| Json::string(arguments)),
                })
            }
            CodexResponseItem::Other { .. } => None,
        }
    }
}

impl CodexStreamEvent {
    /// What an agent would say; `None` where the contract has no event for it.
    pub fn event_kind(&self) -> Option<AgentEventKind> {
        match self {
            CodexStreamEvent::ResponseCreated { response } => {
                Some(AgentEventKind::RunStarted { message: response.id.clone() })
            }
            CodexStreamEvent::OutputItemDelta {
                delta: CodexStreamDelta::OutputTextDelta { text },
                ..
            } => Some(AgentEventKind::AssistantDelta { text: text.clone() }),
            CodexStreamEvent::OutputItemDone { item, .. } => item.event_kind(),
            CodexStreamEvent::ResponseCompleted { response } => {
                let message = response.status.clone().unwrap_or_default();
                Some(AgentEventKind::RunCompleted { message })
            }
            CodexStreamEvent::OutputItemDelta { .. } | CodexStreamEvent::Other { .. } => None,
        }
    }

    /// Reads it from JSON text.
    ///
    /// # Errors
    /// A 400 that names the member at fault.
    pub fn parse(json: &str) -> Result<Self, ApiError> {
        CodexStreamEvent::take(&mut Taking::new(Raw::parse(json)?, None)?)
    }

    /// Its JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.print(&mut out);
        out
    }
}
