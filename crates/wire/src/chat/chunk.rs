//! One chunk of a Chat Completions stream, or a whole completion, read in one pass by borrowing.
//! Only the first choice is read. What backends do differently is kept apart here: where the
//! reasoning stands, arguments as an object, content as a list of parts.

use crate::json::{Malformed, Raw, Reader};

/// What a chunk says. A whole completion is a chunk whose delta is its message.
#[derive(Debug, Default)]
pub(super) struct Chunk<'a> {
    pub model: Option<Raw<'a>>,
    pub error: Option<Raw<'a>>,
    pub usage: Option<Raw<'a>>,
    pub finish_reason: Option<Raw<'a>>,
    pub content: Option<Raw<'a>>,
    pub reasoning: Option<Raw<'a>>,
    pub refusal: Option<Raw<'a>>,
    pub calls: Vec<Call<'a>>,
    /// Whether it had the shape of a chunk at all: `choices`, or usage, or an error.
    pub recognised: bool,
}

/// A fragment of a tool call.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub index: Option<u64>,
    pub id: Option<Raw<'a>>,
    pub name: Option<Raw<'a>>,
    /// A string, or (from some backends) the object itself.
    pub arguments: Option<Raw<'a>>,
}

impl<'a> Chunk<'a> {
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut chunk = Chunk::default();
        let mut reader = Reader::new(text);
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
            ("model", _) => self.model = reader.value()?.non_null(),
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
                    reader.object(|key, reader| choice.delta(&key, reader))?;
                    choice.number_calls();
                }
                ("error", _) => choice.error = reader.value()?.non_null(),
                ("finish_reason", _) => choice.finish_reason = reader.value()?.non_null(),
                ("index", _) => index = reader.value()?.count().unwrap_or_default(),
                _ => drop(reader.value()?),
            }
            Ok::<(), Malformed>(())
        })?;
        if index == 0 {
            self.error = self.error.or(choice.error);
            self.finish_reason = choice.finish_reason;
            self.content = choice.content;
            self.reasoning = choice.reasoning;
            self.refusal = choice.refusal;
            self.calls = choice.calls;
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
            ("content", _) => self.content = reader.value()?.non_null(),
            // Some backends send both, with the same text or one of them empty.
            ("reasoning_content" | "reasoning", _) => {
                let text = Some(reader.value()?).filter(|text| !text.inner().is_empty());
                self.reasoning = self.reasoning.or(text);
            }
            ("refusal", _) => self.refusal = reader.value()?.non_null(),
            _ => drop(reader.value()?),
        }
        Ok(())
    }
}

impl<'a> Call<'a> {
    fn member(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        match (key, reader.peek_value()) {
            ("function", Some(b'{')) => {
                return reader.object(|key, reader| {
                    let value = reader.value()?;
                    match &*key {
                        "name" => self.name = Some(value).filter(|name| name.inner() != ""),
                        "arguments" => self.arguments = value.non_null(),
                        _ => {}
                    }
                    Ok(())
                });
            }
            ("index", _) => self.index = reader.value()?.count(),
            ("id", _) => self.id = Some(reader.value()?).filter(|id| id.inner() != ""),
            _ => drop(reader.value()?),
        }
        Ok(())
    }
}
