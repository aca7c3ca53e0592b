//! A stream that is passed on as it came: the client gets the backend's own bytes, and only a stream
//! that breaks off gets an end of ours.

use bytes::Bytes;
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Event, Failure, Fold, Kind, Role, Status, Usage};
use latimer_wire::sse::Decoder;

use super::{CutInsideEvent, Hop, Translation};

/// A Responses stream that passes by.
pub(crate) struct Passing {
    decoder: Decoder,
    fold: Fold,
    next_sequence: u64,
    /// An event was too long: what follows cannot be told apart.
    unreadable: bool,
    usage: Option<Usage>,
    notes: Notes,
    hop: Hop,
}

impl Passing {
    pub fn new(event_limit_bytes: usize, hop: Hop) -> Self {
        Passing {
            decoder: Decoder::new(event_limit_bytes),
            fold: Fold::default(),
            next_sequence: 0,
            unreadable: false,
            usage: None,
            notes: Notes::default(),
            hop,
        }
    }

    fn observe(&mut self, bytes: &[u8]) {
        if self.unreadable {
            return;
        }
        self.decoder.push(bytes);
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => match Event::parse(&frame.data, frame.event.as_deref()) {
                    Ok(event) => {
                        let number = event.sequence_number.unwrap_or(self.next_sequence);
                        self.next_sequence = number.saturating_add(1);
                        if let Role::Terminal(_) = event.role() {
                            let usage = event.payload.and_then(|response| response.member("usage"));
                            self.usage = usage.and_then(Raw::non_null).map(Usage::read);
                        }
                        self.fold.push(&event);
                    }
                    Err(_) if frame.data == "[DONE]" => {}
                    Err(error) => self.notes.add("event_unreadable", error.to_string()),
                },
                Ok(None) => return,
                Err(error) => {
                    self.unreadable = true;
                    self.notes.add("event_too_long", error.to_string());
                    return;
                }
            }
        }
    }

    /// Ends a stream that broke off: with an event of our own where one may stand, else not at all.
    fn break_off(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        if self.fold.ended().is_some() {
            return Ok(Bytes::new());
        }
        if self.unreadable || self.decoder.pending_bytes() > 0 {
            return Err(CutInsideEvent);
        }
        let response = std::mem::take(&mut self.fold).fail(failure);
        let mut out = String::new();
        let event = Event {
            sequence_number: Some(self.next_sequence),
            payload: Some(response.json()),
            ..Event::new(Kind::Failed)
        };
        event.print_frame(&mut out);
        self.fold.push(&event);
        Ok(Bytes::from(out))
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
        self.break_off(self.hop.incomplete())
    }

    fn fail(&mut self, failure: Failure, _now: u64) -> Result<Bytes, CutInsideEvent> {
        self.break_off(failure)
    }

    fn ended(&self) -> Option<Status> {
        self.fold.ended()
    }

    /// What comes after the end is passed on too.
    fn is_over(&self) -> bool {
        false
    }

    fn is_lost(&self) -> bool {
        self.unreadable && self.fold.ended().is_none()
    }

    fn at_boundary(&self) -> bool {
        !self.unreadable && self.decoder.pending_bytes() == 0
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn notes(&self) -> Notes {
        self.notes.clone()
    }
}
