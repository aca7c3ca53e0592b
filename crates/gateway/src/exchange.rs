//! One exchange, from the client's request to the end of the answer. Read this file first: it is
//! the path everything takes.
//!
//! 1. the body is read and decompressed ([`crate::body`]);
//! 2. a [`Plan`] is made: what is sent to the backend, and by which way its answer comes back; where
//!    both speak the same dialect the bytes stay as they are ([`crate::route`]);
//! 3. the backend is asked ([`crate::upstream`]);
//! 4. its answer streams through a [`Translation`] ([`crate::stream`]), or comes whole;
//! 5. the exchange is recorded ([`crate::ledger`], [`crate::capture`]), whatever came of it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use latimer_wire::error::ApiError;
use latimer_wire::json::Raw;
use latimer_wire::responses::Usage;

use crate::answer::{Answer, build};
use crate::body::Received;
use crate::clock::unix_seconds;
use crate::config::Timeouts;
use crate::gateway::Gateway;
use crate::headers;
use crate::ledger::{Exchange, Outcome};
use crate::models;
use crate::refusal::Refusal;
use crate::route::{self, Door, Plan, Way};
use crate::stream::Stream;
use crate::translation::{Hop, Lifting, Lowering, Passing, Translation, Whole};
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

/// A request to a model, at the door for its dialect.
pub(crate) async fn ask(
    gateway: &Arc<Gateway>,
    door: Door,
    request: http::Request<Incoming>,
) -> Response<Answer> {
    let (head, incoming) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head);
    let given = answer(&mut exchange, door, &head, incoming).await;
    give(exchange, given)
}

/// `GET /v1/models`: what the backend offers, in the shapes of OpenAI and of Codex.
pub(crate) async fn list_models(
    gateway: &Arc<Gateway>,
    request: http::Request<Incoming>,
) -> Response<Answer> {
    let (head, _) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head);
    let given = match send(&mut exchange, route::models(gateway, &head)).await {
        Ok((reply, _)) => pass_whole(&mut exchange, reply).await,
        Err(refusal) => Err(refusal),
    };
    give(exchange, given.map(with_catalog))
}

fn with_catalog(given: Given) -> Given {
    match given {
        Given::Whole { body, outcome, headers } => {
            Given::Whole { body: models::in_both_shapes(body), outcome, headers }
        }
        stream => stream,
    }
}

async fn answer(
    exchange: &mut Exchange,
    door: Door,
    head: &http::request::Parts,
    incoming: Incoming,
) -> Result<Given, Refusal> {
    let body = read(exchange, head, incoming).await?;
    let plan = route::plan(exchange, door, head, &body)?;
    let stream_wanted = plan.stream;
    let (reply, way) = send(exchange, plan).await?;
    match way {
        Way::Pass(_) if !stream_wanted || is_json(&reply) => pass_whole(exchange, reply).await,
        way => {
            readable(exchange, &reply)?;
            match stream_wanted {
                true => stream(exchange, reply, way).await,
                false => whole(exchange, reply, way).await,
            }
        }
    }
}

/// The body of the request.
async fn read(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    incoming: Incoming,
) -> Result<Received, Refusal> {
    let gateway = Arc::clone(&exchange.gateway);
    let (limits, timeouts) = (&gateway.settings.limits, &gateway.settings.timeouts);
    let raw = crate::body::read(&head.headers, incoming, limits, timeouts).await;
    let raw = raw.map_err(|error| Refusal::with(error, headers::closing()))?;
    let plain = crate::body::decode(&head.headers, raw.clone(), limits).await?;
    exchange.asked(&plain);
    Ok(Received { raw, plain })
}

/// Sends what was planned. An error status is a refusal.
async fn send(exchange: &mut Exchange, plan: Plan) -> Result<(Reply, Way), Refusal> {
    let upstream = Arc::clone(&exchange.gateway.upstream);
    let Plan { method, path, headers, body, way, .. } = plan;
    let reply = upstream.send(method, path, headers, body).await.map_err(ApiError::from)?;
    exchange.attempts = reply.attempts;
    if !reply.head.status.is_success() {
        return Err(Refusal::of_backend(exchange, reply).await);
    }
    Ok((reply, way))
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

/// A stream. What is there of it already is read at once: an answer that begins with an error is
/// given as one.
async fn stream(exchange: &Exchange, mut reply: Reply, way: Way) -> Result<Given, Refusal> {
    let gateway = &exchange.gateway;
    let limits = &gateway.settings.limits;
    let hop = Hop { name: exchange.hop(), secret: gateway.secret.clone() };
    let from = &reply.head.headers;
    let (mut translation, headers): (Box<dyn Translation>, _) = match way {
        Way::Pass(watch) => {
            (Box::new(Passing::new(watch, limits.event_bytes, hop)), headers::answered(from))
        }
        Way::Lift(lift) => {
            let lifting = match is_json(&reply) {
                true => Lifting::whole(*lift, limits.answer_bytes, hop),
                false => Lifting::events(*lift, limits.event_bytes, hop),
            };
            (Box::new(lifting), headers::events(from))
        }
        Way::Lower(lower) => {
            let lowering = match is_json(&reply) {
                true => Lowering::whole(*lower, limits.answer_bytes, hop),
                false => Lowering::events(*lower, limits.event_bytes, hop),
            };
            (Box::new(lowering), headers::events(from))
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

/// A whole answer, made of whatever the backend sent: one body, or a stream.
async fn whole(exchange: &mut Exchange, reply: Reply, way: Way) -> Result<Given, Refusal> {
    let headers = headers::json(&reply.head.headers);
    let body = collect(exchange, reply).await?;
    let whole = match way {
        Way::Lift(lift) => Whole::lifted(*lift, &body, unix_seconds()),
        Way::Lower(lower) => Whole::lowered(*lower, &body),
        Way::Pass(_) => return Ok(passed(exchange, body, headers)),
    };
    match whole {
        Ok(Whole { body, outcome, usage, notes }) => {
            exchange.add_notes(notes);
            exchange.set_usage(usage);
            Ok(Given::Whole { body: Bytes::from(body), outcome, headers })
        }
        Err(failure) => Err(Refusal::of_failure(exchange, failure)),
    }
}

async fn pass_whole(exchange: &mut Exchange, reply: Reply) -> Result<Given, Refusal> {
    let headers = headers::answered(&reply.head.headers);
    let body = collect(exchange, reply).await?;
    Ok(passed(exchange, body, headers))
}

/// A body that goes through as it is, and what can be seen of it.
fn passed(exchange: &mut Exchange, body: Bytes, headers: HeaderMap) -> Given {
    let text = std::str::from_utf8(&body).ok();
    let json = text.and_then(|text| Raw::parse(text).ok()).unwrap_or(Raw::NULL);
    exchange.set_usage(json.member("usage").and_then(Raw::non_null).map(Usage::read));
    let outcome = Outcome::of(json);
    Given::Whole { body, outcome, headers }
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
