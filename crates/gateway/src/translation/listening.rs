//! A stream that is only listened to: every byte goes on as it came, whatever it is, and nothing is
//! added, not even to a stream that broke off; that breaks off here as well.

use bytes::Bytes;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Failure, Status, Usage};
use latimer_wire::sse::Decoder;

use super::{CutInsideEvent, Translation, Watch, progress};
use crate::coding;
use crate::config::Limits;

/// A stream that is listened to.
pub(crate) struct Listening {
    coding: Option<coding::Decoder>,
    decoder: Decoder,
    watch: Watch,
    /// How an answer ends of which only the end of the body is known.
    end: Status,
    is_complete: bool,
    /// How many bytes of a body whose length was announced are still to come: nobody asks for more
    /// when they are there.
    left_bytes: Option<u64>,
    /// Nothing more can be told apart.
    is_unreadable: bool,
    pieces: u64,
}

impl Listening {
    /// `coding` is what the stream is compressed with; `end` is how it ends, where nothing in it says
    /// so.
    pub fn new(watch: Watch, coding: Option<&str>, limits: &Limits, end: Status) -> Self {
        let coding = coding.map(|name| coding::Decoder::of(name, limits.stream_bytes));
        Listening {
            is_unreadable: matches!(coding, Some(None)) || matches!(watch, Watch::Nothing),
            coding: coding.flatten(),
            decoder: Decoder::new(limits.event_bytes),
            watch,
            end,
            is_complete: false,
            left_bytes: None,
            pieces: 0,
        }
    }

    /// For a body whose length is announced.
    pub fn with_length(self, bytes: Option<u64>) -> Self {
        Listening { left_bytes: bytes, is_complete: bytes == Some(0), ..self }
    }

    fn complete(&mut self) {
        self.is_complete = true;
        if !self.is_unreadable && !self.watch.body_ended() {
            self.end = Status::Failed;
        }
    }

    fn observe(&mut self, bytes: &[u8]) {
        match self.coding.as_mut().map(|coding| coding.push(bytes)) {
            None => self.decoder.push(bytes),
            Some(Ok(plain)) => self.decoder.push(&plain),
            Some(Err(_)) => return self.is_unreadable = true,
        }
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => self.watch.see(&frame.data, frame.event.as_deref()),
                Ok(None) => return,
                Err(_) => return self.is_unreadable = true,
            }
        }
    }
}

impl Translation for Listening {
    fn push(&mut self, bytes: Bytes, _now: u64) -> Bytes {
        self.pieces += 1;
        if !self.is_unreadable {
            self.observe(&bytes);
        }
        if let Some(left) = &mut self.left_bytes {
            *left = left.saturating_sub(bytes.len() as u64);
            if *left == 0 {
                self.complete();
            }
        }
        bytes
    }

    fn end(&mut self, _now: u64) -> Result<Bytes, CutInsideEvent> {
        self.complete();
        Ok(Bytes::new())
    }

    fn fail(&mut self, _failure: Failure) -> Result<Bytes, CutInsideEvent> {
        Err(CutInsideEvent)
    }

    fn ended(&self) -> Option<Status> {
        self.watch.ended().or(self.is_complete.then_some(self.end))
    }

    fn is_failing(&self) -> bool {
        self.watch.is_failing()
    }

    fn is_over(&self) -> bool {
        false
    }

    /// No comment of ours goes between.
    fn at_boundary(&self) -> bool {
        false
    }

    fn heard(&self) -> u64 {
        progress(self.pieces, &self.decoder)
    }

    fn usage(&self) -> Option<Usage> {
        self.watch.usage()
    }

    fn notes(&self) -> Notes {
        Notes::default()
    }
}
