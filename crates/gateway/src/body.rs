//! A request body: read within its limits and decompressed. In: the body as it streams in. Out: all
//! its bytes, as they came and plain, or an error in OpenAI's shape that says which limit it broke.

use std::fmt::Display;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body;
use latimer_wire::error::ApiError;

use crate::coding::{self, Decoder, Undecodable};
use crate::config::{Limits, Timeouts};
use crate::headers::codings;

/// How long the rest of a body that is too long may pause before its sender is cut off.
const DISCARD_WAIT: Duration = Duration::from_millis(200);
/// How much of it is read, in times of the limit.
const DISCARD_TIMES: usize = 4;

/// A request body.
#[derive(Debug)]
pub(crate) struct Received {
    /// As it came over the wire.
    pub raw: Bytes,
    /// Without its coding.
    pub plain: Bytes,
}

/// A body that comes in: from a client's connection, or one that was read already.
pub(crate) trait Incoming: Body<Data = Bytes, Error: Display> + Unpin + Send {}
impl<B: Body<Data = Bytes, Error: Display> + Unpin + Send> Incoming for B {}

/// Reads a whole body as it came over the wire.
///
/// # Errors
/// 413 when it is too long, 408 when it stops coming, 400 when it breaks off.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut incoming: impl Incoming,
    limits: &Limits,
    timeouts: &Timeouts,
) -> Result<Bytes, ApiError> {
    let too_long = || {
        let limit = limits.body_bytes;
        let message = format!("Latimer: the request body is longer than {limit} bytes.");
        ApiError { status: 413, ..ApiError::invalid("", "body_too_large", message) }
    };
    if incoming.size_hint().lower() > limits.body_bytes as u64 {
        // Who asks first has not begun to send; reading would tell them to.
        if !headers.contains_key(header::EXPECT) {
            discard(incoming, limits).await;
        }
        return Err(too_long());
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx));
        let frame = tokio::time::timeout(Timeouts::of(timeouts.body_ms), frame).await;
        let data = match frame {
            Err(_) => {
                let message = format!("Latimer: nothing came for {} ms.", timeouts.body_ms);
                return Err(ApiError {
                    status: 408,
                    ..ApiError::invalid("", "body_timeout", message)
                });
            }
            Ok(None) if more.is_empty() => return Ok(first),
            Ok(None) => return Ok(more.freeze()),
            Ok(Some(Err(error))) => {
                let message = format!("Latimer: the request body broke off: {error}.");
                return Err(ApiError::invalid("", "body_incomplete", message));
            }
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        };
        if first.len().max(more.len()) + data.len() > limits.body_bytes {
            discard(incoming, limits).await;
            return Err(too_long());
        }
        if first.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                more.reserve(incoming.size_hint().lower() as usize + first.len() + data.len());
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
        }
    }
}

/// Reads on for a moment and keeps nothing: to close with bytes unread resets the connection, and
/// a reset takes the answer with it before the sender has seen it.
async fn discard(mut incoming: impl Incoming, limits: &Limits) {
    let mut left_bytes = limits.body_bytes.saturating_mul(DISCARD_TIMES);
    while left_bytes > 0 {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx));
        let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_WAIT, frame).await else { return };
        left_bytes = left_bytes.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
}

/// Undoes the coding named in `content-encoding`.
///
/// # Errors
/// 415 for a coding that is not known, 413 when the result is too long, 400 when it is damaged.
pub(crate) async fn decode(
    headers: &HeaderMap,
    body: Bytes,
    limits: &Limits,
) -> Result<Bytes, ApiError> {
    let unsupported = |message: String| ApiError {
        status: 415,
        ..ApiError::invalid("", "unsupported_encoding", message)
    };
    let codings = codings(headers);
    let coding = match codings.as_slice() {
        [] => return Ok(body),
        [coding] => coding.clone(),
        _ => {
            let message = "Latimer: a request body may be compressed once, not several times.";
            return Err(unsupported(message.to_owned()));
        }
    };
    let Some(decoder) = Decoder::of(&coding, limits.decoded_body_bytes) else {
        let known = coding::KNOWN.join(", ");
        return Err(unsupported(format!(
            "Latimer: the content encoding `{coding}` is not supported. Supported: {known}."
        )));
    };
    match coding::undo_aside(decoder, body).await {
        Ok(plain) => Ok(plain),
        Err(Undecodable::TooLong(limit)) => {
            let message = format!("Latimer: the decompressed body is longer than {limit} bytes.");
            Err(ApiError { status: 413, ..ApiError::invalid("", "body_too_large", message) })
        }
        Err(Undecodable::Damaged(error)) => {
            let message =
                format!("Latimer: the {coding} request body cannot be decompressed: {error}.");
            Err(ApiError::invalid("", "invalid_encoding", message))
        }
    }
}
