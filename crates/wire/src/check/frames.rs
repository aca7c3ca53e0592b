//! A stream as text to its frames, each with the line it began on. In: raw bytes, server-sent events
//! or the JSON of one event a line.

use crate::json::Raw;
use crate::sse::Decoder;

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
    // The body is in memory already, so no event of it is too long.
    let mut decoder = Decoder::new(usize::MAX);
    let mut began = None;
    for (line, bytes) in (1..).zip(body.split_inclusive(|byte| *byte == b'\n')) {
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        if text.starts_with(b"event") || text.starts_with(b"data") {
            began.get_or_insert(line);
        }
        decoder.push(bytes);
        while let Ok(Some(frame)) = decoder.next() {
            frames.list.push(Framed {
                line: began.take().unwrap_or(line),
                named: Some(frame.event.unwrap_or_default().into_owned()),
                data: frame.data.into_owned(),
            });
        }
        if blank(bytes) {
            began = None;
        }
    }
    // Recorders may strip the blank line after the last event, which then is whole all the same.
    decoder.push(b"\n\n");
    if let Ok(Some(frame)) = decoder.next() {
        let line = began.unwrap_or(1);
        match frame.data == DONE || Raw::parse(&frame.data).is_ok() {
            true => frames.list.push(Framed {
                line,
                named: Some(frame.event.unwrap_or_default().into_owned()),
                data: frame.data.into_owned(),
            }),
            false => frames.cut_off = Some(line),
        }
    }
    frames
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
