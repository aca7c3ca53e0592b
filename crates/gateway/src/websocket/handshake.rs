//! The opening handshake of a WebSocket (RFC 6455, section 4.2), and which of its headers belong to the
//! requests that come over it.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use latimer_wire::error::ApiError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::answer::{Answer, build};
use crate::headers;

/// The version of the protocol; there is one.
const VERSION: &str = "13";
/// The length of a key, in bytes: sixteen, in base64.
const KEY_BYTES: usize = 24;

/// Whether a request asks for a WebSocket where there may be one.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let upgrades = headers::words(request.headers(), header::UPGRADE);
    request.uri().path() == "/v1/responses" && upgrades.iter().any(|word| word == "websocket")
}

/// The answer that turns the connection into a WebSocket.
///
/// # Errors
/// What is wrong with the handshake: 400, and 426 for a version that is not known.
pub(crate) fn accept(head: &Parts) -> Result<Response<Answer>, ApiError> {
    let wrong = |message: &str| ApiError::invalid("", "invalid_handshake", message);
    if head.method != http::Method::GET {
        return Err(wrong("Latimer: a WebSocket is asked for with GET."));
    }
    if !headers::words(&head.headers, header::CONNECTION).iter().any(|word| word == "upgrade") {
        return Err(wrong("Latimer: a WebSocket is asked for with `connection: upgrade`."));
    }
    if head.headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        let error = wrong("Latimer: the version of the WebSocket protocol that is spoken is 13.");
        return Err(ApiError { status: 426, ..error });
    }
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let Some(key) = key.filter(|key| key.len() == KEY_BYTES) else {
        return Err(wrong("Latimer: the header `sec-websocket-key` is missing, or is no key."));
    };
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key));
    Ok(build(answer, Answer::Whole(None::<Bytes>)))
}

/// Headers of the handshake that mean nothing to a request, or what does not hold for it.
const OF_HANDSHAKE: &[&str] =
    &["accept", "accept-encoding", "connection", "content-length", "content-type", "upgrade"];
/// What Codex says of the transport it uses; a backend is asked over another.
const BETA: (&str, &str) = ("openai-beta", "responses_websockets=");

/// The headers of the requests that come over the connection.
pub(super) fn headers(of_handshake: &HeaderMap) -> HeaderMap {
    let mut headers: HeaderMap = of_handshake.clone();
    let of_protocol =
        of_handshake.keys().filter(|name| name.as_str().starts_with("sec-websocket-"));
    of_protocol.for_each(|name| drop(headers.remove(name)));
    OF_HANDSHAKE.iter().for_each(|name| drop(headers.remove(*name)));
    if headers.get(BETA.0).is_some_and(|value| value.as_bytes().starts_with(BETA.1.as_bytes())) {
        headers.remove(BETA.0);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers
}
