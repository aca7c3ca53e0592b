//! What surrounds the output of a response Latimer makes: the echo of the request, the status,
//! usage and errors. Written once per exchange, printed into every snapshot of the stream, so that
//! the object that streams and the one that comes whole are the same.

use super::kind::Status;
use super::request::Request;
use crate::error::code_of;
use crate::json::{Object, Raw};

/// Tokens that were used. All are counts of tokens; `cached`, `cache_write` are part of `input`,
/// `reasoning` is part of `output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read by the model.
    pub input: u64,
    /// Of these, taken from a cache.
    pub cached: u64,
    /// Of these, written to a cache.
    pub cache_write: u64,
    /// Made by the model.
    pub output: u64,
    /// Of these, spent on reasoning.
    pub reasoning: u64,
    /// What the backend calls the total.
    pub total: u64,
}

impl Usage {
    /// Reads a `usage` object, under the hub's names or those of Chat Completions: backends mix
    /// them. What is missing counts as 0, a missing total as the sum.
    pub fn read(usage: Raw<'_>) -> Usage {
        let members = usage.members();
        let member =
            |name: &str| members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
        let count = |names: [&str; 2]| {
            let mut values = names.into_iter().filter_map(member);
            values.find_map(Raw::count).unwrap_or_default()
        };
        let detail = |lists: [&str; 2], name: &str| {
            let mut lists = lists.into_iter().filter_map(member);
            lists.find_map(|list| list.member(name)?.count())
        };
        let inputs = ["input_tokens_details", "prompt_tokens_details"];
        let outputs = ["output_tokens_details", "completion_tokens_details"];
        let input = count(["input_tokens", "prompt_tokens"]);
        let output = count(["output_tokens", "completion_tokens"]);
        let total = member("total_tokens").and_then(Raw::count);
        let reasoning = detail(outputs, "reasoning_tokens").unwrap_or_default();
        // Some services (xAI) do not count reasoning as output; their total tells.
        let all = input.saturating_add(output).saturating_add(reasoning);
        let output = if total == Some(all) { output.saturating_add(reasoning) } else { output };
        Usage {
            input,
            cached: detail(inputs, "cached_tokens").unwrap_or_else(|| {
                // DeepSeek's name, and Moonshot's place for the usual one.
                count(["prompt_cache_hit_tokens", "cached_tokens"])
            }),
            cache_write: detail(inputs, "cache_write_tokens").unwrap_or_default(),
            output,
            reasoning,
            total: total.unwrap_or_else(|| input.saturating_add(output)),
        }
    }

    /// Appends the `usage` object with every detail.
    pub fn print(&self, out: &mut String) {
        Object::new(out)
            .number("input_tokens", self.input)
            .with("input_tokens_details", |out| {
                Object::new(out)
                    .number("cached_tokens", self.cached)
                    .number("cache_write_tokens", self.cache_write)
                    .end();
            })
            .number("output_tokens", self.output)
            .with("output_tokens_details", |out| {
                Object::new(out).number("reasoning_tokens", self.reasoning).end();
            })
            .number("total_tokens", self.total)
            .end();
    }
}

impl std::iter::Sum for Usage {
    /// What several answers used together.
    fn sum<I: Iterator<Item = Usage>>(all: I) -> Usage {
        all.fold(Usage::default(), |sum, one| Usage {
            input: sum.input.saturating_add(one.input),
            cached: sum.cached.saturating_add(one.cached),
            cache_write: sum.cache_write.saturating_add(one.cache_write),
            output: sum.output.saturating_add(one.output),
            reasoning: sum.reasoning.saturating_add(one.reasoning),
            total: sum.total.saturating_add(one.total),
        })
    }
}

/// Why a response failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The backend's own code where it gave one, else `server_error`.
    pub code: String,
    /// What happened and at which hop, for a person.
    pub message: String,
}

/// Codes for the HTTP statuses that a failed stream may name: Codex waits after the first and does
/// not try the second again (0.169, measured).
const CODE_OF_STATUS: &[(u64, &str)] = &[(429, "rate_limit_exceeded"), (400, "invalid_prompt")];

impl Failure {
    /// A service's own words for what went wrong: an object, or a plain string. Some services say
    /// the HTTP status they would have answered with.
    pub fn of(error: Raw<'_>) -> Self {
        let word = |key| error.member_text(key).filter(|word| !word.is_empty());
        let message = word("message").or_else(|| error.text());
        let message = message.unwrap_or_else(|| error.as_str().into()).into_owned();
        let status = error.member("code").and_then(Raw::count);
        let of_status = CODE_OF_STATUS.iter().find(|(known, _)| Some(*known) == status);
        let of_status = of_status.map(|(_, code)| (*code).into());
        let code = code_of(&message).map(Into::into).or(of_status).or_else(|| word("code"));
        let code = code.or_else(|| word("type")).unwrap_or("server_error".into());
        Failure { code: code.into_owned(), message }
    }

    /// The stream broke off.
    pub(crate) fn incomplete_stream() -> Self {
        Failure {
            code: "stream_incomplete".to_owned(),
            message: "the stream ended without a terminal event".to_owned(),
        }
    }

    /// Appends the `error` object of a response.
    pub fn print(&self, out: &mut String) {
        Object::new(out).text("code", &self.code).text("message", &self.message).end();
    }
}

/// Everything of a response but what the model makes.
#[derive(Debug, Clone)]
pub struct Envelope {
    head: String,
    echo: String,
    penalties: String,
    sealed: bool,
    stored: bool,
}

/// The members a response takes over from its request, and what stands there by default.
const ECHO: &[(&str, &str)] = &[
    ("background", "false"),
    ("conversation", "null"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("model", "\"\""),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", "\"default\""),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// Members that a response has only where its request has them.
const ECHO_IF_GIVEN: &[&str] = &["prompt"];

/// Those of the Open Responses specification, which OpenAI does not have.
const PENALTIES: &[(&str, &str)] = &[("frequency_penalty", "0.0"), ("presence_penalty", "0.0")];

/// About how long the members are that are neither taken over nor output.
const OTHERS_BYTES: usize = 512;

/// What a client includes that carries sealed reasoning from turn to turn.
const SEALED: &str = "reasoning.encrypted_content";

/// What a response takes over from its request, each member with a comma before it.
fn echo(request: &Request<'_>, members: &[(&str, &str)]) -> String {
    let mut echo = String::new();
    for (member, default) in members {
        let value = request.member(member).and_then(Raw::non_null);
        echo.push_str(",\"");
        echo.push_str(member);
        echo.push_str("\":");
        match value {
            // An id is a short form of the object.
            Some(id) if id.is_string() && *member == "conversation" => {
                Object::new(&mut echo).raw("id", id).end();
            }
            value => echo.push_str(value.map_or(default, Raw::as_str)),
        }
    }
    // Between the tokens of JSON a line end is as good as a space, and an event is one line.
    if memchr::memchr2(b'\n', b'\r', echo.as_bytes()).is_some() {
        echo = echo.replace(['\n', '\r'], " ");
    }
    echo
}

impl Envelope {
    /// The envelope of the answer to `request`. `id` is the response's id, `created_at` seconds
    /// since 1970.
    pub fn new(request: &Request<'_>, id: &str, created_at: u64) -> Self {
        let mut head = String::new();
        Object::new(&mut head)
            .text("id", id)
            .text("object", "response")
            .number("created_at", created_at)
            .end();
        head.pop();
        let given = ECHO_IF_GIVEN.iter().filter(|name| request.given(name).is_some());
        let given: Vec<_> = given.map(|name| (*name, "null")).collect();
        let (echo, penalties) =
            (echo(request, ECHO) + &echo(request, &given), echo(request, PENALTIES));
        Envelope { head, echo, penalties, sealed: request.includes(SEALED), stored: false }
    }

    /// Says that the response is stored.
    #[must_use]
    pub fn stored(self, stored: bool) -> Self {
        Envelope { stored, ..self }
    }

    /// Whether the client takes reasoning in a sealed form, to bring it back in the next turn.
    pub fn takes_sealed_reasoning(&self) -> bool {
        self.sealed
    }

    /// Appends the response object. `output` is the inside of the array; `reason` is why it is
    /// incomplete; `completed_at` seconds since 1970.
    pub fn print(&self, out: &mut String, output: &str, end: &Snapshot<'_>) {
        out.reserve(self.head.len() + output.len() + self.echo.len() + OTHERS_BYTES);
        out.push_str(&self.head);
        out.push_str(",\"status\":\"");
        out.push_str(end.status.name());
        out.push_str("\",\"completed_at\":");
        match end.completed_at.filter(|_| end.status == Status::Completed) {
            Some(seconds) => out.push_str(&seconds.to_string()),
            None => out.push_str("null"),
        }
        out.push_str(",\"error\":");
        match end.failure {
            Some(failure) => failure.print(out),
            None => out.push_str("null"),
        }
        out.push_str(",\"incomplete_details\":");
        match end.reason {
            Some(reason) => Object::new(out).text("reason", reason).end(),
            None => out.push_str("null"),
        }
        out.push_str(",\"output\":[");
        out.push_str(output);
        out.push_str("],\"usage\":");
        match end.usage {
            Some(usage) => usage.print(out),
            None => out.push_str("null"),
        }
        out.push_str(&self.echo);
        out.push_str(if self.stored { ",\"store\":true" } else { ",\"store\":false" });
        out.push_str(&self.penalties);
        out.push('}');
    }
}

/// How a response stands at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// Its status.
    pub status: Status,
    /// Seconds since 1970; printed when it is completed.
    pub completed_at: Option<u64>,
    /// Why it failed.
    pub failure: Option<&'a Failure>,
    /// Why it is incomplete.
    pub reason: Option<&'a str>,
    /// What it used.
    pub usage: Option<&'a Usage>,
}

impl Snapshot<'_> {
    /// A response on which work goes on.
    pub const IN_PROGRESS: Snapshot<'static> = Snapshot {
        status: Status::InProgress,
        completed_at: None,
        failure: None,
        reason: None,
        usage: None,
    };
}
