//! Exchanges as OpenTelemetry traces: JSON of OTLP/HTTP with the semantic conventions for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>, read in version 1.37). In: exchanges in their
//! places. Out: one `ExportTraceServiceRequest`: a trace for each turn, a span for each exchange and for
//! the tools that ran before it. Texts are left out, as the conventions ask for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};

use latimer_wire::json::{Object, push_string};

use crate::summary::{Facts, Placed};

/// Kinds of spans (`SpanKind` of OTLP).
const INTERNAL: u64 = 1;
const CLIENT: u64 = 3;
/// The code of a status that is an error (`StatusCode` of OTLP).
const ERROR: u64 = 2;

/// Traces in the making.
#[derive(Debug, Default)]
pub struct Traces {
    spans: u64,
}

impl Traces {
    /// Writes what stands before the spans.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn begin(out: &mut dyn Write) -> io::Result<Traces> {
        let mut head = String::from("{\"resourceSpans\":[{\"resource\":{\"attributes\":");
        Attributes::new(&mut head).text("service.name", "latimer").end();
        head.push_str("},\"scopeSpans\":[{\"scope\":{\"name\":\"latimer\",\"version\":");
        push_string(&mut head, env!("CARGO_PKG_VERSION"));
        head.push_str("},\"spans\":[\n");
        out.write_all(head.as_bytes())?;
        Ok(Traces::default())
    }

    /// Writes the spans of an exchange; one without a time has none.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn exchange(&mut self, placed: &Placed<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Some(at_unix_ms) = placed.facts.at_unix_ms else { return Ok(()) };
        let began_us = at_unix_ms.saturating_mul(1000);
        let place = Place::of(placed);
        if let Some(took) = placed.facts.times.tools_us {
            let span = Span {
                place: &place,
                name: "execute_tool".to_owned(),
                kind: INTERNAL,
                from_us: began_us.saturating_sub(took as i64),
                to_us: began_us,
            };
            self.write(
                out,
                &span.print(
                    "tools",
                    |attributes| attributes.text("gen_ai.operation.name", "execute_tool"),
                    None,
                ),
            )?;
        }
        let facts = placed.facts;
        let took = facts.times.duration_us.unwrap_or_default() as i64;
        let model = facts.model.as_deref().unwrap_or_default();
        let span = Span {
            place: &place,
            name: format!("chat {model}").trim_end().to_owned(),
            kind: CLIENT,
            from_us: began_us,
            to_us: began_us.saturating_add(took),
        };
        let error = facts.outcome.is_error().then(|| facts.error.as_deref().unwrap_or_default());
        self.write(out, &span.print("chat", |attributes| described(attributes, placed), error))
    }

    /// Writes what stands after the spans.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"\n]}]}]}\n")
    }

    fn write(&mut self, out: &mut dyn Write, span: &str) -> io::Result<()> {
        if self.spans > 0 {
            out.write_all(b",\n")?;
        }
        self.spans += 1;
        out.write_all(span.as_bytes())
    }
}

/// What the conventions say about a request to a model.
fn described<'o>(attributes: Attributes<'o>, placed: &Placed<'_>) -> Attributes<'o> {
    let Facts { model, tokens, status, error, outcome, times, .. } = placed.facts;
    let attributes = attributes
        .text("gen_ai.operation.name", "chat")
        .text_if("gen_ai.request.model", model.as_deref())
        .text_if("gen_ai.conversation.id", Some(placed.session).filter(|id| !id.is_empty()))
        .number_if("gen_ai.usage.input_tokens", tokens.map(|used| used.input))
        .number_if("gen_ai.usage.output_tokens", tokens.map(|used| used.output))
        .number_if("gen_ai.usage.cache_read.input_tokens", tokens.map(|used| used.cached))
        .number_if("gen_ai.usage.cache_creation.input_tokens", tokens.map(|used| used.cache_write))
        .number_if("http.response.status_code", status.map(u64::from))
        .number_if("latimer.first_event_us", times.first_event_us)
        .number_if("latimer.turn", (placed.turn > 0).then_some(placed.turn))
        .text("latimer.outcome", outcome.name());
    let kind = error.as_deref().filter(|_| outcome.is_error());
    attributes.text_if("error.type", kind.and_then(|error| error.split(':').next()))
}

/// Where a span belongs.
struct Place {
    trace: String,
    number: u64,
}

impl Place {
    /// One trace for a turn; what is in no session is a trace of its own.
    fn of(placed: &Placed<'_>) -> Place {
        let alone = if placed.turn == 0 { placed.facts.number } else { 0 };
        let half = |salt: u8| digest(&(salt, placed.session, placed.turn, alone));
        Place { trace: format!("{}{}", half(1), half(2)), number: placed.facts.number }
    }
}

/// Sixteen hexadecimal digits that are the same each time, and never all zero.
fn digest(of: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("{:016x}", hasher.finish().max(1))
}

struct Span<'p> {
    place: &'p Place,
    name: String,
    kind: u64,
    from_us: i64,
    to_us: i64,
}

impl Span<'_> {
    fn print(
        &self,
        what: &str,
        describe: impl FnOnce(Attributes<'_>) -> Attributes<'_>,
        error: Option<&str>,
    ) -> String {
        let mut span = String::new();
        // 64-bit numbers are strings in the JSON of Protocol Buffers.
        let nanoseconds = |us: i64| (i128::from(us) * 1000).max(0).to_string();
        let object = Object::new(&mut span)
            .text("traceId", &self.place.trace)
            .text("spanId", &digest(&(what, &self.place.trace, self.place.number)))
            .text("name", &self.name)
            .number("kind", self.kind)
            .text("startTimeUnixNano", &nanoseconds(self.from_us))
            .text("endTimeUnixNano", &nanoseconds(self.to_us))
            .with("attributes", |out| describe(Attributes::new(out)).end());
        let object = match error {
            Some(error) => object.with("status", |out| {
                Object::new(out).number("code", ERROR).text("message", error).end();
            }),
            None => object,
        };
        object.end();
        span
    }
}

/// A list of attributes in the making.
struct Attributes<'o> {
    out: &'o mut String,
    separator: char,
}

impl<'o> Attributes<'o> {
    fn new(out: &'o mut String) -> Self {
        Attributes { out, separator: '[' }
    }

    fn add(self, key: &str, kind: &'static str, value: &str) -> Self {
        self.out.push(self.separator);
        Object::new(self.out)
            .text("key", key)
            .with("value", |out| Object::new(out).text(kind, value).end())
            .end();
        Attributes { separator: ',', ..self }
    }

    fn text(self, key: &str, value: &str) -> Self {
        self.add(key, "stringValue", value)
    }

    fn text_if(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    fn number_if(self, key: &str, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.add(key, "intValue", &value.to_string()),
            None => self,
        }
    }

    fn end(self) {
        if self.separator == '[' {
            self.out.push('[');
        }
        self.out.push(']');
    }
}
