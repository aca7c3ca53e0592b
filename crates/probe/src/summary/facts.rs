//! The facts of one exchange by itself, before it has a place among others. In: an exchange as it was
//! read. Out: [`Seen`]: its facts, by what it is named, what it answers, and its prompt.

use std::borrow::Cow;

use super::prefix::Prompt;
use super::{Beside, BrokenRule, Called, Ending, Facts, NamedBy, Times};
use latimer_wire::json::Fields;

use crate::check;
use crate::content::answer::{Answer, Channel};
use crate::content::parts::Parts;
use crate::record::account::{Account, Outcome, Remark};
use crate::record::exchange::{Exchange, path_of};
use crate::record::lineage;
use crate::redact;
use crate::words::cut_at;

/// How much of a text is kept, in characters.
pub(super) const EXCERPT_CHARS: usize = 280;
/// How much of a name is kept, in characters: of an id, a model, a tool, a path.
const NAME_CHARS: usize = 120;
/// How many tool calls, violations and notes of an exchange are kept.
const LISTED_MAX: usize = 32;

/// Members of a body that name a session, best first.
const SESSION_MEMBERS: &[&[&str]] = &[&["prompt_cache_key"], &["metadata", "user_id"]];

/// One exchange, by itself.
pub(crate) struct Seen {
    pub(super) facts: Facts,
    pub(super) belongs: Belonging,
    /// What was asked; none where the request is no prompt.
    pub(super) prompt: Option<Prompt>,
    /// Whether the service says how many tokens came from a cache.
    pub(super) knows_cache: bool,
}

/// What an exchange belongs to, as far as it says so.
#[derive(Debug, Default)]
pub(super) struct Belonging {
    pub(super) session: Option<(String, NamedBy)>,
    pub(super) parent: Option<String>,
    pub(super) turn: Option<String>,
}

impl Seen {
    /// Reads an exchange.
    pub(crate) fn of(exchange: &Exchange<'_>, parts: &Parts<'_>) -> Seen {
        let body = parts.request.json();
        let body = body.as_ref();
        let (account, belongs) = account(exchange, body);
        let answer = parts.answer();
        let outcome = ending(exchange, account.outcome, answer);
        let facts = Facts {
            at_unix_ms: exchange.timestamp_unix_ms,
            method: name(&exchange.request.method),
            path: name(&path_of(&redact::url(&exchange.request.url))),
            model: body.and_then(|body| body.text("model")).as_deref().map(name),
            status: exchange.response.as_ref().and_then(|response| response.status_code),
            outcome,
            error: error(exchange, answer, outcome),
            times: times(&account),
            request_bytes: parts.request.size_bytes,
            response_bytes: parts.response.size_bytes,
            tokens: answer.tokens.or(account.usage),
            said: said(answer),
            calls: answer.calls.iter().take(LISTED_MAX).map(Called::of).collect(),
            attempt: account.attempt.unwrap_or(1),
            violations: violations(exchange, body),
            notes: account.notes.iter().take(LISTED_MAX).map(note).collect(),
            websocket: account.websocket.as_ref().and_then(Beside::of),
            request_kind: account.request_kind.as_deref().map(name),
            ..Facts::default()
        };
        let prompt = body.and_then(Prompt::of);
        Seen { facts, belongs, prompt, knows_cache: answer.knows_cache }
    }
}

impl Called {
    fn of(call: &crate::content::tool_call::ToolCall) -> Called {
        Called {
            name: name(call.name.as_deref().unwrap_or("?")),
            call_id: call.call_id.as_deref().map(name),
            arguments: excerpt(&call.arguments),
            is_done: call.is_done,
        }
    }
}

/// The beginning of a text.
pub(super) fn excerpt(text: &str) -> String {
    cut(text, EXCERPT_CHARS)
}

/// A name, which is whole unless somebody has made it too long to be one.
pub(super) fn name(text: &str) -> String {
    cut(text, NAME_CHARS)
}

fn cut(text: &str, limit_chars: usize) -> String {
    match cut_at(text, limit_chars) {
        Some(end) => [text.get(..end).unwrap_or_default(), "…"].concat(),
        None => text.to_owned(),
    }
}

/// What the recorder noted down, and what the exchange belongs to: recordings of other programs are
/// asked what the recorder would have asked.
fn account(exchange: &Exchange<'_>, body: Option<&Fields<'_>>) -> (Account, Belonging) {
    let mut account = exchange.account().unwrap_or_default();
    let recorded = account.thread.is_some() || account.session.is_some();
    if !recorded {
        let json = exchange.request.body.json().map(|json| json.raw().as_str()).unwrap_or_default();
        let headers = &exchange.request.headers;
        let header = |name: &str| {
            headers.get(name).filter(|value| *value != redact::REDACTED).map(Cow::Borrowed)
        };
        lineage::note(&mut account, header, json.as_bytes());
    }
    let named_by = if recorded { NamedBy::Record } else { NamedBy::Client };
    let said = account.thread.take().or(account.session.take()).map(|id| (name(&id), named_by));
    let in_body = || {
        SESSION_MEMBERS.iter().find_map(|path| {
            let (last, above) = path.split_last()?;
            let fields = above.iter().fold(body?.clone(), |of, key| of.fields(key));
            let id = fields.text(last).filter(|id| !id.is_empty())?;
            Some((name(&id), NamedBy::CacheKey))
        })
    };
    let belongs = Belonging {
        session: said.or_else(in_body),
        parent: account.parent_thread.take().as_deref().map(name),
        turn: account.turn.take().as_deref().map(name),
    };
    (account, belongs)
}

fn ending(exchange: &Exchange<'_>, noted: Option<Outcome>, answer: &Answer) -> Ending {
    let is_unfinished = exchange.response.is_none() || answer.is_unfinished();
    let status = exchange.response.as_ref().and_then(|response| response.status_code);
    let said = noted.map(Outcome::name).or(answer.status.as_deref());
    match said {
        Some("cancelled") => Ending::Cancelled,
        Some("failed") if !is_unfinished => Ending::Failed,
        Some("incomplete") => Ending::Incomplete,
        _ if is_unfinished => Ending::BrokenOff,
        _ if answer.failure.is_some() || status.is_some_and(|status| status >= 400) => {
            Ending::Failed
        }
        _ => Ending::Completed,
    }
}

/// What went wrong, in the service's words where it said some.
fn error(exchange: &Exchange<'_>, answer: &Answer, outcome: Ending) -> Option<String> {
    if let Some(failure) = &answer.failure {
        let words = [failure.code.as_deref(), failure.message.as_deref()];
        return Some(excerpt(&words.into_iter().flatten().collect::<Vec<_>>().join(": ")));
    }
    if let Some(reason) = &answer.incomplete_reason {
        return Some(excerpt(reason));
    }
    match (&exchange.response, outcome) {
        (_, outcome) if !outcome.is_error() => None,
        (None, _) => Some("no answer came".to_owned()),
        (Some(_), Ending::BrokenOff) => Some("the stream stopped before its last event".to_owned()),
        (Some(response), _) => {
            Some(response.body.text().map_or_else(|| "an empty answer".to_owned(), excerpt))
        }
    }
}

fn said(answer: &Answer) -> Option<String> {
    let texts = [Channel::OutputText, Channel::Refusal, Channel::ReasoningSummary];
    texts.into_iter().find_map(|channel| answer.text_of(channel)).map(|text| excerpt(&text))
}

/// The times that the recorder noted down; older records have them in milliseconds only.
fn times(account: &Account) -> Times {
    let either = |us: Option<u64>, ms: Option<u64>| us.or(ms.map(|ms| ms.saturating_mul(1000)));
    // Each frame's time is counted from the one before it, the first's from the beginning.
    let mut at_us = 0_u64;
    let arrived = account.frames_us.iter().map(|since_us| {
        let from_us = at_us;
        at_us = at_us.saturating_add(*since_us);
        (*since_us, from_us)
    });
    let longest = arrived.skip(1).max_by_key(|(silent_us, _)| *silent_us);
    Times {
        duration_us: either(account.duration_us, account.duration_ms),
        first_byte_us: either(account.first_byte_us, account.first_byte_ms),
        first_event_us: account.first_event_us.or(account.frames_us.first().copied()),
        longest_gap_us: longest.map(|(silent_us, _)| silent_us),
        longest_gap_at_us: longest.map(|(_, from_us)| from_us),
        tools_us: None,
    }
}

fn violations(exchange: &Exchange<'_>, body: Option<&Fields<'_>>) -> Vec<BrokenRule> {
    let Some((_, findings)) = check::answer(exchange, body) else { return Vec::new() };
    let violations = findings.into_iter().take(LISTED_MAX).map(|finding| BrokenRule {
        rule: finding.rule.id().to_owned(),
        severity: finding.rule.severity().name().to_owned(),
        detail: excerpt(&finding.detail),
        times: finding.times as u64,
    });
    violations.collect()
}

fn note(remark: &Remark) -> String {
    excerpt(&format!("{}: {}", remark.code, remark.detail))
}
