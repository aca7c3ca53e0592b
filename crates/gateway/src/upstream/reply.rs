//! The body of a backend's answer. Whoever reads it drives the connection; whoever drops it before its
//! end closes the connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use hyper::body::Incoming;

use super::bell::Bell;
use super::{Line, Upstream, words};

/// How much is gathered into one piece before the client has to take it.
const GATHERED_BYTES: usize = 64 << 10;
/// How often the connection is driven again although that brought nothing: it may have used up its share
/// of the thread's time, and then rings until others had theirs.
const FRUITLESS_MAX: u32 = 2;
/// How much may follow an answer that is complete, and how long that may take.
const REST_BYTES: usize = 4 << 10;
const REST_WAIT: Duration = Duration::from_secs(1);

/// The body of an answer. Dropped before its end, it closes the connection.
pub(crate) struct ReplyBody {
    incoming: Incoming,
    line: Option<Line>,
    upstream: Arc<Upstream>,
    bell: Bell,
    /// Nothing more is to be had before the bell rings.
    is_drained: bool,
    /// The body is over: well, or by an error that was not given out yet.
    end: Option<Option<hyper::Error>>,
    trailers: Option<Box<HeaderMap>>,
}

impl ReplyBody {
    pub(super) fn new(incoming: Incoming, line: Option<Line>, upstream: Arc<Upstream>) -> Self {
        let bell = Bell::new();
        ReplyBody { incoming, line, upstream, bell, is_drained: false, end: None, trailers: None }
    }

    /// All bytes that are there now, as one piece; `None` at the end of the body.
    ///
    /// Reading and driving alternate until the connection has nothing more to give, so what came
    /// with one read of the socket comes out together; up to a bound, past which the backend has
    /// to wait for the client. Then nothing is looked at before the connection's bell rings.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        if !self.bell.listen(cx) && self.is_drained {
            return Poll::Pending;
        }
        let piece = self.gather();
        self.is_drained &= !self.bell.hang_up();
        match (piece.is_empty(), &mut self.end) {
            (false, _) => Poll::Ready(Some(Ok(piece))),
            (true, Some(error)) => Poll::Ready(error.take().map(Err)),
            (true, None) => {
                if !self.is_drained {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    fn gather(&mut self) -> Bytes {
        let mut first = Bytes::new();
        let mut gathered = BytesMut::new();
        let mut fruitless = 0;
        self.is_drained = false;
        while self.end.is_none() && first.len().max(gathered.len()) < GATHERED_BYTES {
            let mut cx = Context::from_waker(self.bell.answer());
            match Pin::new(&mut self.incoming).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    fruitless = 0;
                    let data = match frame.into_data() {
                        Ok(data) => data,
                        Err(other) => {
                            self.trailers = other.into_trailers().ok().map(Box::new);
                            continue;
                        }
                    };
                    match (first.is_empty(), gathered.is_empty()) {
                        (true, _) => first = data,
                        (false, true) => {
                            gathered.extend_from_slice(&first);
                            gathered.extend_from_slice(&data);
                        }
                        (false, false) => gathered.extend_from_slice(&data),
                    }
                }
                Poll::Ready(end) => {
                    if end.is_none() {
                        self.release();
                    }
                    self.end = Some(end.and_then(Result::err));
                }
                Poll::Pending => {
                    drive(&mut self.line, &mut cx);
                    self.is_drained = !self.bell.rang();
                    fruitless += 1;
                    if self.is_drained || fruitless > FRUITLESS_MAX {
                        break;
                    }
                }
            }
        }
        if gathered.is_empty() { first } else { gathered.freeze() }
    }

    /// Puts the connection back, if the backend keeps it open.
    fn release(&mut self) {
        drive(&mut self.line, &mut Context::from_waker(self.bell.answer()));
        if let Some(line) = self.line.take().filter(|line| line.sender.is_ready()) {
            self.upstream.put_idle(line);
        }
    }

    /// What came behind the body, when it is over.
    pub fn trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    /// What of the body is there already; it waits for nothing.
    pub async fn ready(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|cx| {
            Poll::Ready(match self.poll_read(cx) {
                Poll::Ready(Some(Ok(bytes))) => Some(bytes),
                Poll::Ready(end) => {
                    self.end = Some(end.and_then(Result::err));
                    None
                }
                Poll::Pending => None,
            })
        })
        .await
    }

    /// Reads the whole body, up to `limit` bytes, waiting at most `idle` between two reads.
    ///
    /// # Errors
    /// In words, when it is longer, stops coming or breaks off.
    pub async fn collect(mut self, limit: usize, idle: Duration) -> Result<Bytes, String> {
        let mut whole = BytesMut::new();
        loop {
            let read = std::future::poll_fn(|cx| self.poll_read(cx));
            match tokio::time::timeout(idle, read).await {
                Err(_) => return Err(format!("nothing came for {} ms", idle.as_millis())),
                Ok(None) => return Ok(whole.freeze()),
                Ok(Some(Err(error))) => return Err(words(&error)),
                Ok(Some(Ok(bytes))) if whole.len() + bytes.len() > limit => {
                    return Err(format!("it is longer than {limit} bytes"));
                }
                Ok(Some(Ok(bytes))) => whole.extend_from_slice(&bytes),
            }
        }
    }

    /// Reads what comes of the body, up to `limit` bytes and as long as `wait` in all. That it is
    /// cut off there, or breaks off, does not matter: it is only to be quoted.
    pub async fn beginning(mut self, limit: usize, wait: Duration) -> Bytes {
        let mut beginning = BytesMut::new();
        let reading = async {
            while beginning.len() < limit
                && let Some(Ok(bytes)) = std::future::poll_fn(|cx| self.poll_read(cx)).await
            {
                beginning.extend_from_slice(&bytes);
            }
        };
        let _ = tokio::time::timeout(wait, reading).await;
        beginning.truncate(limit);
        beginning.freeze()
    }

    /// Lets a body whose content is complete come to its formal end while the client goes on, so
    /// that the connection can be used again.
    pub fn let_end(self) {
        tokio::spawn(self.collect(REST_BYTES, REST_WAIT));
    }
}

fn drive(line: &mut Option<Line>, cx: &mut Context<'_>) {
    if line.as_mut().is_some_and(|line| line.driver.as_mut().poll(cx).is_ready()) {
        *line = None;
    }
}
