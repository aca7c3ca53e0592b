//! What the upstream says, in both dialects: the events of a stream, one `Bytes` each, or a whole
//! answer. Only text, since that is what is measured.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialogue::{Shape, piece, text};

/// The two dialects an upstream is asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's Chat Completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
}

impl Dialect {
    /// The dialect of a path.
    pub fn of_path(path: &str) -> Option<Dialect> {
        match path {
            _ if path.ends_with("/chat/completions") => Some(Dialect::Chat),
            _ if path.ends_with("/responses") => Some(Dialect::Responses),
            _ => None,
        }
    }
}

/// What is said to one request: its pieces, each with how many paces after the first text it is due.
pub type Answer = Vec<(u32, Bytes)>;

/// The answer of a shape in a dialect.
pub fn of(dialect: Dialect, shape: Shape) -> Answer {
    match (dialect, shape.stream) {
        (Dialect::Chat, true) => chat_stream(shape.chunks),
        (Dialect::Responses, true) => responses_stream(shape.chunks),
        (Dialect::Chat, false) => whole(&chat_whole(shape.chunks)),
        (Dialect::Responses, false) => whole(&response("completed", Some(shape.chunks))),
    }
}

fn whole(body: &Value) -> Answer {
    vec![(0, Bytes::from(body.to_string()))]
}

/// A stream: what comes before the text, the text at its pace, and the rest with its last piece.
fn stream(before: Vec<Bytes>, text: Vec<Bytes>, after: Vec<Bytes>) -> Answer {
    let last = text.len().saturating_sub(1) as u32;
    let before = before.into_iter().map(|piece| (0, piece));
    let after = after.into_iter().map(|piece| (last, piece));
    before.chain((0..).zip(text)).chain(after).collect()
}

fn usage() -> Value {
    json!({"prompt_tokens": 16_000, "completion_tokens": 200, "total_tokens": 16_200})
}

fn chat_stream(chunks: usize) -> Answer {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
            "model": "m", "choices": choices, "usage": usage});
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let choice = |delta: Value, reason: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
    };
    stream(
        vec![choice(json!({"role": "assistant", "content": ""}), None)],
        (0..chunks).map(|n| choice(json!({"content": piece(n)}), None)).collect(),
        vec![
            choice(json!({}), Some("stop")),
            chunk(json!([]), usage()),
            Bytes::from_static(b"data: [DONE]\n\n"),
        ],
    )
}

fn chat_whole(chunks: usize) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text(chunks)},
            "finish_reason": "stop"}], "usage": usage()})
}

/// A response; with its output once that is complete.
fn response(status: &str, chunks: Option<usize>) -> Value {
    let output: Vec<Value> =
        chunks.map(|chunks| message("completed", Some(chunks))).into_iter().collect();
    let usage = chunks.map(|_| {
        json!({"input_tokens": 16_000, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 200, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 16_200})
    });
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": null,
        "incomplete_details": null, "model": "m", "output": output, "parallel_tool_calls": false,
        "tool_choice": "auto", "store": false, "usage": usage})
}

fn message(status: &str, chunks: Option<usize>) -> Value {
    let content: Vec<Value> = chunks.map(|chunks| output_text(&text(chunks))).into_iter().collect();
    json!({"id": "msg_1", "type": "message", "status": status, "role": "assistant",
        "content": content})
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn responses_stream(chunks: usize) -> Answer {
    let mut number = 0;
    let mut event = |kind: &str, body: Value| {
        let mut event = json!({"type": kind, "sequence_number": number});
        number += 1;
        if let (Value::Object(event), Value::Object(body)) = (&mut event, body) {
            event.extend(body);
        }
        Bytes::from(format!("event: {kind}\ndata: {event}\n\n"))
    };
    let begun = || json!({"response": response("in_progress", None)});
    let ended = |chunks| json!({"response": response("completed", Some(chunks))});
    let item = |item: Value| json!({"output_index": 0, "item": item});
    let part = |key: &str, value: Value| json!({"item_id": "msg_1", "output_index": 0, "content_index": 0, key: value});
    let whole = text(chunks);
    stream(
        vec![
            event("response.created", begun()),
            event("response.in_progress", begun()),
            event("response.output_item.added", item(message("in_progress", None))),
            event("response.content_part.added", part("part", output_text(""))),
        ],
        (0..chunks)
            .map(|n| event("response.output_text.delta", part("delta", json!(piece(n)))))
            .collect(),
        vec![
            event("response.output_text.done", part("text", json!(whole))),
            event("response.content_part.done", part("part", output_text(&whole))),
            event("response.output_item.done", item(message("completed", Some(chunks)))),
            event("response.completed", ended(chunks)),
        ],
    )
}
