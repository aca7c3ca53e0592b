//! What is asked and answered in every measurement: a request as an agent sends it, and a text that
//! comes in numbered pieces. Upstream and load both know it, so that an answer can be held against
//! it. A dialogue is a function of its shape; nothing in it is random.

use bytes::Bytes;
use serde_json::{Value, json};

/// What is asked and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// About how large the request is.
    pub request_bytes: usize,
    /// In how many chunks the upstream says its text.
    pub chunks: usize,
    /// Whether the answer comes as a stream; whole otherwise.
    pub stream: bool,
    /// Who has what was said before.
    pub history: History,
}

/// In how many chunks a text comes, where a case does not say otherwise.
pub const CHUNKS: usize = 50;

/// Who has what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// The client, who sends all of it and wants nothing to be stored, as Codex does.
    Sent,
    /// The client, and each answer is to be stored.
    Stored,
    /// The gateway: a request names the answer before, and is stored too.
    Named,
}

impl Shape {
    /// A stream that is asked for with all that was said before.
    pub const fn stream(request_bytes: usize, chunks: usize) -> Shape {
        Shape { request_bytes, chunks, stream: true, history: History::Sent }
    }

    /// The same with another history.
    pub const fn with(self, history: History) -> Shape {
        Shape { history, ..self }
    }
}

/// One piece of the answer's text: about four tokens.
pub fn piece(number: usize) -> String {
    format!("part {number:05} of it ")
}

/// All pieces of an answer.
pub fn text(chunks: usize) -> String {
    (0..chunks).map(piece).collect()
}

/// What an agent asks with, in the Responses API: instructions, tools, and a history of messages,
/// calls and what the calls returned.
pub fn request(shape: Shape) -> Bytes {
    let mut input = turns(shape).concat();
    input.push(question());
    body(json!({
        "input": input, "store": shape.history != History::Sent, "stream": shape.stream,
    }))
}

/// The same turn by turn, for a gateway that is to have the history: what each says to the answer of
/// this id, and at last the question.
pub fn said(shape: Shape, turn: usize, previous: Option<&str>) -> Said {
    let (input, is_last) = match turns(shape).get(turn) {
        Some(input) => (input.clone(), false),
        None => (vec![question()], true),
    };
    let stream = is_last && shape.stream;
    let asked = json!({
        "input": input, "previous_response_id": previous, "store": true, "stream": stream,
    });
    Said { body: body(asked), is_last }
}

/// What is said in one turn of several.
#[derive(Debug)]
pub struct Said {
    /// The request.
    pub body: Bytes,
    /// Whether it is the question.
    pub is_last: bool,
}

fn question() -> Value {
    message("user", "input_text", "Go on.")
}

/// What is asked, with what goes along each time.
fn body(mut asked: Value) -> Bytes {
    let always = json!({
        "model": "m", "instructions": INSTRUCTIONS, "tools": tools(), "tool_choice": "auto",
        "parallel_tool_calls": false,
    });
    if let (Some(asked), Value::Object(always)) = (asked.as_object_mut(), always) {
        asked.extend(always);
    }
    Bytes::from(asked.to_string())
}

/// What was said before the question, turn by turn.
fn turns(shape: Shape) -> Vec<Vec<Value>> {
    let mut turns = vec![vec![message("user", "input_text", "Make the tests pass.")]];
    let mut size = 0;
    while size + TURN_BYTES / 2 < shape.request_bytes {
        let wanted = TURN_BYTES.min(shape.request_bytes - size);
        turns.push(turn_of(turns.len() - 1, wanted).into());
        size += wanted;
    }
    turns
}

const INSTRUCTIONS: &str = "You are an agent that works in a terminal.\nBe precise, and be brief.";

/// How much text one turn of the history holds.
pub const TURN_BYTES: usize = 4_096;

/// What the agent said and did in one turn, about `bytes` of it.
fn turn_of(number: usize, bytes: usize) -> [Value; 3] {
    let (id, said) = (format!("call_{number:08}"), lines(number, bytes / 8));
    [
        message("assistant", "output_text", &said),
        json!({"type": "function_call", "call_id": id, "name": "shell",
            "arguments": "{\"command\":[\"bash\",\"-lc\",\"sed -n '1,200p' src/main.rs\"]}"}),
        json!({"type": "function_call_output", "call_id": id, "output": lines(number, bytes * 3 / 4)}),
    ]
}

fn message(role: &str, kind: &str, text: &str) -> Value {
    json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
}

/// Lines of a program and words about it. What decides the cost of reading them is how often JSON has
/// to escape a byte: 38 times a KB here. The first request of a Codex session has 8 to 10 (0.130 to
/// 0.169, recorded), Markdown 25, source code 35 to 54.
fn lines(seed: usize, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 160);
    let mut line = seed;
    while text.len() < bytes {
        let n = line % 97;
        text.push_str(&format!("    let value_{n} = parse(\"field {n}\")?; // line {line}\n"));
        text.push_str(&format!("    // What was read before is kept as it came: {line}.\n"));
        if line.is_multiple_of(16) {
            text.push_str("    // A naïve reader would read it again.\n");
        }
        line += 1;
    }
    text
}

fn tools() -> Value {
    let tool = |name: &str, what: &str| {
        json!({"type": "function", "name": name, "description": what, "strict": false,
            "parameters": {"type": "object", "properties": {
                "command": {"type": "array", "items": {"type": "string"}},
                "workdir": {"type": "string"}, "timeout_ms": {"type": "number"}},
                "required": ["command"], "additionalProperties": false}})
    };
    json!([tool("shell", "Runs a command."), tool("update_plan", "Says what is to be done.")])
}

#[cfg(test)]
mod tests {
    use super::{Shape, request};

    #[test]
    fn a_request_has_about_the_size_that_is_asked_for() {
        for wanted in [8 << 10, 64 << 10, 1 << 20, 8 << 20] {
            let shape = Shape::stream(wanted, 1);
            let share = request(shape).len() as f64 / wanted as f64;
            assert!((0.85..1.25).contains(&share), "{share} of {wanted}");
        }
    }
}
