//! One recorded request and its answer, read from JSON Lines: an object a line with `timestamp`,
//! `request` and `response`. In: any buffered reader. Out: [`Exchange`]s, and for each line that
//! is none an [`Unreadable`] with its number. Unknown keys are passed over; nothing is hidden
//! here, whoever shows an exchange does that.

use std::io::{self, BufRead};

use serde::Deserialize;
use serde_json::Value;

/// One recorded request and its answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Exchange {
    /// When the request began: milliseconds since 1970 (UTC).
    #[serde(rename = "timestamp", default, deserialize_with = "unix_ms")]
    pub timestamp_unix_ms: Option<i64>,
    /// What was asked.
    pub request: RecordedRequest,
    /// What was answered; `None` when the client left or no answer came.
    #[serde(default)]
    pub response: Option<RecordedResponse>,
    /// What Latimer itself noted down about the exchange.
    #[serde(default)]
    pub latimer: Option<Value>,
}

/// The request of an [`Exchange`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecordedRequest {
    /// The HTTP method.
    pub method: String,
    /// The URL as it was recorded, absolute or a path.
    pub url: String,
    /// The headers in their order.
    #[serde(default)]
    pub headers: Headers,
    /// The body.
    #[serde(default)]
    pub body: Payload,
}

/// The response of an [`Exchange`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecordedResponse {
    /// The HTTP status.
    pub status_code: Option<u16>,
    /// The headers in their order.
    #[serde(default)]
    pub headers: Headers,
    /// The body; an event stream is text.
    #[serde(default)]
    pub body: Payload,
}

/// Header names and values in the order of the record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<serde_json::Map<String, Value>>")]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The value of a header, its name compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl From<Option<serde_json::Map<String, Value>>> for Headers {
    fn from(map: Option<serde_json::Map<String, Value>>) -> Self {
        let text = |value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Headers(map.into_iter().flatten().map(|(name, value)| (name, text(value))).collect())
    }
}

/// A recorded body.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "Value")]
pub enum Payload {
    /// There was none.
    #[default]
    None,
    /// Text of any kind, an event stream for one.
    Text(String),
    /// A JSON body.
    Json(Value),
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Payload::None,
            Value::String(text) => Payload::Text(text),
            json => Payload::Json(json),
        }
    }
}

/// A line of a recording that gave no exchange.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The line is not a record.
    #[error("line {line} is not a recorded exchange: {source}")]
    Malformed {
        /// Counted from 1.
        line: u64,
        /// What was wrong with it.
        source: serde_json::Error,
    },
    /// The last line was cut off while it was written; what came before it is whole.
    #[error("line {line} ends in the middle of a record")]
    Torn {
        /// Counted from 1.
        line: u64,
    },
    /// The recording could not be read any further.
    #[error("reading stopped at line {line}: {source}")]
    Io {
        /// Counted from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
}

/// Reads a recording line by line, holding one at a time; blank lines are passed over.
///
/// ```
/// let lines = r#"{"timestamp": 1.5, "request": {"method": "GET", "url": "/v1/models"}}"#;
/// let first = latimer_probe::exchange::read(lines.as_bytes()).next().expect("one line");
/// assert_eq!(first?.timestamp_unix_ms, Some(1500));
/// # Ok::<(), latimer_probe::exchange::Unreadable>(())
/// ```
pub fn read<R: BufRead>(mut input: R) -> impl Iterator<Item = Result<Exchange, Unreadable>> {
    let (mut buffer, mut line, mut stopped) = (Vec::new(), 0, false);
    std::iter::from_fn(move || {
        while !stopped {
            buffer.clear();
            line += 1;
            match input.read_until(b'\n', &mut buffer) {
                Ok(0) => stopped = true,
                Ok(_) if buffer.trim_ascii().is_empty() => {}
                Ok(_) => return Some(parse(&buffer, line)),
                Err(source) => {
                    stopped = true;
                    return Some(Err(Unreadable::Io { line, source }));
                }
            }
        }
        None
    })
}

fn parse(bytes: &[u8], line: u64) -> Result<Exchange, Unreadable> {
    serde_json::from_slice(bytes).map_err(|source| match bytes.ends_with(b"\n") {
        true => Unreadable::Malformed { line, source },
        false => Unreadable::Torn { line },
    })
}

/// Seconds with a fraction, as the records have them, to whole milliseconds.
fn unix_ms<'de, D: serde::Deserializer<'de>>(seconds: D) -> Result<Option<i64>, D::Error> {
    let seconds = Option::<f64>::deserialize(seconds)?;
    Ok(seconds.map(|seconds| (seconds * 1000.0).round() as i64))
}

#[cfg(test)]
mod tests {
    use super::{Payload, Unreadable, read};

    #[test]
    fn lines_that_are_no_records_are_told_apart() {
        let recording = concat!(
            "{\"timestamp\": 2, \"request\": {\"method\": \"GET\", \"url\": \"/\", \"body\": \"x\"}, ",
            "\"response\": null, \"more\": 1}\n\n{\"request\": 1}\n{\"timestamp\": 3, \"req"
        );
        let lines: Vec<_> = read(recording.as_bytes()).collect();
        assert_eq!(lines.len(), 3);
        let first = lines[0].as_ref().expect("the first line is whole");
        assert_eq!(first.request.body, Payload::Text("x".into()));
        assert!(first.response.is_none() && first.request.headers.0.is_empty());
        assert!(matches!(lines[1], Err(Unreadable::Malformed { line: 3, .. })));
        assert!(matches!(lines[2], Err(Unreadable::Torn { line: 4 })));
    }
}
