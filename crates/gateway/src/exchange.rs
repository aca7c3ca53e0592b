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
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use latimer_wire::chat::{Backend, Lift, Toolbox, lower_request};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw};
use latimer_wire::note::Notes;
use latimer_wire::responses::{Envelope, Request, Usage};

use crate::capture::Finished;
use crate::config::{Dialect, Timeouts};
use crate::headers;
use crate::server::Gateway;
use crate::stream::{Answer, Stream};
use crate::translation::{Hop, Translation, whole_chat};
use crate::upstream::Reply;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole answer was given.
    Completed,
    /// The model stopped early, by a limit.
    Incomplete,
    /// The answer failed, before or while it was given.
    Failed,
    /// The client left.
    Cancelled,
}

impl Outcome {
    /// What the `status` of a whole response says; one without is complete.
    fn of(response: Raw<'_>) -> Outcome {
        match response.member_text("status").as_deref() {
            Some("incomplete") => Outcome::Incomplete,
            Some("failed") => Outcome::Failed,
            Some("cancelled") => Outcome::Cancelled,
            _ => Outcome::Completed,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Incomplete => "incomplete",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What is known of an exchange while it goes on. When it is dropped it is recorded.
pub(crate) struct Exchange {
    gateway: Arc<Gateway>,
    id: String,
    /// Without the query, which may hold secrets.
    path: String,
    began: Instant,
    first_byte_ms: Option<u64>,
    attempts: u32,
    recorded_bytes: usize,
    left_out_bytes: usize,
    notes: Notes,
    usage: Option<Usage>,
    outcome: Outcome,
    finished: Finished,
}

impl Exchange {
    fn new(gateway: &Arc<Gateway>, head: &http::request::Parts) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Exchange {
            gateway: Arc::clone(gateway),
            id: uuid::Uuid::now_v7().simple().to_string(),
            path: head.uri.path().to_owned(),
            began: Instant::now(),
            first_byte_ms: None,
            attempts: 0,
            recorded_bytes: 0,
            left_out_bytes: 0,
            notes: Notes::default(),
            usage: None,
            outcome: Outcome::Cancelled,
            finished: Finished {
                timestamp_unix_ms: since.as_millis() as u64,
                method: head.method.to_string(),
                url: format!("http://{}{}", gateway.authority(), path_and_query(&head.uri)),
                request_headers: headers::pairs(&head.headers),
                ..Finished::default()
            },
        }
    }

    /// The backend, as messages name it.
    pub fn hop(&self) -> String {
        self.gateway.upstream.host()
    }

    /// Keeps a piece of the answer for the record; the bytes are shared, not copied.
    pub fn keep(&mut self, bytes: &Bytes) {
        if self.first_byte_ms.is_none() {
            self.first_byte_ms = Some(self.began.elapsed().as_millis() as u64);
        }
        if self.gateway.recorder.is_none() {
            return;
        }
        let limit = self.gateway.settings.limits.recorded_bytes;
        if self.left_out_bytes > 0 || self.recorded_bytes + bytes.len() > limit {
            self.left_out_bytes += bytes.len();
            return;
        }
        self.recorded_bytes += bytes.len();
        self.finished.response_body.push(bytes.clone());
    }

    pub fn add_notes(&mut self, notes: Notes) {
        self.notes.extend(notes);
    }

    pub fn set_usage(&mut self, usage: Option<Usage>) {
        self.usage = usage;
    }

    /// Says how it ended; the rest happens when it is dropped.
    pub fn close(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// What Latimer adds to the record.
    fn extra(&self) -> String {
        let mut extra = String::new();
        let mut object = Object::new(&mut extra)
            .text("id", &self.id)
            .text("outcome", self.outcome.name())
            .text("upstream", &self.gateway.upstream.address(""))
            .number("attempts", self.attempts.into())
            .number("duration_ms", self.began.elapsed().as_millis() as u64);
        if let Some(first_byte_ms) = self.first_byte_ms {
            object = object.number("first_byte_ms", first_byte_ms);
        }
        if self.left_out_bytes > 0 {
            object = object.number("left_out_bytes", self.left_out_bytes as u64);
        }
        object.with("notes", |out| self.notes.print(out)).end();
        extra
    }

    /// The head of an answer, with what every answer carries.
    fn head(&mut self, status: StatusCode, more: HeaderMap) -> http::response::Builder {
        let mut builder = Response::builder().status(status);
        if let Some(headers) = builder.headers_mut() {
            headers.extend(more);
            if let Ok(id) = HeaderValue::from_str(&self.id) {
                headers.entry("x-request-id").or_insert(id);
            }
            if let Some(notes) = headers::notes(&self.notes) {
                headers.insert("latimer-notes", notes);
            }
            self.finished.response_headers = headers::pairs(headers);
        }
        self.finished.status = Some(status.as_u16());
        builder
    }

    /// An answer that is an error.
    fn refuse(self, error: &ApiError, more: HeaderMap) -> Response<Answer> {
        self.fail(error.status, error.body(), more)
    }

    /// An answer that is an error, whose body is written.
    fn fail(mut self, status: u16, body: String, more: HeaderMap) -> Response<Answer> {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut more = more;
        more.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from(self.gateway.secret.hide(body));
        let head = self.head(status, more);
        self.keep(&body);
        self.close(Outcome::Failed);
        build(head, Answer::Whole(Some(body)))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let usage = self.usage.unwrap_or_default();
        tracing::info!(
            method = self.finished.method,
            path = self.path,
            status = self.finished.status,
            outcome = self.outcome.name(),
            ms = self.began.elapsed().as_millis() as u64,
            input_tokens = usage.input,
            output_tokens = usage.output,
            notes = self.notes.list().len(),
        );
        for note in self.notes.list() {
            // The details are words of the request; they are in the record.
            tracing::debug!(code = note.code, "note");
        }
        if let Some(recorder) = &self.gateway.recorder {
            let extra = self.extra();
            recorder.record(Finished { extra, ..std::mem::take(&mut self.finished) });
        }
    }
}

fn path_and_query(uri: &http::Uri) -> &str {
    uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

fn build(head: http::response::Builder, answer: Answer) -> Response<Answer> {
    head.body(answer).unwrap_or_else(|_| Response::new(Answer::Whole(None)))
}

/// An error that concerns no model: an unknown path, a wrong method. It is not recorded.
pub(crate) fn refusal(error: &ApiError) -> Response<Answer> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let head = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    build(head, Answer::Whole(Some(Bytes::from(error.body()))))
}

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
    exchange.finished.request_body = body.clone();
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
    build(head, Answer::Stream(Box::new(stream)))
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
