//! What a client gets, as HTTP sees it: a head, and a body that is one piece or a stream. Nothing here
//! knows what is inside.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use latimer_wire::error::ApiError;

/// The body of an answer.
pub(crate) enum Answer {
    /// All of it.
    Whole(Option<Bytes>),
    /// What comes as it comes.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = BrokenOff> + Send>>),
}

/// The backend broke off in the middle of an event that had partly been passed on; the only honest
/// end is to break off too.
#[derive(Debug, thiserror::Error)]
#[error("the backend broke off in the middle of an event")]
pub(crate) struct BrokenOff;

pub(crate) fn build(head: http::response::Builder, answer: Answer) -> Response<Answer> {
    head.body(answer).unwrap_or_else(|_| Response::new(Answer::Whole(None)))
}

/// An error that concerns no model: an unknown path, a wrong method. It is not recorded.
pub(crate) fn refusal(error: &ApiError) -> Response<Answer> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let head = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    build(head, Answer::Whole(Some(Bytes::from(error.body()))))
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Answer::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Answer::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Answer::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Answer::Stream(_) => SizeHint::default(),
        }
    }
}
