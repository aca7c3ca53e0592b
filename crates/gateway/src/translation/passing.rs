//! A stream that is passed on as it came: the client gets the backend's own bytes, and only a stream
//! that breaks off gets an end of ours. A byte order mark before it is no part of the stream, and
//! stays behind: Codex up to 0.169 crashes over it (its `eventsource-stream` 0.2.3 does).

use bytes::Bytes;
use latimer_wire::note::Notes;
use latimer_wire::responses::{Failure, Status, Usage};
use latimer_wire::sse::Decoder;

use super::{CutInsideEvent, Hop, Translation, Watch, progress};
use crate::coding;
use crate::config::Limits;

/// A byte order mark in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// A stream that passes by.
pub(crate) struct Passing {
    /// Makes plain what comes compressed, to be watched.
    coding: Option<coding::Decoder>,
    decoder: Decoder,
    watch: Watch,
    /// What of a byte order mark may still come.
    mark: &'static [u8],
    /// The mark was there, and was left out.
    marked: bool,
    /// An event was too long, or the coding damaged: what follows cannot be told apart.
    unreadable: Option<String>,
    /// How many events came; pieces, where events are not told apart.
    heard: u64,
    /// The body came to its end as it should.
    complete: bool,
    hop: Hop,
}

impl Passing {
    /// `coding` is what the stream is compressed with; in one that is not known nothing is seen.
    pub fn new(watch: Watch, coding: Option<&str>, limits: &Limits, hop: Hop) -> Self {
        let coding = coding.map(|name| coding::Decoder::of(name, limits.stream_bytes));
        let watch = if let Some(None) = coding { Watch::Nothing } else { watch };
        let plain = coding.is_none() && !matches!(watch, Watch::Nothing);
        Passing {
            mark: if plain { MARK } else { &[] },
            marked: false,
            coding: coding.flatten(),
            decoder: Decoder::new(limits.event_bytes),
            watch,
            unreadable: None,
            heard: 0,
            complete: false,
            hop,
        }
    }

    /// The bytes without a mark before them, which may come in pieces.
    fn without_mark(&mut self, bytes: Bytes) -> Bytes {
        let same = self.mark.iter().zip(&bytes).take_while(|(mark, byte)| mark == byte).count();
        let (held, rest) =
            (MARK.len() - self.mark.len(), self.mark.get(same..).unwrap_or_default());
        if rest.is_empty() || same == bytes.len() {
            self.mark = rest;
            self.marked = rest.is_empty();
            return bytes.slice(same..);
        }
        self.mark = &[];
        match MARK.get(..held) {
            None | Some([]) => bytes,
            Some(held) => [held, &bytes].concat().into(),
        }
    }

    fn observe(&mut self, bytes: &[u8]) {
        if self.unreadable.is_some() || matches!(self.watch, Watch::Nothing) {
            self.heard += 1;
            return;
        }
        match self.coding.as_mut().map(|coding| coding.push(bytes)) {
            None => self.decoder.push(bytes),
            Some(Ok(plain)) => self.decoder.push(&plain),
            Some(Err(error)) => return self.unreadable = Some(error.to_string()),
        }
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => {
                    self.heard += 1;
                    self.watch.see(&frame.data, frame.event.as_deref());
                }
                Ok(None) => return,
                Err(error) => return self.unreadable = Some(error.to_string()),
            }
        }
    }

    /// Whether the last event is complete.
    fn between_events(&self) -> bool {
        self.unreadable.is_none() && self.decoder.pending_bytes() == 0
    }

    /// Ends a stream that broke off: with an event of our own where one may stand, else not at all.
    fn break_off(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        if self.watch.ended().is_some() {
            return Ok(Bytes::new());
        }
        self.say_failed(failure)
    }

    fn say_failed(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        if !self.at_boundary() {
            return Err(CutInsideEvent);
        }
        self.watch.fail(&failure).map(Bytes::from).ok_or(CutInsideEvent)
    }
}

impl Translation for Passing {
    fn push(&mut self, bytes: Bytes, _now: u64) -> Bytes {
        self.observe(&bytes);
        if self.mark.is_empty() { bytes } else { self.without_mark(bytes) }
    }

    fn end(&mut self, _now: u64) -> Result<Bytes, CutInsideEvent> {
        let failure = self.hop.incomplete();
        if self.watch.ended().is_some() || !self.between_events() {
            return self.break_off(failure);
        }
        self.complete = self.watch.body_ended();
        if self.complete { Ok(Bytes::new()) } else { self.say_failed(failure) }
    }

    fn fail(&mut self, failure: Failure) -> Result<Bytes, CutInsideEvent> {
        self.break_off(failure)
    }

    fn ended(&self) -> Option<Status> {
        self.watch.ended().or(self.complete.then_some(Status::Completed))
    }

    fn is_failing(&self) -> bool {
        self.watch.is_failing()
    }

    /// What comes after the end is passed on too.
    fn is_over(&self) -> bool {
        false
    }

    fn is_lost(&self) -> bool {
        self.unreadable.is_some() && self.watch.ended().is_none()
    }

    fn at_boundary(&self) -> bool {
        let seen = self.coding.is_none() && !matches!(self.watch, Watch::Nothing);
        seen && self.between_events()
    }

    fn heard(&self) -> u64 {
        progress(self.heard, &self.decoder)
    }

    fn usage(&self) -> Option<Usage> {
        self.watch.usage()
    }

    fn notes(&self) -> Notes {
        let mut notes = Notes::default();
        if self.marked {
            notes.add("byte_order_mark", "the one before the stream was left out");
        }
        if let Some(trouble) = &self.unreadable {
            notes.add("stream_unreadable", trouble);
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_stays_behind() {
        // the pieces that come, what of them goes on, and whether it is noted
        type Case = (&'static [&'static [u8]], &'static [u8], bool);
        let cases: &[Case] = &[
            (&[b"data"], b"data", false),
            (&[b"\xef\xbb\xbfdata", b"\xef\xbb\xbf"], b"data\xef\xbb\xbf", true),
            (&[b"\xef", b"\xbb", b"\xbf", b"data"], b"data", true),
            (&[b"\xef\xbb", b"", b"\xbfdata"], b"data", true),
            (&[b"\xef\xbb", b"data"], b"\xef\xbbdata", false),
            (&[b": \xef\xbb\xbf"], b": \xef\xbb\xbf", false),
        ];
        for (pieces, wanted, noted) in cases {
            let limits = Limits::default();
            let mut passing = Passing::new(Watch::hub(), None, &limits, Hop::default());
            let passed = pieces.iter().map(|piece| passing.push(Bytes::from_static(piece), 0));
            assert_eq!(passed.collect::<Vec<_>>().concat(), *wanted, "{pieces:?}");
            assert_eq!(!passing.notes().list().is_empty(), *noted, "{pieces:?}");
        }
    }
}
