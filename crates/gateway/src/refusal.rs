//! An answer that is an error instead of a response: our own, or a backend's brought into OpenAI's
//! shape. What a backend said is kept; who said it is added.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use latimer_wire::error::{ApiError, code_of};
use latimer_wire::json::{Object, Raw};
use latimer_wire::responses::Failure;

use crate::coding::{self, Decoder};
use crate::config::Dialect;
use crate::headers;
use crate::ledger::Exchange;
use crate::state;
use crate::upstream::Reply;

/// How much of an error page is read, in bytes; how long that may take; how much of a message, and
/// of a page that has none, is quoted, in characters.
const ERROR_BYTES_MAX: usize = 64 << 10;
const ERROR_WAIT: Duration = Duration::from_secs(10);
const MESSAGE_CHARS: usize = 2_000;
const SNIPPET_CHARS: usize = 256;

/// The HTTP status of a failure that came where an answer should have begun; any other is a 502.
const STATUS_OF_CODE: &[(&str, u16)] = &[
    ("context_length_exceeded", 400),
    ("invalid_prompt", 400),
    ("invalid_request_error", 400),
    ("rate_limit_exceeded", 429),
    ("rate_limit_error", 429),
    ("insufficient_quota", 429),
    ("server_is_overloaded", 503),
];
/// When to come back after a 429 that came without a word on it: Codex takes one for final
/// otherwise (0.169).
const RETRY_AFTER_S: u64 = 1;

/// An error, ready to be given.
pub(crate) struct Refusal {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Refusal {
    /// An error of our own, with headers.
    pub fn with(error: ApiError, headers: HeaderMap) -> Self {
        Refusal::written(error.status, error.body(), headers)
    }

    fn written(status: u16, body: String, mut headers: HeaderMap) -> Self {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        Refusal { status, headers, body }
    }

    /// The same as the failure of a response that has begun.
    pub fn failure(&self) -> Failure {
        Failure::of(Raw::unchecked(&self.body).member("error").unwrap_or(Raw::NULL))
    }

    /// A backend that said it had failed where it should have begun to answer.
    pub fn of_failure(exchange: &Exchange, failure: Failure) -> Self {
        let known = STATUS_OF_CODE.iter().find(|(code, _)| *code == failure.code);
        let status = known.map_or(502, |(_, status)| *status);
        let mut headers = HeaderMap::new();
        if status == 429 {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
        }
        let error = ApiError {
            kind: headers::error_kind(status),
            code: Some(failure.code.into()),
            ..ApiError::server(status, "", named(&failure.message, exchange))
        };
        Refusal::with(error, headers)
    }

    /// A backend that answered with an error status: the status stays, the body gets OpenAI's
    /// shape, and the message names the hop.
    pub async fn of_backend(exchange: &Exchange, reply: Reply) -> Self {
        let status = reply.head.status;
        let more = match exchange.gateway.dialect() {
            Dialect::Chat | Dialect::Backplane => headers::of_error(&reply.head.headers),
            Dialect::Responses => headers::of_passed_error(&reply.head.headers),
        };
        let coding = headers::coding(&reply.head.headers);
        let mut body = reply.body.beginning(ERROR_BYTES_MAX, ERROR_WAIT).await;
        if let Some(decoder) = coding.and_then(|name| Decoder::of(&name, ERROR_BYTES_MAX)) {
            body = coding::undo_beginning(decoder, &body).into();
        }
        let text = String::from_utf8_lossy(&body);
        let said = Raw::parse(&text).ok();
        let flat = said.filter(|body| body.member("message").is_some());
        let error = said.and_then(|body| body.member("error")).or(flat);
        let word =
            |key| error.and_then(|error| error.member_text(key)).map(|word| word.into_owned());
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
            code: code_of(&message).map(Into::into).or_else(|| word("code").map(Into::into)),
            message: named(&message, exchange),
            param: word("param"),
        };
        Refusal::written(refused.status, with_rest(&refused.body(), error), more)
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let mut headers = HeaderMap::new();
        if error.code.as_deref() == Some(state::UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, state::RETRY_AFTER_S.into());
        }
        Refusal::with(error, headers)
    }
}

/// A backend's words, with the hop they come from.
fn named(message: &str, exchange: &Exchange) -> String {
    format!("{message} (from the backend {})", exchange.hop())
}

/// The body of an error, with what else the backend said of it: Codex, for one, reads there when a
/// plan that is used up is renewed.
fn with_rest(body: &str, said: Option<Raw<'_>>) -> String {
    let own = Raw::parse(body).ok().and_then(|body| body.member("error"));
    let own = own.map(Raw::members).unwrap_or_default();
    let rest = said.map(Raw::members).unwrap_or_default();
    let rest = rest.into_iter().filter(|(key, _)| own.iter().all(|(known, _)| known != key));
    let mut out = String::new();
    Object::new(&mut out)
        .with("error", |out| {
            let members = own.iter().cloned().chain(rest);
            members.fold(Object::new(out), |object, (key, value)| object.member(&key, value)).end();
        })
        .end();
    out
}
