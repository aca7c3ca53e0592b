//! A hub response as a whole completion: what its stream would have told, in one object.

use std::num::NonZeroUsize;

use super::client::Shape;
use super::lower::{literal, push_call, push_usage};
use super::said::{Said, Teller, inside};
use super::stop::StopSequences;
use crate::json::{Object, Raw};
use crate::note::Notes;
use crate::responses::{Event, Response, Usage, unfold};

/// What was told so far; texts are insides of literals.
#[derive(Default)]
struct Whole {
    text: String,
    refusal: String,
    reasoning: String,
    logprobs: String,
    annotations: String,
    calls: Vec<Call>,
    reason: &'static str,
    usage: Option<Usage>,
}

struct Call {
    id: String,
    name: String,
    custom: bool,
    arguments: String,
}

/// Appends a whole completion that says what `response` says. `created` is seconds since 1970.
pub fn push_completion(out: &mut String, response: &Response, id: &str, created: u64) {
    push_completion_in(out, response, id, created, Shape::default(), None);
}

/// Like [`push_completion`], in the form the client asked for, cut at its stop sequences. Returns
/// what the client was not told.
///
/// ```
/// use latimer_wire::chat::{Reasoning, Shape, push_completion_in};
/// use latimer_wire::responses::Response;
/// let response = Response::parse(r#"{"model":"m","status":"completed","output":[
///     {"type":"reasoning","summary":[{"type":"summary_text","text":"Hm"}]},
///     {"type":"message","content":[{"type":"output_text","text":"Hi"}]}]}"#)?;
/// let shape = Shape { reasoning: Reasoning::Tagged, ..Shape::default() };
/// let mut out = String::new();
/// push_completion_in(&mut out, &response, "chatcmpl-1", 0, shape, None);
/// assert!(out.contains(r#""content":"<think>Hm</think>\n\nHi""#));
/// # Ok::<(), latimer_wire::json::Malformed>(())
/// ```
pub fn push_completion_in(
    out: &mut String,
    response: &Response,
    id: &str,
    created: u64,
    shape: Shape,
    stop: Option<StopSequences>,
) -> Notes {
    let mut teller = Teller::new(shape, stop);
    let mut whole = Whole { reason: "stop", ..Whole::default() };
    unfold(response, NonZeroUsize::MAX, &mut |event: &Event<'_>| {
        teller.push(event, &mut |said| whole.take(said));
    });
    Object::new(out)
        .text("id", id)
        .text("object", "chat.completion")
        .number("created", created)
        .raw("model", response.json().member("model").unwrap_or(Raw::NULL))
        .with("choices", |out| whole.push_choice(out))
        .with("usage", |out| push_usage_or_null(out, whole.usage))
        .end();
    teller.notes
}

/// Appends one completion that holds the choices of `several`, numbered in their order; what each
/// used is added up where all say it. Everything else is the first's.
///
/// ```
/// use latimer_wire::chat::push_joined;
/// let answer = |text: &str| format!(
///     r#"{{"id":"1","choices":[{{"index":0,"message":{{"content":"{text}"}}}}],"usage":null}}"#);
/// let mut out = String::new();
/// push_joined(&mut out, &[&answer("Hi"), &answer("Ho")]);
/// assert_eq!(out, concat!(r#"{"id":"1","choices":[{"index":0,"message":{"content":"Hi"}},"#,
///     r#"{"index":1,"message":{"content":"Ho"}}],"usage":null}"#));
/// ```
pub fn push_joined(out: &mut String, several: &[&str]) {
    let all: Vec<Raw<'_>> = several.iter().filter_map(|one| Raw::parse(one).ok()).collect();
    let members = |key: &'static str| all.iter().map(move |one| one.member(key));
    let choices = members("choices").flatten().flat_map(Raw::elements);
    let usage: Option<Usage> =
        members("usage").map(|usage| usage?.non_null().map(Usage::read)).sum();
    let first = all.first().map(|first| first.members()).unwrap_or_default();
    let mut object = Object::new(out);
    for (key, value) in first {
        object = match &*key {
            "choices" => {
                object.list("choices", (0..).zip(choices.clone()), |out, (index, choice)| {
                    push_numbered(out, index, choice);
                })
            }
            "usage" => object.with("usage", |out| push_usage_or_null(out, usage)),
            _ => object.member(&key, value),
        };
    }
    object.end();
}

fn push_numbered(out: &mut String, index: u64, choice: Raw<'_>) {
    let mut object = Object::new(out);
    for (key, value) in choice.members() {
        object = match &*key {
            "index" => object.number("index", index),
            _ => object.member(&key, value),
        };
    }
    object.end();
}

fn push_usage_or_null(out: &mut String, usage: Option<Usage>) {
    match usage {
        Some(usage) => push_usage(out, usage),
        None => out.push_str("null"),
    }
}

impl Whole {
    fn take(&mut self, said: Said<'_>) {
        match said {
            Said::Text { inner, logprobs } => {
                self.text.push_str(inner);
                self.weigh(logprobs.map(inside).unwrap_or_default());
            }
            Said::Logprobs { inner } => self.weigh(inner),
            Said::Refusal { inner } => self.refusal.push_str(inner),
            Said::Reasoning { inner } => self.reasoning.push_str(inner),
            Said::Call { id, name, custom, .. } => {
                let (id, name, arguments) = (id.to_owned(), name.to_owned(), String::new());
                self.calls.push(Call { id, name, custom, arguments });
            }
            Said::Arguments { index, inner, .. } => {
                let call = usize::try_from(index).ok().and_then(|index| self.calls.get_mut(index));
                call.into_iter().for_each(|call| call.arguments.push_str(inner));
            }
            Said::Annotations { inner } => self.annotations.push_str(inner),
            Said::Finish { reason, usage } => {
                self.reason = reason;
                self.usage = usage.non_null().map(Usage::read);
            }
            Said::Begin | Said::Failed { .. } => {}
        }
    }

    fn weigh(&mut self, inner: &str) {
        if !self.logprobs.is_empty() && !inner.is_empty() {
            self.logprobs.push(',');
        }
        self.logprobs.push_str(inner);
    }

    fn push_choice(&self, out: &mut String) {
        out.push_str("[{\"index\":0,\"message\":");
        let mut message = Object::new(out).text("role", "assistant");
        message = match self.text.is_empty() && !(self.calls.is_empty() && self.refusal.is_empty())
        {
            true => message.null("content"),
            false => literal(message, "content", &self.text),
        };
        for (member, inner) in [("refusal", &self.refusal), ("reasoning_content", &self.reasoning)]
        {
            message = match inner.is_empty() {
                true if member == "refusal" => message.null(member),
                true => message,
                false => literal(message, member, inner),
            };
        }
        if !self.annotations.is_empty() {
            let list = format!("[{}]", self.annotations);
            message = message.raw("annotations", Raw::trusted(&list));
        }
        if !self.calls.is_empty() {
            message = message.list("tool_calls", &self.calls, |out, call| {
                push_call(out, None, &call.id, &call.name, call.custom, &call.arguments);
            });
        }
        message.end();
        if !self.logprobs.is_empty() {
            out.push_str(",\"logprobs\":");
            let list = format!("[{}]", self.logprobs);
            Object::new(out).raw("content", Raw::trusted(&list)).null("refusal").end();
        }
        out.push_str(",\"finish_reason\":\"");
        out.push_str(self.reason);
        out.push_str("\"}]");
    }
}
