//! What Latimer recorded of a run, held against the scenario and against what its backend recorded.
//! Both are read as plain JSON, not with Latimer's own reader, so that they cannot be wrong in the
//! same way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::scenario::{Exchange, Failure, Scenario, as_wanted};

/// The directory in that of a gateway's recording in which a second one records.
pub const SECOND: &str = "second";

/// All exchanges in `directory`, those of a second gateway after those of the first.
fn read<T: DeserializeOwned>(directory: &Path) -> Result<Vec<T>> {
    let second = Some(directory.join(SECOND)).filter(|second| second.exists());
    let mut all = Vec::new();
    for directory in std::iter::once(directory.to_owned()).chain(second) {
        let path = directory.join("traffic.jsonl");
        let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        for line in text.lines() {
            all.push(serde_json::from_str(line).with_context(|| path.display().to_string())?);
        }
    }
    Ok(all)
}

/// The exchanges in `directory` in which a model was asked, in the order in which it was.
fn read_asked(directory: &Path) -> Result<Vec<Value>> {
    let mut recorded: Vec<Value> = read(directory)?;
    recorded.retain(|record| {
        let url = record.pointer("/request/url").and_then(Value::as_str).unwrap_or_default();
        let is_model = MODEL_PATHS.iter().any(|path| url.ends_with(path));
        let is_post = record.pointer("/request/method").is_some_and(|method| method == "POST");
        is_model && is_post && !is_begun(record)
    });
    // An exchange is written when it ends, and one that is left may end after the next.
    let asked_at = |record: &Value| record["timestamp"].as_f64().unwrap_or_default();
    recorded.sort_by(|one, other| asked_at(one).total_cmp(&asked_at(other)));
    Ok(recorded)
}

/// Whether a request over a WebSocket only began what is to be continued (`generate: false`): no
/// model was asked.
fn is_begun(record: &Value) -> bool {
    let is_answered = record.pointer("/response/status_code").is_some_and(|status| status == 200);
    let nobody_was_asked = record.pointer("/latimer/attempts").is_some_and(|count| count == 0);
    is_over_socket(record) && nobody_was_asked && is_answered
}

fn is_over_socket(record: &Value) -> bool {
    record.pointer("/latimer/websocket").is_some_and(Value::is_object)
}

/// Checks that all that was asked came over a WebSocket: a Codex that falls back to another transport
/// says nothing of it.
pub fn all_over_socket(directory: &Path) -> Result<()> {
    let asked = read_asked(directory)?;
    let over = asked.iter().filter(|record| is_over_socket(record)).count();
    ensure!(over == asked.len(), "only {over} of {} came over a WebSocket", asked.len());
    Ok(())
}

/// Where a model is asked, or an agent.
const MODEL_PATHS: &[&str] = &["/responses", "/chat/completions", "/run"];

/// Checks the recording in `directory`.
pub fn check(scenario: &Scenario, directory: &Path) -> Result<()> {
    let mut recorded = read_asked(directory)?;
    if scenario.breaks.as_ref().is_some_and(|breaks| breaks.when_file.is_some()) {
        // A client that is stopped may have begun one more request, and leaves it (Codex 0.98 does
        // so now and then).
        recorded.retain(|record| exchange(record).outcome != "cancelled");
    }
    let exchanges: Vec<Exchange> = recorded.iter().map(exchange).collect();
    ensure!(as_wanted(&exchanges, &scenario.exchanges), "the recording has {exchanges:?}");
    recorded.iter().try_for_each(honest)
}

/// Checks that the last request in `directory` carries every call, as the kind it has to be, and
/// every output; or else a summary of them.
pub fn all_calls_answered(scenario: &Scenario, directory: &Path) -> Result<()> {
    let recorded = read_asked(directory)?;
    let last = recorded.last().context("nothing was recorded")?;
    if scenario.compacts {
        let kinds = kinds_in_hub(last);
        let summaries = kinds.iter().filter(|kind| *kind == "compaction").count();
        ensure!(summaries == 1, "the last request has {summaries} summaries, among {kinds:?}");
        return calls_answered(last, &[]);
    }
    calls_answered(last, &scenario.call_kinds())
}

/// Checks that the requests in `directory` name as many agents as were to be started, and for each the
/// thread of the agent that started it.
pub fn sub_agents(scenario: &Scenario, directory: &Path) -> Result<()> {
    let noted =
        |record: &Value, name: &str| Some(record.get("latimer")?.get(name)?.as_str()?.to_owned());
    let (mut threads, mut started) = (BTreeSet::new(), BTreeMap::new());
    for record in read_asked(directory)? {
        let thread = noted(&record, "thread");
        match noted(&record, "parent_thread") {
            Some(parent) => drop(started.insert(thread, parent)),
            None => threads.extend(thread),
        }
    }
    ensure!(started.len() == scenario.sub_agents, "agents and who started them: {started:?}");
    for (thread, parent) in &started {
        let is_known = threads.contains(parent) && thread.as_ref().is_some_and(|it| it != parent);
        ensure!(is_known, "{thread:?} was started by {parent}, who is not among {threads:?}");
    }
    Ok(())
}

/// An exchange as bytes.
#[derive(Debug, Deserialize)]
struct Traffic {
    /// When it was asked, in seconds since 1970.
    timestamp: f64,
    request: Asked,
    response: Option<Answered>,
    latimer: Ended,
}

#[derive(Debug, Deserialize)]
struct Asked {
    method: String,
    url: String,
    body: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
struct Answered {
    status_code: u16,
    body: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
struct Ended {
    outcome: String,
    attempts: Option<u32>,
    websocket: Option<Value>,
}

impl Traffic {
    fn asks_a_model(&self) -> bool {
        let Asked { method, url, .. } = &self.request;
        let is_begun = self.latimer.websocket.is_some() && self.latimer.attempts == Some(0);
        method == "POST" && MODEL_PATHS.iter().any(|path| url.ends_with(path)) && !is_begun
    }

    /// What was asked, where the two sides would speak the same: `chat/completions`, `responses`.
    fn path(&self) -> Option<&str> {
        self.request.url.split_once("/v1/").map(|(_, path)| path)
    }

    /// The body of an answer that is no error. An error names the backend to the client.
    fn answer(&self) -> Option<String> {
        let body =
            self.response.as_ref().filter(|response| response.status_code == 200)?.body.get();
        Some(serde_json::from_str(body).unwrap_or_else(|_| body.to_owned()))
    }
}

/// Each exchange of the recording in `ours` is one in `backends`; one that the client left, the
/// backend saw left too. Where client and backend speak the same, both hold the same bytes, but for
/// a byte order mark, which stays behind; an answer that broke off may be longer on one side. Of two
/// that are asked at the same time, either may come first: there, what was asked says which is which.
pub fn compare(ours: &Path, backends: &Path) -> Result<()> {
    let (mut ours, mut theirs): (Vec<Traffic>, Vec<Traffic>) = (read(ours)?, read(backends)?);
    for exchanges in [&mut ours, &mut theirs] {
        exchanges.retain(Traffic::asks_a_model);
        exchanges.sort_by(|one, other| one.timestamp.total_cmp(&other.timestamp));
    }
    ensure!(ours.len() == theirs.len(), "the backend was asked {} times", theirs.len());
    if ours.iter().zip(&theirs).all(|(ours, theirs)| ours.path() == theirs.path()) {
        for exchanges in [&mut ours, &mut theirs] {
            exchanges.sort_by(|one, other| one.request.body.get().cmp(other.request.body.get()));
        }
    }
    let pairs = || ours.iter().zip(&theirs);
    for (_, theirs) in pairs().filter(|(ours, _)| ours.latimer.outcome == "cancelled") {
        let seen = &theirs.latimer.outcome;
        ensure!(seen == "cancelled", "the client left, and what the backend sent has {seen}");
    }
    for (ours, theirs) in pairs().filter(|(ours, theirs)| ours.path() == theirs.path()) {
        let (asked, passed_on) = (ours.request.body.get(), theirs.request.body.get());
        ensure!(asked == passed_on, "{asked} was passed on as {passed_on}");
        let (Some(said), Some(told)) = (theirs.answer(), ours.answer()) else { continue };
        let said = said.trim_start_matches('\u{feff}');
        let same = match ours.latimer.outcome.as_str() {
            "completed" => told == said,
            _ => told.starts_with(said) || said.starts_with(&*told),
        };
        ensure!(same, "the client was told {told:?}, the backend had said {said:?}");
    }
    Ok(())
}

fn exchange(record: &Value) -> Exchange {
    let text = |path| record.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let status = record.pointer("/response/status_code").and_then(Value::as_u64);
    Exchange {
        status: status.and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
        outcome: text("/latimer/outcome").unwrap_or_default(),
        retry_after: text("/response/headers/retry-after"),
        error: failure(record),
    }
}

/// What an answer says of its failure, as a whole or at the end of its stream.
fn failure(record: &Value) -> Option<Failure> {
    let body = record.pointer("/response/body")?;
    let last: Option<Value> = last_event(body).and_then(|event| serde_json::from_str(event).ok());
    let last = last.as_ref().unwrap_or(body);
    // Some clients leave at an `error` event, before the response is said to have failed.
    let event = Some(last).filter(|last| last["type"] == "error");
    let error = last.get("error").or(last.pointer("/response/error")).or(event)?;
    let text = |key| error.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Failure { code: text("code"), message: text("message")? })
}

/// The data of the last event, where a body is a stream.
fn last_event(body: &Value) -> Option<&str> {
    body.as_str()?.lines().filter_map(|line| line.strip_prefix("data: ")).next_back()
}

/// A stream ends as the record says it ended, and nothing was written that the grammar forbids.
fn honest(record: &Value) -> Result<()> {
    let notes = record.pointer("/latimer/notes").and_then(Value::as_array);
    let code = |note: &Value| note.get("code").and_then(Value::as_str).map(str::to_owned);
    let codes: Vec<String> = notes.into_iter().flatten().filter_map(code).collect();
    ensure!(!codes.iter().any(|code| code == "grammar_violation"), "notes: {codes:?}");
    let Exchange { outcome, error, .. } = exchange(record);
    let says_why = error.is_some_and(|error| error.code.is_some());
    ensure!(says_why || outcome != "failed", "a failure without a reason");
    let Some(body) = record.pointer("/response/body").filter(|body| body.is_string()) else {
        return Ok(());
    };
    if outcome == "cancelled" {
        return Ok(());
    }
    let last = last_event(body).context("a stream without events")?;
    let ending = if asked_in_chat(record) { chat_ending(last)? } else { hub_ending(last)? };
    ensure!(ending == outcome, "recorded as {outcome}, the stream ends: {last}");
    Ok(())
}

fn asked_in_chat(record: &Value) -> bool {
    record.pointer("/request/body/messages").is_some()
}

fn hub_ending(last: &str) -> Result<String> {
    let last: Value = serde_json::from_str(last)?;
    let kind = last.get("type").and_then(Value::as_str).unwrap_or_default();
    let kind = if kind == "error" { "response.failed" } else { kind };
    Ok(kind.strip_prefix("response.").unwrap_or_default().to_owned())
}

/// A Chat stream says that it is whole, or what went wrong.
fn chat_ending(last: &str) -> Result<String> {
    if last == "[DONE]" {
        return Ok("completed".to_owned());
    }
    let last: Value = serde_json::from_str(last)?;
    Ok(if last.get("error").is_some() { "failed" } else { "cut off" }.to_owned())
}

/// The kinds of calls, and of their outputs.
const CALLS: &[(&str, &str)] = &[
    ("function_call", "function_call_output"),
    ("custom_tool_call", "custom_tool_call_output"),
    ("tool_search_call", "tool_search_output"),
];

fn calls_answered(record: &Value, expected: &[&str]) -> Result<()> {
    let kinds = if asked_in_chat(record) { kinds_in_chat(record) } else { kinds_in_hub(record) };
    let is_call = |kind: &&String| CALLS.iter().any(|(call, _)| call == kind);
    let calls: Vec<&String> = kinds.iter().filter(is_call).collect();
    ensure!(calls == expected, "the last request has the calls {calls:?}, not {expected:?}");
    for (call, output) in CALLS {
        let count = |wanted: &str| kinds.iter().filter(|kind| *kind == wanted).count();
        let (called, answered) = (count(call), count(output));
        ensure!(called == answered, "the last request has {called} {call}, {answered} {output}");
    }
    Ok(())
}

fn kinds_in_hub(record: &Value) -> Vec<String> {
    let kind = |item: &'_ Value| item.get("type").and_then(Value::as_str).map(str::to_owned);
    list(record.pointer("/request/body/input")).iter().filter_map(kind).collect()
}

/// The kinds that messages, their calls and their outputs are in the hub.
fn kinds_in_chat(record: &Value) -> Vec<String> {
    let mut kinds = Vec::new();
    for message in list(record.pointer("/request/body/messages")) {
        let calls = list(message.get("tool_calls")).iter();
        kinds.extend(calls.map(|_| "function_call".to_owned()));
        if message.get("role").is_some_and(|role| role == "tool") {
            kinds.push("function_call_output".to_owned());
        }
    }
    kinds
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
