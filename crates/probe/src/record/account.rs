//! What Latimer itself notes down beside request and response: the object under the key `latimer` of
//! a line. [`Account`] is that object, [`Incident`] what stands there in a line that holds no
//! exchange but a word of the recorder about the recording. Both are written and read by the same
//! types, from which [`mod@crate::record::schema`] is made. `docs/record.md` says it in prose.

use std::collections::BTreeMap;

use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::arrivals::Frames;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The whole answer was given.
    Completed,
    /// The model stopped early, by a limit.
    Incomplete,
    /// The answer failed, before or while it was given.
    Failed,
    /// The client left.
    Cancelled,
}

impl Outcome {
    /// What the `status` of a whole response says; one without is complete.
    pub fn of(response: Raw<'_>) -> Outcome {
        match response.member_text("status").as_deref() {
            Some("incomplete") => Outcome::Incomplete,
            Some("failed") => Outcome::Failed,
            Some("cancelled") => Outcome::Cancelled,
            _ => Outcome::Completed,
        }
    }

    /// What the recording calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Incomplete => "incomplete",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// What Latimer notes down about one exchange. A key that is not known is left out; times are
/// counted from the moment at which the head of the request had come, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Account {
    /// The id of the exchange, unique, in the order of time (UUIDv7 without hyphens).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The session as the client names it: one run of an agent, with all its threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The thread: one conversation; that of a sub-agent is its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The turn: what one input of the user sets off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// The thread that started this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_thread: Option<String>,
    /// What kind of sub-agent asks: `collab_spawn`, `review`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subagent: Option<String>,
    /// What is asked for: `turn`, `compaction`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_kind: Option<String>,
    /// Which way it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Passage>,
    /// The address of the backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// How often the backend was asked; 2 where a reused connection had died or refused the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Which attempt of the client's this is, from 2 on: the same request came again in the same
    /// session after an exchange that was not completed. Left out where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The id of the attempt before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// When the first byte of the answer's body went to the client, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// When the first byte of the answer's body went to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// When the first frame was complete: an event of a stream, a message of a WebSocket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event_us: Option<u64>,
    /// When each frame of the recorded body was complete: the first since the beginning, each other
    /// since the one before it. Frames that one read brought came at the same time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames_us: Vec<u64>,
    /// How many more frames the recorded body has, whose times were not kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub frames_left_out: u64,
    /// The size of the request's body as it came over the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<u64>,
    /// How much of the end of the request's body is not in the record, of the size over the wire.
    #[serde(skip_serializing_if = "is_zero")]
    pub request_left_out_bytes: u64,
    /// The exchange was over before the request's body was: the client broke off, or the backend did not
    /// wait for the rest.
    #[serde(rename = "request_unfinished", skip_serializing_if = "std::ops::Not::not")]
    pub is_request_unfinished: bool,
    /// What the request's body was compressed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_coding: Option<String>,
    /// The size of the answer's body as it went to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u64>,
    /// What the answer's body was compressed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_coding: Option<String>,
    /// How much of the end of the answer's body is not in the record, of the size over the wire.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out_bytes: u64,
    /// The fields that came behind the answer's body (RFC 9110, 6.5); values that may be secret are
    /// `[REDACTED]`, as in headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub trailers: BTreeMap<String, String>,
    /// The WebSocket connection this exchange is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<Socket>,
    /// The tokens used, as the answer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Tokens>,
    /// What a translation lost or changed.
    pub notes: Vec<Remark>,
    /// The `sha256` of the line that the same writer wrote before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_sha256: Option<String>,
    /// SHA-256 of the line as far as it stands before this member (see [`crate::seal`]), in
    /// hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The way of an exchange through Latimer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Passage {
    /// Where it came in: `responses`, `chat`, `completions`, `embeddings`, `models`, `state`; for `latimer
    /// capture` the name of the channel.
    pub door: String,
    /// How the answer came back: `pass` (untouched), `lift` (Chat to Responses), `lower` (Responses
    /// to Chat). Left out where it did not come so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// What the backend speaks: `chat`, `responses`. Left out where nothing depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
}

/// The place of an exchange in a WebSocket connection: one message of the client, and what the server
/// said until the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Socket {
    /// The id of the connection, the same for all its exchanges.
    pub connection: String,
    /// Which message of the client this is, from 1 on; 0 for what the server said before it.
    pub message: u64,
    /// The control frames that passed in either direction until the client's next message, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub control: Vec<Control>,
    /// How many more there were (1,024 are kept).
    #[serde(skip_serializing_if = "is_zero")]
    pub control_left_out: u64,
}

/// How many control frames of an exchange are kept.
const CONTROL_MAX: usize = 1_024;

impl Socket {
    /// Takes a control frame.
    pub fn passed(&mut self, frame: Control) {
        match self.control.len() < CONTROL_MAX {
            true => self.control.push(frame),
            false => self.control_left_out += 1,
        }
    }
}

/// A control frame of a WebSocket (RFC 6455, 5.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Control {
    /// When it passed.
    pub at_us: u64,
    /// Who sent it.
    pub by: Side,
    /// What it is.
    pub kind: ControlKind,
    /// Why the connection is closed (RFC 6455, 7.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The reason of a close, the payload of another; bytes that are not UTF-8 are U+FFFD.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Whoever asks.
    Client,
    /// Whoever answers.
    Server,
}

/// The kinds of control frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ControlKind {
    /// Asks for a pong.
    Ping,
    /// Answers a ping, or says that its sender lives.
    Pong,
    /// Ends the connection.
    Close,
}

/// Tokens that were used. The cached and the written ones are part of the input, those of reasoning
/// are part of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tokens {
    /// Read by the model.
    pub input: u64,
    /// Of these, taken from a cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached: u64,
    /// Of these, written to a cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write: u64,
    /// Made by the model.
    pub output: u64,
    /// Of these, spent on reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning: u64,
    /// What the backend calls the total.
    pub total: u64,
}

impl Account {
    /// Takes over what was used.
    pub fn used(&mut self, usage: Option<responses::Usage>) {
        self.usage = usage.map(Tokens::from);
    }

    /// Takes over what was lost; the last remark may say how many more there were.
    pub fn remark(&mut self, notes: &Notes) {
        let remark = |code: &str, detail: &str| Remark { code: code.into(), detail: detail.into() };
        self.notes = notes.list().iter().map(|note| remark(note.code, &note.detail)).collect();
        if notes.more() > 0 {
            self.notes.push(remark("more_notes", &notes.more().to_string()));
        }
    }

    /// Takes over when the frames of the answer came: microseconds since the beginning, in order.
    pub fn arrived(&mut self, frames: Frames) {
        self.first_event_us = frames.deltas_us.first().copied();
        self.frames_us = frames.deltas_us;
        self.frames_left_out = frames.left_out;
    }
}

impl From<responses::Usage> for Tokens {
    fn from(usage: responses::Usage) -> Tokens {
        let responses::Usage { input, cached, cache_write, output, reasoning, total } = usage;
        Tokens { input, cached, cache_write, output, reasoning, total }
    }
}

/// Something that a translation lost or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Remark {
    /// What kind of loss, one of a small set of names.
    pub code: String,
    /// What it concerns, for a person.
    pub detail: String,
}

/// What the recorder says about the recording itself, in a line that has no `request`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Incident {
    /// How many exchanges could not be written since the last such line, or the start.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// When the first of these was lost: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_unix_ms: Option<u64>,
    /// The line before this one was cut off while it was written, by a crash or a full disk.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub torn: bool,
    /// How much there was of that line: it was taken away, as nobody else was writing. 0: it stays.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut_bytes: u64,
    /// The segment that the system could not bring to the disk: it may be damaged after a power
    /// loss. What follows stands in a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspect: Option<String>,
    /// What went wrong, in the system's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
