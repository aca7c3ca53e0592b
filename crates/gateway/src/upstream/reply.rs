//! The body of a backend's answer. Whoever reads it drives the connection; whoever drops it before its
//! end closes the connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use hyper::body::Incoming;

use super::{Line, Upstream, words};

/// How much is gathered into one piece before the client has to take it.
const GATHERED_BYTES: usize = 64 << 10;
/// How much may follow an answer that is complete, and how long that may take.
const REST_BYTES: usize = 4 << 10;
const REST_WAIT: Duration = Duration::from_secs(1);

/// The body of an answer. Dropped before its end, it closes the connection.
pub(crate) struct ReplyBody {
    incoming: Incoming,
    line: Option<Line>,
    upstream: Arc<Upstream>,
    /// The body is over: well, or by an error that was not given out yet.
    end: Option<Option<hyper::Error>>,
}

impl ReplyBody {
    pub(super) fn new(incoming: Incoming, line: Option<Line>, upstream: Arc<Upstream>) -> Self {
        ReplyBody { incoming, line, upstream, end: None }
    }

    /// All bytes that are there now, as one piece; `None` at the end of the body.
    ///
    /// Reading and driving alternate until the connection has nothing more to give, so what came
    /// with one read of the socket comes out together; up to a bound, past which the backend has
    /// to wait for the client.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        let mut first = Bytes::new();
        let mut gathered = BytesMut::new();
        let mut driven = false;
        while self.end.is_none() && first.len().max(gathered.len()) < GATHERED_BYTES {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    match (first.is_empty(), gathered.is_empty()) {
                        (true, _) => first = data,
                        (false, true) => {
                            gathered.extend_from_slice(&first);
                            gathered.extend_from_slice(&data);
                        }
                        (false, false) => gathered.extend_from_slice(&data),
                    }
                    driven = false;
                    continue;
                }
                Poll::Ready(end) => {
                    if end.is_none() {
                        self.release(cx);
                    }
                    self.end = Some(end.and_then(Result::err));
                    break;
                }
                Poll::Pending if driven => break,
                Poll::Pending => {
                    driven = true;
                    self.drive(cx);
                }
            }
        }
        match (first.is_empty(), gathered.is_empty()) {
            (true, _) => match &mut self.end {
                Some(error) => Poll::Ready(error.take().map(Err)),
                None => Poll::Pending,
            },
            (false, true) => Poll::Ready(Some(Ok(first))),
            (false, false) => Poll::Ready(Some(Ok(gathered.freeze()))),
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        let over = |line: &mut Line| line.driver.as_mut().poll(cx).is_ready();
        if self.line.as_mut().is_some_and(over) {
            self.line = None;
        }
    }

    /// Puts the connection back, if the backend keeps it open.
    fn release(&mut self, cx: &mut Context<'_>) {
        self.drive(cx);
        if let Some(line) = self.line.take().filter(|line| line.sender.is_ready()) {
            self.upstream.put_idle(line);
        }
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
