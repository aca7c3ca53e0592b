//! The body of a request to a backend: whole, or one that goes on as it comes. Of the latter a copy of the
//! beginning is kept, within a bound, for the record and for sending it once more where a reused
//! connection turns out to be dead. What broke off on its way here breaks off there: nothing that lacks its
//! end is passed on as a whole.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use crate::body::Incoming;

/// What a request holds.
#[derive(Clone)]
pub(crate) enum Content {
    /// All of it is here.
    Whole(Bytes),
    /// It goes on as it comes.
    Passing(Passing),
}

impl From<Bytes> for Content {
    fn from(whole: Bytes) -> Content {
        Content::Whole(whole)
    }
}

impl From<Passing> for Content {
    fn from(passing: Passing) -> Content {
        Content::Passing(passing)
    }
}

impl Content {
    /// The body from its beginning; `None` where that is not to be had any more.
    pub(super) fn open(&self) -> Option<Outgoing> {
        match self {
            Content::Whole(whole) => Some(Outgoing::Whole(Full::new(whole.clone()))),
            Content::Passing(passing) => passing.open(),
        }
    }
}

/// A body that goes on as it comes; all clones are the same one.
#[derive(Clone)]
pub(crate) struct Passing(Arc<Mutex<Course>>);

/// How far it is.
struct Course {
    incoming: UnsyncBoxBody<Bytes, BrokenOff>,
    state: State,
    /// Its beginning, up to `kept_max` bytes, and how much came after that.
    kept: BytesMut,
    kept_max: usize,
    left_out_bytes: usize,
    /// How often it was opened: only who opened it last may read.
    opened: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Coming,
    Ended,
    /// Whoever sent it broke off.
    Broken,
    /// Nobody waits for it any more.
    Left,
}

/// What was heard of a body that went on as it came.
pub(crate) struct Heard {
    /// Its beginning.
    pub kept: Bytes,
    /// How much came after that.
    pub left_out_bytes: usize,
    /// It came to its end.
    pub is_whole: bool,
    /// Whoever sent it broke off.
    pub is_broken: bool,
}

/// The body broke off, or nobody waits for it.
#[derive(Debug, thiserror::Error)]
#[error("the request body broke off")]
pub(crate) struct BrokenOff;

impl Passing {
    /// For this body, of which up to `kept_max` bytes are kept.
    pub fn new(incoming: impl Incoming + 'static, kept_max: usize) -> Passing {
        Passing(Arc::new(Mutex::new(Course {
            state: if incoming.is_end_stream() { State::Ended } else { State::Coming },
            incoming: incoming.map_err(|_| BrokenOff).boxed_unsync(),
            kept: BytesMut::new(),
            kept_max,
            left_out_bytes: 0,
            opened: 0,
        })))
    }

    fn open(&self) -> Option<Outgoing> {
        let mut course = self.lock();
        let is_to_be_had = matches!(course.state, State::Coming | State::Ended);
        if !is_to_be_had || course.left_out_bytes > 0 {
            return None;
        }
        course.opened += 1;
        let to_come = course.incoming.size_hint();
        let kept = course.kept.len() as u64;
        let mut size = SizeHint::new();
        size.set_lower(to_come.lower() + kept);
        if let Some(upper) = to_come.upper() {
            size.set_upper(upper + kept);
        }
        let passing = self.clone();
        Some(Outgoing::Passing { passing, place: course.opened, given: 0, size })
    }

    /// Whether whoever sent it broke off.
    pub fn is_broken(&self) -> bool {
        self.lock().state == State::Broken
    }

    /// Nobody waits for it any more: what did not come by now is not passed on.
    pub fn leave(&self) -> Heard {
        let mut course = self.lock();
        let (is_whole, is_broken) = (course.state == State::Ended, course.state == State::Broken);
        if course.state == State::Coming {
            course.state = State::Left;
        }
        let kept = std::mem::take(&mut course.kept).freeze();
        Heard { kept, left_out_bytes: course.left_out_bytes, is_whole, is_broken }
    }

    fn lock(&self) -> MutexGuard<'_, Course> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Course {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.state {
            State::Coming => {}
            State::Ended => return Poll::Ready(None),
            State::Broken | State::Left => return Poll::Ready(Some(Err(BrokenOff))),
        }
        Poll::Ready(match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            None => {
                self.state = State::Ended;
                None
            }
            Some(Err(broken)) => {
                self.state = State::Broken;
                Some(Err(broken))
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.keep(data);
                }
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.state = State::Ended;
                }
                Some(Ok(frame))
            }
        })
    }

    fn keep(&mut self, data: &Bytes) {
        if self.left_out_bytes > 0 || self.kept.len() + data.len() > self.kept_max {
            self.left_out_bytes += data.len();
            return;
        }
        if self.kept.is_empty() {
            let to_come = usize::try_from(self.incoming.size_hint().lower());
            let room = to_come.unwrap_or(usize::MAX).saturating_add(data.len());
            self.kept.reserve(room.min(self.kept_max));
        }
        self.kept.extend_from_slice(data);
    }
}

/// The body of a request, as a connection takes it.
pub(super) enum Outgoing {
    Whole(Full<Bytes>),
    Passing {
        passing: Passing,
        /// Which opening of it this is.
        place: u32,
        /// How much of what is kept was given.
        given: usize,
        size: SizeHint,
    },
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let (passing, place, given) = match self.get_mut() {
            Outgoing::Whole(whole) => {
                return Pin::new(whole).poll_frame(cx).map_err(|never| match never {});
            }
            Outgoing::Passing { passing, place, given, .. } => (passing, *place, given),
        };
        let mut course = passing.lock();
        if course.opened != place {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        if let Some(again @ [_, ..]) = course.kept.get(*given..) {
            let again = Bytes::copy_from_slice(again);
            *given += again.len();
            return Poll::Ready(Some(Ok(Frame::data(again))));
        }
        let came = course.poll(cx);
        *given = course.kept.len();
        came
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Whole(whole) => whole.is_end_stream(),
            Outgoing::Passing { passing, given, .. } => {
                let course = passing.lock();
                course.state == State::Ended && *given >= course.kept.len()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Whole(whole) => whole.size_hint(),
            Outgoing::Passing { size, .. } => *size,
        }
    }
}
