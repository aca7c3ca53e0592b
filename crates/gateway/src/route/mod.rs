//! Which way an exchange takes: what is sent to the backend, and how its answer comes back. Decided by
//! two dialects, the client's door and the backend's; where they are the same, nothing is changed.
//!
//! [`lift`] is the way of Responses clients before a backend that speaks something else, [`lower`] that
//! of Chat clients, [`order`] that of work orders; [`hub`] is where all of them meet the backend, and
//! [`compact`] sums up what is too long.

mod compact;
mod hub;
mod lift;
mod lower;
mod order;

use bytes::Bytes;
use http::{Method, header};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Raw, with_text_member};
use latimer_wire::responses::{Envelope, Request};

pub(crate) use self::lift::{begun, count};
use crate::body::Received;
use crate::clock::unix_seconds;
use crate::config::Dialect;
use crate::gateway::Gateway;
use crate::headers;
use crate::ledger::Exchange;
use crate::state::Keep;
use crate::translation::{Lowered, Run, Source, Summary, Watch};
use crate::upstream::Ask;

/// Where a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/responses/compact`.
    Compact,
    /// `POST /v1/responses/input_tokens`.
    Count,
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /backplane/v1/run`.
    Backplane,
    /// A path that is only passed on: `/completions`, `/embeddings`.
    Plain(&'static str),
}

impl Door {
    /// What the recording calls it.
    pub fn name(self) -> &'static str {
        match self {
            Door::Responses => "responses",
            Door::Compact => "responses/compact",
            Door::Count => "responses/input_tokens",
            Door::Chat => "chat",
            Door::Backplane => "backplane",
            Door::Plain(path) => path.trim_start_matches('/'),
        }
    }
}

/// What is sent, and how what comes is carried back.
pub(crate) struct Plan {
    pub ask: Ask,
    pub form: Form,
    /// The way of each answer that is wanted; the backend is asked for each. Only a client of Chat
    /// wants several.
    pub ways: Vec<Way>,
    /// What is to be stored when the answer is over.
    pub keep: Option<Keep>,
}

/// In which form an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As events.
    Stream,
    /// As one body.
    Whole,
    /// As the backend gives it.
    OfBackend,
}

impl Form {
    const fn wanted(stream: bool) -> Form {
        if stream { Form::Stream } else { Form::Whole }
    }
}

/// How an answer is carried back.
pub(crate) enum Way {
    /// As it is; watched, so that its end is known.
    Pass(Watch),
    /// Into the hub.
    Lift(Box<dyn Source>),
    /// Into a compaction.
    Compact(Box<Summary>),
    /// From the hub into Chat Completions.
    Lower(Box<Lowered>),
    /// From the hub into what an agent says, with a receipt at the end.
    Run(Box<Run>),
}

impl Way {
    /// What the recording calls it.
    pub const fn name(&self) -> &'static str {
        match self {
            Way::Pass(_) => "pass",
            Way::Lift(_) | Way::Compact(_) => "lift",
            Way::Lower(_) => "lower",
            Way::Run(_) => "run",
        }
    }
}

const RESPONSES: &str = "/responses";
const COMPACT: &str = "/responses/compact";
const COUNT: &str = "/responses/input_tokens";
const CHAT: &str = "/chat/completions";
const RUN: &str = "/run";

/// The plan for a request to a model.
///
/// # Errors
/// A 400 where the request is not right, or cannot be said to the backend; a 503 where what it is to
/// be continued with cannot be read.
pub(crate) async fn plan(
    exchange: &mut Exchange,
    door: Door,
    head: &http::request::Parts,
    body: &Received,
) -> Result<Plan, ApiError> {
    match (door, exchange.gateway.dialect()) {
        (Door::Responses | Door::Compact | Door::Count, _)
            if !exchange.gateway.backend_remembers() =>
        {
            lift::plan(exchange, door, head, utf8(&body.plain)?).await
        }
        (Door::Responses, _) => pass(exchange, head, RESPONSES, body, Watch::hub()),
        (Door::Compact, _) => pass(exchange, head, COMPACT, body, Watch::hub()),
        (Door::Count, _) => pass(exchange, head, COUNT, body, Watch::hub()),
        (Door::Chat, Dialect::Responses | Dialect::Backplane) => {
            lower::plan(exchange, head, utf8(&body.plain)?)
        }
        (Door::Chat, Dialect::Chat) => pass(exchange, head, CHAT, body, Watch::chat()),
        (Door::Backplane, _) => order::plan(exchange, head, utf8(&body.plain)?),
        (Door::Plain(path), _) => pass(exchange, head, path, body, Watch::Nothing),
    }
}

/// The plan for the list of models.
pub(crate) fn models(gateway: &Gateway, head: &http::request::Parts) -> Plan {
    let headers = headers::translated(&head.headers, gateway.key(), false);
    Plan {
        ask: Ask {
            method: Method::GET,
            path: "/models".into(),
            headers,
            body: Bytes::new().into(),
        },
        form: Form::Whole,
        ways: vec![Way::Pass(Watch::Nothing)],
        keep: None,
    }
}

/// A body as text.
///
/// # Errors
/// A 400 that names the byte.
pub(crate) fn utf8(body: &[u8]) -> Result<&str, ApiError> {
    simdutf8::compat::from_utf8(body).map_err(|error| {
        let message = format!("The body is not UTF-8: byte {}.", error.valid_up_to());
        ApiError::invalid("", "invalid_json", message)
    })
}

/// The same dialect on both sides: the bytes stay as they came, compressed or not, but for the
/// model's name where it is replaced. Whether they are right is for the backend to say.
fn pass(
    exchange: &Exchange,
    head: &http::request::Parts,
    path: &'static str,
    body: &Received,
    watch: Watch,
) -> Result<Plan, ApiError> {
    let gateway = &exchange.gateway;
    let mut headers = headers::passed_on(&head.headers, gateway.key());
    let body = match gateway.model() {
        Some(model) => {
            let text = utf8(&body.plain)?;
            Raw::parse(text)?;
            headers.remove(header::CONTENT_ENCODING);
            Bytes::from(with_text_member(text, "model", model))
        }
        None => body.raw.clone(),
    };
    let form = Form::OfBackend;
    let ways = vec![Way::Pass(watch)];
    Ok(Plan { ask: Ask::post(path, headers, body), form, ways, keep: None })
}

/// A request about what a backend keeps itself, as it came.
pub(crate) fn about_state(
    exchange: &Exchange,
    head: &http::request::Parts,
    body: &Received,
) -> Plan {
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let path = path.strip_prefix("/v1").unwrap_or(path).to_owned();
    let headers = headers::passed_on(&head.headers, exchange.gateway.key());
    let ask = Ask {
        method: head.method.clone(),
        path: path.into(),
        headers,
        body: body.raw.clone().into(),
    };
    Plan { ask, form: Form::OfBackend, ways: vec![Way::Pass(Watch::hub())], keep: None }
}

fn envelope(exchange: &Exchange, request: &Request<'_>) -> Envelope {
    Envelope::new(request, &exchange.response_id(), unix_seconds())
}
