//! The form of a summary, which is published: what a recording, a session, a turn and an exchange hold, as
//! types that are written as JSON. In: nothing; the summary is put together elsewhere. Out: the types, and
//! their JSON schemas.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Beside, Diff, ModelSum, Sum, Tokens, ToolSum};

/// The version of the summary's form; it changes when a member changes its meaning or goes.
pub const SUMMARY_VERSION: u32 = 1;

/// What a recording holds.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Summary {
    /// [`SUMMARY_VERSION`].
    pub version: u32,
    /// When the summary was made: seconds since 1970 (UTC).
    pub generated_unix_s: i64,
    /// The files it was made of.
    pub sources: Vec<String>,
    /// Which exchanges were selected, in words; absent when all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected: Option<String>,
    /// Over all exchanges.
    pub sum: Sum,
    /// By model, the most used first.
    pub models: Vec<ModelSum>,
    /// By tool, the most used first.
    pub tools: Vec<ToolSum>,
    /// Rules of the judge that answers broke, the most frequent first.
    pub violations: Vec<BrokenRule>,
    /// The sessions in the order in which they began. Exchanges that belong to none, such as a list of
    /// models, are in none.
    pub sessions: Vec<SessionSummary>,
    /// Exchanges that belong to no session.
    pub others: Vec<Facts>,
    /// Lines that are no exchanges.
    pub skipped: Skipped,
    /// Exchanges that are in the sums only, because there are more than the summary keeps.
    pub left_out_exchanges: u64,
}

impl Summary {
    /// All exchanges that are kept, in the order of their sessions.
    pub fn exchanges(&self) -> impl Iterator<Item = &Facts> {
        let turns = self.sessions.iter().flat_map(|session| &session.turns);
        turns.flat_map(|turn| &turn.exchanges).chain(&self.others)
    }
}

/// Lines that are no exchanges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Skipped {
    /// Lines that are no records.
    pub malformed: u64,
    /// Last lines that were cut off while they were written.
    pub torn: u64,
    /// Exchanges that could not be written, as the recorder noted down.
    pub lost_exchanges: u64,
    /// Segments that the system failed to bring to the disk, as the recorder noted down.
    pub suspect_segments: u64,
    /// The first of them.
    pub lines: Vec<SkippedLine>,
}

/// A line that is no exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SkippedLine {
    /// The file.
    pub source: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// One conversation: requests that each go on from the one before.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct SessionSummary {
    /// Its id: as the client gave it, or `inferred-N`.
    pub id: String,
    /// How it is known which requests belong to it.
    pub named_by: NamedBy,
    /// The session it was started by, for a sub-agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Over its exchanges.
    pub sum: Sum,
    /// Its turns, in their order.
    pub turns: Vec<TurnSummary>,
}

/// How the exchanges of a session were found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    /// The recorder wrote it down.
    Record,
    /// The client says so, in a header or in the body.
    Client,
    /// The key by which the client groups its prompts for the cache.
    CacheKey,
    /// Requests that begin the same way.
    #[default]
    Inferred,
}

/// What one message of the user set off.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct TurnSummary {
    /// Its id, where the client gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the user said, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Its exchanges, in their order.
    pub exchanges: Vec<Facts>,
}

/// The facts of one exchange.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Facts {
    /// Its number among all exchanges, from 1.
    pub number: u64,
    /// Its file: an index into `sources`.
    pub source: usize,
    /// Its line in the file, from 1.
    pub line: u64,
    /// When the request began: milliseconds since 1970 (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_unix_ms: Option<i64>,
    /// The HTTP method.
    pub method: String,
    /// The path of the URL.
    pub path: String,
    /// The model that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What kind of request the client says it is: `turn`, `compaction`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_kind: Option<String>,
    /// The HTTP status; none when no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Ending,
    /// What went wrong, in the service's own words, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When things happened, as far as it was recorded.
    pub times: Times,
    /// The request's body as the report counts it, in bytes.
    pub request_bytes: u64,
    /// The answer's body, in bytes.
    pub response_bytes: u64,
    /// What it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// What it cost, in USD; none where the model has no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// What the request has that the one before it in the session had not.
    pub added: Vec<Added>,
    /// How many more there are.
    pub added_more: u64,
    /// What became of the prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// What the model said, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// The tools it called.
    pub calls: Vec<Called>,
    /// Which attempt it is at what was asked: 1, or more for a retry.
    pub attempt: u32,
    /// The number of the first attempt, for a retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<u64>,
    /// What passed on its WebSocket beside messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<Beside>,
    /// What the answer breaks of the rules that clients rely on.
    pub violations: Vec<BrokenRule>,
    /// What a translation lost or changed, as the recorder noted it down.
    pub notes: Vec<String>,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The whole answer came.
    #[default]
    Completed,
    /// The model stopped early, by a limit.
    Incomplete,
    /// The answer was an error, or became one.
    Failed,
    /// The stream stopped before its last event, or no answer came.
    BrokenOff,
    /// The client left.
    Cancelled,
}

impl Ending {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Incomplete => "incomplete",
            Ending::Failed => "failed",
            Ending::BrokenOff => "broken off",
            Ending::Cancelled => "cancelled",
        }
    }

    /// Whether something went wrong.
    pub const fn is_error(self) -> bool {
        matches!(self, Ending::Failed | Ending::BrokenOff)
    }
}

/// When things happened, in microseconds from the beginning of the request: what the recorder noted down
/// under the same names ([`Account`](crate::record::account::Account)), and what follows from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Times {
    /// The end of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// The first byte of the answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_us: Option<u64>,
    /// The first event of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event_us: Option<u64>,
    /// The longest gap between two events of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_gap_us: Option<u64>,
    /// When that gap began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_gap_at_us: Option<u64>,
    /// From the end of the answer before, whose tool calls this request answers: how long the tools
    /// ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools_us: Option<u64>,
}

impl Times {
    /// The times under the names that every report has for them, in the order in which they come
    /// (`docs/record.md`).
    pub fn named(&self) -> [(&'static str, Option<u64>); 5] {
        [
            ("tools", self.tools_us),
            ("first byte", self.first_byte_us),
            ("first event", self.first_event_us),
            ("longest gap", self.longest_gap_us),
            ("duration", self.duration_us),
        ]
    }
}

/// Something that a request has and the one before it had not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Added {
    /// Where it is in the request: `input[3]`.
    pub path: String,
    /// What it is: `instructions`, `tool`, or the type of an item with its role.
    pub what: String,
    /// Its text, shortened.
    pub text: String,
    /// How many characters the text has.
    pub chars: u64,
    /// How many bytes it takes in the request.
    pub bytes: u64,
}

/// What became of the prompt cache between two requests of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Cache {
    /// How many tokens of the request before could have come from the cache: all it had.
    pub expected_tokens: u64,
    /// How many did come from it.
    pub cached_tokens: u64,
    /// An estimate of what the miss cost in tokens: `expected_tokens` without `cached_tokens`. Caches
    /// work in steps (OpenAI: 128 tokens, from 1,024 on), so a small rest is no miss.
    pub lost_tokens_estimate: u64,
    /// The same in USD; none where the model has no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_usd_estimate: Option<f64>,
    /// Where the requests begin to differ; none when the later one only adds to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

impl Cache {
    /// A rest below this is due to the steps in which caches work.
    const STEP_TOKENS: u64 = 1024;

    /// Whether more is missing than a rest.
    pub fn is_miss(&self) -> bool {
        self.lost_tokens_estimate >= Cache::STEP_TOKENS
    }

    /// Why it missed, as far as the requests tell.
    pub fn reason(&self) -> &'static str {
        match (&self.change, self.is_miss()) {
            (Some(_), true) => "the prompt changed before its end",
            (Some(_), false) => "the prompt changed, and little was lost",
            (None, true) => "the prompt only grew: the cache had expired, or was another one",
            (None, false) => "the prompt only grew",
        }
    }
}

/// The first place at which two prompts differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Where: `input[3].content[0].text`.
    pub path: String,
    /// The byte of the prompt, which is its instructions, tools and input as they stand in the
    /// request, in this order.
    pub at_byte: u64,
    /// How many bytes the prompt has.
    pub prompt_bytes: u64,
    /// What stood there, with a little around it.
    pub before: String,
    /// What stands there now.
    pub after: String,
}

/// A tool call of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Called {
    /// The tool.
    pub name: String,
    /// The id that its output will have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Its arguments, shortened.
    pub arguments: String,
    /// All of the arguments came.
    pub is_done: bool,
}

/// A rule of the judge (`latimer check --explain`) that was broken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BrokenRule {
    /// The rule's id.
    pub rule: String,
    /// `breaks` when clients in use fail over it, else `differs`.
    pub severity: String,
    /// What exactly, at its first place.
    pub detail: String,
    /// How often.
    pub times: u64,
}

/// The JSON schema of a summary, as text.
pub fn schema() -> String {
    format!("{:#}", schemars::schema_for!(Summary).to_value())
}

/// The JSON schema of a [`Diff`], as text.
pub fn diff_schema() -> String {
    format!("{:#}", schemars::schema_for!(Diff).to_value())
}
