//! One exchange, from the client's request to the end of the answer. Read this file first: it is
//! the path everything takes.
//!
//! 1. the body is read and decompressed ([`crate::body`]);
//! 2. it becomes a [`Request`], a view over its bytes;
//! 3. where the backend speaks another dialect it is lowered, else the bytes stay as they are;
//! 4. the backend is asked ([`crate::upstream`]);
//! 5. its answer streams through a [`Translation`] ([`crate::stream`]), or comes whole;
//! 6. the exchange is recorded ([`crate::capture`]), whatever came of it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use latimer_wire::chat::{Backend, Lift, Toolbox, lower_request};
use latimer_wire::error::ApiError;
use latimer_wire::json::Raw;
use latimer_wire::responses::{Envelope, Request, Usage};

use crate::answer::{Answer, build};
use crate::clock::unix_seconds;
use crate::config::{Dialect, Timeouts};
use crate::gateway::Gateway;
use crate::headers;
use crate::ledger::{Exchange, Outcome};
use crate::refusal::Refusal;
use crate::stream::Stream;
use crate::translation::{Hop, Lifting, Passing, Translation, whole_chat};
use crate::upstream::{Reply, ReplyBody};

/// What a client is given when nothing went wrong before it began.
enum Given {
    /// Events, as the backend makes them.
    Stream {
        reply: ReplyBody,
        translation: Box<dyn Translation>,
        /// What is to be said first.
        head: Bytes,
        headers: HeaderMap,
    },
    /// One body.
    Whole { body: Bytes, outcome: Outcome, headers: HeaderMap },
}

/// `POST /v1/responses`.
pub(crate) async fn responses(
    gateway: &Arc<Gateway>,
    request: http::Request<Incoming>,
) -> Response<Answer> {
    let (head, incoming) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head);
    let given = answer(&mut exchange, &head, incoming).await;
    give(exchange, given)
}

/// `GET /v1/models`: what the backend offers, as it says it.
pub(crate) async fn models(
    gateway: &Arc<Gateway>,
    request: http::Request<Incoming>,
) -> Response<Answer> {
    let (head, _) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head);
    let outgoing = Outgoing {
        method: Method::GET,
        path: "/models",
        headers: headers::translated(&head.headers, gateway.key(), false),
        body: Bytes::new(),
        toolbox: Toolbox::default(),
    };
    let given = match ask(&mut exchange, outgoing).await {
        Ok((reply, _)) => pass_whole(&mut exchange, reply).await,
        Err(refusal) => Err(refusal),
    };
    give(exchange, given)
}

async fn answer(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    incoming: Incoming,
) -> Result<Given, Refusal> {
    let body = read(exchange, head, incoming).await?;
    let request = Request::parse(utf8(&body)?)?;
    let outgoing = prepare(exchange, head, &request, &body)?;
    let (reply, toolbox) = ask(exchange, outgoing).await?;
    let dialect = exchange.gateway.dialect();
    if dialect == Dialect::Responses && (!request.stream || is_json(&reply)) {
        return pass_whole(exchange, reply).await;
    }
    readable(exchange, &reply)?;
    match request.stream {
        true => stream(exchange, reply, &request, toolbox).await,
        false => whole(exchange, reply, &request, toolbox).await,
    }
}

/// The body of the request, decompressed.
async fn read(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    incoming: Incoming,
) -> Result<Bytes, Refusal> {
    let gateway = Arc::clone(&exchange.gateway);
    let (limits, timeouts) = (&gateway.settings.limits, &gateway.settings.timeouts);
    let raw = crate::body::read(&head.headers, incoming, limits, timeouts).await;
    let raw = raw.map_err(|error| Refusal::with(error, headers::closing()))?;
    let body = crate::body::decode(&head.headers, raw, limits).await?;
    exchange.asked(&body);
    Ok(body)
}

fn utf8(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|error| {
        let message = format!("The body is not UTF-8: byte {}.", error.valid_up_to());
        ApiError::invalid("", "invalid_json", message)
    })
}

/// What is sent to the backend.
struct Outgoing {
    method: Method,
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
    /// The way back from the backend's names of the tools.
    toolbox: Toolbox,
}

fn prepare(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    request: &Request<'_>,
    body: &Bytes,
) -> Result<Outgoing, ApiError> {
    let gateway = Arc::clone(&exchange.gateway);
    let (model, key) = (gateway.model(), gateway.key());
    match gateway.dialect() {
        Dialect::Chat => {
            let backend = Backend { model, profile: gateway.profile() };
            let lowered = lower_request(request, &backend, &mut exchange.notes)?;
            Ok(Outgoing {
                method: Method::POST,
                path: "/chat/completions",
                headers: headers::translated(&head.headers, key, request.stream),
                body: Bytes::from(lowered.body),
                toolbox: lowered.toolbox,
            })
        }
        Dialect::Responses => Ok(Outgoing {
            method: Method::POST,
            path: "/responses",
            headers: headers::passed_on(&head.headers, key),
            body: match model {
                Some(model) => Bytes::from(request.with_model(utf8(body)?, model)),
                None => body.clone(),
            },
            toolbox: Toolbox::default(),
        }),
    }
}

/// Asks the backend. An error status is a refusal.
async fn ask(exchange: &mut Exchange, outgoing: Outgoing) -> Result<(Reply, Toolbox), Refusal> {
    let Outgoing { method, path, headers, body, toolbox } = outgoing;
    let upstream = Arc::clone(&exchange.gateway.upstream);
    let reply = upstream.send(method, path, headers, body).await.map_err(ApiError::from)?;
    exchange.attempts = reply.attempts;
    if !reply.head.status.is_success() {
        return Err(Refusal::of_backend(exchange, reply).await);
    }
    Ok((reply, toolbox))
}

fn is_json(reply: &Reply) -> bool {
    let content_type = reply.head.headers.get(header::CONTENT_TYPE);
    content_type.and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("json"))
}

/// An answer that has to be read must not be compressed; it was not asked to be.
fn readable(exchange: &Exchange, reply: &Reply) -> Result<(), ApiError> {
    match headers::codings(&reply.head.headers).first() {
        None => Ok(()),
        Some(coding) => {
            let hop = exchange.hop();
            let message =
                format!("Latimer: the backend {hop} sent {coding}, which it was not asked for.");
            Err(ApiError::server(502, "upstream_invalid", message))
        }
    }
}

/// What turns the backend's answer to `request` into ours.
fn lift(exchange: &Exchange, request: &Request<'_>, toolbox: Toolbox) -> Lift {
    let envelope = Envelope::new(request, &format!("resp_{}", exchange.id), unix_seconds());
    Lift::new(envelope, &exchange.id)
        .with_tools(toolbox)
        .with_think_tags(exchange.gateway.profile().think_tags)
        .with_refusals_as_text(exchange.is_codex)
}

/// A stream. What is there of it already is read at once: an answer that begins with an error is
/// given as one.
async fn stream(
    exchange: &Exchange,
    mut reply: Reply,
    request: &Request<'_>,
    toolbox: Toolbox,
) -> Result<Given, Refusal> {
    let gateway = &exchange.gateway;
    let limits = &gateway.settings.limits;
    let hop = Hop { name: exchange.hop(), secret: gateway.secret.clone() };
    let from = &reply.head.headers;
    let (mut translation, headers): (Box<dyn Translation>, _) = match gateway.dialect() {
        Dialect::Responses => {
            (Box::new(Passing::new(limits.event_bytes, hop)), headers::answered(from))
        }
        Dialect::Chat => {
            let lift = lift(exchange, request, toolbox);
            let lifting = match is_json(&reply) {
                true => Lifting::whole(lift, limits.answer_bytes, hop),
                false => Lifting::events(lift, limits.event_bytes, hop),
            };
            (Box::new(lifting), headers::events(from))
        }
    };
    let mut head = BytesMut::from(translation.begin());
    if let Some(bytes) = reply.body.ready().await {
        head.extend_from_slice(&translation.push(bytes, unix_seconds()));
    }
    match translation.failed_at_once() {
        Some(failure) => Err(Refusal::of_failure(exchange, failure)),
        None => {
            let head = head.freeze();
            Ok(Given::Stream { reply: reply.body, translation, head, headers })
        }
    }
}

async fn whole(
    exchange: &mut Exchange,
    reply: Reply,
    request: &Request<'_>,
    toolbox: Toolbox,
) -> Result<Given, Refusal> {
    let headers = headers::json(&reply.head.headers);
    let body = collect(exchange, reply).await?;
    let lift = lift(exchange, request, toolbox);
    match whole_chat(lift, &body, unix_seconds()) {
        Ok((response, usage, notes)) => {
            exchange.add_notes(notes);
            exchange.set_usage(usage);
            let outcome = Outcome::of(response.json());
            Ok(Given::Whole { body: Bytes::from(response.into_json()), outcome, headers })
        }
        Err(failure) => Err(Refusal::of_failure(exchange, failure)),
    }
}

async fn pass_whole(exchange: &mut Exchange, reply: Reply) -> Result<Given, Refusal> {
    let headers = headers::answered(&reply.head.headers);
    let body = collect(exchange, reply).await?;
    let text = std::str::from_utf8(&body).ok();
    let json = text.and_then(|text| Raw::parse(text).ok()).unwrap_or(Raw::NULL);
    exchange.set_usage(json.member("usage").and_then(Raw::non_null).map(Usage::read));
    let outcome = Outcome::of(json);
    Ok(Given::Whole { body, outcome, headers })
}

async fn collect(exchange: &Exchange, reply: Reply) -> Result<Bytes, ApiError> {
    let settings = &exchange.gateway.settings;
    let idle = Timeouts::of(settings.timeouts.idle_ms);
    reply.body.collect(settings.limits.answer_bytes, idle).await.map_err(|trouble| {
        let hop = exchange.hop();
        let message = format!("Latimer: the answer of the backend {hop} broke off: {trouble}.");
        ApiError::server(502, "upstream_incomplete", message)
    })
}

/// Hands over what came of it.
fn give(mut exchange: Exchange, given: Result<Given, Refusal>) -> Response<Answer> {
    match given {
        Ok(Given::Stream { reply, translation, head: first, headers }) => {
            let gateway = Arc::clone(&exchange.gateway);
            let head = exchange.head(StatusCode::OK, headers);
            let stream = Stream::new(reply, translation, first, exchange, &gateway.settings);
            build(head, Answer::Stream(Box::pin(stream)))
        }
        Ok(Given::Whole { body, outcome, headers }) => {
            exchange.whole(StatusCode::OK, headers, body, outcome)
        }
        Err(Refusal { status, headers, body }) => {
            let body = Bytes::from(exchange.gateway.secret.hide(body));
            exchange.whole(status, headers, body, Outcome::Failed)
        }
    }
}
