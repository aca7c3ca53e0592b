//! The body of a mock's answer: frames at their pace, and the fault that the script asks for. Where
//! the mock records, what left it is written down when the body is dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::Sleep;

use super::pace::Pace;
use super::script::{Fault, FaultKind};
use crate::capture::{Finished, Recorder};
use crate::ledger::Outcome;

/// Frames still to come.
pub(crate) struct MockBody {
    frames: VecDeque<Bytes>,
    pace: Option<Pace>,
    timer: Option<Pin<Box<Sleep>>>,
    after: After,
    entry: Option<Entry>,
}

/// What will stand in the recording. Until the answer has its end, it counts as left by its client.
pub(crate) struct Entry {
    pub recorder: Arc<Recorder>,
    pub finished: Finished,
    pub outcome: Outcome,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let extra = format!("{{\"outcome\":\"{}\"}}", self.outcome.name());
        self.recorder.record(Finished { extra, ..std::mem::take(&mut self.finished) });
    }
}

/// What happens when the frames are out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    End,
    BreakOff,
    Broken,
    Stall,
}

/// The script asked for the connection to break.
#[derive(Debug, thiserror::Error)]
#[error("broken off as the script says")]
pub(crate) struct Scripted;

impl MockBody {
    pub fn whole(body: String) -> Self {
        MockBody {
            frames: VecDeque::from([Bytes::from(body)]),
            pace: None,
            timer: None,
            after: After::End,
            entry: None,
        }
    }

    /// `error` is the frame for a fault of that kind.
    pub fn stream(
        mut frames: Vec<String>,
        pace: Pace,
        fault: Option<Fault>,
        error: String,
    ) -> Self {
        let mut after = After::End;
        if let Some(fault) = fault {
            let rest = frames.split_off(fault.after.min(frames.len()));
            after = match fault.kind {
                FaultKind::Cut => After::BreakOff,
                FaultKind::Half => {
                    let half = rest.first().map(|frame| {
                        frame.chars().take(frame.chars().count() / 2).collect::<String>()
                    });
                    frames.extend(half);
                    After::BreakOff
                }
                FaultKind::Stall => After::Stall,
                FaultKind::End => After::End,
                FaultKind::Error => {
                    frames.push(error);
                    After::End
                }
            };
        }
        let pace = Some(pace).filter(|pace| !pace.is_none());
        let frames = match pace {
            None => VecDeque::from([Bytes::from(frames.concat())]),
            Some(_) => frames.into_iter().map(Bytes::from).collect(),
        };
        MockBody { frames, pace, timer: None, after, entry: None }
    }

    /// Writes it down, as it goes, in `entry`.
    pub fn told_in(self, entry: Option<Entry>) -> Self {
        MockBody { entry, ..self }
    }

    fn note(&mut self, event: &Poll<Option<Result<Frame<Bytes>, Scripted>>>) {
        let (Some(entry), Poll::Ready(event)) = (&mut self.entry, event) else { return };
        match event {
            Some(Ok(frame)) => entry.finished.response_body.extend(frame.data_ref().cloned()),
            Some(Err(Scripted)) => entry.outcome = Outcome::Failed,
            None => entry.outcome = Outcome::Completed,
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Scripted>>> {
        if let Some(pace) = &mut self.pace
            && self.after != After::Broken
        {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(pace.next())));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame)))),
            None => match self.after {
                After::End => Poll::Ready(None),
                After::BreakOff => {
                    // What was said goes out first: an error takes unsent bytes with it.
                    self.after = After::Broken;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                After::Broken => Poll::Ready(Some(Err(Scripted))),
                After::Stall => Poll::Pending,
            },
        }
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = Scripted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Scripted>>> {
        let event = self.next(cx);
        self.note(&event);
        event
    }
}
