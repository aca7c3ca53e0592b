//! One request and its answer, passed on as they are. In: a request for any path. Out: what the
//! backend says to it; of both every byte when it comes.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use latimer_probe::record::account::{Outcome, Passage};
use latimer_wire::error::ApiError;
use latimer_wire::responses::Status;

use super::Tapped;
use crate::access::refuse_strangers;
use crate::answer::{Answer, build, refusal};
use crate::body::Incoming;
use crate::headers;
use crate::ledger::Exchange;
use crate::route::Door;
use crate::strand::Strand;
use crate::stream::Stream;
use crate::translation::{Listening, Watch};
use crate::upstream::{Ask, Content, Passing, Reply};

/// Answers that have no body (RFC 9110, 15).
const BODILESS: [StatusCode; 2] = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];

/// What becomes of a request.
pub(super) enum Heard {
    /// It is answered.
    Answer(Response<Answer>),
    /// It asks for a WebSocket.
    Socket(Box<Parts>),
}

/// Passes a request on.
pub(super) async fn pass(tapped: &Tapped, request: Request<impl Incoming + 'static>) -> Heard {
    let gateway = &tapped.gateway;
    if let Err(error) = refuse_strangers(gateway.address, request.headers()) {
        return Heard::Answer(refusal(&error));
    }
    let (head, incoming) = request.into_parts();
    if headers::words(&head.headers, header::UPGRADE).iter().any(|word| word == "websocket") {
        return Heard::Socket(Box::new(head));
    }
    let mut exchange = begin(tapped, &head, "http");
    let passing = Passing::new(incoming, gateway.settings.limits.recorded_bytes);
    exchange.overhears(passing.clone());
    let ask = ask(&head, passing.clone().into());
    Heard::Answer(match gateway.upstream.send(&ask).await {
        Ok(reply) => give(exchange, &head, reply),
        Err(_) if passing.is_broken() => left(exchange),
        Err(error) => refuse(exchange, &error.into()).await,
    })
}

/// The account of an exchange on a channel; `scheme` is `http` or `ws`.
pub(super) fn begin(tapped: &Tapped, head: &Parts, scheme: &str) -> Exchange {
    let mut exchange = Exchange::new(&tapped.gateway, head, Door::Plain("/"));
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let address = tapped.gateway.upstream.address(path);
    exchange.is_at(address.replacen("http", scheme, 1));
    let way = Some("pass".to_owned());
    exchange.passage = Passage { door: tapped.name.clone(), way, dialect: None };
    exchange
}

fn ask(head: &Parts, body: Content) -> Ask {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut headers = headers::listened(&head.headers);
    if headers::takes_trailers(&head.headers) {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ask { method: head.method.clone(), path: path.into(), headers, body }
}

fn give(mut exchange: Exchange, head: &Parts, reply: Reply) -> Response<Answer> {
    let gateway = Arc::clone(&exchange.gateway);
    let (status, mut headers) = (reply.head.status, headers::listened(&reply.head.headers));
    // The length stays: what is passed on is what was announced.
    let length = reply.head.headers.get(header::CONTENT_LENGTH).cloned();
    headers.extend(length.map(|length| (header::CONTENT_LENGTH, length)));
    exchange.attempts = reply.attempts;
    exchange.answered(status, &headers);
    let coding = headers::coding(&headers);
    let good = !status.is_client_error() && !status.is_server_error();
    let watch = if good { watch(head, &headers) } else { Watch::Nothing };
    let end = if good { Status::Completed } else { Status::Failed };
    let listening = Listening::new(watch, coding.as_deref(), &gateway.settings.limits, end);
    let listening = listening.with_length(length_of(head, status, &headers));
    let strand = Strand::new(reply.body, Box::new(listening), usize::MAX);
    let timeouts = &gateway.settings.timeouts;
    let stream = Stream::new(vec![strand], Bytes::new(), exchange, None, timeouts);
    let mut builder = Response::builder().status(status);
    if let Some(out) = builder.headers_mut() {
        *out = headers;
    }
    build(builder, Answer::Stream(Box::pin(stream)))
}

/// How long the body is, where that is known before it ends.
fn length_of(head: &Parts, status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    if head.method == Method::HEAD || BODILESS.contains(&status) {
        return Some(0);
    }
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What is known of the streams of a path.
pub(super) fn watch(head: &Parts, answered: &HeaderMap) -> Watch {
    let media_type = answered.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let is_stream =
        media_type.is_some_and(|value| memchr::memmem::find(value, b"event-stream").is_some());
    match head.uri.path() {
        path if is_stream && path.ends_with("/responses") => Watch::hub(),
        path if is_stream && path.ends_with("/chat/completions") => Watch::chat(),
        _ => Watch::Nothing,
    }
}

/// The client broke off in the middle of its request. It hardly hears this.
fn left(exchange: Exchange) -> Response<Answer> {
    exchange.close(Outcome::Cancelled);
    let message = "Latimer: the request body broke off.".to_owned();
    refusal(&ApiError::invalid("", "body_incomplete", message))
}

async fn refuse(exchange: Exchange, error: &ApiError) -> Response<Answer> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut headers = headers::closing();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    exchange.whole(status, headers, Bytes::from(error.body()), Outcome::Failed).await
}
