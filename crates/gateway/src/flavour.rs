//! The last thing that happens to an answer in the hub's dialect: it is given in the flavour that its
//! path names, or else the configuration. In: an answer as every client of OpenAI gets it. Out: the same, told as the
//! specification of the flavour has it ([`Flavour`] knows how). What is stored and recorded stays the
//! hub's.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Extensions, Request, Response, Uri, header};
use http_body::{Body, Frame};
use latimer_wire::json::Raw;
use latimer_wire::responses::{Flavour, Kind, Role};
use latimer_wire::sse::{self, Decoder};

use crate::answer::{Answer, BrokenOff};

/// Takes the name of a flavour off the front of a request's path: `/open-responses/v1/responses`. What
/// is behind the door sees the path without it.
pub(crate) fn take_from_path<B>(request: &mut Request<B>) {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let named = |(name, flavour): &(&str, Flavour)| {
        let rest = path.strip_prefix('/')?.strip_prefix(name)?;
        rest.starts_with("/v1/").then(|| Some((*flavour, rest.parse::<Uri>().ok()?)))?
    };
    if path.starts_with("/v1/") {
        return;
    }
    if let Some((flavour, uri)) = Flavour::NAMES.iter().find_map(named) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(flavour);
    }
}

/// The flavour that a request's path named, or the usual one.
pub(crate) fn of(extensions: &Extensions, usual: Flavour) -> Flavour {
    extensions.get::<Flavour>().copied().unwrap_or(usual)
}

/// An answer in a flavour; `limit_bytes` bounds its events. What came compressed stays as it is.
pub(crate) fn told(
    flavour: Flavour,
    response: Response<Answer>,
    limit_bytes: usize,
) -> Response<Answer> {
    if flavour == Flavour::OpenAi || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let is_stream = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
    response.map(|answer| match answer {
        Answer::Whole(Some(body)) if !is_stream => {
            let told = flavour.body(&String::from_utf8_lossy(&body)).into_owned();
            Answer::Whole(Some(told.into()))
        }
        answer if is_stream => {
            let decoder = Decoder::new(limit_bytes);
            Answer::Stream(Box::pin(Told { answer, decoder, flavour, ended: false }))
        }
        answer => answer,
    })
}

/// Has a request answered without compression, where the answer is to be told anew.
pub(crate) fn plainly<B>(flavour: Flavour, request: &mut Request<B>) {
    if flavour != Flavour::OpenAi {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
}

/// A stream in a flavour.
struct Told {
    answer: Answer,
    decoder: Decoder,
    flavour: Flavour,
    /// The last event was said, and the farewell after it.
    ended: bool,
}

impl Told {
    /// Takes what came, and gives what is to be said.
    fn push(&mut self, bytes: &[u8]) -> Result<String, BrokenOff> {
        let mut out = String::new();
        if bytes.starts_with(b":") && self.decoder.pending_bytes() == 0 {
            // A comment says only that we are still here.
            out.push_str(": keep-alive\n\n");
        }
        self.decoder.push(bytes);
        while let Some(frame) = self.decoder.next().map_err(|_| BrokenOff)? {
            if self.ended || frame.data == "[DONE]" {
                continue;
            }
            let name = frame.event.as_deref();
            let event = self.flavour.event(&frame.data, name);
            let kind = Raw::unchecked(&event).member_text("type");
            sse::encode(&mut out, kind.as_deref().or(name), &event);
            if let Role::Terminal(_) = Kind::of_data(&frame.data, name).row().role {
                self.ended = true;
                out.push_str(self.flavour.farewell());
            }
        }
        Ok(out)
    }
}

impl Body for Told {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            let told = match ready!(Pin::new(&mut self.answer).poll_frame(cx)) {
                Some(Ok(frame)) => self.push(&frame.into_data().unwrap_or_default())?,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            if !told.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(told.into()))));
            }
        }
    }
}
