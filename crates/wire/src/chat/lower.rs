//! Hub events as a Chat Completions stream, and a hub response as a whole completion.

use crate::json::{Object, Raw};
use crate::responses::{Event, Field, Kind, Response, Role, Status};
use crate::sse;

/// Turns hub events into chunks, as frames of server-sent events.
#[derive(Debug)]
pub struct Lower {
    /// The members that every chunk begins with, as an open object.
    head: String,
    include_usage: bool,
    /// Output indices of the calls, in their order: a call's place here is its index in Chat.
    calls: Vec<u64>,
}

/// Hub status and reason as finish reason: what applies first, counts.
const FINISH: &[(&str, Option<&str>, &str)] =
    &[("incomplete", Some("content_filter"), "content_filter"), ("incomplete", None, "length")];

impl Lower {
    /// `created` is seconds since 1970; `include_usage` asks for a chunk with the usage at the end.
    pub fn new(id: &str, model: &str, created: u64, include_usage: bool) -> Self {
        let mut head = String::new();
        Object::new(&mut head)
            .text("id", id)
            .text("object", "chat.completion.chunk")
            .number("created", created)
            .text("model", model)
            .end();
        head.pop();
        Lower { head, include_usage, calls: Vec::new() }
    }

    /// Appends the frames that `event` becomes; most become one or none.
    pub fn push(&mut self, event: &Event<'_>, out: &mut String) {
        let payload = event.payload.unwrap_or(Raw::NULL);
        match event.role() {
            Role::Created => self.delta(out, |delta| delta.text("role", "assistant")),
            Role::Delta(Field::OutputText) => {
                self.delta(out, |delta| delta.raw("content", payload))
            }
            Role::Delta(Field::Refusal) => self.delta(out, |delta| delta.raw("refusal", payload)),
            Role::Delta(Field::SummaryText | Field::ReasoningText) => {
                self.delta(out, |delta| delta.raw("reasoning_content", payload));
            }
            Role::ItemAdded if payload.member_text("type").as_deref() == Some("function_call") => {
                self.calls.push(event.output_index.unwrap_or_default());
                let index = self.calls.len() as u64 - 1;
                self.delta(out, |delta| {
                    delta.list("tool_calls", [payload], |out, item| {
                        push_call(out, Some(index), item, true);
                    })
                });
            }
            Role::Delta(Field::Arguments) if event.kind == Kind::ArgumentsDelta => {
                let place = self.calls.iter().rposition(|at| Some(*at) == event.output_index);
                let Some(index) = place else { return };
                self.delta(out, |delta| {
                    delta.list("tool_calls", [payload], |out, arguments| {
                        push_fragment(out, index as u64, arguments);
                    })
                });
            }
            Role::Terminal(Status::Failed) => {
                let error = payload.member("error").unwrap_or(Raw::NULL);
                let mut data = String::new();
                Object::new(&mut data).raw("error", error).end();
                sse::encode(out, None, &data);
            }
            Role::Terminal(_) => self.finish(out, payload),
            _ => {}
        }
    }

    fn delta(&self, out: &mut String, write: impl FnOnce(Object<'_>) -> Object<'_>) {
        self.chunk(out, |data| {
            data.push_str(",\"choices\":[{\"index\":0,\"delta\":");
            write(Object::new(data)).end();
            data.push_str(",\"finish_reason\":null}]");
        });
    }

    fn chunk(&self, out: &mut String, write: impl FnOnce(&mut String)) {
        let mut data = self.head.clone();
        write(&mut data);
        data.push('}');
        sse::encode(out, None, &data);
    }

    fn finish(&self, out: &mut String, response: Raw<'_>) {
        let reason = finish_reason(response);
        self.chunk(out, |data| {
            data.push_str(",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"");
            data.push_str(reason);
            data.push_str("\"}]");
        });
        if self.include_usage {
            self.chunk(out, |data| {
                data.push_str(",\"choices\":[],\"usage\":");
                push_usage(data, response.member("usage").unwrap_or(Raw::NULL));
            });
        }
        sse::encode(out, None, "[DONE]");
    }
}

/// A whole completion that says what `response` says.
pub fn push_completion(out: &mut String, response: &Response, id: &str, created: u64) {
    let json = response.json();
    let model = json.member("model").unwrap_or(Raw::NULL);
    let (mut text, mut refusal, mut reasoning) = (String::new(), String::new(), String::new());
    let mut calls = Vec::new();
    for item in response.output() {
        match item.member_text("type").as_deref() {
            Some("message") => {
                collect(&mut text, item.member("content"), "text");
                collect(&mut refusal, item.member("content"), "refusal");
            }
            Some("reasoning") => {
                collect(&mut reasoning, item.member("summary"), "text");
                collect(&mut reasoning, item.member("content"), "text");
            }
            Some("function_call") => calls.push(item),
            _ => {}
        }
    }
    let literal = |inner: &str| format!("\"{inner}\"");
    Object::new(out)
        .text("id", id)
        .text("object", "chat.completion")
        .number("created", created)
        .raw("model", model)
        .with("choices", |out| {
            out.push_str("[{\"index\":0,\"message\":");
            let mut message = Object::new(out).text("role", "assistant");
            message = match text.is_empty() && !(calls.is_empty() && refusal.is_empty()) {
                true => message.null("content"),
                false => message.raw("content", Raw::trusted(&literal(&text))),
            };
            for (member, inner) in [("refusal", &refusal), ("reasoning_content", &reasoning)] {
                if !inner.is_empty() {
                    message = message.raw(member, Raw::trusted(&literal(inner)));
                }
            }
            if !calls.is_empty() {
                message = message.list("tool_calls", calls, |out, call| {
                    push_call(out, None, call, false);
                });
            }
            message.end();
            out.push_str(",\"finish_reason\":\"");
            out.push_str(finish_reason(json));
            out.push_str("\"}]");
        })
        .with("usage", |out| push_usage(out, json.member("usage").unwrap_or(Raw::NULL)))
        .end();
}

/// Adds the texts that a list of parts holds under `member`.
fn collect(inner: &mut String, parts: Option<Raw<'_>>, member: &str) {
    for part in parts.map(Raw::elements).unwrap_or_default() {
        inner.push_str(part.member(member).map(Raw::inner).unwrap_or_default());
    }
}

fn finish_reason(response: Raw<'_>) -> &'static str {
    let status = response.member_text("status").unwrap_or_default();
    let details = response.member("incomplete_details").unwrap_or(Raw::NULL);
    let reason = details.member_text("reason");
    let row = FINISH
        .iter()
        .find(|(name, why, _)| *name == status && (why.is_none() || *why == reason.as_deref()));
    let is_call = |item: &Raw<'_>| item.member_text("type").as_deref() == Some("function_call");
    match row {
        Some((.., finish)) => finish,
        None => {
            let output = response.member("output").map(Raw::elements).unwrap_or_default();
            if output.iter().any(is_call) { "tool_calls" } else { "stop" }
        }
    }
}

/// Appends a call; one that opens has no arguments yet.
fn push_call(out: &mut String, index: Option<u64>, item: Raw<'_>, opening: bool) {
    let get = |key| item.member(key).unwrap_or(Raw::trusted("\"\""));
    let mut call = Object::new(out);
    if let Some(index) = index {
        call = call.number("index", index);
    }
    call.raw("id", get("call_id"))
        .text("type", "function")
        .with("function", |out| {
            let arguments = if opening { Raw::trusted("\"\"") } else { get("arguments") };
            Object::new(out).raw("name", get("name")).raw("arguments", arguments).end();
        })
        .end();
}

fn push_fragment(out: &mut String, index: u64, arguments: Raw<'_>) {
    Object::new(out)
        .number("index", index)
        .with("function", |out| Object::new(out).raw("arguments", arguments).end())
        .end();
}

fn push_usage(out: &mut String, usage: Raw<'_>) {
    let count = |name| usage.member(name).and_then(Raw::count).unwrap_or_default();
    let detail = |list, name| {
        usage.member(list).and_then(|list| list.member(name)?.count()).unwrap_or_default()
    };
    if usage.is_null() {
        return out.push_str("null");
    }
    Object::new(out)
        .number("prompt_tokens", count("input_tokens"))
        .number("completion_tokens", count("output_tokens"))
        .number("total_tokens", count("total_tokens"))
        .with("prompt_tokens_details", |out| {
            let tokens = |name| detail("input_tokens_details", name);
            Object::new(out)
                .number("cached_tokens", tokens("cached_tokens"))
                .number("cache_write_tokens", tokens("cache_write_tokens"))
                .end();
        })
        .with("completion_tokens_details", |out| {
            let reasoning = detail("output_tokens_details", "reasoning_tokens");
            Object::new(out).number("reasoning_tokens", reasoning).end();
        })
        .end();
}
