//! One exchange, from the client's request to the end of the answer. Read this file first: it is
//! the path everything takes.
//!
//! 1. the body is read and decompressed ([`crate::body`]);
//! 2. a [`Plan`] is made: what is sent to the backend, with what came before it
//!    ([`crate::history`]), and by which way its answer comes back; where both speak the same dialect
//!    the bytes stay as they are ([`crate::route`]);
//! 3. the backend is asked ([`crate::upstream`]);
//! 4. its answer streams through a [`Translation`] ([`crate::stream`]), or comes whole;
//! 5. before its last word the answer is stored, where it is to be ([`crate::state`]);
//! 6. the exchange is recorded ([`crate::ledger`], [`crate::capture`]), whatever came of it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{HeaderMap, Response, StatusCode, header};
use latimer_probe::record::account::Outcome;
use latimer_store::Id;
use latimer_wire::backplane::codex::DEFAULT_MODEL;
use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw};

use crate::answer::{Answer, build};
use crate::background::{self, Source};
use crate::body::{Incoming, Received};
use crate::clock::unix_seconds;
use crate::coding;
use crate::config::{Dialect, Timeouts};
use crate::gateway::Gateway;
use crate::headers;
use crate::ledger::Exchange;
use crate::models;
use crate::paths::Act;
use crate::refusal::Refusal;
use crate::route::{self, Door, Form, Plan, Way};
use crate::state::{self, Keep, Kept};
use crate::strand::Strand;
use crate::stream::{Stream, joined};
use crate::translation::{
    Compacting, Feed, Hop, Lifting, Lowering, Passing, Running, Translation, Whole,
};
use crate::upstream::Reply;

/// What a client is given when nothing went wrong before it began.
pub(crate) enum Given {
    /// Events, as the backend makes them.
    Stream {
        strands: Vec<Strand>,
        /// What is to be said first.
        head: Bytes,
        headers: HeaderMap,
        /// What is to be stored when it is over.
        keep: Option<Keep>,
    },
    /// The events of a response that was asked for before, from a number on.
    Events { source: Source, from: usize },
    /// One body.
    Whole { body: Bytes, outcome: Outcome, headers: HeaderMap },
}

/// A request to a model, at the door for its dialect.
pub(crate) async fn ask(
    gateway: &Arc<Gateway>,
    door: Door,
    request: http::Request<impl Incoming>,
) -> Response<Answer> {
    let (head, incoming) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head, door);
    if door == Door::Count && !gateway.backend_remembers() {
        let given = counted(&mut exchange, &head, incoming).await;
        return give(exchange, given).await;
    }
    let given = match plan(&mut exchange, door, &head, incoming).await {
        Ok((Plan { keep: Some(keep), form, ask, ways }, _)) if keep.begun.is_some() => {
            let plan = Plan { ask, ways, form: Form::Stream, keep: None };
            match background::begin(exchange, plan, keep, form == Form::Stream).await {
                Ok(response) => return response,
                Err((taken_back, refusal)) => {
                    exchange = taken_back;
                    Err(refusal)
                }
            }
        }
        Ok((plan, body)) => carry_out(&mut exchange, plan, &body.plain).await,
        Err(refusal) => Err(refusal),
    };
    give(exchange, given).await
}

/// `GET /v1/models`: what the backend offers, in the shapes of OpenAI and of Codex.
pub(crate) async fn list_models(
    gateway: &Arc<Gateway>,
    request: http::Request<impl Incoming>,
) -> Response<Answer> {
    let (head, _) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head, Door::Plain("/models"));
    if gateway.dialect() == Dialect::Backplane {
        return give(exchange, Ok(with_catalog(an_agent(gateway)))).await;
    }
    let given = match send(&mut exchange, route::models(gateway, &head)).await {
        Ok(answers) => whole(&mut exchange, answers, None).await,
        Err(refusal) => Err(refusal),
    };
    give(exchange, given.map(with_catalog)).await
}

/// A request about what is kept between requests: by us, or by a backend that does so itself.
pub(crate) async fn about_state(
    gateway: &Arc<Gateway>,
    act: Act,
    ids: &[Id],
    request: http::Request<impl Incoming>,
) -> Response<Answer> {
    let (head, incoming) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head, Door::Plain("/state"));
    let given = match read(&mut exchange, &head, incoming).await {
        Err(refusal) => Err(refusal),
        Ok(body) if gateway.backend_remembers() => {
            let plan = route::about_state(&exchange, &head, &body);
            carry_out(&mut exchange, plan, &body.plain).await
        }
        Ok(body) => state::answer(&mut exchange, act, ids, &head, &body).await,
    };
    give(exchange, given).await
}

/// A request that is only to be continued later: its response is there at once, and empty. No backend
/// is asked.
pub(crate) async fn begin(
    gateway: &Arc<Gateway>,
    request: http::Request<impl Incoming>,
) -> Response<Answer> {
    let (head, incoming) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head, Door::Responses);
    let given = match read(&mut exchange, &head, incoming).await {
        Ok(body) => route::begun(&mut exchange, &body).await.map_err(Refusal::from),
        Err(refusal) => Err(refusal),
    };
    let given = given.map(|events| Given::Whole {
        body: Bytes::from(events),
        outcome: Outcome::Completed,
        headers: headers::events(&HeaderMap::new()),
    });
    give(exchange, given).await
}

/// The list of an agent, which has none: the model it is asked for.
fn an_agent(gateway: &Gateway) -> Given {
    let mut body = String::new();
    Object::new(&mut body)
        .text("object", "list")
        .list("data", [gateway.model().unwrap_or(DEFAULT_MODEL)], |out, model| {
            Object::new(out).text("id", model).text("object", "model").end();
        })
        .end();
    let headers = headers::json(&HeaderMap::new());
    Given::Whole { body: Bytes::from(body), outcome: Outcome::Completed, headers }
}

fn with_catalog(given: Given) -> Given {
    match given {
        Given::Whole { body, outcome, headers } => {
            Given::Whole { body: models::in_both_shapes(body), outcome, headers }
        }
        events => events,
    }
}

/// How many tokens a request would have; no backend is asked.
async fn counted(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    incoming: impl Incoming,
) -> Result<Given, Refusal> {
    let body = read(exchange, head, incoming).await?;
    let body = Bytes::from(route::count(exchange, &body).await?);
    let headers = headers::json(&HeaderMap::new());
    Ok(Given::Whole { body, outcome: Outcome::Completed, headers })
}

/// Reads the request and makes a plan.
async fn plan(
    exchange: &mut Exchange,
    door: Door,
    head: &http::request::Parts,
    incoming: impl Incoming,
) -> Result<(Plan, Received), Refusal> {
    let body = read(exchange, head, incoming).await?;
    let plan = route::plan(exchange, door, head, &body).await?;
    Ok((plan, body))
}

/// Asks the backend as planned, and gives what it answers. `asked` is the plain body of the request.
pub(crate) async fn carry_out(
    exchange: &mut Exchange,
    mut plan: Plan,
    asked: &[u8],
) -> Result<Given, Refusal> {
    let (form, keep) = (plan.form, plan.keep.take());
    let answers = send(exchange, plan).await?;
    let form = match (form, answers.first()) {
        (Form::OfBackend, Some((reply, _))) => form_of(reply, asked),
        (wanted, _) => wanted,
    };
    match form {
        Form::Stream => stream(exchange, answers, keep).await,
        Form::Whole | Form::OfBackend => whole(exchange, answers, keep).await,
    }
}

/// The body of the request.
async fn read(
    exchange: &mut Exchange,
    head: &http::request::Parts,
    incoming: impl Incoming,
) -> Result<Received, Refusal> {
    let gateway = Arc::clone(&exchange.gateway);
    let (limits, timeouts) = (&gateway.settings.limits, &gateway.settings.timeouts);
    let raw = crate::body::read(&head.headers, incoming, limits, timeouts).await;
    let raw = raw.map_err(|error| Refusal::with(error, headers::closing()))?;
    let plain = crate::body::decode(&head.headers, raw.clone(), limits).await?;
    let received = Received { raw, plain };
    exchange.asked(&received);
    Ok(received)
}

/// Sends what was planned, for each answer that is wanted. An error status is a refusal, and takes
/// the other answers with it.
async fn send(exchange: &mut Exchange, plan: Plan) -> Result<Vec<(Reply, Way)>, Refusal> {
    exchange.passage.way = plan.ways.first().map(|way| way.name().to_owned());
    let upstream = Arc::clone(&exchange.gateway.upstream);
    let ask_once = async |_| match upstream.send(&plan.ask).await {
        Ok(reply) if reply.head.status.is_success() => Ok(reply),
        refused_or_none => Err(refused_or_none),
    };
    match try_join_all(plan.ways.iter().map(ask_once)).await {
        Ok(replies) => {
            exchange.attempts += replies.iter().map(|reply| reply.attempts).sum::<u32>();
            Ok(replies.into_iter().zip(plan.ways).collect())
        }
        Err(Ok(refused)) => {
            exchange.attempts += refused.attempts;
            Err(Refusal::of_backend(exchange, refused).await)
        }
        Err(Err(error)) => Err(ApiError::from(error).into()),
    }
}

fn is_json(reply: &Reply) -> bool {
    content_type(reply).contains("json")
}

/// The form of an answer that is passed on: as the backend says, or as it was asked for.
fn form_of(reply: &Reply, asked: &[u8]) -> Form {
    if content_type(reply).contains("event-stream") {
        return Form::Stream;
    }
    let asked = Raw::unchecked(std::str::from_utf8(asked).unwrap_or_default());
    let stream = asked.member("stream").and_then(Raw::boolean) == Some(true);
    if stream && !is_json(reply) { Form::Stream } else { Form::Whole }
}

fn content_type(reply: &Reply) -> &str {
    let value = reply.head.headers.get(header::CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// An answer that is translated must not be compressed; it was not asked to be.
fn readable(exchange: &Exchange, reply: &Reply) -> Result<(), ApiError> {
    match headers::coding(&reply.head.headers) {
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
async fn stream(
    exchange: &Exchange,
    answers: Vec<(Reply, Way)>,
    keep: Option<Keep>,
) -> Result<Given, Refusal> {
    let mut strands = Vec::with_capacity(answers.len());
    let (mut head, mut headers) = (Bytes::new(), HeaderMap::new());
    for (reply, way) in answers {
        headers = match way {
            Way::Pass(_) => headers::answered(&reply.head.headers),
            Way::Lift(_) | Way::Compact(_) | Way::Lower(_) | Way::Run(_) => {
                readable(exchange, &reply)?;
                headers::events(&reply.head.headers)
            }
        };
        let translation = translation(exchange, &reply, way, keep.is_some());
        let limit_bytes = exchange.gateway.settings.limits.stream_bytes;
        let mut strand = Strand::new(reply.body, translation, limit_bytes);
        head = joined(head, strand.begin().await);
        if let Some(failure) = strand.translation.failed_at_once() {
            return Err(Refusal::of_failure(exchange, failure));
        }
        strands.push(strand);
    }
    Ok(Given::Stream { strands, head, headers, keep })
}

/// `held`: whether its last event waits until the answer is stored.
fn translation(exchange: &Exchange, reply: &Reply, way: Way, held: bool) -> Box<dyn Translation> {
    let limits = &exchange.gateway.settings.limits;
    let hop = Hop { name: exchange.hop(), secret: exchange.gateway.secret.clone() };
    match (way, is_json(reply)) {
        (Way::Pass(watch), _) => {
            let coding = headers::coding(&reply.head.headers);
            Box::new(Passing::new(watch, coding.as_deref(), limits, hop))
        }
        (Way::Lift(lift), true) => {
            Box::new(Lifting::whole(lift, limits.answer_bytes, hop).holding(held))
        }
        (Way::Lift(lift), false) => {
            Box::new(Lifting::events(lift, limits.event_bytes, hop).holding(held))
        }
        (Way::Compact(summary), true) => {
            let feed = Feed::Whole { body: Vec::new(), limit_bytes: limits.answer_bytes };
            Box::new(Compacting::new(feed, *summary, hop).holding(held))
        }
        (Way::Compact(summary), false) => {
            let feed = Feed::events(limits.event_bytes);
            Box::new(Compacting::new(feed, *summary, hop).holding(held))
        }
        (Way::Lower(lower), true) => Box::new(Lowering::whole(*lower, limits.answer_bytes, hop)),
        (Way::Lower(lower), false) => Box::new(Lowering::events(*lower, limits.event_bytes, hop)),
        (Way::Run(run), true) => Box::new(Running::whole(*run, limits.answer_bytes, hop)),
        (Way::Run(run), false) => Box::new(Running::events(*run, limits.event_bytes, hop)),
    }
}

/// A whole answer, made of whatever the backend sent: one body, or a stream.
async fn whole(
    exchange: &mut Exchange,
    answers: Vec<(Reply, Way)>,
    keep: Option<Keep>,
) -> Result<Given, Refusal> {
    let mut headers = HeaderMap::new();
    let mut coming = Vec::with_capacity(answers.len());
    for (reply, way) in answers {
        headers = match way {
            Way::Pass(_) => headers::answered(&reply.head.headers),
            Way::Lift(_) | Way::Compact(_) | Way::Lower(_) | Way::Run(_) => {
                readable(exchange, &reply)?;
                headers::json(&reply.head.headers)
            }
        };
        let coding = headers::coding(&reply.head.headers);
        let body = collect(exchange, reply);
        coming.push(async {
            let body = body.await?;
            let plain = match (&way, coding) {
                (Way::Pass(_), Some(coding)) => plain(exchange, &coding, body.clone()).await,
                _ => body.clone(),
            };
            Ok::<_, ApiError>((body, plain, way))
        });
    }
    let answers = try_join_all(coming).await?;
    let hop = Hop { name: exchange.hop(), secret: exchange.gateway.secret.clone() };
    let read = |(body, plain, way): (Bytes, Bytes, Way)| match way {
        Way::Pass(_) => Ok(Whole::passed(body, &plain)),
        Way::Lift(lift) => Whole::lifted(lift, &body, unix_seconds()),
        Way::Compact(summary) => summary.whole(&body, unix_seconds()),
        Way::Lower(lower) => Whole::lowered(*lower, &body, unix_seconds()),
        Way::Run(run) => Ok(Whole::run(*run, &body, &hop)),
    };
    match answers.into_iter().map(read).collect::<Result<Vec<_>, _>>().map(Whole::joined) {
        Ok(Whole { body, outcome, usage, notes }) => {
            exchange.add_notes(notes);
            exchange.set_usage(usage);
            let body = match keep {
                Some(keep) => stored(exchange, keep, body).await?,
                None => body,
            };
            Ok(Given::Whole { body, outcome, headers })
        }
        Err(failure) => Err(Refusal::of_failure(exchange, failure)),
    }
}

/// A whole response, stored; or saying that it is not.
async fn stored(exchange: &mut Exchange, keep: Keep, body: Bytes) -> Result<Bytes, Refusal> {
    let response = String::from_utf8_lossy(&body).into_owned();
    match keep.store(&response).await {
        Kept::Stored => Ok(body),
        Kept::Lost => {
            exchange.notes.add(state::LOST, "");
            Ok(state::unstored(&response).into())
        }
        Kept::Refused => Err(state::unavailable().into()),
    }
}

/// What is seen of a body that is passed on compressed; nothing where that cannot be read.
async fn plain(exchange: &Exchange, coding: &str, body: Bytes) -> Bytes {
    let limit = exchange.gateway.settings.limits.answer_bytes;
    let Some(decoder) = coding::Decoder::of(coding, limit) else { return Bytes::new() };
    coding::undo_aside(decoder, body).await.unwrap_or_default()
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
async fn give(mut exchange: Exchange, given: Result<Given, Refusal>) -> Response<Answer> {
    match given {
        Ok(Given::Stream { strands, head: first, headers, keep }) => {
            let gateway = Arc::clone(&exchange.gateway);
            let head = exchange.head(StatusCode::OK, headers);
            let stream = Stream::new(strands, first, exchange, keep, &gateway.settings.timeouts);
            build(head, Answer::Stream(Box::pin(stream)))
        }
        Ok(Given::Events { source, from }) => {
            let head = exchange.head(StatusCode::OK, headers::events(&HeaderMap::new()));
            let keep_alive = Timeouts::of(exchange.gateway.settings.timeouts.keep_alive_ms);
            build(head, background::follow(source, from, keep_alive, Some(exchange)))
        }
        Ok(Given::Whole { body, outcome, headers }) => {
            exchange.whole(StatusCode::OK, headers, body, outcome).await
        }
        Err(Refusal { status, headers, body }) => {
            let body = Bytes::from(exchange.gateway.secret.hide(body));
            exchange.whole(status, headers, body, Outcome::Failed).await
        }
    }
}
