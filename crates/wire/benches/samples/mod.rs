//! What the measurements are made over: a request in the shape Codex sends, and a backend's answer
//! to it. Made by code, and the same in every run.
#![allow(dead_code, reason = "no measurement needs all of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a sample is right"
)]

use latimer_wire::chat::{Backend, Lift, Profile, lower_request};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Event, Grammar, Request};
use latimer_wire::sse::Decoder;
use serde_json::{Value, json};

/// The sizes of request that are measured, in bytes.
pub const SIZES: [usize; 2] = [64 << 10, 1 << 20];
/// How many chunks of text a stream brings.
pub const CHUNKS: usize = 50;

const NOW: u64 = 1_700_000_000;
const EVENT_LIMIT_BYTES: usize = 1 << 20;

const WORDS: [&str; 16] = [
    "the",
    "reader",
    "takes",
    "a",
    "\"slice\"",
    "of",
    "text",
    "and",
    "gives",
    "back",
    "what",
    "was",
    "sent",
    "naïve",
    "line\n",
    "over",
];

/// Some words, other ones for each `seed`.
fn prose(seed: usize, words: usize) -> String {
    let word = |at: usize| WORDS[(seed * 7 + at * at + at) % WORDS.len()];
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// A Responses request with instructions, tools and so much history that it is at least `bytes`
/// long, and little more.
pub fn request(bytes: usize) -> String {
    let mut input = vec![
        message("developer", "input_text", &prose(1, 250)),
        message("user", "input_text", &prose(2, 40)),
    ];
    let mut history_bytes = body(&input).len();
    for number in 0.. {
        if history_bytes >= bytes {
            break;
        }
        let turn = turn(number);
        history_bytes += turn.iter().map(|item| item.to_string().len() + 1).sum::<usize>();
        input.extend(turn);
    }
    body(&input)
}

fn body(input: &[Value]) -> String {
    let request = json!({
        "model": "gpt-5.1-codex",
        "instructions": prose(3, 1500),
        "input": input,
        "tools": tools(),
        "tool_choice": "auto",
        "parallel_tool_calls": true,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": false,
        "stream": true,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019a0000-0000-7000-8000-000000000001",
    });
    request.to_string()
}

fn message(role: &str, part: &str, text: &str) -> Value {
    json!({"type": "message", "role": role, "content": [{"type": part, "text": text}]})
}

/// What one turn of an agent adds: it thinks, says something, calls a tool and gets its output.
/// Every fourth call is a patch.
fn turn(number: usize) -> [Value; 4] {
    let call_id = format!("call_{number:024}");
    let (call, output) = match number % 4 {
        3 => ("custom_tool_call", "custom_tool_call_output"),
        _ => ("function_call", "function_call_output"),
    };
    let patch = format!("*** Begin Patch\n*** Update File: a.rs\n@@\n-{}\n", prose(number, 60));
    let command = json!({"cmd": format!("sed -n '{number},200p' \"src/main.rs\""), "workdir": "."});
    let call = match number % 4 {
        3 => json!({"type": call, "call_id": call_id, "name": "apply_patch", "input": patch}),
        _ => json!({"type": call, "call_id": call_id, "name": "exec_command",
                    "arguments": command.to_string()}),
    };
    [
        json!({"type": "reasoning", "summary": [],
               "content": [{"type": "reasoning_text", "text": prose(number, 60)}]}),
        message("assistant", "output_text", &prose(number + 1, 25)),
        call,
        json!({"type": output, "call_id": call_id, "output": prose(number + 2, 300)}),
    ]
}

fn tools() -> Vec<Value> {
    let function = |number: usize| {
        let properties: serde_json::Map<String, Value> = (0..5)
            .map(|at| {
                let described = json!({"type": "string", "description": prose(number + at, 15)});
                (format!("parameter_{at}"), described)
            })
            .collect();
        let name = if number == 0 { "exec_command".to_owned() } else { format!("tool_{number}") };
        json!({"type": "function", "name": name, "description": prose(number, 30), "strict": false,
               "parameters": {"type": "object", "properties": properties,
                              "required": ["parameter_0"], "additionalProperties": false}})
    };
    let patch = json!({"type": "custom", "name": "apply_patch", "description": prose(9, 30),
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin hunk+ end"}});
    (0..8).map(function).chain([patch]).collect()
}

/// The pieces of an answer's text: [`CHUNKS`] of about four tokens.
pub fn texts() -> Vec<String> {
    (0..CHUNKS).map(|number| prose(number, 4) + " ").collect()
}

/// The data of the frames of a Chat Completions answer: a chunk for each piece of text, and what
/// comes before and after them.
pub fn chunks() -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": NOW,
               "model": "qwen3", "choices": choices, "usage": usage})
        .to_string()
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
    };
    let usage = json!({"prompt_tokens": 16_000, "completion_tokens": 200, "total_tokens": 16_200});
    let texts = texts().into_iter().map(|text| delta(json!({"content": text}), Value::Null));
    std::iter::once(delta(json!({"role": "assistant", "content": ""}), Value::Null))
        .chain(texts)
        .chain([delta(json!({}), json!("stop")), chunk(json!([]), usage), "[DONE]".to_owned()])
        .collect()
}

/// The same as the bytes of a stream.
pub fn chat_stream() -> String {
    chunks().iter().map(|data| format!("data: {data}\n\n")).collect()
}

/// The body of `request` for a Chat backend, as the gateway makes it.
pub fn lowered(request: &str) -> String {
    let request = Request::parse(request).unwrap();
    let backend = Backend { model: Some("qwen3"), profile: &Profile::default() };
    lower_request(&request, &backend, &mut Notes::default()).unwrap().body
}

/// What surrounds the answer to `request`.
pub fn envelope(request: &str) -> Envelope {
    Envelope::new(&Request::parse(request).unwrap(), "resp_1", NOW)
}

/// Gives `sink` the events that chunks become.
pub fn lift<'c>(
    envelope: Envelope,
    chunks: impl IntoIterator<Item = &'c String>,
    mut sink: impl FnMut(&Event<'_>),
) {
    let mut lift = Lift::new(envelope, "1").with_think_tags(true);
    chunks.into_iter().for_each(|data| lift.push(data, NOW, &mut sink));
    lift.end(NOW, &mut sink);
}

/// Gives `sink` the data of each frame.
pub fn decode(stream: &str, mut sink: impl FnMut(&str)) {
    let mut decoder = Decoder::new(EVENT_LIMIT_BYTES);
    decoder.push(stream.as_bytes());
    while let Some(frame) = decoder.next().unwrap() {
        sink(&frame.data);
    }
}

/// A Chat stream from bytes to bytes, as the gateway translates it: decoded, lifted, held against
/// the grammar and printed.
pub fn translated(envelope: Envelope, stream: &str) -> String {
    let (mut grammar, mut out) = (Grammar::default(), String::new());
    let mut sink = |event: &Event<'_>| {
        grammar.admit(event).unwrap();
        event.print_frame(&mut out);
    };
    let mut lift = Lift::new(envelope, "1").with_think_tags(true);
    decode(stream, |data| lift.push(data, NOW, &mut sink));
    lift.end(NOW, &mut sink);
    out
}
