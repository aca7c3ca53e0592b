//! A stream that is passed on as it came: the client gets the backend's own bytes, and only a stream
//! that breaks off gets an end of ours.

use bytes::Bytes;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Failure, Status, Usage};
use latimer_wire::sse::Decoder;

use super::{CutInsideEvent, Hop, Translation, Watch};

/// A stream that passes by.
pub(crate) struct Passing {
    decoder: Decoder,
    watch: Watch,
    /// An event was too long: what follows cannot be told apart.
    unreadable: Option<String>,
    /// The body came to its end as it should.
    complete: bool,
    hop: Hop,
}

impl Passing {
    pub fn new(watch: Watch, event_limit_bytes: usize, hop: Hop) -> Self {
        let decoder = Decoder::new(event_limit_bytes);
        Passing { decoder, watch, unreadable: None, complete: false, hop }
    }

    fn observe(&mut self, bytes: &[u8]) {
        if self.unreadable.is_some() || matches!(self.watch, Watch::Nothing) {
            return;
        }
        self.decoder.push(bytes);
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => self.watch.see(&frame.data, frame.event.as_deref()),
                Ok(None) => return,
                Err(error) => return self.unreadable = Some(error.to_string()),
            }
        }
    }

    /// Ends a stream that broke off: with an event of our own where one may stand, else not at all.
    fn break_off(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        if self.watch.ended().is_some() {
            return Ok(Bytes::new());
        }
        if !self.at_boundary() {
            return Err(CutInsideEvent);
        }
        self.watch.fail(failure).map(Bytes::from).ok_or(CutInsideEvent)
    }
}

impl Translation for Passing {
    fn begin(&mut self) -> Bytes {
        Bytes::new()
    }

    fn push(&mut self, bytes: Bytes, _now: u64) -> Bytes {
        self.observe(&bytes);
        bytes
    }

    fn end(&mut self, _now: u64) -> Result<Bytes, CutInsideEvent> {
        if self.watch.ended().is_none() && self.at_boundary() {
            let failure = self.hop.incomplete();
            if self.watch.body_ended() {
                self.complete = true;
                return Ok(Bytes::new());
            }
            return self.watch.fail(failure).map(Bytes::from).ok_or(CutInsideEvent);
        }
        self.break_off(self.hop.incomplete())
    }

    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        self.break_off(failure)
    }

    fn ended(&self) -> Option<Status> {
        self.watch.ended().or(self.complete.then_some(Status::Completed))
    }

    /// What comes after the end is passed on too.
    fn is_over(&self) -> bool {
        false
    }

    fn is_lost(&self) -> bool {
        self.unreadable.is_some() && self.watch.ended().is_none()
    }

    fn at_boundary(&self) -> bool {
        self.unreadable.is_none() && self.decoder.pending_bytes() == 0
    }

    fn usage(&self) -> Option<Usage> {
        self.watch.usage()
    }

    fn notes(&self) -> Notes {
        let mut notes = self.watch.notes();
        if let Some(trouble) = &self.unreadable {
            notes.add("event_too_long", trouble);
        }
        notes
    }
}
