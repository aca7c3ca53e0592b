//! A Responses client before a backend that has no memory: what came before goes along, and what it
//! says of its past is ours to do.

use std::num::NonZeroUsize;
use std::sync::Arc;

use latimer_wire::error::ApiError;
use latimer_wire::json::Object;
use latimer_wire::path::Path;
use latimer_wire::responses::{
    Event, Item, MANAGEMENT, Request, Response, Snapshot, Status, Usage, unfold,
};

use super::compact::summed;
use super::hub::{estimated_tokens, lower_fitting, sent};
use super::{Door, Form, Plan, Way, envelope, utf8};
use crate::body::Received;
use crate::clock::unix_seconds;
use crate::compaction;
use crate::config::Dialect;
use crate::history;
use crate::ledger::Exchange;
use crate::prompts::{self, Filled};
use crate::state::Keep;
use crate::translation::{Retold, Summary};

/// The plan for a request of such a client.
///
/// # Errors
/// As [`super::plan`].
pub(super) async fn plan(
    exchange: &mut Exchange,
    door: Door,
    head: &http::request::Parts,
    text: &str,
) -> Result<Plan, ApiError> {
    let asked = Request::parse(text)?;
    exchange.understood();
    asked.check()?;
    let filled = prompts::filled(&exchange.gateway.settings.prompts, &asked, text)?;
    let asked = filled.as_ref().map_or(Ok(asked), Filled::request)?;
    let past = history::recall(exchange, &asked).await?;
    let envelope = envelope(exchange, &asked);
    let keep = match door {
        Door::Responses => history::keep(exchange, &asked, &envelope)?,
        _ => None,
    };
    let mut request = with_prompt(filled.as_ref(), past.with(asked)?)?;
    let input = |keep| Keep { input: history::own_items(&request, &exchange.id), ..keep };
    let keep = keep.map(input);
    let envelope = envelope.stored(keep.is_some());
    let form = Form::wanted(request.stream && door == Door::Responses);
    let gateway = Arc::clone(&exchange.gateway);
    if door == Door::Compact || request.wants_compaction() {
        let prompt = compaction::message(gateway.compaction_prompt());
        let request = request.asking_for_summary(Item::parse(&prompt, Path::INPUT)?);
        let (ask, source) = sent(exchange, head, &request, envelope.clone())?;
        let (stem, bare) = (exchange.id.clone(), door == Door::Compact);
        let summary = Summary { source, envelope, gateway, stem, bare };
        return Ok(Plan { ask, form, ways: vec![Way::Compact(Box::new(summary))], keep });
    }
    // What is made in the background can be followed, whoever asked for it and how.
    request.stream |= keep.as_ref().is_some_and(|keep| keep.begun.is_some());
    let summed = summed(exchange, head, &request, &envelope).await;
    let mut request = request.without(MANAGEMENT);
    let mut preface = None;
    if let Some(summed) = &summed {
        (request, preface) = summed.in_request(exchange, request);
    }
    let (ask, source) = sent(exchange, head, &request, envelope)?;
    let source = match preface {
        Some(preface) => Box::new(Retold::new(source, preface)),
        None => source,
    };
    Ok(Plan { ask, form, ways: vec![Way::Lift(source)], keep })
}

/// The request led by its prompt.
fn with_prompt<'a>(
    filled: Option<&'a Filled>,
    request: Request<'a>,
) -> Result<Request<'a>, ApiError> {
    match filled {
        Some(filled) => filled.leading(request.without(prompts::PARAMETER)),
        None => Ok(request),
    }
}

/// How many tokens a request would have before a backend that does not count them, as JSON.
///
/// # Errors
/// As [`super::plan`].
pub(crate) async fn count(exchange: &mut Exchange, body: &Received) -> Result<String, ApiError> {
    let asked = Request::parse(utf8(&body.plain)?)?;
    exchange.understood();
    asked.check()?;
    let filled = prompts::filled(&exchange.gateway.settings.prompts, &asked, utf8(&body.plain)?)?;
    let asked = filled.as_ref().map_or(Ok(asked), Filled::request)?;
    let past = history::recall(exchange, &asked).await?;
    let request = with_prompt(filled.as_ref(), past.with(asked)?)?.without(MANAGEMENT);
    let tokens = match exchange.gateway.dialect() {
        Dialect::Responses => estimated_tokens(&request.to_json(None)),
        Dialect::Chat | Dialect::Backplane => {
            estimated_tokens(&lower_fitting(exchange, &request)?.body)
        }
    };
    exchange.notes.add("input_tokens_estimated", "by the length of what the backend would be sent");
    let mut counted = String::new();
    Object::new(&mut counted)
        .text("object", "response.input_tokens")
        .number("input_tokens", tokens)
        .end();
    Ok(counted)
}

/// The events of a response that is complete before anything is said, and empty.
///
/// # Errors
/// As [`super::plan`].
pub(crate) async fn begun(exchange: &mut Exchange, body: &Received) -> Result<String, ApiError> {
    let request = Request::parse(utf8(&body.plain)?)?;
    exchange.understood();
    request.check()?;
    history::recall(exchange, &request).await?;
    let (mut response, mut events) = (String::new(), String::new());
    let end = Snapshot {
        status: Status::Completed,
        completed_at: Some(unix_seconds()),
        usage: Some(&Usage::default()),
        ..Snapshot::IN_PROGRESS
    };
    envelope(exchange, &request).print(&mut response, "", &end);
    let mut print = |event: &Event<'_>| event.print_frame(&mut events);
    unfold(&Response::parse(response)?, NonZeroUsize::MAX, &mut print);
    Ok(events)
}
