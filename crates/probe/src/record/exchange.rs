//! One recorded request and its answer, read from JSON Lines: an object a line with `timestamp`,
//! `request` and `response`. In: lines in memory. Out: [`Exchange`]s that borrow from them, and for
//! each line that is none an [`Unreadable`] with its number, also where the recorder says something
//! about the recording itself. Unknown keys are passed over; nothing
//! is hidden here, whoever shows an exchange does that.

use std::borrow::Cow;

use latimer_wire::json::{Malformed, Outline, Raw, Reader};

use crate::record::account::{Account, Incident};
use crate::tree::tree;

/// One recorded request and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange<'a> {
    /// When the request began: milliseconds since 1970 (UTC).
    pub timestamp_unix_ms: Option<i64>,
    /// What was asked.
    pub request: RecordedRequest<'a>,
    /// What was answered; `None` when the client left or no answer came.
    pub response: Option<RecordedResponse<'a>>,
    /// What Latimer itself noted down about the exchange.
    pub latimer: Option<Raw<'a>>,
}

impl Exchange<'_> {
    /// What Latimer itself noted down, read; nothing where that is missing or of another shape.
    pub fn account(&self) -> Option<Account> {
        serde_json::from_str(self.latimer?.as_str()).ok()
    }
}

/// The request of an [`Exchange`].
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRequest<'a> {
    /// The HTTP method.
    pub method: Cow<'a, str>,
    /// The URL as it was recorded, absolute or a path.
    pub url: Cow<'a, str>,
    /// The headers in their order.
    pub headers: Headers<'a>,
    /// The body.
    pub body: Payload<'a>,
}

/// The response of an [`Exchange`].
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedResponse<'a> {
    /// The HTTP status.
    pub status_code: Option<u16>,
    /// The headers in their order.
    pub headers: Headers<'a>,
    /// The body; an event stream is text, and so are the messages of a WebSocket.
    pub body: Payload<'a>,
}

impl RecordedResponse<'_> {
    /// Whether it opened a WebSocket (RFC 6455, section 4.2.2).
    pub fn is_websocket(&self) -> bool {
        self.status_code == Some(101)
    }
}

/// Header names and values in the order of the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Headers<'_> {
    /// The value of a header, its name compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }
}

/// The path of a URL.
pub(crate) fn path_of(url: &str) -> String {
    let address = url.split(['?', '#']).next().unwrap_or_default();
    let after_scheme = address.split_once("//").map_or(address, |(_, rest)| rest);
    match after_scheme.find('/') {
        Some(at) => after_scheme.get(at..).unwrap_or_default().to_owned(),
        None => "/".to_owned(),
    }
}

/// A recorded body.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Payload<'a> {
    /// There was none.
    #[default]
    None,
    /// Text of any kind, an event stream for one.
    Text(Cow<'a, str>),
    /// A JSON body, as it is written.
    Json(Outline<'a>),
}

impl<'a> Payload<'a> {
    /// As it is written; nothing where there was none.
    pub fn text(&self) -> Option<&str> {
        match self {
            Payload::None => None,
            Payload::Text(text) => Some(text),
            Payload::Json(json) => Some(json.raw().as_str()),
        }
    }

    /// A body that is JSON, with the places of its values.
    pub fn json(&self) -> Option<&Outline<'a>> {
        match self {
            Payload::Json(json) => Some(json),
            _ => None,
        }
    }
}

/// A line of a recording that gave no exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The line is not a record.
    #[error("line {line} is not a recorded exchange: {source}")]
    Malformed {
        /// Counted from 1.
        line: u64,
        /// What was wrong with it.
        source: Malformed,
    },
    /// The last line was cut off while it was written; what came before it is whole.
    #[error("line {line} ends in the middle of a record")]
    Torn {
        /// Counted from 1.
        line: u64,
    },
    /// The recorder says something about the recording: that exchanges were lost, for one.
    #[error("line {line} holds no exchange but what befell the recording: {incident:?}")]
    Incident {
        /// Counted from 1.
        line: u64,
        /// What it says.
        incident: Box<Incident>,
    },
}

/// Reads the lines of a recording; blank ones are passed over.
///
/// ```
/// let lines = r#"{"timestamp": 1.5, "request": {"method": "GET", "url": "/v1/models"}}"#;
/// let first = latimer_probe::record::exchange::read(lines.as_bytes()).next().expect("one line");
/// assert_eq!(first?.timestamp_unix_ms, Some(1500));
/// # Ok::<(), latimer_probe::record::exchange::Unreadable>(())
/// ```
pub fn read(lines: &[u8]) -> impl Iterator<Item = Result<Exchange<'_>, Unreadable>> {
    read_numbered(lines).map(|(_, exchange)| exchange)
}

/// The same, each with the number of its line, from 1.
pub(crate) fn read_numbered(
    lines: &[u8],
) -> impl Iterator<Item = (u64, Result<Exchange<'_>, Unreadable>)> {
    let ends = memchr::memchr_iter(b'\n', lines).map(|at| at + 1).chain([lines.len()]);
    let lines = ends.scan(0, |from, end| lines.get(std::mem::replace(from, end)..end));
    (1..).zip(lines).filter(|(_, bytes)| !bytes.trim_ascii().is_empty()).map(|(line, bytes)| {
        let read =
            exchange(bytes).map_err(|source| match (incident(bytes), bytes.ends_with(b"\n")) {
                (Some(incident), _) => Unreadable::Incident { line, incident: Box::new(incident) },
                (None, true) => Unreadable::Malformed { line, source },
                (None, false) => Unreadable::Torn { line },
            });
        (line, read)
    })
}

/// What the recorder says about the recording, in a line that has no `request`.
fn incident(line: &[u8]) -> Option<Incident> {
    let line = Raw::parse(std::str::from_utf8(line).ok()?.trim()).ok()?;
    let said = line.member("latimer").filter(|_| line.member("request").is_none())?;
    serde_json::from_str(said.as_str()).ok()
}

fn exchange(line: &[u8]) -> Result<Exchange<'_>, Malformed> {
    let text = std::str::from_utf8(line)
        .map_err(|error| Malformed { what: "not UTF-8", at: error.valid_up_to() })?;
    let mut reader = Reader::new(text);
    let (mut timestamp, mut asked, mut answered, mut latimer) = (None, None, None, None);
    reader.object(|key, reader| match &*key {
        "timestamp" => once(&mut timestamp, reader, |reader| reader.value()),
        "request" => once(&mut asked, reader, request),
        "response" => once(&mut answered, reader, response),
        "latimer" => once(&mut latimer, reader, |reader| reader.value()),
        _ => reader.value().map(drop),
    })?;
    let at = reader.position();
    reader.finish()?;
    Ok(Exchange {
        timestamp_unix_ms: timestamp.and_then(Raw::non_null).map(unix_ms).transpose()?,
        request: asked.ok_or(Malformed { what: "there is no `request`", at })?,
        response: answered.flatten(),
        latimer: latimer.and_then(Raw::non_null),
    })
}

fn request<'a>(reader: &mut Reader<'a>) -> Result<RecordedRequest<'a>, Malformed> {
    let (mut method, mut url, mut sent, mut body) = (None, None, None, None);
    reader.object(|key, reader| match &*key {
        "method" => once(&mut method, reader, text),
        "url" => once(&mut url, reader, text),
        "headers" => once(&mut sent, reader, headers),
        "body" => once(&mut body, reader, payload),
        _ => reader.value().map(drop),
    })?;
    let at = reader.position();
    Ok(RecordedRequest {
        method: method.ok_or(Malformed { what: "there is no `method`", at })?,
        url: url.ok_or(Malformed { what: "there is no `url`", at })?,
        headers: sent.unwrap_or_default(),
        body: body.unwrap_or_default(),
    })
}

fn response<'a>(reader: &mut Reader<'a>) -> Result<Option<RecordedResponse<'a>>, Malformed> {
    if reader.peek_value() == Some(b'n') {
        return reader.value().map(|_| None);
    }
    let (mut status_code, mut sent, mut body) = (None, None, None);
    reader.object(|key, reader| match &*key {
        "status_code" => once(&mut status_code, reader, status),
        "headers" => once(&mut sent, reader, headers),
        "body" => once(&mut body, reader, payload),
        _ => reader.value().map(drop),
    })?;
    Ok(Some(RecordedResponse {
        status_code: status_code.flatten(),
        headers: sent.unwrap_or_default(),
        body: body.unwrap_or_default(),
    }))
}

/// Takes the value of a member which may be there only once.
fn once<'a, T>(
    slot: &mut Option<T>,
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<(), Malformed> {
    match slot {
        Some(_) => Err(Malformed { what: "a member is there twice", at: reader.position() }),
        None => read(reader).map(|value| *slot = Some(value)),
    }
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, Malformed> {
    let wrong = Malformed { what: "expected a string", at: reader.position() };
    reader.value()?.text().ok_or(wrong)
}

fn status(reader: &mut Reader<'_>) -> Result<Option<u16>, Malformed> {
    let wrong = Malformed { what: "expected a status", at: reader.position() };
    let code = reader.value()?.non_null();
    code.map(|code| code.as_str().parse().map_err(|_| wrong)).transpose()
}

fn headers<'a>(reader: &mut Reader<'a>) -> Result<Headers<'a>, Malformed> {
    if reader.peek_value() == Some(b'n') {
        return reader.value().map(|_| Headers::default());
    }
    let mut headers: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
    reader.object(|name, reader| {
        let value = reader.value()?;
        let value = value.text().unwrap_or_else(|| tree(value).to_string().into());
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some((_, earlier)) => *earlier = value,
            None => headers.push((name, value)),
        }
        Ok(())
    })?;
    Ok(Headers(headers))
}

fn payload<'a>(reader: &mut Reader<'a>) -> Result<Payload<'a>, Malformed> {
    Ok(match reader.peek_value() {
        Some(b'"') => Payload::Text(reader.value()?.text().unwrap_or_default()),
        Some(b'n') => reader.value().map(|_| Payload::None)?,
        _ => Payload::Json(Outline::read(reader)?),
    })
}

/// Seconds with a fraction, as the records have them, to whole milliseconds.
pub(crate) fn unix_ms(seconds: Raw<'_>) -> Result<i64, Malformed> {
    let number: Option<f64> = serde_json::from_str(seconds.as_str()).ok();
    let seconds = number.ok_or(Malformed { what: "expected a time in seconds", at: 0 })?;
    Ok((seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::{Payload, Unreadable, read};

    #[test]
    fn lines_that_are_no_records_are_told_apart() {
        let recording = concat!(
            "{\"timestamp\": 2, \"request\": {\"method\": \"GET\", \"url\": \"/\", \"body\": \"x\"}, ",
            "\"response\": null, \"more\": 1}\n\n{\"request\": 1}\n",
            "{\"timestamp\": 3, \"latimer\": {\"lost\": 7}}\n{\"timestamp\": 3, \"req"
        );
        let lines: Vec<_> = read(recording.as_bytes()).collect();
        assert_eq!(lines.len(), 4);
        let first = lines[0].as_ref().expect("the first line is whole");
        assert_eq!(first.request.body, Payload::Text("x".into()));
        assert!(first.response.is_none() && first.request.headers.0.is_empty());
        assert!(matches!(lines[1], Err(Unreadable::Malformed { line: 3, .. })));
        let Err(Unreadable::Incident { line: 4, incident }) = &lines[2] else {
            panic!("{lines:?}")
        };
        assert_eq!(incident.lost, 7);
        assert!(matches!(lines[3], Err(Unreadable::Torn { line: 5 })));
    }
}
