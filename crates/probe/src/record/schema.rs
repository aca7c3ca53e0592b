//! The published form of a line of a recording, as a JSON schema. It is made from the types that write
//! and read it; those of request and answer, which are written as text, are described here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

use crate::record::account::{Account, Incident};

/// One exchange, or a word of the recorder about the recording.
#[derive(JsonSchema)]
#[schemars(title = "A line of traffic.jsonl")]
#[expect(dead_code, reason = "it is never made, only described")]
struct Line {
    /// When the request began, or the recorder had something to say: seconds since 1970 (UTC), to
    /// the millisecond.
    timestamp: f64,
    /// What was asked; left out in a line that holds no exchange.
    request: Option<LineRequest>,
    /// What was answered; `null` when the client left before, or no answer came.
    response: Option<LineResponse>,
    /// What Latimer noted down; recordings of others lack it.
    latimer: Option<Noted>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is never made, only described")]
enum Noted {
    Exchange(Box<Account>),
    Recording(Incident),
}

#[derive(JsonSchema)]
#[schemars(title = "Request")]
#[expect(dead_code, reason = "it is never made, only described")]
struct LineRequest {
    /// The HTTP method.
    method: String,
    /// The URL, with what is secret in it taken out.
    url: String,
    /// The headers in their order; values that may be secret are `[REDACTED]`.
    headers: BTreeMap<String, String>,
    /// A JSON body as it is written; any other as text; `null` when there was none.
    body: Value,
}

#[derive(JsonSchema)]
#[schemars(title = "Response")]
#[expect(dead_code, reason = "it is never made, only described")]
struct LineResponse {
    /// The HTTP status.
    status_code: u16,
    /// The headers in their order; values that may be secret are `[REDACTED]`.
    headers: BTreeMap<String, String>,
    /// A JSON body as it is written; any other as text, an event stream raw.
    body: Value,
}

/// The JSON schema of a line.
pub fn of_line() -> Value {
    schemars::schema_for!(Line).to_value()
}
