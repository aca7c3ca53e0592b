//! The session logs of Codex (`sessions/**/rollout-*.jsonl`), as a recording that could have been. In: a
//! log's text. Out: a line for each answer of the model: what it had been told by then, what it said,
//! and what it used. A log has no tools, no headers and no streams; each line says that it was made
//! from one.

use latimer_wire::json::{Object, Raw, push_string};

use super::convert::{ConvertError, Found, Lines};
use crate::record::account::{Account, Outcome, Remark, Tokens};
use crate::words::unix_ms;

/// Items that are what Codex says to the model, by their `type`; of messages, the role decides.
const ASKED_ENDS: &[&str] = &["_output", "agent_message", "additional_tools", "compaction_trigger"];
/// How the tokens are called in a log.
const USAGE: [&str; 6] = [
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "total_tokens",
];
/// The note on each line.
const NOTE: (&str, &str) =
    ("made_from_rollout", "tools, headers and the stream are not in a session log of Codex");

/// Reads a log. Gives the number of its exchanges.
///
/// # Errors
/// Where a line is no JSON, or `lines` fails. A last line that is cut off is passed over.
pub fn read(log: &str, lines: Lines<'_>) -> Result<u64, ConvertError> {
    let mut session = Rollout::default();
    for (line, number) in log.lines().zip(1_u64..) {
        if line.trim().is_empty() {
            continue;
        }
        match Raw::parse(line.trim()) {
            Ok(entry) => session.take(entry, lines)?,
            Err(_) if number == log.lines().count() as u64 && !log.ends_with('\n') => {}
            Err(source) => {
                return Err(ConvertError::Malformed { place: format!("line {number}"), source });
            }
        }
    }
    session.answered(lines)?;
    session.finish(lines)?;
    Ok(session.exchanges)
}

/// A session, as far as its log was read.
#[derive(Default)]
struct Rollout<'l> {
    id: String,
    instructions: Option<Raw<'l>>,
    model: String,
    turn: Option<String>,
    /// What the model knows.
    history: Vec<Raw<'l>>,
    history_at_ms: i64,
    /// What it has said since.
    said: Vec<Raw<'l>>,
    said_at_ms: i64,
    used: Option<Tokens>,
    /// The answer that waits for what it used, which some versions say late.
    waiting: Option<(Found, Account, String)>,
    exchanges: u64,
}

impl<'l> Rollout<'l> {
    fn take(&mut self, entry: Raw<'l>, lines: Lines<'_>) -> Result<(), ConvertError> {
        let at_ms = entry.member_text("timestamp").and_then(|at| unix_ms(&at)).unwrap_or_default();
        let Some(payload) = entry.member("payload") else { return Ok(()) };
        let text = |key: &str| payload.member_text(key).map(|text| text.into_owned());
        match entry.member_text("type").as_deref() {
            Some("session_meta") => {
                self.id = text("id").unwrap_or_default();
                let base = payload.member("base_instructions").and_then(|base| base.member("text"));
                self.instructions = base.or_else(|| payload.member("instructions")?.non_null());
            }
            Some("turn_context") => {
                self.model = text("model").unwrap_or_default();
                self.turn = text("turn_id").or(self.turn.take());
            }
            Some("response_item") => self.item(payload, at_ms, lines)?,
            Some("compacted") => {
                self.answered(lines)?;
                let replaced = payload.member("replacement_history").filter(|list| list.is_array());
                self.history = replaced.map(Raw::elements).unwrap_or_default();
            }
            Some("token_usage_record") => self.usage(payload.member("usage")),
            Some("event_msg") if text("type").as_deref() == Some("token_count") => {
                let info = payload.member("info");
                self.usage(info.and_then(|info| info.member("last_token_usage")));
            }
            _ => {}
        }
        Ok(())
    }

    fn item(&mut self, item: Raw<'l>, at_ms: i64, lines: Lines<'_>) -> Result<(), ConvertError> {
        if is_asked(item) {
            self.answered(lines)?;
            self.history.push(item);
            self.history_at_ms = at_ms;
        } else {
            self.finish(lines)?;
            self.said.push(item);
            self.said_at_ms = at_ms;
        }
        Ok(())
    }

    /// What was used belongs to what is being said, or else to the last answer that lacks it.
    fn usage(&mut self, usage: Option<Raw<'_>>) {
        let Some(usage) = usage.filter(|usage| usage.is_object()) else { return };
        let [input, cached, cache_write, output, reasoning, total] =
            USAGE.map(|name| usage.member(name).and_then(Raw::count).unwrap_or_default());
        let used = Tokens { input, cached, cache_write, output, reasoning, total };
        match &mut self.waiting {
            _ if !self.said.is_empty() => self.used = Some(used),
            Some((_, account, _)) if account.usage.is_none() => account.usage = Some(used),
            _ => {}
        }
    }

    /// The model has said what it had to say.
    fn answered(&mut self, lines: Lines<'_>) -> Result<(), ConvertError> {
        if self.said.is_empty() {
            return Ok(());
        }
        self.finish(lines)?;
        let took_us = self.said_at_ms.saturating_sub(self.history_at_ms).max(0) as u64 * 1000;
        let account = Account {
            outcome: Some(Outcome::Completed),
            thread: Some(self.id.clone()).filter(|id| !id.is_empty()),
            turn: self.turn.clone(),
            duration_us: Some(took_us),
            usage: self.used.take(),
            notes: vec![Remark { code: NOTE.0.to_owned(), detail: NOTE.1.to_owned() }],
            ..Account::default()
        };
        let found = Found {
            unix_ms: self.history_at_ms,
            method: "POST".to_owned(),
            url: "/v1/responses".to_owned(),
            request_body: Some(self.asked()),
            status: Some(200),
            ..Found::default()
        };
        let output = list(&self.said);
        self.history.append(&mut self.said);
        self.waiting = Some((found, account, output));
        Ok(())
    }

    /// Writes the answer that waits.
    fn finish(&mut self, lines: Lines<'_>) -> Result<(), ConvertError> {
        let Some((found, account, output)) = self.waiting.take() else { return Ok(()) };
        self.exchanges += 1;
        let response_body = Some(answer(&self.model, &output, account.usage.as_ref()));
        let extra = serde_json::to_string(&account).ok();
        Ok(Found { response_body, extra, ..found }.write(lines)?)
    }

    fn asked(&self) -> String {
        let mut body = String::new();
        Object::new(&mut body)
            .text("model", &self.model)
            .raw_if("instructions", self.instructions)
            .with("input", |out| out.push_str(&list(&self.history)))
            .text("prompt_cache_key", &self.id)
            .end();
        body
    }
}

/// Whether an item is told to the model, rather than said by it.
fn is_asked(item: Raw<'_>) -> bool {
    let kind = item.member_text("type").unwrap_or_default();
    let role = item.member_text("role");
    match role.as_deref() {
        Some(role) if kind == "message" => role != "assistant",
        _ => ASKED_ENDS.iter().any(|end| kind.ends_with(end)),
    }
}

fn list(items: &[Raw<'_>]) -> String {
    let items: Vec<&str> = items.iter().map(|item| item.as_str()).collect();
    format!("[{}]", items.join(","))
}

fn answer(model: &str, output: &str, used: Option<&Tokens>) -> String {
    let mut body = String::new();
    let object = Object::new(&mut body)
        .text("object", "response")
        .text("status", "completed")
        .with("model", |out| push_string(out, model))
        .with("output", |out| out.push_str(output));
    let object = match used {
        Some(used) => object.with("usage", |out| usage(out, used)),
        None => object,
    };
    object.end();
    body
}

fn usage(out: &mut String, used: &Tokens) {
    Object::new(out)
        .number("input_tokens", used.input)
        .with("input_tokens_details", |out| {
            Object::new(out)
                .number("cached_tokens", used.cached)
                .number("cache_write_tokens", used.cache_write)
                .end();
        })
        .number("output_tokens", used.output)
        .with("output_tokens_details", |out| {
            Object::new(out).number("reasoning_tokens", used.reasoning).end();
        })
        .number("total_tokens", used.total)
        .end();
}
