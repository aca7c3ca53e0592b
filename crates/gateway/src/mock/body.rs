//! The body of a mock's sound answer: frames at their pace. Where the mock records, what left it is
//! written down when the body is dropped.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame};
use latimer_probe::record::account::{Account, Outcome};
use tokio::time::Sleep;

use super::pace::Pace;
use crate::capture::{Finished, Recorder};
use crate::clock::microseconds;

/// Frames still to come.
pub(crate) struct MockBody {
    frames: VecDeque<Bytes>,
    pace: Option<Pace>,
    timer: Option<Pin<Box<Sleep>>>,
    entry: Option<Entry>,
}

/// What will stand in the recording. Until the answer has its end, it counts as left by its client.
pub(crate) struct Entry {
    pub recorder: Arc<Recorder>,
    pub finished: Finished,
    pub outcome: Outcome,
    pub began: Instant,
}

impl Entry {
    /// Writes down a piece of the answer, which leaves now.
    pub fn keep(&mut self, piece: Bytes) {
        self.finished.keep(piece, microseconds(self.began.elapsed()));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let account = Account {
            outcome: Some(self.outcome),
            duration_us: Some(microseconds(self.began.elapsed())),
            ..Account::default()
        };
        self.recorder.record(Finished { account, ..std::mem::take(&mut self.finished) });
    }
}

impl MockBody {
    pub fn whole(body: String) -> Self {
        MockBody {
            frames: VecDeque::from([Bytes::from(body)]),
            pace: None,
            timer: None,
            entry: None,
        }
    }

    pub fn stream(frames: Vec<String>, pace: Pace) -> Self {
        let pace = Some(pace).filter(|pace| !pace.is_none());
        let frames = match pace {
            None => VecDeque::from([Bytes::from(frames.concat())]),
            Some(_) => frames.into_iter().map(Bytes::from).collect(),
        };
        MockBody { frames, pace, timer: None, entry: None }
    }

    /// Writes it down, as it goes, in `entry`.
    pub fn told_in(self, entry: Option<Entry>) -> Self {
        MockBody { entry, ..self }
    }

    fn note(&mut self, event: &Poll<Option<Frame<Bytes>>>) {
        let (Some(entry), Poll::Ready(event)) = (&mut self.entry, event) else { return };
        match event {
            Some(frame) => {
                if let Some(piece) = frame.data_ref() {
                    entry.keep(piece.clone());
                }
            }
            None => entry.outcome = Outcome::Completed,
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if let Some(pace) = &mut self.pace {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(pace.next())));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
        Poll::Ready(self.frames.pop_front().map(Frame::data))
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = self.next(cx);
        self.note(&event);
        event.map(|frame| frame.map(Ok))
    }
}
