//! Which way an exchange takes: what is sent to the backend, and how its answer comes back. Decided by
//! two dialects, the client's door and the backend's; where they are the same, nothing is changed.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use latimer_wire::backplane::{self, Offered, OrderHead, WorkOrder};
use latimer_wire::chat::{
    Backend, Lift, LiftOptions, Lifted, Lower, Shape, StopSequences, lift_request, lower_request,
};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw, with_text_member};
use latimer_wire::note::Notes;
use latimer_wire::path::Path;
use latimer_wire::responses::{
    Envelope, Event, Item, Mend, Request, Response, Snapshot, Status, Usage, unfold,
};

use crate::body::Received;
use crate::clock::unix_seconds;
use crate::compaction;
use crate::config::Dialect;
use crate::gateway::Gateway;
use crate::headers;
use crate::history;
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
        (Door::Responses | Door::Compact | Door::Count, Dialect::Chat | Dialect::Backplane) => {
            lift(exchange, door, head, utf8(&body.plain)?).await
        }
        (Door::Compact, Dialect::Responses) => pass(exchange, head, COMPACT, body, Watch::hub()),
        (Door::Count, Dialect::Responses) => pass(exchange, head, COUNT, body, Watch::hub()),
        (Door::Responses, Dialect::Responses) => {
            pass(exchange, head, RESPONSES, body, Watch::hub())
        }
        (Door::Chat, Dialect::Responses | Dialect::Backplane) => {
            lower(exchange, head, utf8(&body.plain)?)
        }
        (Door::Chat, Dialect::Chat) => pass(exchange, head, CHAT, body, Watch::chat()),
        (Door::Backplane, _) => run(exchange, head, utf8(&body.plain)?),
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

/// A Responses client before a backend that has no memory: what came before goes along.
async fn lift(
    exchange: &mut Exchange,
    door: Door,
    head: &http::request::Parts,
    text: &str,
) -> Result<Plan, ApiError> {
    let asked = Request::parse(text)?;
    exchange.understood();
    asked.check()?;
    let past = history::recall(exchange, &asked).await?;
    let mut request = past.with(asked.clone())?;
    let envelope = envelope(exchange, &asked);
    let keep = match door {
        Door::Responses => history::keep(exchange, &asked, &request, &envelope)?,
        _ => None,
    };
    let envelope = envelope.stored(keep.is_some());
    let form = Form::wanted(request.stream && door == Door::Responses);
    let gateway = Arc::clone(&exchange.gateway);
    if door == Door::Compact || request.wants_compaction() {
        let prompt = compaction::message(gateway.compaction_prompt());
        let request = request.asking_for_summary(Item::parse(&prompt, Path::INPUT)?);
        let (ask, source) = sent(exchange, head, &request, text, envelope.clone())?;
        let (stem, bare) = (exchange.id.clone(), door == Door::Compact);
        let summary = Summary { source, envelope, gateway, stem, bare };
        return Ok(Plan { ask, form, ways: vec![Way::Compact(Box::new(summary))], keep });
    }
    // What is made in the background can be followed, whoever asked for it and how.
    request.stream |= keep.as_ref().is_some_and(|keep| keep.begun.is_some());
    let (ask, source) = sent(exchange, head, &request, text, envelope)?;
    Ok(Plan { ask, form, ways: vec![Way::Lift(source)], keep })
}

/// A request as the backend takes it; where the client allows it and the backend's bound is known,
/// without the oldest turns that are too much.
fn lower_fitting(
    exchange: &mut Exchange,
    request: &Request<'_>,
) -> Result<latimer_wire::chat::Lowered, ApiError> {
    let gateway = Arc::clone(&exchange.gateway);
    let backend = Backend { model: gateway.model(), profile: gateway.profile() };
    let may_cut = request.given("truncation").and_then(Raw::text).as_deref() == Some("auto");
    let Some(window) = gateway.context_tokens().filter(|_| may_cut) else {
        return lower_request(request, &backend, &mut exchange.notes);
    };
    let request = request.clone().without("truncation");
    let mut notes = Notes::default();
    let lowered = lower_request(&request, &backend, &mut notes)?;
    let answer = request.given("max_output_tokens").and_then(Raw::count).unwrap_or_default();
    let excess = (estimated_tokens(&lowered.body) + answer).saturating_sub(window);
    if excess == 0 {
        exchange.add_notes(notes);
        return Ok(lowered);
    }
    let (request, gone) = request.without_oldest(excess as usize * BYTES_PER_TOKEN);
    exchange.notes.add("input_truncated", format!("the oldest {gone} items"));
    lower_request(&request, &backend, &mut exchange.notes)
}

/// How many bytes of a request make a token, nearly: English text and JSON have about four
/// (OpenAI's rule of thumb).
const BYTES_PER_TOKEN: usize = 4;

/// How many tokens a request has, by its length.
fn estimated_tokens(body: &str) -> u64 {
    body.len().div_ceil(BYTES_PER_TOKEN) as u64
}

/// How many tokens a request would have before a backend that does not count them, as JSON.
///
/// # Errors
/// As [`plan`].
pub(crate) async fn count(exchange: &mut Exchange, body: &Received) -> Result<String, ApiError> {
    let asked = Request::parse(utf8(&body.plain)?)?;
    exchange.understood();
    asked.check()?;
    let past = history::recall(exchange, &asked).await?;
    let lowered = lower_fitting(exchange, &past.with(asked.clone())?)?;
    exchange.notes.add("input_tokens_estimated", "by the length of what the backend would be sent");
    let mut counted = String::new();
    Object::new(&mut counted)
        .text("object", "response.input_tokens")
        .number("input_tokens", estimated_tokens(&lowered.body))
        .end();
    Ok(counted)
}

/// What a backend is asked, and what makes a response of its answer.
fn sent(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    request: &Request<'_>,
    text: &str,
    envelope: Envelope,
) -> Result<(Ask, Box<dyn Source>), ApiError> {
    let hub = Hub { request, text, stem: exchange.id.clone(), envelope, order: None };
    let Sent { path, body, source } = hub.send(exchange)?;
    let headers = headers::translated(&head.headers, exchange.gateway.key(), request.stream);
    Ok((Ask::post(path, headers, Bytes::from(body)), source))
}

/// A request of the hub on its way to the backend.
struct Hub<'r> {
    request: &'r Request<'r>,
    /// Its body.
    text: &'r str,
    /// What the ids of the answer's items are made of.
    stem: String,
    envelope: Envelope,
    /// The work order that it was made of.
    order: Option<WorkOrder>,
}

/// A request as a backend takes it, and the reader of its answer.
struct Sent {
    path: &'static str,
    body: String,
    source: Box<dyn Source>,
}

impl Hub<'_> {
    /// What is sent, whatever the backend speaks.
    fn send(self, exchange: &mut Exchange) -> Result<Sent, ApiError> {
        let gateway = Arc::clone(&exchange.gateway);
        match gateway.dialect() {
            Dialect::Chat => {
                let profile = gateway.profile();
                let lowered = lower_fitting(exchange, self.request)?;
                let lift = Lift::new(self.envelope, &self.stem)
                    .with_tools(lowered.toolbox)
                    .with_think_tags(profile.think_tags)
                    .with_refusals_as_text(exchange.is_codex);
                Ok(Sent { path: CHAT, body: lowered.body, source: Box::new(lift) })
            }
            Dialect::Responses => {
                let body = match gateway.model() {
                    Some(model) => with_text_member(self.text, "model", model),
                    None => self.text.to_owned(),
                };
                let source = Box::new(Mend::new(self.envelope, &self.stem));
                Ok(Sent { path: RESPONSES, body, source })
            }
            Dialect::Backplane => {
                let order = match self.order {
                    Some(order) => order,
                    None => ordered(exchange, self.request),
                };
                let lift = backplane::Lift::new(self.envelope, &self.stem)
                    .with_tools(Offered::of(self.request))
                    .with_policy(order.policy.clone());
                Ok(Sent { path: RUN, body: order.to_json(), source: Box::new(lift) })
            }
        }
    }
}

/// The work order for an agent, by the operator's policy. What came before is in it already.
fn ordered(exchange: &Exchange, request: &Request<'_>) -> WorkOrder {
    let gateway = &exchange.gateway;
    let mut order = backplane::lower_request(
        request,
        OrderHead {
            id: exchange.id.clone(),
            model: gateway.model().map(str::to_owned),
            policy: gateway.policy(),
        },
    );
    if gateway.state.is_some() {
        order.config.vendor.remove("previous_response_id");
        order.config.vendor.remove("conversation");
    }
    order
}

/// A client with a work order. What it requires is looked at before anything runs.
fn run(exchange: &mut Exchange, head: &http::request::Parts, text: &str) -> Result<Plan, ApiError> {
    let gateway = Arc::clone(&exchange.gateway);
    let mut order = WorkOrder::parse(text)?;
    exchange.understood();
    if order.id.is_empty() {
        order.id.clone_from(&exchange.id);
    }
    let stream = headers::takes_events(&head.headers);
    order.config.vendor.insert("stream".to_owned(), backplane::Json::boolean(stream));
    let run = gateway.runs.begin(&gateway, &exchange.id, &order)?;
    let hub = backplane::lift_request(&order, &mut exchange.notes)?;
    let request = Request::parse(&hub)?;
    request.check()?;
    let envelope = envelope(exchange, &request);
    let stem = exchange.id.clone();
    let order = WorkOrder { id: exchange.id.clone(), ..order };
    let hub = Hub { request: &request, text: &hub, stem, envelope, order: Some(order) };
    let Sent { path, body, source } = hub.send(exchange)?;
    let way = Way::Run(Box::new(Run { source, lower: run, receipts: Arc::clone(&gateway.runs) }));
    let headers = headers::translated(&head.headers, gateway.key(), stream);
    Ok(Plan {
        ask: Ask::post(path, headers, Bytes::from(body)),
        form: Form::wanted(stream),
        ways: vec![way],
        keep: None,
    })
}

/// A Chat client before a backend that speaks something else.
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
    let (mut ask, mut ways) = (None, Vec::new());
    for choice in 0..lifted.n {
        let envelope = envelope(exchange, &request);
        let stem = format!("{}{choice}", exchange.id);
        let hub = Hub { request: &request, text: &lifted.body, stem, envelope, order: None };
        let Sent { path, body, source } = hub.send(exchange)?;
        let headers = headers::translated(&head.headers, gateway.key(), lifted.stream);
        ask = Some(Ask::post(path, headers, Bytes::from(body)));
        ways.push(Way::Lower(Box::new(lowered(exchange, source, &request, &lifted, choice))));
    }
    let ask =
        ask.ok_or_else(|| ApiError::invalid("n", "invalid_value", "`n` has to be 1 or more."))?;
    Ok(Plan { ask, form: Form::wanted(lifted.stream), ways, keep: None })
}

fn lowered(
    exchange: &Exchange,
    source: Box<dyn Source>,
    request: &Request<'_>,
    lifted: &Lifted,
    choice: u64,
) -> Lowered {
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
    Lowered { source, lower, id, shape, stop }
}

/// The events of a response that is complete before anything is said, and empty.
///
/// # Errors
/// As [`plan`].
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

fn envelope(exchange: &Exchange, request: &Request<'_>) -> Envelope {
    Envelope::new(request, &exchange.response_id(), unix_seconds())
}
