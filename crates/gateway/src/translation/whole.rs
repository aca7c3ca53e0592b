//! A whole answer for the client, made of whatever the backend sent: one body, or a stream.

use bytes::Bytes;
use latimer_probe::record::account::Outcome;
use latimer_wire::chat::{push_completion_in, push_joined};
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Failure, Fold, Response, Sink, Status, Usage};
use latimer_wire::sse::Decoder;

use super::{Hop, Lowered, Run, Running, Source, Translation};

/// A whole answer.
pub(crate) struct Whole {
    pub body: Bytes,
    pub outcome: Outcome,
    pub usage: Option<Usage>,
    pub notes: Notes,
}

impl Whole {
    /// An answer that goes through as it is, and what can be seen of it: `plain` is without coding.
    pub fn passed(body: Bytes, plain: &[u8]) -> Whole {
        let text = std::str::from_utf8(plain).ok();
        let json = text.and_then(|text| Raw::parse(text).ok()).unwrap_or(Raw::NULL);
        let usage = json.member("usage").and_then(Raw::non_null).map(Usage::read);
        let outcome = Outcome::of(json);
        Whole { body, outcome, usage, notes: Notes::default() }
    }

    /// The response that a backend's answer becomes.
    ///
    /// # Errors
    /// When the backend reported a failure or broke off.
    pub fn lifted(mut source: Box<dyn Source>, body: &[u8], now: u64) -> Result<Whole, Failure> {
        let response = succeeded(folded(source.as_mut(), body, now))?;
        let outcome = Outcome::of(response.json());
        let (usage, notes) = (source.usage(), source.notes());
        Ok(Whole { body: Bytes::from(response.into_json()), outcome, usage, notes })
    }

    /// Several answers to one request as one: completions, with a choice each.
    pub fn joined(mut several: Vec<Whole>) -> Whole {
        if several.len() == 1
            && let Some(only) = several.pop()
        {
            return only;
        }
        let mut whole = Whole {
            body: Bytes::new(),
            outcome: Outcome::Completed,
            usage: several.iter().map(|one| one.usage).sum(),
            notes: Notes::default(),
        };
        let mut bodies = Vec::with_capacity(several.len());
        for one in &several {
            if one.outcome != Outcome::Completed {
                whole.outcome = one.outcome;
            }
            whole.notes.extend(one.notes.clone());
            bodies.push(std::str::from_utf8(&one.body).unwrap_or_default());
        }
        let mut body = String::new();
        push_joined(&mut body, &bodies);
        Whole { body: Bytes::from(body), ..whole }
    }

    /// The receipt of a run; one that failed has one as well.
    pub fn run(run: Run, body: &[u8], hop: &Hop) -> Whole {
        let mut running = Running::whole(run, body.len(), hop.clone());
        running.read_whole(body);
        let outcome = match running.ended() {
            Some(Status::Completed) => Outcome::Completed,
            Some(Status::Incomplete) => Outcome::Incomplete,
            _ => Outcome::Failed,
        };
        let (usage, notes) = (running.usage(), running.notes());
        Whole { body: Bytes::from(running.receipt().to_owned()), outcome, usage, notes }
    }

    /// The completion that a backend's answer becomes.
    ///
    /// # Errors
    /// When the backend reported a failure or broke off.
    pub fn lowered(lowered: Lowered, body: &[u8], now: u64) -> Result<Whole, Failure> {
        let Lowered { mut source, id, shape, stop, .. } = lowered;
        let response = succeeded(folded(source.as_mut(), body, now))?;
        let mut body = String::new();
        let mut notes = source.notes();
        notes.extend(push_completion_in(&mut body, &response, &id, now, shape, stop));
        let usage = response.json().member("usage").and_then(Raw::non_null).map(Usage::read);
        let outcome = Outcome::of(response.json());
        Ok(Whole { body: Bytes::from(body), outcome, usage, notes })
    }
}

/// The response that a body becomes, whatever form it has, failed or not.
pub(super) fn folded(source: &mut dyn Source, body: &[u8], now: u64) -> Response {
    let mut fold = Fold::default();
    read_whole(source, body, now, &mut fold);
    fold.finish()
}

/// Reads a body that is there, whatever form it has.
pub(super) fn read_whole(source: &mut dyn Source, body: &[u8], now: u64, sink: &mut dyn Sink) {
    match is_stream(body) {
        true => {
            frames(body, |data, name| source.push(data, name, now, sink));
            source.end(now, sink);
        }
        false => source.push_whole(&String::from_utf8_lossy(body), now, sink),
    }
}

/// Whether a body is a stream of events, whatever its headers say.
fn is_stream(body: &[u8]) -> bool {
    let begins = |field: &&str| body.trim_ascii_start().starts_with(field.as_bytes());
    ["data:", "event:", "id:", ":"].iter().any(begins)
}

fn frames(body: &[u8], mut frame: impl FnMut(&str, Option<&str>)) {
    let mut decoder = Decoder::new(body.len());
    decoder.push(body);
    while let Ok(Some(event)) = decoder.next() {
        frame(&event.data, event.event.as_deref());
    }
}

fn succeeded(response: Response) -> Result<Response, Failure> {
    match response.json().member("error").and_then(Raw::non_null) {
        Some(error) => Err(Failure::of(error)),
        None => Ok(response),
    }
}
