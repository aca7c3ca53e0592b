//! Hub events as a Chat Completions stream.

use super::client::Shape;
use super::normal::CallDelta;
use super::said::{Said, Teller};
use super::stop::StopSequences;
use crate::json::{Object, Raw};
use crate::note::Notes;
use crate::responses::{Event, Usage};
use crate::sse;

/// Turns hub events into chunks, as frames of server-sent events. The events have to keep to the
/// grammar: a stream from elsewhere goes through [`Mend`](crate::responses::Mend) first.
///
/// ```
/// use latimer_wire::chat::{Lower, StopSequences};
/// use latimer_wire::responses::Event;
/// let mut lower = Lower::new("chatcmpl-1", "m", 0, false).with_stop(StopSequences::new(["END".to_owned()]));
/// let mut out = String::new();
/// for delta in ["one EN", "D two"] {
///     let event = format!(r#"{{"type":"response.output_text.delta","delta":"{delta}"}}"#);
///     lower.push(&Event::parse(&event, None)?, &mut out);
/// }
/// assert!(lower.stopped());
/// lower.end(&mut out);
/// assert!(out.contains(r#"{"content":"one "}"#) && !out.contains("two"));
/// assert!(out.contains(r#""finish_reason":"stop""#) && out.ends_with("data: [DONE]\n\n"));
/// # Ok::<(), latimer_wire::json::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Lower {
    chunks: Chunks,
    teller: Teller,
    shape: Shape,
    stop: Option<StopSequences>,
}

/// Writes chunks of one answer, each as a frame of server-sent events.
#[derive(Debug, Clone)]
pub struct Chunks {
    /// The members that every chunk begins with, as an open object.
    head: String,
    include_usage: bool,
    /// Which of several answers this is; `None` where it is alone.
    choice: Option<u64>,
}

impl Lower {
    /// `created` is seconds since 1970; `include_usage` asks for a chunk with the usage at the end.
    pub fn new(id: &str, model: &str, created: u64, include_usage: bool) -> Self {
        let chunks = Chunks { include_usage, ..Chunks::new(id, model, created) };
        Lower { chunks, teller: Teller::default(), shape: Shape::default(), stop: None }
    }

    /// The form in which the client wants its answer. To be said before the first event.
    #[must_use]
    pub fn with_shape(self, shape: Shape) -> Self {
        Lower { teller: Teller::new(shape, self.stop.clone()), shape, ..self }
    }

    /// Cuts the text at stop sequences. To be said before the first event.
    #[must_use]
    pub fn with_stop(self, stop: StopSequences) -> Self {
        Lower { teller: Teller::new(self.shape, Some(stop.clone())), stop: Some(stop), ..self }
    }

    /// Makes this the answer number `choice` of several that share one stream: it ends with its finish
    /// reason, and [`Lower::close`] ends the stream once for all of them.
    #[must_use]
    pub fn with_choice(self, choice: u64) -> Self {
        Lower { chunks: Chunks { choice: Some(choice), ..self.chunks }, ..self }
    }

    /// Whether a stop sequence was met: nothing more is said but the end, which comes with the
    /// terminal event, or with [`Lower::end`] where that is not waited for.
    pub fn stopped(&self) -> bool {
        self.teller.stopped()
    }

    /// What the client was not told.
    pub fn notes(&self) -> &Notes {
        &self.teller.notes
    }

    /// Appends the frames that `event` becomes; most become one or none.
    pub fn push(&mut self, event: &Event<'_>, out: &mut String) {
        let chunks = &self.chunks;
        self.teller.push(event, &mut |said| chunks.write(said, out));
    }

    /// Ends the answer at a stop sequence, without its usage.
    pub fn end(&mut self, out: &mut String) {
        let chunks = &self.chunks;
        self.teller.end("stop", Raw::NULL, &mut |said| chunks.write(said, out));
    }

    /// Ends a stream that several answers share, with what all of them used. An answer that is alone
    /// has said its end.
    pub fn close(&self, usage: Option<Usage>, out: &mut String) {
        if self.chunks.choice.is_some() {
            self.chunks.close(usage, out);
        }
    }
}

impl Chunks {
    /// Chunks of the answer `id` by `model`; `created` is seconds since 1970.
    pub fn new(id: &str, model: &str, created: u64) -> Self {
        let mut head = String::new();
        Object::new(&mut head)
            .text("id", id)
            .text("object", "chat.completion.chunk")
            .number("created", created)
            .text("model", model)
            .end();
        head.pop();
        Chunks { head, include_usage: false, choice: None }
    }

    /// Appends a chunk with more of the answer.
    pub fn text(&self, out: &mut String, delta: &str) {
        self.delta(out, None, |object| object.text("content", delta));
    }

    /// Appends a chunk with more of the reasoning.
    pub fn reasoning(&self, out: &mut String, delta: &str) {
        self.delta(out, None, |object| object.text("reasoning_content", delta));
    }

    /// Appends a chunk with more of a call. Its index in Chat counts the calls alone.
    pub fn call(&self, out: &mut String, call: &CallDelta<'_>) {
        self.delta(out, None, |object| {
            object.list("tool_calls", [()], |out, ()| {
                let mut object = Object::new(out).number("index", call.index);
                if let Some(id) = &call.id {
                    object = object.text("id", id).text("type", "function");
                }
                object
                    .with("function", |out| {
                        let function = Object::new(out);
                        match &call.name {
                            Some(name) => function.text("name", name),
                            None => function,
                        }
                        .text("arguments", &call.arguments)
                        .end();
                    })
                    .end();
            })
        });
    }

    fn write(&self, said: Said<'_>, out: &mut String) {
        match said {
            Said::Begin => {
                self.delta(out, None, |delta| delta.text("role", "assistant").text("content", ""));
            }
            Said::Text { inner, logprobs } => {
                self.delta(out, logprobs, |delta| literal(delta, "content", inner));
            }
            Said::Refusal { inner } => {
                self.delta(out, None, |delta| literal(delta, "refusal", inner));
            }
            Said::Reasoning { inner } => {
                self.delta(out, None, |delta| literal(delta, "reasoning_content", inner));
            }
            Said::Call { index, id, name, custom } => self.delta(out, None, |delta| {
                delta.list("tool_calls", [()], |out, ()| {
                    push_call(out, Some(index), id, name, custom, "");
                })
            }),
            Said::Arguments { index, inner, custom } => self.delta(out, None, |delta| {
                delta.list("tool_calls", [()], |out, ()| push_fragment(out, index, inner, custom))
            }),
            Said::Annotations { inner } => self.delta(out, None, |delta| {
                delta.raw("annotations", Raw::trusted(&format!("[{inner}]")))
            }),
            Said::Logprobs { .. } => {}
            Said::Finish { reason, usage } => self.finish(out, reason, usage),
            Said::Failed { error } => {
                let mut data = String::new();
                Object::new(&mut data).with("error", |out| push_error(out, error)).end();
                sse::encode(out, None, &data);
            }
        }
    }

    fn delta(
        &self,
        out: &mut String,
        logprobs: Option<Raw<'_>>,
        write: impl FnOnce(Object<'_>) -> Object<'_>,
    ) {
        self.chunk(out, |data| {
            self.begin_choice(data);
            write(Object::new(data)).end();
            if let Some(list) = logprobs {
                data.push_str(",\"logprobs\":");
                Object::new(data).raw("content", list).null("refusal").end();
            }
            data.push_str(",\"finish_reason\":null}]");
        });
    }

    fn chunk(&self, out: &mut String, write: impl FnOnce(&mut String)) {
        let mut data = self.head.clone();
        write(&mut data);
        data.push('}');
        sse::encode(out, None, &data);
    }

    fn finish(&self, out: &mut String, reason: &str, usage: Raw<'_>) {
        self.chunk(out, |data| {
            self.begin_choice(data);
            data.push_str("{},\"finish_reason\":\"");
            data.push_str(reason);
            data.push_str("\"}]");
        });
        if self.choice.is_none() {
            self.close(usage.non_null().map(Usage::read), out);
        }
    }

    /// Begins the one choice of a chunk, up to the value of its delta.
    fn begin_choice(&self, data: &mut String) {
        match self.choice.unwrap_or_default() {
            0 => data.push_str(",\"choices\":[{\"index\":0,\"delta\":"),
            choice => {
                data.push_str(",\"choices\":[{\"index\":");
                data.push_str(&choice.to_string());
                data.push_str(",\"delta\":");
            }
        }
    }

    /// The usage, where it is known and wanted, and the end.
    fn close(&self, usage: Option<Usage>, out: &mut String) {
        if let Some(usage) = usage.filter(|_| self.include_usage) {
            self.chunk(out, |data| {
                data.push_str(",\"choices\":[],\"usage\":");
                push_usage(data, usage);
            });
        }
        sse::encode(out, None, "[DONE]");
    }
}

/// A string member by the inside of its literal.
pub(super) fn literal<'o>(object: Object<'o>, key: &'static str, inner: &str) -> Object<'o> {
    object.with(key, |out| {
        out.push('"');
        out.push_str(inner);
        out.push('"');
    })
}

/// Appends a call; texts are insides of literals. One that begins has no arguments yet.
pub(super) fn push_call(
    out: &mut String,
    index: Option<u64>,
    id: &str,
    name: &str,
    custom: bool,
    arguments: &str,
) {
    let (kind, text) = if custom { ("custom", "input") } else { ("function", "arguments") };
    let mut call = Object::new(out);
    if let Some(index) = index {
        call = call.number("index", index);
    }
    literal(call, "id", id)
        .text("type", kind)
        .with(kind, |out| {
            literal(literal(Object::new(out), "name", name), text, arguments).end();
        })
        .end();
}

pub(super) fn push_fragment(out: &mut String, index: u64, arguments: &str, custom: bool) {
    let (kind, text) = if custom { ("custom", "input") } else { ("function", "arguments") };
    Object::new(out)
        .number("index", index)
        .with(kind, |out| literal(Object::new(out), text, arguments).end())
        .end();
}

/// The error of a response with the members that the SDKs look for.
fn push_error(out: &mut String, error: Raw<'_>) {
    let mut object = Object::new(out);
    for (key, value) in error.members() {
        object = object.member(&key, value);
    }
    for (key, default) in [("type", "\"server_error\""), ("param", "null")] {
        if error.member(key).is_none() {
            object = object.raw(key, Raw::trusted(default));
        }
    }
    object.end();
}

pub(super) fn push_usage(out: &mut String, usage: Usage) {
    Object::new(out)
        .number("prompt_tokens", usage.input)
        .number("completion_tokens", usage.output)
        .number("total_tokens", usage.total)
        .with("prompt_tokens_details", |out| {
            Object::new(out)
                .number("cached_tokens", usage.cached)
                .number("cache_write_tokens", usage.cache_write)
                .end();
        })
        .with("completion_tokens_details", |out| {
            Object::new(out).number("reasoning_tokens", usage.reasoning).end();
        })
        .end();
}
