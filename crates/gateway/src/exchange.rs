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
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use latimer_wire::chat::{Backend, Lift, Toolbox, lower_request};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Request, Usage};

use crate::answer::{Answer, build};
use crate::clock::unix_seconds;
use crate::config::{Dialect, Timeouts};
use crate::gateway::Gateway;
use crate::headers;
use crate::ledger::{Exchange, Outcome};
use crate::stream::Stream;
use crate::translation::{Hop, Translation, whole_chat};
use crate::upstream::Reply;

/// `POST /v1/responses`.
pub(crate) async fn responses(
    gateway: &Arc<Gateway>,
    request: http::Request<Incoming>,
) -> Response<Answer> {
    let (head, incoming) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head);
    let (limits, timeouts) = (&gateway.settings.limits, &gateway.settings.timeouts);
    let raw = match crate::body::read(&head.headers, incoming, limits, timeouts).await {
        Ok(raw) => raw,
        Err(error) => return exchange.refuse(&error, headers::closing()),
    };
    let body = match crate::body::decode(&head.headers, raw, limits).await {
        Ok(body) => body,
        Err(error) => return exchange.refuse(&error, HeaderMap::new()),
    };
    exchange.asked(&body);
    match answer(gateway, &head, &body, exchange).await {
        Ok(response) => response,
        Err(refused) => {
            let (exchange, error) = *refused;
            exchange.refuse(&error, HeaderMap::new())
        }
    }
}

type Refused = Box<(Exchange, ApiError)>;

async fn answer(
    gateway: &Arc<Gateway>,
    head: &http::request::Parts,
    body: &Bytes,
    mut exchange: Exchange,
) -> Result<Response<Answer>, Refused> {
    let text = match utf8(body) {
        Ok(text) => text,
        Err(error) => return Err(Box::new((exchange, error))),
    };
    let request = match Request::parse(text) {
        Ok(request) => request,
        Err(error) => return Err(Box::new((exchange, error))),
    };
    let outgoing = match prepare(gateway, head, &request, body, &mut exchange.notes) {
        Ok(outgoing) => outgoing,
        Err(error) => return Err(Box::new((exchange, error))),
    };
    let sent = gateway.upstream.send(Method::POST, outgoing.path, outgoing.headers, outgoing.body);
    let reply = match sent.await {
        Ok(reply) => reply,
        Err(error) => return Err(Box::new((exchange, error.into()))),
    };
    exchange.attempts = reply.attempts;
    if !reply.head.status.is_success() {
        return Ok(backend_error(exchange, reply).await);
    }
    let as_it_is = gateway.dialect() == Dialect::Responses && (!request.stream || is_json(&reply));
    if let Some(coding) = headers::codings(&reply.head.headers).first().filter(|_| !as_it_is) {
        let hop = exchange.hop();
        let message =
            format!("Latimer: the backend {hop} sent {coding}, which it was not asked for.");
        return Err(Box::new((exchange, ApiError::server(502, "upstream_invalid", message))));
    }
    match (gateway.dialect(), request.stream) {
        (Dialect::Responses, _) if as_it_is => pass_whole(exchange, reply).await,
        (_, true) => Ok(stream(exchange, reply, &request, outgoing.toolbox)),
        (_, false) => whole(exchange, reply, &request, outgoing.toolbox).await,
    }
}

fn utf8(body: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(body).map_err(|error| {
        let message = format!("The body is not UTF-8: byte {}.", error.valid_up_to());
        ApiError::invalid("", "invalid_json", message)
    })
}

/// What is sent to the backend.
struct Outgoing {
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
    /// The way back from the backend's names of the tools.
    toolbox: Toolbox,
}

fn prepare(
    gateway: &Gateway,
    head: &http::request::Parts,
    request: &Request<'_>,
    body: &Bytes,
    notes: &mut Notes,
) -> Result<Outgoing, ApiError> {
    let target = gateway.settings.upstream.as_ref();
    let model = target.and_then(|target| target.model.as_deref());
    let key = target.and_then(|target| target.api_key.as_deref());
    match gateway.dialect() {
        Dialect::Chat => {
            let lowered =
                lower_request(request, &Backend { model, profile: gateway.profile() }, notes)?;
            Ok(Outgoing {
                path: "/chat/completions",
                headers: headers::translated(&head.headers, key, request.stream),
                body: Bytes::from(lowered.body),
                toolbox: lowered.toolbox,
            })
        }
        Dialect::Responses => Ok(Outgoing {
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

/// What turns the backend's answer to `request` into ours.
fn lift(exchange: &Exchange, request: &Request<'_>, toolbox: Toolbox) -> Lift {
    let envelope = Envelope::new(request, &format!("resp_{}", exchange.id), unix_seconds());
    Lift::new(envelope, &exchange.id)
        .with_tools(toolbox)
        .with_think_tags(exchange.gateway.profile().think_tags)
}

fn is_json(reply: &Reply) -> bool {
    let content_type = reply.head.headers.get(header::CONTENT_TYPE);
    content_type.and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("json"))
}

fn stream(
    mut exchange: Exchange,
    reply: Reply,
    request: &Request<'_>,
    toolbox: Toolbox,
) -> Response<Answer> {
    let gateway = Arc::clone(&exchange.gateway);
    let limits = &gateway.settings.limits;
    let lift = || lift(&exchange, request, toolbox);
    let hop = Hop { name: exchange.hop(), secret: gateway.secret.clone() };
    let (translation, more) = match gateway.dialect() {
        Dialect::Responses => {
            (Translation::same(limits.event_bytes), headers::answered(&reply.head.headers))
        }
        Dialect::Chat if is_json(&reply) => (
            Translation::chat_whole(lift(), limits.answer_bytes, hop),
            headers::events(&reply.head.headers),
        ),
        Dialect::Chat => (
            Translation::chat(lift(), limits.event_bytes, hop),
            headers::events(&reply.head.headers),
        ),
    };
    let head = exchange.head(StatusCode::OK, more);
    let stream = Stream::new(reply.body, translation, exchange, limits, &gateway.settings.timeouts);
    build(head, Answer::Stream(Box::pin(stream)))
}

async fn whole(
    mut exchange: Exchange,
    reply: Reply,
    request: &Request<'_>,
    toolbox: Toolbox,
) -> Result<Response<Answer>, Refused> {
    let more = headers::json(&reply.head.headers);
    let body = match collect(&exchange, reply).await {
        Ok(body) => body,
        Err(error) => return Err(Box::new((exchange, error))),
    };
    let lift = lift(&exchange, request, toolbox);
    match whole_chat(lift, &body, unix_seconds()) {
        Ok((response, usage, notes)) => {
            exchange.add_notes(notes);
            exchange.set_usage(usage);
            let outcome = Outcome::of(response.json());
            Ok(give(exchange, more, Bytes::from(response.into_json()), outcome))
        }
        Err(failure) => {
            let message = format!("{} (from the backend {})", failure.message, exchange.hop());
            let error =
                ApiError { code: Some(failure.code.into()), ..ApiError::server(502, "", message) };
            Err(Box::new((exchange, error)))
        }
    }
}

async fn pass_whole(mut exchange: Exchange, reply: Reply) -> Result<Response<Answer>, Refused> {
    let more = headers::answered(&reply.head.headers);
    match collect(&exchange, reply).await {
        Ok(body) => {
            let text = std::str::from_utf8(&body).ok();
            let json = text.and_then(|text| Raw::parse(text).ok()).unwrap_or(Raw::NULL);
            exchange.set_usage(json.member("usage").and_then(Raw::non_null).map(Usage::read));
            let outcome = Outcome::of(json);
            Ok(give(exchange, more, body, outcome))
        }
        Err(error) => Err(Box::new((exchange, error))),
    }
}

fn give(
    mut exchange: Exchange,
    more: HeaderMap,
    body: Bytes,
    outcome: Outcome,
) -> Response<Answer> {
    let head = exchange.head(StatusCode::OK, more);
    exchange.keep(&body);
    exchange.close(outcome);
    build(head, Answer::Whole(Some(body)))
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

/// How much of an error page is read, in bytes; how long that may take; how much of a message, and
/// of a page that has none, is quoted, in characters.
const ERROR_BYTES_MAX: usize = 64 << 10;
const ERROR_WAIT: Duration = Duration::from_secs(10);
const MESSAGE_CHARS: usize = 2_000;
const SNIPPET_CHARS: usize = 256;

/// A backend that answered with an error status: the status stays, the body gets OpenAI's shape,
/// and the message names the hop.
async fn backend_error(exchange: Exchange, reply: Reply) -> Response<Answer> {
    let hop = exchange.hop();
    let status = reply.head.status;
    let more = match exchange.gateway.dialect() {
        Dialect::Chat => headers::of_error(&reply.head.headers),
        Dialect::Responses => headers::of_passed_error(&reply.head.headers),
    };
    let body = reply.body.beginning(ERROR_BYTES_MAX, ERROR_WAIT).await;
    let text = String::from_utf8_lossy(&body);
    let error = Raw::parse(&text).ok().and_then(|body| body.member("error"));
    let word = |key| error.and_then(|error| error.member_text(key)).map(|word| word.into_owned());
    let message =
        word("message").or_else(|| error.and_then(Raw::text).map(|text| text.into_owned()));
    let message = message.unwrap_or_else(|| {
        let snippet: String = text.trim().chars().take(SNIPPET_CHARS).collect();
        format!("{status}: {snippet}")
    });
    let message: String = message.chars().take(MESSAGE_CHARS).collect();
    let passed = status.is_client_error() || status.is_server_error();
    let refused = ApiError {
        status: if passed { status.as_u16() } else { 502 },
        kind: word("type").map_or(headers::error_kind(status.as_u16()), Into::into),
        code: word("code").map(Into::into),
        message: format!("{message} (from the backend {hop})"),
        param: word("param"),
    };
    exchange.fail(refused.status, with_rest(refused.body(), error), more)
}

/// The body of an error, with what else the backend said of it: Codex, for one, reads there when a
/// plan that is used up is renewed.
fn with_rest(body: String, said: Option<Raw<'_>>) -> String {
    let own = Raw::parse(&body).ok().and_then(|body| body.member("error"));
    let own = own.map(Raw::members).unwrap_or_default();
    let rest = said.map(Raw::members).unwrap_or_default();
    let rest = rest.into_iter().filter(|(key, _)| own.iter().all(|(known, _)| known != key));
    let mut out = String::new();
    Object::new(&mut out)
        .with("error", |out| {
            let members = own.iter().cloned().chain(rest);
            members.fold(Object::new(out), |object, (key, value)| object.raw(&key, value)).end();
        })
        .end();
    out
}

/// `GET /v1/models`: what the backend offers, as it says it.
pub(crate) async fn models(
    gateway: &Arc<Gateway>,
    request: http::Request<Incoming>,
) -> Response<Answer> {
    let (head, _) = request.into_parts();
    let mut exchange = Exchange::new(gateway, &head);
    let key = gateway.settings.upstream.as_ref().and_then(|target| target.api_key.as_deref());
    let headers = headers::translated(&head.headers, key, false);
    match gateway.upstream.send(Method::GET, "/models", headers, Bytes::new()).await {
        Err(error) => exchange.refuse(&error.into(), HeaderMap::new()),
        Ok(reply) => {
            exchange.attempts = reply.attempts;
            if !reply.head.status.is_success() {
                return backend_error(exchange, reply).await;
            }
            match pass_whole(exchange, reply).await {
                Ok(response) => response,
                Err(refused) => {
                    let (exchange, error) = *refused;
                    exchange.refuse(&error, HeaderMap::new())
                }
            }
        }
    }
}
