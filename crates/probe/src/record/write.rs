//! The line that keeps one exchange. In: the parts of a request and its answer as they came, JSON
//! bodies as text that was checked. Out: one line of JSON, appended. Bodies are copied, never
//! built into a tree; headers and the URL pass through [`redact`], unless all is to be revealed.

use std::borrow::Cow;

use latimer_wire::json::{Object, Raw, push_unquoted};

use crate::record::escape::push_escaped;
use crate::redact;

/// A body as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// There was none.
    None,
    /// One JSON value that was checked; it is kept as it is written.
    Json(&'a [u8]),
    /// Anything else; bytes that are not UTF-8 become U+FFFD.
    Text(&'a [u8]),
}

impl<'a> Body<'a> {
    /// What these bytes are: nothing, one JSON value, or text.
    pub fn of(bytes: &'a [u8]) -> Self {
        if bytes.is_empty() {
            return Body::None;
        }
        // A bare JSON string would read back as text, without its quotes.
        let may_be_json = matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['));
        let text = may_be_json.then(|| std::str::from_utf8(bytes).ok()).flatten();
        match text.and_then(|text| Raw::parse(text).ok()) {
            Some(_) => Body::Json(bytes),
            None => Body::Text(bytes),
        }
    }
}

/// One request and its answer, about to be written down.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// When the request began: milliseconds since 1970 (UTC).
    pub timestamp_unix_ms: u64,
    /// The HTTP method.
    pub method: &'a str,
    /// The URL; what is secret in it is taken out while writing.
    pub url: &'a str,
    /// The headers as they came; values are hidden while writing unless they are known harmless.
    pub request_headers: &'a [(&'a str, &'a str)],
    /// The body of the request.
    pub request_body: Body<'a>,
    /// The status of the answer; `None` when there was no answer, which leaves out the rest of it.
    pub status: Option<u16>,
    /// The headers of the answer, treated like those of the request.
    pub response_headers: &'a [(&'a str, &'a str)],
    /// The body of the answer.
    pub response_body: Body<'a>,
    /// What goes under the key `latimer`: an object; `None` leaves the key out.
    pub extra: Option<Raw<'a>>,
    /// Headers and URL are written as they came, with what is secret in them.
    pub is_revealed: bool,
}

impl Record<'_> {
    /// Appends the record as one line, its line end included.
    ///
    /// ```
    /// use latimer_probe::record::{Body, Record};
    /// let record = Record {
    ///     timestamp_unix_ms: 1500, method: "GET", url: "/v1/models",
    ///     request_headers: &[("authorization", "Bearer sk-1")], request_body: Body::None,
    ///     status: None, response_headers: &[], response_body: Body::None, extra: None,
    ///     is_revealed: false,
    /// };
    /// let mut line = Vec::new();
    /// record.write_line(&mut line);
    /// assert_eq!(String::from_utf8(line)?, concat!(
    ///     r#"{"timestamp":1.500,"request":{"method":"GET","url":"/v1/models","#,
    ///     r#""headers":{"authorization":"[REDACTED]"},"body":null},"response":null}"#, "\n",
    /// ));
    /// # Ok::<(), std::string::FromUtf8Error>(())
    /// ```
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let (seconds, milliseconds) =
            (self.timestamp_unix_ms / 1000, self.timestamp_unix_ms % 1000);
        let head = format!("{{\"timestamp\":{seconds}.{milliseconds:03},\"request\":");
        out.extend_from_slice(head.as_bytes());
        self.write_request(out);
        out.extend_from_slice(b",\"response\":");
        self.write_response(out);
        if let Some(extra) = self.extra {
            out.extend_from_slice(b",\"latimer\":");
            push_on_one_line(out, extra.as_str().as_bytes());
        }
        out.extend_from_slice(b"}\n");
    }

    fn write_request(&self, out: &mut Vec<u8>) {
        let mut head = String::new();
        Object::new(&mut head)
            .text("method", self.method)
            .text("url", &self.shown_url())
            .with("headers", |out| self.push_headers(out, self.request_headers))
            .key("body");
        push_with_body(out, &head, self.request_body);
    }

    fn write_response(&self, out: &mut Vec<u8>) {
        let Some(status) = self.status else {
            return out.extend_from_slice(b"null");
        };
        let mut head = String::new();
        Object::new(&mut head)
            .number("status_code", status.into())
            .with("headers", |out| self.push_headers(out, self.response_headers))
            .key("body");
        push_with_body(out, &head, self.response_body);
    }

    fn shown_url(&self) -> Cow<'_, str> {
        if self.is_revealed { self.url.into() } else { redact::url(self.url).into() }
    }

    /// A header that came more than once is one member, its values joined as RFC 9110 (5.2) has it.
    fn push_headers(&self, out: &mut String, headers: &[(&str, &str)]) {
        let mut object = Object::new(out);
        for (at, (name, value)) in headers.iter().enumerate() {
            let same = |(other, _): &&(&str, &str)| other.eq_ignore_ascii_case(name);
            if headers.iter().take(at).any(|header| same(&header)) {
                continue;
            }
            object = object.member_with(name, |out| {
                out.push('"');
                push_unquoted(out, self.shown_value(name, value));
                for (_, more) in headers.iter().skip(at + 1).filter(same) {
                    out.push_str(", ");
                    push_unquoted(out, self.shown_value(name, more));
                }
                out.push('"');
            });
        }
        object.end();
    }

    fn shown_value<'v>(&self, name: &str, value: &'v str) -> &'v str {
        if self.is_revealed { value } else { redact::header(name, value) }
    }
}

/// Appends an object that lacks only the value of its last member, the body.
fn push_with_body(out: &mut Vec<u8>, head: &str, body: Body<'_>) {
    out.extend_from_slice(head.as_bytes());
    match body {
        Body::None => out.extend_from_slice(b"null"),
        Body::Json(json) => push_on_one_line(out, json),
        Body::Text(bytes) => {
            out.push(b'"');
            // Nearly all text is valid, and the check alone is much faster.
            match std::str::from_utf8(bytes) {
                Ok(text) => push_escaped(out, text),
                Err(_) => push_escaped(out, &String::from_utf8_lossy(bytes)),
            }
            out.push(b'"');
        }
    }
    out.push(b'}');
}

/// In checked JSON a line end can only stand between tokens, where a space does as well.
fn push_on_one_line(out: &mut Vec<u8>, json: &[u8]) {
    let mut rest = json;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        out.push(b' ');
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::{Body, Record};
    use crate::record::exchange::{Payload, read};
    use latimer_wire::json::{Outline, Raw};

    fn line(record: &Record<'_>) -> String {
        let mut line = Vec::new();
        record.write_line(&mut line);
        String::from_utf8(line).expect("a line is text")
    }

    const EMPTY: Record<'_> = Record {
        timestamp_unix_ms: 1_707_123_456_007,
        method: "POST",
        url: "/v1/responses",
        request_headers: &[],
        request_body: Body::None,
        status: Some(200),
        response_headers: &[],
        response_body: Body::None,
        extra: None,
        is_revealed: false,
    };

    #[test]
    fn what_is_written_reads_back() {
        let record = Record {
            request_headers: &[("Accept", "a\"b"), ("vary", "x"), ("accept", "c")],
            request_body: Body::of(b"{\r\n\"n\": 1.50,\n \"t\": \"a\\nb\"}"),
            response_body: Body::of(b"data: \xff\x01\r\n\r\n"),
            extra: Raw::parse("{\"notes\":\n[]}").ok(),
            ..EMPTY
        };
        let line = line(&record);
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        assert!(line.contains("{  \"n\": 1.50,  \"t\""), "the body keeps its own spelling: {line}");
        let exchange = read(line.as_bytes()).next().expect("a line").expect("a record");
        assert_eq!(exchange.timestamp_unix_ms, Some(1_707_123_456_007));
        assert_eq!(exchange.request.headers.get("ACCEPT"), Some("a\"b, c"));
        assert_eq!(exchange.request.headers.0.len(), 2);
        let body = Raw::parse("{  \"n\": 1.50,  \"t\": \"a\\nb\"}").expect("JSON");
        assert_eq!(exchange.request.body, Payload::Json(Outline::of(body)));
        let response = exchange.response.expect("a response");
        assert_eq!(response.status_code, Some(200));
        assert_eq!(response.body, Payload::Text("data: \u{fffd}\u{1}\r\n\r\n".into()));
        assert_eq!(exchange.latimer, Raw::parse("{\"notes\": []}").ok());
    }

    #[test]
    fn no_secret_header_gets_through() {
        const NAMES: &[&str] = &[
            "authorization",
            "Authorization",
            " authorization",
            "proxy-authorization",
            "cookie",
            "Set-Cookie",
            "x-api-key",
            "api-key",
            "x-goog-api-key",
            "anthropic-api-key",
            "openai-organization",
            "openai-project",
            "chatgpt-account-id",
            "x-auth-token",
            "x-amz-security-token",
            "cf-access-client-secret",
            "x-codex-turn-state",
            "x-codex-installation-id",
            "x-codex-credits-balance",
            "x-forwarded-for",
            "referer",
            "location",
            "sec-websocket-key",
            "sec-websocket-protocol",
            "www-authenticate",
            "x-vault-token",
            "x-made-up-tomorrow",
            "",
        ];
        for name in NAMES {
            let headers = [(*name, "canary-1"), (*name, "canary-2")];
            let record = Record {
                url: "https://u:canary-3@h/v1?api_key=canary-4",
                request_headers: &headers,
                response_headers: &headers,
                ..EMPTY
            };
            let line = line(&record);
            assert!(!line.contains("canary"), "{name}: {line}");
        }
    }
}
