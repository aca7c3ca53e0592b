//! Which way an exchange takes: what is sent to the backend, and how its answer comes back. Decided by
//! two dialects, the client's door and the backend's; where they are the same, nothing is changed.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use latimer_wire::chat::{
    Backend, Lift, LiftOptions, Lifted, Lower, Shape, StopSequences, lift_request, lower_request,
};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Raw, with_text_member};
use latimer_wire::responses::{
    Envelope, Event, Mend, Request, Response, Snapshot, Status, Usage, unfold,
};

use crate::body::Received;
use crate::clock::unix_seconds;
use crate::config::Dialect;
use crate::gateway::Gateway;
use crate::headers;
use crate::history;
use crate::ledger::Exchange;
use crate::state::Keep;
use crate::translation::{Lowered, Watch};
use crate::upstream::Ask;

/// Where a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/chat/completions`.
    Chat,
    /// A path that is only passed on: `/completions`, `/embeddings`.
    Plain(&'static str),
}

impl Door {
    /// What the recording calls it.
    pub fn name(self) -> &'static str {
        match self {
            Door::Responses => "responses",
            Door::Chat => "chat",
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
    /// From Chat Completions into the hub.
    Lift(Box<Lift>),
    /// From the hub into Chat Completions.
    Lower(Box<Lowered>),
}

impl Way {
    /// What the recording calls it.
    pub const fn name(&self) -> &'static str {
        match self {
            Way::Pass(_) => "pass",
            Way::Lift(_) => "lift",
            Way::Lower(_) => "lower",
        }
    }
}

const RESPONSES: &str = "/responses";
const CHAT: &str = "/chat/completions";

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
        (Door::Responses, Dialect::Chat) => lift(exchange, head, utf8(&body.plain)?).await,
        (Door::Responses, Dialect::Responses) => {
            pass(exchange, head, RESPONSES, body, Watch::hub())
        }
        (Door::Chat, Dialect::Responses) => lower(exchange, head, utf8(&body.plain)?),
        (Door::Chat, Dialect::Chat) => pass(exchange, head, CHAT, body, Watch::chat()),
        (Door::Plain(path), _) => pass(exchange, head, path, body, Watch::Nothing),
    }
}

/// The plan for the list of models.
pub(crate) fn models(gateway: &Gateway, head: &http::request::Parts) -> Plan {
    let headers = headers::translated(&head.headers, gateway.key(), false);
    Plan {
        ask: Ask { method: Method::GET, path: "/models".into(), headers, body: Bytes::new() },
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
    let ask =
        Ask { method: head.method.clone(), path: path.into(), headers, body: body.raw.clone() };
    Plan { ask, form: Form::OfBackend, ways: vec![Way::Pass(Watch::hub())], keep: None }
}

/// A Responses client before a Chat backend, which has no memory: what came before goes along.
async fn lift(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    text: &str,
) -> Result<Plan, ApiError> {
    let asked = Request::parse(text)?;
    exchange.understood();
    asked.check()?;
    let gateway = Arc::clone(&exchange.gateway);
    let past = match &gateway.state {
        Some(state) => Some(history::recall(exchange, state, &asked).await?),
        None => None,
    };
    let mut request = match &past {
        Some(past) => past.with(asked.clone())?,
        None => asked.clone(),
    };
    let form = Form::wanted(request.stream);
    let envelope = envelope(exchange, &asked);
    let keep = match &gateway.state {
        Some(state) => history::keep(exchange, state, &asked, &request, &envelope)?,
        None => None,
    };
    // What is made in the background can be followed, whoever asked for it and how.
    request.stream |= keep.as_ref().is_some_and(|keep| keep.begun.is_some());
    let profile = gateway.profile();
    let backend = Backend { model: gateway.model(), profile };
    let lowered = lower_request(&request, &backend, &mut exchange.notes)?;
    let lift = Lift::new(envelope.stored(keep.is_some()), &exchange.id)
        .with_tools(lowered.toolbox)
        .with_think_tags(profile.think_tags)
        .with_refusals_as_text(exchange.is_codex);
    let headers = headers::translated(&head.headers, gateway.key(), request.stream);
    Ok(Plan {
        ask: Ask::post(CHAT, headers, Bytes::from(lowered.body)),
        form,
        ways: vec![Way::Lift(Box::new(lift))],
        keep,
    })
}

/// A Chat client before a Responses backend.
fn lower(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    text: &str,
) -> Result<Plan, ApiError> {
    let gateway = Arc::clone(&exchange.gateway);
    let options =
        LiftOptions { instructions: gateway.chat_clients().instructions, ..LiftOptions::default() };
    let lifted = lift_request(text, &options, &mut exchange.notes)?;
    exchange.understood();
    let most = gateway.settings.limits.answers;
    if lifted.n > most {
        let message = format!(
            "Latimer: `n` may be at most {most} in front of a Responses backend, which is asked \
             for each answer (`limits.answers` in the configuration)."
        );
        return Err(ApiError::invalid("n", "unsupported_value", message));
    }
    let request = Request::parse(&lifted.body)?;
    let body = match gateway.model() {
        Some(model) => with_text_member(&lifted.body, "model", model),
        None => lifted.body.clone(),
    };
    let headers = headers::translated(&head.headers, gateway.key(), lifted.stream);
    let way = |choice| Way::Lower(Box::new(lowered(exchange, &request, &lifted, choice)));
    Ok(Plan {
        ask: Ask::post(RESPONSES, headers, Bytes::from(body)),
        form: Form::wanted(lifted.stream),
        ways: (0..lifted.n).map(way).collect(),
        keep: None,
    })
}

fn lowered(exchange: &Exchange, request: &Request<'_>, lifted: &Lifted, choice: u64) -> Lowered {
    let id = format!("chatcmpl-{}", exchange.id);
    let shape = Shape {
        reasoning: exchange.gateway.chat_clients().reasoning,
        custom_calls: lifted.custom_tools,
    };
    let stop: Option<StopSequences> = (!lifted.stop.is_empty()).then(|| lifted.stop.clone());
    let mut lower =
        Lower::new(&id, &request.model(), unix_seconds(), lifted.include_usage).with_shape(shape);
    if let Some(stop) = &stop {
        lower = lower.with_stop(stop.clone());
    }
    if lifted.n > 1 {
        lower = lower.with_choice(choice);
    }
    let mend = Mend::new(envelope(exchange, request), &format!("{}{choice}", exchange.id));
    Lowered { mend, lower, id, shape, stop }
}

/// The events of a response that is complete before anything is said, and empty.
///
/// # Errors
/// As [`plan`].
pub(crate) async fn begun(exchange: &mut Exchange, body: &Received) -> Result<String, ApiError> {
    let request = Request::parse(utf8(&body.plain)?)?;
    exchange.understood();
    request.check()?;
    let gateway = Arc::clone(&exchange.gateway);
    if let Some(state) = &gateway.state {
        history::recall(exchange, state, &request).await?;
    }
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

fn envelope(exchange: &Exchange, request: &Request<'_>) -> Envelope {
    Envelope::new(request, &exchange.response_id(), unix_seconds())
}
