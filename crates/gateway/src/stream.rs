//! The body of a streamed answer: it pulls from the backend, translates, and gives the client what
//! one read brought as one piece. It also watches the clock, keeps the copy for the record, and
//! says how the exchange ended. Dropped early (the client left), it takes the backend's connection
//! with it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use latimer_wire::responses::{Failure, Status};
use tokio::time::Sleep;

use crate::answer::BrokenOff;
use crate::clock::unix_seconds;
use crate::config::{Settings, Timeouts};
use crate::ledger::{Exchange, Outcome};
use crate::translation::{CutInsideEvent, Translation};
use crate::upstream::{ReplyBody, words};

/// A streamed answer on its way from the backend to the client.
pub(crate) struct Stream {
    reply: Option<ReplyBody>,
    translation: Box<dyn Translation>,
    exchange: Option<Exchange>,
    /// What is to be said before anything comes.
    head: Bytes,
    idle: Duration,
    idle_ms: u64,
    keep_alive: Duration,
    /// How much the backend may still send.
    left_bytes: usize,
    last_in: Instant,
    last_out: Instant,
    timer: Pin<Box<Sleep>>,
    /// The stream has to be broken off, and whether what was said has gone out.
    cut: bool,
    flushed: bool,
}

impl Stream {
    /// `head` is what is to be said before the backend is read any further.
    pub(crate) fn new(
        reply: ReplyBody,
        translation: Box<dyn Translation>,
        head: Bytes,
        exchange: Exchange,
        settings: &Settings,
    ) -> Self {
        let (limits, timeouts) = (&settings.limits, &settings.timeouts);
        let now = Instant::now();
        let idle = Timeouts::of(timeouts.idle_ms);
        let keep_alive = Timeouts::of(timeouts.keep_alive_ms);
        Stream {
            reply: Some(reply),
            head,
            translation,
            exchange: Some(exchange),
            idle,
            idle_ms: timeouts.idle_ms,
            keep_alive,
            left_bytes: limits.stream_bytes,
            last_in: now,
            last_out: now,
            timer: Box::pin(tokio::time::sleep(idle.min(keep_alive))),
            cut: false,
            flushed: false,
        }
    }

    fn hop(&self) -> String {
        self.exchange.as_ref().map(Exchange::hop).unwrap_or_default()
    }

    /// The next piece for the client; empty when nothing is to be said yet.
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutInsideEvent>>> {
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
        let now = unix_seconds();
        Poll::Ready(Some(match read {
            Poll::Ready(Some(Ok(bytes))) if bytes.len() > self.left_bytes => {
                self.reply = None;
                let hop = self.hop();
                let message = format!("Latimer: the answer of the backend {hop} is too long.");
                self.translation.fail(server_error(message))
            }
            Poll::Ready(Some(Ok(bytes))) => {
                self.last_in = Instant::now();
                self.left_bytes -= bytes.len();
                Ok(self.translation.push(bytes, now))
            }
            Poll::Ready(Some(Err(error))) => {
                self.reply = None;
                let hop = self.hop();
                let reason = words(&error);
                let message =
                    format!("Latimer: the connection to the backend {hop} broke: {reason}.");
                self.translation.fail(server_error(message))
            }
            Poll::Ready(None) => {
                self.reply = None;
                self.translation.end(now)
            }
            Poll::Pending => match self.wait(cx) {
                Poll::Ready(spoken) => spoken,
                Poll::Pending => return Poll::Pending,
            },
        }))
    }

    /// Nothing came: is it time to give up, or to say that we are still here?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, CutInsideEvent>> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.last_in + self.idle {
                self.reply = None;
                let (hop, idle_ms) = (self.hop(), self.idle_ms);
                let message = format!("Latimer: the backend {hop} sent nothing for {idle_ms} ms.");
                return Poll::Ready(self.translation.fail(server_error(message)));
            }
            let silent = now >= self.last_out + self.keep_alive;
            let said = if silent { now } else { self.last_out };
            let next = (self.last_in + self.idle).min(said + self.keep_alive);
            self.timer.as_mut().reset(next.into());
            if silent && self.translation.at_boundary() {
                return Poll::Ready(Ok(Bytes::from_static(b": keep-alive\n\n")));
            }
        }
        Poll::Pending
    }

    /// Breaks off. What was said goes out first: an error takes unsent bytes with it.
    fn break_off(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.close(true);
        if std::mem::replace(&mut self.flushed, true) {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn close(&mut self, broken: bool) {
        let Some(mut exchange) = self.exchange.take() else { return };
        exchange.add_notes(self.translation.notes());
        exchange.set_usage(self.translation.usage());
        exchange.close(match self.translation.ended() {
            _ if broken => Outcome::Failed,
            Some(Status::Completed) => Outcome::Completed,
            Some(Status::Incomplete) => Outcome::Incomplete,
            Some(_) => Outcome::Failed,
            None => Outcome::Cancelled,
        });
    }
}

fn server_error(message: String) -> Failure {
    Failure { code: "server_error".to_owned(), message }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close(false);
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.cut {
            return self.break_off(cx);
        }
        let head = std::mem::take(&mut self.head);
        let bytes = loop {
            match self.pull(cx) {
                Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => {}
                Poll::Ready(Some(Ok(bytes))) if head.is_empty() => break bytes,
                Poll::Ready(Some(Ok(bytes))) => {
                    let mut both = BytesMut::with_capacity(head.len() + bytes.len());
                    both.extend_from_slice(&head);
                    both.extend_from_slice(&bytes);
                    break both.freeze();
                }
                Poll::Ready(Some(Err(CutInsideEvent))) => {
                    self.cut = true;
                    if !head.is_empty() {
                        break head;
                    }
                    return self.break_off(cx);
                }
                Poll::Ready(None) | Poll::Pending if !head.is_empty() => break head,
                Poll::Ready(None) => {
                    self.close(false);
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            }
        };
        self.last_out = Instant::now();
        if let Some(exchange) = &mut self.exchange {
            exchange.keep(&bytes);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
