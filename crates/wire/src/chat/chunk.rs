//! One chunk of a Chat Completions stream, or a whole completion, read in one pass by borrowing.
//! Only the first choice is read. What backends do differently is kept apart here: where the
//! reasoning stands, arguments as an object, content as a list of parts.

use std::borrow::Cow;

use crate::json::{Malformed, Raw, Reader};

/// What a chunk says. A whole completion is a chunk whose delta is its message.
#[derive(Debug, Default)]
pub(super) struct Chunk<'a> {
    pub error: Option<Raw<'a>>,
    pub usage: Option<Raw<'a>>,
    pub finish_reason: Option<Raw<'a>>,
    pub content: Option<Raw<'a>>,
    pub reasoning: Option<Raw<'a>>,
    pub refusal: Option<Raw<'a>>,
    pub calls: Vec<Call<'a>>,
    pub annotations: Option<Raw<'a>>,
    /// The log probabilities of the content, an array.
    pub logprobs: Option<Raw<'a>>,
    /// Reasoning in pieces (OpenRouter), read where it came in no other form.
    pub reasoning_details: Option<Raw<'a>>,
    /// Names of what came and has no form in the hub.
    pub lost: Vec<Cow<'a, str>>,
    /// It holds a whole message, not a delta.
    pub whole: bool,
    /// Whether it had the shape of a chunk at all: `choices`, or usage, or an error.
    pub recognised: bool,
}

/// A fragment of a tool call.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub index: Option<u64>,
    pub id: Option<Raw<'a>>,
    /// It calls a freeform tool, and its arguments are that tool's text.
    pub custom: bool,
    pub name: Option<Raw<'a>>,
    /// What the backend wants back with the call: an object.
    pub extra_content: Option<Raw<'a>>,
    /// A string, or (from some backends) the object itself.
    pub arguments: Option<Raw<'a>>,
}

/// What the chunks of a stream have in common: most differ from the one before in their text alone, so
/// that only the text has to be read.
#[derive(Debug, Default)]
pub(super) struct Mould {
    before: String,
    after: String,
}

impl Mould {
    /// The chunk, where it is one more of the same with another text.
    pub fn cast<'a>(&self, data: &'a str) -> Option<Chunk<'a>> {
        let rest = data.strip_prefix(&*self.before).filter(|_| !self.before.is_empty())?;
        let text =
            Raw::parse(rest.strip_suffix(&*self.after)?).ok().filter(|text| text.is_string());
        Some(Chunk { content: Some(text?), recognised: true, ..Chunk::default() })
    }

    /// Takes the mould of a chunk that says a text and nothing else.
    pub fn take(&mut self, data: &str, chunk: &Chunk<'_>) {
        let Some(text) = chunk.content.filter(|text| text.is_string() && chunk.is_plain()) else {
            return;
        };
        let from = text.as_str().as_ptr() as usize - data.as_ptr() as usize;
        let around = data.get(..from).zip(data.get(from + text.as_str().len()..));
        if let Some((before, after)) = around {
            before.clone_into(&mut self.before);
            after.clone_into(&mut self.after);
        }
    }
}

/// Members of a message that are no content: who speaks, and what a backend keeps for itself.
const NOT_CONTENT: &[&str] = &["name", "provider_specific_fields", "role", "token_ids"];

/// Whether a value is more than the place for one.
fn says_something(value: Raw<'_>) -> bool {
    !matches!(value.as_str(), "null" | "\"\"" | "[]" | "{}" | "false")
}

impl<'a> Chunk<'a> {
    /// Whether it says nothing but its content.
    fn is_plain(&self) -> bool {
        let others = [
            self.error,
            self.usage,
            self.finish_reason,
            self.reasoning,
            self.refusal,
            self.annotations,
            self.logprobs,
            self.reasoning_details,
        ];
        others.iter().all(Option::is_none)
            && self.calls.is_empty()
            && self.lost.is_empty()
            && self.recognised
            && !self.whole
    }

    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut chunk = Chunk::default();
        // What is taken over as it is stands up to two levels deeper in an event.
        let mut reader = Reader::at_depth(text, 2);
        let mut object = None;
        reader.object(|key, reader| match &*key {
            "object" => reader.value().map(|value| object = value.text()),
            key => chunk.member(key, reader),
        })?;
        reader.finish()?;
        if object.as_deref() == Some("error") {
            // An error that is the whole chunk, as older vLLM sends it.
            chunk.error = chunk.error.or(Some(Raw::parse(text)?));
            chunk.recognised = true;
        }
        Ok(chunk)
    }

    fn member(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        match (key, reader.peek_value()) {
            ("choices", Some(b'[')) => {
                self.recognised = true;
                return reader.array(|_, reader| self.choice(reader));
            }
            ("error", _) => self.error = reader.value()?.non_null(),
            ("usage", _) => self.usage = reader.value()?.non_null(),
            // What was read on the web (Perplexity), without a place in the text.
            ("citations" | "search_results", _) => {
                if says_something(reader.value()?) {
                    self.lost.push(Cow::Owned(key.to_owned()));
                }
            }
            _ => drop(reader.value()?),
        }
        self.recognised |= self.error.is_some() || self.usage.is_some();
        Ok(())
    }

    fn choice(&mut self, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        let mut choice = Chunk::default();
        let mut index = 0;
        if reader.peek_value() != Some(b'{') {
            return reader.value().map(drop);
        }
        reader.object(|key, reader| {
            match (&*key, reader.peek_value()) {
                ("delta", Some(b'{')) => {
                    return reader.object(|key, reader| choice.delta(&key, reader));
                }
                ("message", Some(b'{')) => {
                    choice.whole = true;
                    reader.object(|key, reader| choice.delta(&key, reader))?;
                    choice.number_calls();
                }
                ("error", _) => choice.error = reader.value()?.non_null(),
                ("logprobs", _) => {
                    choice.logprobs = reader.value()?.member("content").filter(|l| l.is_array());
                }
                ("finish_reason", _) => choice.finish_reason = reader.value()?.non_null(),
                ("index", _) => index = reader.value()?.count().unwrap_or_default(),
                _ => drop(reader.value()?),
            }
            Ok::<(), Malformed>(())
        })?;
        if index == 0 {
            let error = self.error.or(choice.error);
            let usage = self.usage;
            choice.lost.append(&mut self.lost);
            *self = Chunk { error, usage, recognised: true, ..choice };
        } else {
            self.lost.push(Cow::Borrowed("a choice beside the first"));
        }
        Ok(())
    }

    /// The calls of a whole message are told apart by their place, where nothing else does.
    fn number_calls(&mut self) {
        for (place, call) in (0..).zip(&mut self.calls) {
            call.index.get_or_insert(place);
        }
    }

    fn delta(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        match (key, reader.peek_value()) {
            ("tool_calls", Some(b'[')) => {
                return reader.array(|_, reader| {
                    let mut call = Call::default();
                    if reader.peek_value() == Some(b'{') {
                        reader.object(|key, reader| call.member(&key, reader))?;
                        self.calls.push(call);
                        return Ok(());
                    }
                    reader.value().map(drop)
                });
            }
            ("function_call", Some(b'{')) => {
                let mut call = Call { index: Some(0), ..Call::default() };
                call.function(reader)?;
                self.calls.push(call);
            }
            ("annotations", _) => self.annotations = reader.value()?.non_null(),
            ("reasoning_details", _) => self.reasoning_details = reader.value()?.non_null(),
            ("content", _) => self.content = reader.value()?.non_null(),
            // Some backends send both, with the same text or one of them empty.
            ("reasoning_content" | "reasoning", _) => {
                let text = Some(reader.value()?).filter(|text| !text.inner().is_empty());
                self.reasoning = self.reasoning.or(text);
            }
            ("refusal", _) => self.refusal = reader.value()?.non_null(),
            _ if NOT_CONTENT.contains(&key) => drop(reader.value()?),
            _ if says_something(reader.value()?) => self.lost.push(Cow::Owned(key.to_owned())),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Call<'a> {
    fn member(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        match (key, reader.peek_value()) {
            ("function", Some(b'{')) => return self.function(reader),
            ("custom", Some(b'{')) => {
                self.custom = true;
                return self.function(reader);
            }
            ("index", _) => self.index = reader.value()?.count(),
            ("extra_content", Some(b'{')) => self.extra_content = Some(reader.value()?),
            ("id", _) => self.id = Some(reader.value()?).filter(|id| id.inner() != ""),
            _ => drop(reader.value()?),
        }
        Ok(())
    }

    fn function(&mut self, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        reader.object(|key, reader| {
            let value = reader.value()?;
            match &*key {
                "name" => self.name = Some(value).filter(|name| name.inner() != ""),
                "arguments" | "input" => self.arguments = value.non_null(),
                _ => {}
            }
            Ok(())
        })
    }
}
