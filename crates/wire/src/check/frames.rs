//! A stream as text to its frames, each with the line it began on. In: raw bytes, server-sent events
//! or the JSON of one event a line.

use crate::json::Raw;
use crate::sse::{Decoder, Frame};

/// One event of a stream, where it stands.
#[derive(Debug)]
pub(super) struct Framed {
    /// Counted from 1.
    pub line: usize,
    /// The `event:` line; `None` where the form has none.
    pub named: Option<String>,
    pub data: String,
}

/// A stream, cut into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub list: Vec<Framed>,
    /// The line of an event at the end that was not finished.
    pub cut_off: Option<usize>,
}

/// Whether these bytes look like server-sent events.
pub(super) fn are_events(body: &[u8]) -> bool {
    let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii_start();
    [&b"event:"[..], b"data:", b":", b"id:", b"retry:"].iter().any(|field| text.starts_with(field))
}

/// Whether these bytes look like events or chunks as JSON, one a line.
pub(super) fn are_lines(body: &[u8]) -> bool {
    let first = body.split(|byte| *byte == b'\n').find(|line| !blank(line));
    let first = first.and_then(|line| std::str::from_utf8(line).ok());
    let first = first.and_then(|line| Raw::parse(line.trim()).ok());
    let kind = first.and_then(|first| first.member_text("type"));
    kind.is_some_and(|kind| kind == "error" || kind.starts_with("response."))
        || first.is_some_and(|first| first.member("choices").is_some()) && !is_one_value(body)
}

fn is_one_value(body: &[u8]) -> bool {
    let whole = std::str::from_utf8(body).ok().filter(|_| body.contains(&b'\n'));
    whole.is_none_or(|whole| Raw::parse(whole).is_ok())
}

fn blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// The frames of server-sent events.
pub(super) fn of_events(body: &[u8]) -> Frames {
    let mut frames = Frames::default();
    let mut lines = Lines { body, at: 0, line: 1 };
    // The body is in memory already, so no event of it is too long.
    let mut decoder = Decoder::new(usize::MAX);
    decoder.push(body);
    while let Ok(Some(frame)) = decoder.next() {
        let framed = Framed::of(frame);
        let line = lines.pass(body.len() - decoder.pending_bytes());
        frames.list.push(Framed { line, ..framed });
    }
    let line = lines.pass(body.len());
    // Recorders may strip the blank line after the last event, which then is whole all the same.
    decoder.push(b"\n\n");
    if let Ok(Some(frame)) = decoder.next() {
        match frame.data == DONE || Raw::parse(&frame.data).is_ok() {
            true => frames.list.push(Framed { line, ..Framed::of(frame) }),
            false => frames.cut_off = Some(line),
        }
    }
    frames
}

impl Framed {
    /// A frame whose line is not known yet.
    fn of(frame: Frame<'_>) -> Framed {
        let named = Some(frame.event.unwrap_or_default().into_owned());
        Framed { line: 0, named, data: frame.data.into_owned() }
    }
}

/// The lines of a body, passed frame by frame.
struct Lines<'a> {
    body: &'a [u8],
    at: usize,
    /// The number of the line at which it stands.
    line: usize,
}

impl Lines<'_> {
    /// Passes what stands before `end`, which is one frame and what is none before it. Out: the line on
    /// which the frame begins.
    fn pass(&mut self, end: usize) -> usize {
        let (mut began, mut last) = (None, self.line);
        while let Some(rest) = self.body.get(self.at..end).filter(|rest| !rest.is_empty()) {
            let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |found| found + 1);
            let line = rest.get(..length).unwrap_or_default();
            let text = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
            last = self.line;
            if text.starts_with(b"event") || text.starts_with(b"data") {
                began.get_or_insert(last);
            }
            self.at += length;
            self.line += usize::from(line.ends_with(b"\n"));
            if blank(line) && self.at < end {
                began = None;
            }
        }
        began.unwrap_or(last)
    }
}

/// The frames of one event's JSON a line.
pub(super) fn of_lines(body: &[u8]) -> Frames {
    let lines = (1..).zip(body.split(|byte| *byte == b'\n')).filter(|(_, line)| !blank(line));
    let frame = |(line, bytes): (usize, &[u8])| Framed {
        line,
        named: None,
        data: String::from_utf8_lossy(bytes).trim().to_owned(),
    };
    Frames { list: lines.map(frame).collect(), cut_off: None }
}

/// The text that ends Chat streams.
pub(super) const DONE: &str = "[DONE]";
