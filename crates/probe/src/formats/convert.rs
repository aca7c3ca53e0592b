//! What the readers of other forms have in common. In: a request and its answer, as one of them found
//! them. Out: a line of a recording, written by [`crate::record`] and redacted as anything that is
//! recorded.

use std::io;

use latimer_wire::json::{Malformed, Raw};

use crate::record::{Body, Record};
use crate::redact::Redactor;

/// Why a file was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// It is not JSON where it has to be.
    #[error("{place} is no JSON: {source}")]
    Malformed {
        /// The line, the entry or the file.
        place: String,
        /// What is wrong.
        source: Malformed,
    },
    /// It is JSON of another shape.
    #[error("{place}: {what}")]
    Shape {
        /// The line, the entry or the file.
        place: String,
        /// What is missing, or of another kind.
        what: &'static str,
    },
    /// What was converted cannot be written, or what is to be converted not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Who takes the lines of a recording, each with its line end.
pub type Lines<'l> = &'l mut dyn FnMut(&[u8]) -> io::Result<()>;

/// Headers as they are told apart in other forms: a list of `{name, value}`.
pub(super) type Pairs = Vec<(String, String)>;

pub(super) fn pairs(list: Option<Raw<'_>>) -> Pairs {
    let list = list.map(Raw::elements).unwrap_or_default();
    let pair = |header: Raw<'_>| {
        let name = header.member_text("name")?.into_owned();
        Some((name, header.member_text("value").unwrap_or_default().into_owned()))
    };
    // Names that begin with a colon are no headers, but HTTP/2's words for the request line.
    list.into_iter().filter_map(pair).filter(|(name, _)| !name.starts_with(':')).collect()
}

/// A request and its answer as another form holds them.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) unix_ms: i64,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) request_headers: Pairs,
    pub(super) request_body: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) response_headers: Pairs,
    pub(super) response_body: Option<String>,
    /// What goes under the key `latimer`, as JSON.
    pub(super) extra: Option<String>,
}

impl Found {
    pub(super) fn write(&self, lines: Lines<'_>) -> io::Result<()> {
        let [asked, answered] = [&self.request_headers, &self.response_headers].map(|pairs| {
            let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            pairs.collect::<Vec<(&str, &str)>>()
        });
        let [request_body, response_body] = [&self.request_body, &self.response_body]
            .map(|body| Body::of(body.as_deref().unwrap_or_default().as_bytes()));
        let mut line = Vec::new();
        let record = Record {
            timestamp_unix_ms: self.unix_ms.max(0) as u64,
            method: &self.method,
            url: &self.url,
            request_headers: &asked,
            request_body,
            status: self.status,
            response_headers: &answered,
            response_body,
            extra: self.extra.as_deref().and_then(|extra| Raw::parse(extra).ok()),
            is_revealed: false,
        };
        record.write_line(&mut line);
        Redactor::default().erase(&mut line);
        lines(&line)
    }
}
