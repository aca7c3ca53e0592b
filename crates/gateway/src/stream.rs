//! The body of a streamed answer: it pulls from the backend, translates, and gives the client what
//! one read brought as one piece. It also watches the clock, keeps the copy for the record, and
//! says how the exchange ended. Dropped early (the client left), it takes the backend's connection
//! with it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use latimer_probe::record::account::Outcome;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Status, Usage};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use crate::answer::BrokenOff;
use crate::config::Timeouts;
use crate::ledger::{Exchange, Written};
use crate::state::{Keep, Kept, LOST};
use crate::strand::Strand;
use crate::translation::CutInsideEvent;

/// A streamed answer on its way from the backend to the client.
pub(crate) struct Stream {
    /// One; several where a client wants several answers in one stream.
    strands: Vec<Strand>,
    exchange: Option<Exchange>,
    /// What is to be said before anything comes.
    head: Bytes,
    idle: Duration,
    idle_ms: u64,
    keep_alive: Duration,
    /// How much the backend has said, and when it last said something.
    heard: u64,
    last_in: Instant,
    last_out: Instant,
    timer: Pin<Box<Sleep>>,
    /// What belongs to the end of all strands has been said.
    closed: bool,
    /// What is to be stored when the answer is over.
    keeping: Keeping,
    /// The end waits until the exchange is recorded; what is to be said then, nothing at its end.
    writing: Option<(Written, Option<Frame<Bytes>>)>,
    /// The stream has to be broken off, and whether what was said has gone out.
    cut: bool,
    flushed: bool,
}

/// How far the storing of an answer is.
enum Keeping {
    /// There is nothing to store, or all is said.
    No,
    /// The answer is not over.
    Later(Box<Keep>),
    /// It is being written, by a task of its own: a client that leaves now does not end it.
    Now(JoinHandle<Kept>),
    /// What came of it.
    Done(Kept),
}

impl Stream {
    /// `head` is what is to be said before the backend is read any further.
    pub(crate) fn new(
        strands: Vec<Strand>,
        head: Bytes,
        exchange: Exchange,
        keep: Option<Keep>,
        timeouts: &Timeouts,
    ) -> Self {
        let now = Instant::now();
        let idle = Timeouts::of(timeouts.idle_ms);
        let keep_alive = Timeouts::of(timeouts.keep_alive_ms);
        Stream {
            strands,
            head,
            exchange: Some(exchange),
            idle,
            idle_ms: timeouts.idle_ms,
            keep_alive,
            heard: 0,
            last_in: now,
            last_out: now,
            timer: Box::pin(tokio::time::sleep(idle.min(keep_alive))),
            closed: false,
            keeping: keep.map_or(Keeping::No, |keep| Keeping::Later(Box::new(keep))),
            writing: None,
            cut: false,
            flushed: false,
        }
    }

    /// The next piece for the client; empty when nothing is to be said yet.
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CutInsideEvent>>> {
        let Stream { strands, exchange, .. } = self;
        let hop = || exchange.as_ref().map(Exchange::hop).unwrap_or_default();
        let (mut piece, mut spoke, mut waits) = (Bytes::new(), false, false);
        for strand in strands {
            match strand.poll(cx, hop) {
                Poll::Ready(Some(Ok(bytes))) => {
                    piece = joined(piece, bytes);
                    spoke = true;
                }
                Poll::Ready(Some(Err(CutInsideEvent))) => {
                    return Poll::Ready(Some(Err(CutInsideEvent)));
                }
                Poll::Ready(None) => {}
                Poll::Pending => waits = true,
            }
            if strand.ended() == Some(Status::Failed) {
                break;
            }
        }
        let last = match self.kept(cx) {
            Poll::Ready(last) => last,
            Poll::Pending if piece.is_empty() => return Poll::Pending,
            Poll::Pending => Bytes::new(),
        };
        let piece = joined(joined(piece, last), self.closing());
        if spoke || !piece.is_empty() {
            let heard = self.strands.iter().map(|strand| strand.translation.heard());
            let heard = heard.fold(0_u64, u64::wrapping_add);
            if std::mem::replace(&mut self.heard, heard) != heard {
                self.last_in = Instant::now();
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        if waits { self.wait(cx).map(Some) } else { Poll::Ready(None) }
    }

    /// The last event of an answer that is to be stored, when that is done.
    fn kept(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(strand) = self.strands.first_mut() else { return Poll::Ready(Bytes::new()) };
        if matches!(self.keeping, Keeping::Later(_))
            && let Some(response) = strand.translation.held()
            && let Keeping::Later(keep) = std::mem::replace(&mut self.keeping, Keeping::No)
        {
            let mut write = Box::pin(async move { keep.store(&response).await });
            // A store that answers at once does not cost the last event a piece of its own.
            self.keeping = match write.as_mut().poll(cx) {
                Poll::Ready(kept) => Keeping::Done(kept),
                Poll::Pending => Keeping::Now(tokio::spawn(write)),
            };
        }
        let kept = match &mut self.keeping {
            Keeping::No | Keeping::Later(_) => return Poll::Ready(Bytes::new()),
            Keeping::Now(writing) => ready!(Pin::new(writing).poll(cx)).unwrap_or(Kept::Lost),
            Keeping::Done(kept) => *kept,
        };
        self.keeping = Keeping::No;
        if let (Some(exchange), true) = (&mut self.exchange, kept != Kept::Stored) {
            exchange.notes.add(LOST, "");
        }
        Poll::Ready(strand.translation.release(kept))
    }

    /// What is to be said once all strands are over. One that failed takes the others with it.
    fn closing(&mut self) -> Bytes {
        match self.ended() {
            None => return Bytes::new(),
            Some(Status::Failed) => {
                let open = self.strands.iter_mut().filter(|strand| strand.ended().is_none());
                open.for_each(Strand::cancel);
                return Bytes::new();
            }
            Some(_) if std::mem::replace(&mut self.closed, true) => return Bytes::new(),
            Some(_) => {}
        }
        let usage = self.usage();
        let first = self.strands.first_mut();
        first.map(|strand| strand.translation.close(usage)).unwrap_or_default()
    }

    /// Nothing came: is it time to give up, or to say that we are still here?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, CutInsideEvent>> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.last_in + self.idle {
                return Poll::Ready(self.give_up());
            }
            let silent = now >= self.last_out + self.keep_alive;
            let said = if silent { now } else { self.last_out };
            let next = (self.last_in + self.idle).min(said + self.keep_alive);
            self.timer.as_mut().reset(next.into());
            if silent && self.strands.iter().all(|strand| strand.translation.at_boundary()) {
                return Poll::Ready(Ok(Bytes::from_static(b": keep-alive\n\n")));
            }
        }
        Poll::Pending
    }

    fn give_up(&mut self) -> Result<Bytes, CutInsideEvent> {
        let hop = self.exchange.as_ref().map(Exchange::hop).unwrap_or_default();
        let message = format!("Latimer: the backend {hop} sent nothing for {} ms.", self.idle_ms);
        let open = self.strands.iter_mut().find(|strand| strand.ended().is_none());
        let said = open.map_or(Ok(Bytes::new()), |strand| strand.fail(message));
        self.strands.iter_mut().for_each(Strand::cancel);
        said
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

    /// How all strands together ended; `None` while one goes on.
    fn ended(&self) -> Option<Status> {
        let any = |end| self.strands.iter().any(|strand| strand.ended() == end);
        let worst_first = [Some(Status::Failed), None, Some(Status::Incomplete)];
        let worst = worst_first.into_iter().find(|end| any(*end));
        worst.unwrap_or(Some(Status::Completed))
    }

    /// What all strands used, where all say it.
    fn usage(&self) -> Option<Usage> {
        self.strands.iter().map(|strand| strand.translation.usage()).sum()
    }

    /// What came behind the backend's body. HTTP gives it to clients that take it, where the head of the
    /// answer has announced it.
    fn trailers(&mut self) -> Option<Frame<Bytes>> {
        let trailers = self.strands.first_mut().and_then(Strand::trailers)?;
        if let Some(exchange) = &mut self.exchange {
            exchange.trailed(&trailers);
        }
        Some(Frame::trailers(*trailers))
    }

    fn close(&mut self, broken: bool) -> Option<Written> {
        let mut exchange = self.exchange.take()?;
        let notes = self.strands.iter().map(|strand| strand.translation.notes());
        notes.for_each(|notes: Notes| exchange.add_notes(notes));
        exchange.set_usage(self.usage());
        let failing = self.strands.iter().any(|strand| strand.translation.is_failing());
        exchange.close(match self.ended() {
            _ if broken || failing => Outcome::Failed,
            Some(Status::Completed) => Outcome::Completed,
            Some(Status::Incomplete) => Outcome::Incomplete,
            Some(_) => Outcome::Failed,
            None => Outcome::Cancelled,
        })
    }

    /// Whether what is said now is the end, and has to be recorded before it is said.
    fn waits_for_record(&self) -> bool {
        let exchange = self.exchange.as_ref();
        let strict = exchange.is_some_and(|exchange| exchange.gateway.settings.recorder.strict);
        let stores = match self.keeping {
            Keeping::No => false,
            Keeping::Later(_) => self.ended() != Some(Status::Failed),
            Keeping::Now(_) | Keeping::Done(_) => true,
        };
        strict && !stores && self.ended().is_some()
    }
}

/// Two pieces as one; nothing is copied where one of them is empty.
pub(crate) fn joined(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first,
        (false, false) => {
            let mut both = BytesMut::with_capacity(first.len() + second.len());
            both.extend_from_slice(&first);
            both.extend_from_slice(&second);
            both.freeze()
        }
    }
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
        if let Some((written, _)) = &mut self.writing {
            std::task::ready!(written.as_mut().poll(cx));
            return Poll::Ready(self.writing.take().and_then(|(_, held)| held).map(Ok));
        }
        if self.cut {
            return self.break_off(cx);
        }
        let head = std::mem::take(&mut self.head);
        let bytes = loop {
            match self.pull(cx) {
                Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => {}
                Poll::Ready(Some(Ok(bytes))) => break joined(head, bytes),
                Poll::Ready(Some(Err(CutInsideEvent))) => {
                    self.cut = true;
                    if !head.is_empty() {
                        break head;
                    }
                    return self.break_off(cx);
                }
                Poll::Ready(None) | Poll::Pending if !head.is_empty() => break head,
                Poll::Ready(None) => {
                    let trailers = self.trailers();
                    let Some(written) = self.close(false) else {
                        return Poll::Ready(trailers.map(Ok));
                    };
                    self.writing = Some((written, trailers));
                    return self.poll_frame(cx);
                }
                Poll::Pending => return Poll::Pending,
            }
        };
        let now = Instant::now();
        self.last_out = now;
        if let Some(exchange) = &mut self.exchange {
            exchange.keep(&bytes, now);
        }
        if self.waits_for_record()
            && let Some(written) = self.close(false)
        {
            self.writing = Some((written, Some(Frame::data(bytes))));
            return self.poll_frame(cx);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}
