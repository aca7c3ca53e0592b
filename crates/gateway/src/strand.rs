//! One answer of a backend on its way to the client: what one read of the socket brought, translated.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use latimer_wire::responses::{Failure, Status};

use crate::clock::unix_seconds;
use crate::translation::{CutInsideEvent, Translation};
use crate::upstream::{ReplyBody, words};

/// One answer of a backend.
pub(crate) struct Strand {
    reply: Option<ReplyBody>,
    pub translation: Box<dyn Translation>,
    /// How much the backend may still send.
    left_bytes: usize,
    /// What came behind the body.
    trailers: Option<Box<HeaderMap>>,
}

impl Strand {
    pub fn new(reply: ReplyBody, translation: Box<dyn Translation>, limit_bytes: usize) -> Self {
        Strand { reply: Some(reply), translation, left_bytes: limit_bytes, trailers: None }
    }

    /// That there is an answer, and what of it has come already; it waits for nothing.
    pub async fn begin(&mut self) -> Bytes {
        self.translation.begin();
        let there = match &mut self.reply {
            Some(reply) => reply.ready().await.unwrap_or_default(),
            None => Bytes::new(),
        };
        self.translation.push(there, unix_seconds())
    }

    /// What the backend said since, translated; `None` once nothing more of it can matter. `hop`
    /// names the backend.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        hop: impl Fn() -> String,
    ) -> Poll<Option<Result<Bytes, CutInsideEvent>>> {
        let Some(reply) = &mut self.reply else { return Poll::Ready(None) };
        if self.translation.is_lost() {
            self.reply = None;
            return Poll::Ready(Some(Err(CutInsideEvent)));
        }
        let read = reply.poll_read(cx);
        if self.translation.is_over() {
            let failed = self.translation.ended() == Some(Status::Failed);
            if let Some(reply) = self.reply.take().filter(|_| read.is_pending() && !failed) {
                reply.let_end();
            }
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(bytes))) if bytes.len() > self.left_bytes => {
                let hop = hop();
                self.fail(format!("Latimer: the answer of the backend {hop} is too long."))
            }
            Poll::Ready(Some(Ok(bytes))) => {
                self.left_bytes -= bytes.len();
                Ok(self.translation.push(bytes, unix_seconds()))
            }
            Poll::Ready(Some(Err(error))) => {
                let (hop, reason) = (hop(), words(&error));
                self.fail(format!("Latimer: the connection to the backend {hop} broke: {reason}."))
            }
            Poll::Ready(None) => {
                self.trailers = reply.trailers();
                self.reply = None;
                self.translation.end(unix_seconds())
            }
        }))
    }

    /// Ends an answer that goes no further, and the connection it came on.
    pub fn fail(&mut self, message: String) -> Result<Bytes, CutInsideEvent> {
        self.reply = None;
        self.translation.fail(Failure { code: "server_error".to_owned(), message })
    }

    /// Closes the connection the answer comes on.
    pub fn cancel(&mut self) {
        self.reply = None;
    }

    /// What came behind the body, once.
    pub fn trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.trailers.take()
    }

    pub fn ended(&self) -> Option<Status> {
        self.translation.ended()
    }
}
