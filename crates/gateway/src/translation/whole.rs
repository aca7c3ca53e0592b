//! A whole answer for the client, made of whatever the backend sent: one body, or a stream.

use bytes::Bytes;
use latimer_probe::account::Outcome;
use latimer_wire::chat::{Lift, push_completion_in, push_joined};
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Failure, Fold, Response, Usage};
use latimer_wire::sse::Decoder;

use super::Lowered;
use crate::clock::unix_seconds;

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

    /// The response that a Chat Completions backend's answer becomes.
    ///
    /// # Errors
    /// When the backend reported a failure or broke off.
    pub fn lifted(mut lift: Lift, body: &[u8], now: u64) -> Result<Whole, Failure> {
        let mut fold = Fold::default();
        match is_stream(body) {
            true => {
                frames(body, |data, _| lift.push(data, now, &mut fold));
                lift.end(now, &mut fold);
            }
            false => lift.push_whole(&String::from_utf8_lossy(body), now, &mut fold),
        }
        let response = succeeded(fold.finish())?;
        let outcome = Outcome::of(response.json());
        let (usage, notes) = (lift.usage(), lift.notes().clone());
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

    /// The completion that a Responses backend's answer becomes.
    ///
    /// # Errors
    /// When the backend reported a failure or broke off.
    pub fn lowered(lowered: Lowered, body: &[u8]) -> Result<Whole, Failure> {
        let Lowered { mut mend, id, shape, stop, .. } = lowered;
        let text = String::from_utf8_lossy(body);
        let response = match is_stream(body) {
            true => {
                let mut fold = Fold::default();
                frames(body, |data, name| mend.push(data, name, &mut fold));
                mend.end(&mut fold);
                fold.finish()
            }
            false => Response::parse(text.into_owned()).map_err(|error| Failure {
                code: "server_error".to_owned(),
                message: format!("The backend sent an answer that is not JSON: {error}."),
            })?,
        };
        let response = succeeded(response)?;
        let mut body = String::new();
        let mut notes = mend.notes().clone();
        notes.extend(push_completion_in(&mut body, &response, &id, unix_seconds(), shape, stop));
        let usage = response.json().member("usage").and_then(Raw::non_null).map(Usage::read);
        let outcome = Outcome::of(response.json());
        Ok(Whole { body: Bytes::from(body), outcome, usage, notes })
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
