//! A recorded answer as it is given again. In: a take, and how fast. Out: an answer with the status,
//! the headers that still hold, and the body: at once, or spread over the time that was recorded;
//! one that broke off breaks off.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use latimer_probe::replay::cassette::Take;

use crate::answer::{Answer, BrokenOff, build};
use crate::headers;

/// Headers of the day of the recording, and of a coding that the recorder has undone.
const OUTDATED: &[HeaderName] = &[header::CONTENT_ENCODING, header::DATE];
/// No recorded pause is waited for any longer.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Gives a recorded answer. `speed` is how many times as fast as recorded; none: at once.
pub(super) async fn play(take: &Take, speed: Option<f64>) -> Response<Answer> {
    let paused = |ms: u64| match speed {
        Some(speed) => {
            let pause = Duration::try_from_secs_f64(ms as f64 / 1000.0 / speed);
            pause.unwrap_or(PAUSE_MAX).min(PAUSE_MAX)
        }
        None => Duration::ZERO,
    };
    let status = StatusCode::from_u16(take.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut head = Response::builder().status(status);
    if let Some(headers) = head.headers_mut() {
        *headers = answered(take);
    }
    let wait = if take.is_stream { take.first_byte_ms } else { take.duration_ms };
    pause(paused(wait)).await;
    let body = match (take.is_stream, speed) {
        (false, _) if !take.breaks_off => Answer::Whole(Some(Bytes::from(take.body.clone()))),
        (false, _) | (true, None) => {
            let whole = Bytes::from(take.body.clone());
            broadcast(vec![whole], Duration::ZERO, take.breaks_off)
        }
        (true, Some(_)) => {
            let frames = take.frames().into_iter();
            let events: Vec<_> = frames.map(|frame| Bytes::from(frame.to_owned())).collect();
            let gaps = events.len().saturating_sub(1).max(1) as u64;
            let lasted_ms = take.duration_ms.saturating_sub(take.first_byte_ms);
            broadcast(events, paused(lasted_ms) / gaps as u32, take.breaks_off)
        }
    };
    build(head, body)
}

/// What of the recorded headers is said again.
fn answered(take: &Take) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    let mut headers = headers::answered(&take.headers.iter().filter_map(header).collect());
    for name in OUTDATED {
        headers.remove(name);
    }
    headers
}

async fn pause(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// A body that comes piece by piece, and breaks off if it has to.
fn broadcast(pieces: Vec<Bytes>, gap: Duration, breaks_off: bool) -> Answer {
    let begin = (pieces.into_iter(), Duration::ZERO, breaks_off);
    let body = stream::unfold(begin, move |(mut pieces, wait, breaks_off)| async move {
        if let Some(piece) = pieces.next() {
            pause(wait).await;
            return Some((Ok(Frame::data(piece)), (pieces, gap, breaks_off)));
        }
        // What was said goes out first: an error takes unsent bytes with it.
        tokio::task::yield_now().await;
        breaks_off.then(|| (Err(BrokenOff), (pieces, gap, false)))
    });
    Answer::Stream(Box::pin(StreamBody::new(body)))
}
