//! Server-sent events: bytes to [`Frame`]s and back, by the rules of the WHATWG HTML standard
//! (section "Parsing an event stream"): LF, CR and CRLF end a line, one leading BOM is dropped,
//! comments and unknown fields are skipped, several `data` lines are one text, bytes that are not
//! UTF-8 become U+FFFD, and an event without its closing blank line is not an event.
//!
//! In: bytes, cut anywhere. Out: frames that borrow from the decoder. The fields `id` and `retry`
//! serve reconnection, which never happens here; they are skipped. Nothing here knows JSON.

use std::borrow::Cow;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field, when there was one that is not empty.
    pub event: Option<Cow<'a, str>>,
    /// The `data:` lines, joined by LF.
    pub data: Cow<'a, str>,
}

/// An event grew over the decoder's limit; the stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit_bytes} bytes")]
pub struct FrameTooLong {
    /// The limit that was given to [`Decoder::new`], in bytes.
    pub limit_bytes: usize,
}

/// Bytes in, frames out. Memory is bounded by the limit plus the largest single push.
///
/// ```
/// use latimer_wire::sse::Decoder;
/// let mut decoder = Decoder::new(1 << 20);
/// decoder.push(b"event: greeting\r\ndata: hel");
/// assert_eq!(decoder.next()?, None);
/// decoder.push(b"lo\r\n\r\n");
/// let frame = decoder.next()?.expect("a whole event is there");
/// assert_eq!((frame.event.as_deref(), &*frame.data), (Some("greeting"), "hello"));
/// # Ok::<(), latimer_wire::sse::FrameTooLong>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the event that is being read starts.
    start: usize,
    /// Where its next line starts.
    line: usize,
    /// How far that line was searched for its end.
    searched: usize,
    limit_bytes: usize,
    refused: bool,
    /// The line before ended in CR: a LF that comes next belongs to it.
    after_cr: bool,
    at_start_of_stream: bool,
    /// The lines of the event that matter, as ranges of the buffer.
    data: Vec<(usize, usize)>,
    event: Option<(usize, usize)>,
}

impl Decoder {
    /// A decoder which refuses events longer than `limit_bytes`, field names and comments counted.
    pub fn new(limit_bytes: usize) -> Self {
        Decoder {
            buffer: Vec::new(),
            start: 0,
            line: 0,
            searched: 0,
            limit_bytes,
            refused: false,
            after_cr: false,
            at_start_of_stream: true,
            data: Vec::new(),
            event: None,
        }
    }

    /// Adds bytes as they came from the wire.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.refused {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.line -= self.start;
            self.searched -= self.start;
            let moved = self.start;
            self.start = 0;
            for range in self.data.iter_mut().chain(self.event.as_mut()) {
                *range = (range.0 - moved, range.1 - moved);
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole event, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameTooLong`] once the event that is being read has passed the limit; from then on it
    /// is the answer to every call.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows from the decoder")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameTooLong> {
        while let Some((from, to)) = self.next_line() {
            if self.line - self.start > self.limit_bytes {
                self.refused = true;
            }
            if self.refused {
                break;
            }
            if from < to {
                self.field(from, to);
                continue;
            }
            let (data, event) = (std::mem::take(&mut self.data), self.event.take());
            self.start = self.line;
            if data.is_empty() {
                continue;
            }
            let frame = Frame {
                event: event.map(|range| self.text(range)).filter(|name| !name.is_empty()),
                data: match data.as_slice() {
                    [one] => self.text(*one),
                    lines => {
                        let lines: Vec<_> = lines.iter().map(|range| self.text(*range)).collect();
                        Cow::Owned(lines.join("\n"))
                    }
                },
            };
            return Ok(Some(frame));
        }
        self.refused |= self.pending_bytes() > self.limit_bytes;
        if self.refused { Err(FrameTooLong { limit_bytes: self.limit_bytes }) } else { Ok(None) }
    }

    /// How many bytes of an event that is not complete yet are held. At the end of a stream they
    /// are what was cut off.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next line without its end, as a range of the buffer.
    fn next_line(&mut self) -> Option<(usize, usize)> {
        if self.at_start_of_stream && !self.skip_byte_order_mark() {
            return None;
        }
        if self.after_cr {
            let next = *self.buffer.get(self.line)?;
            self.after_cr = false;
            self.line += usize::from(next == b'\n');
            self.forget_idle_lines();
            self.searched = self.searched.max(self.line);
        }
        let rest = self.buffer.get(self.searched..)?;
        let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
            self.searched = self.buffer.len();
            return None;
        };
        let (from, to) = (self.line, self.searched + found);
        self.after_cr = rest.get(found) == Some(&b'\r');
        self.line = to + 1;
        self.searched = self.line;
        Some((from, to))
    }

    /// Passes a BOM at the very beginning; false while it is not known yet whether there is one.
    fn skip_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        if self.buffer.starts_with(MARK) {
            (self.start, self.line, self.searched) = (MARK.len(), MARK.len(), MARK.len());
        } else if MARK.starts_with(&self.buffer) {
            return false;
        }
        self.at_start_of_stream = false;
        true
    }

    /// Takes one line that is not blank.
    fn field(&mut self, from: usize, to: usize) {
        let line = self.buffer.get(from..to).unwrap_or_default();
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = match line.get(colon + 1) {
            Some(b' ') => from + colon + 2,
            Some(_) => from + colon + 1,
            None => to,
        };
        match line.get(..colon) {
            Some(b"data") => self.data.push((value, to)),
            Some(b"event") => self.event = Some((value, to)),
            _ => self.forget_idle_lines(),
        }
    }

    /// Comments and unknown fields between events do not count towards the next one.
    fn forget_idle_lines(&mut self) {
        if self.data.is_empty() && self.event.is_none() {
            self.start = self.line;
        }
    }

    fn text(&self, (from, to): (usize, usize)) -> Cow<'_, str> {
        let bytes = self.buffer.get(from..to).unwrap_or_default();
        // Nearly all text is valid, and the check alone is much faster.
        std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
    }
}

/// Appends one frame: the event's name if it has one, then its data, a line each.
///
/// `data` is split at line ends, so that no text can forge a field; `event` must hold none.
pub fn encode(out: &mut String, event: Option<&str>, data: &str) {
    if let Some(event) = event {
        out.push_str("event: ");
        out.push_str(event);
        out.push('\n');
    }
    for line in data.split(['\n', '\r']) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
}
