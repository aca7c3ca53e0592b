//! One answer on its way to a WebSocket: the request goes the way of every `POST`, and what comes back,
//! a stream of server-sent events or an error, becomes messages.

use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body::Body;
use latimer_wire::error::ApiError;
use latimer_wire::responses::socket::{Address, End};
use latimer_wire::responses::{self, Event, unfold};
use latimer_wire::sse::Decoder;

use crate::answer::Answer;

/// How long an answer that has said its end may take to end.
const REST_WAIT: Duration = Duration::from_secs(1);

/// An answer, from the asking to its end.
pub(super) struct Answering {
    step: Step,
    /// The longest event, in bytes.
    limit_bytes: usize,
}

enum Step {
    Asking(Pin<Box<dyn Future<Output = Response<Answer>> + Send>>),
    Streaming(Answer, Decoder),
    Over,
}

/// A message of an answer.
pub(super) struct Told {
    pub text: String,
    /// How the answer ended, where this is its last.
    pub ended: Option<Ended>,
}

/// How an answer ended.
pub(super) enum Ended {
    /// As the response says.
    Told(End),
    /// By an error instead of a response.
    Refused,
}

impl Answering {
    /// `ask` gives the answer; no event of it is longer than `limit_bytes`.
    pub fn new(
        ask: impl Future<Output = Response<Answer>> + Send + 'static,
        limit_bytes: usize,
    ) -> Self {
        Answering { step: Step::Asking(Box::pin(ask)), limit_bytes }
    }

    /// The next message. There is none after the one that says how it ended.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, address: &Address) -> Poll<Told> {
        loop {
            let (answer, decoder) = match &mut self.step {
                Step::Asking(answer) => {
                    let (head, body) = ready!(answer.as_mut().poll(cx)).into_parts();
                    if !head.status.is_success() {
                        self.step = Step::Over;
                        return Poll::Ready(refused(&head, body, address));
                    }
                    self.step = begun(&head.headers, body, self.limit_bytes);
                    continue;
                }
                Step::Streaming(answer, decoder) => (answer, decoder),
                Step::Over => return Poll::Ready(broken(address)),
            };
            match decoder.next() {
                Ok(Some(frame)) if frame.data == "[DONE]" => {}
                Ok(Some(frame)) => {
                    let name = frame.event.as_deref();
                    let text = address.event(&frame.data, name);
                    let ended = End::of(&frame.data, name).map(Ended::Told);
                    return Poll::Ready(Told { text, ended });
                }
                Ok(None) => match ready!(Pin::new(answer).poll_frame(cx)) {
                    Some(Ok(frame)) => decoder.push(&frame.into_data().unwrap_or_default()),
                    Some(Err(_)) | None => self.step = Step::Over,
                },
                Err(_) => self.step = Step::Over,
            }
        }
    }

    /// Lets an answer that has said its end come to it, so that its backend can be asked again.
    pub fn let_end(self) {
        let Step::Streaming(mut answer, _) = self.step else { return };
        let ending = async move {
            while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut answer).poll_frame(cx)).await {}
        };
        tokio::spawn(async { tokio::time::timeout(REST_WAIT, ending).await });
    }
}

/// A backend may answer with one body although a stream was asked for; the events are made of it.
fn begun(headers: &HeaderMap, answer: Answer, limit_bytes: usize) -> Step {
    let mut decoder = Decoder::new(limit_bytes);
    let kind = headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    match answer {
        Answer::Whole(Some(body))
            if kind.is_some_and(|kind| kind.starts_with(b"application/json")) =>
        {
            let body = String::from_utf8_lossy(&body).into_owned();
            if let Ok(response) = responses::Response::parse(body) {
                let mut frames = String::new();
                let mut print = |event: &Event<'_>| event.print_frame(&mut frames);
                unfold(&response, NonZeroUsize::MAX, &mut print);
                decoder.push(frames.as_bytes());
            }
            Step::Streaming(Answer::Whole(None), decoder)
        }
        answer => Step::Streaming(answer, decoder),
    }
}

/// Headers of an error that a client may act on; those that begin so.
const OF_ERROR: &[&str] = &["retry-after", "x-codex-", "x-ratelimit-", "x-request-id"];

fn refused(head: &http::response::Parts, body: Answer, address: &Address) -> Told {
    let told = head.headers.iter().filter_map(|(name, value)| {
        let may = OF_ERROR.iter().any(|begin| name.as_str().starts_with(begin));
        Some((name.as_str(), value.to_str().ok()?)).filter(|_| may)
    });
    let body = match body {
        Answer::Whole(Some(body)) => body,
        Answer::Whole(None) | Answer::Stream(_) => Bytes::new(),
    };
    let headers: Vec<_> = told.collect();
    let body = String::from_utf8_lossy(&body);
    let text = address.error(head.status.as_u16(), &body, &headers);
    Told { text, ended: Some(Ended::Refused) }
}

fn broken(address: &Address) -> Told {
    let message = "Latimer: the answer broke off before its end.";
    let error = ApiError::server(502, "stream_incomplete", message);
    Told { text: address.error(502, &error.body(), &[]), ended: Some(Ended::Refused) }
}
