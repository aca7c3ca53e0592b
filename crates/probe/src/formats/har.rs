//! HTTP archives (HAR 1.2), as browsers and proxies write them, both ways. In: an archive's text, or
//! exchanges. Out: lines of a recording, or an archive. A stream is the text of the answer, and its events,
//! where their times are known, stand in `_eventSourceMessages` as Chrome writes them; the messages of a
//! WebSocket stand in `_webSocketMessages`. What only Latimer knows stands in `_latimer`, so that
//! a recording comes back as it was.

use std::io::{self, Write};

use latimer_wire::json::{Object, Raw};
use latimer_wire::sse;

use super::convert::{ConvertError, Found, Lines, pairs};
use crate::content::stream;
use crate::record::account::{Account, Socket};
use crate::record::exchange::{Exchange, Headers};
use crate::words::{rfc3339, unix_ms};

/// The status of an answer that opens a WebSocket.
const SWITCHING_PROTOCOLS: u16 = 101;
/// What a WebSocket's frame holds, by its opcode (RFC 6455, section 5.2).
const TEXT_FRAME: u64 = 1;

/// Reads an archive. Gives the number of its exchanges.
///
/// # Errors
/// Where it is no archive, or `lines` fails.
pub fn read(archive: &str, lines: Lines<'_>) -> Result<u64, ConvertError> {
    let archive = archive.trim_start_matches('\u{feff}');
    let place = || "the archive".to_owned();
    let root =
        Raw::parse(archive).map_err(|source| ConvertError::Malformed { place: place(), source })?;
    let entries =
        root.member("log").and_then(|log| log.member("entries")).filter(|it| it.is_array());
    let missing = ConvertError::Shape { place: place(), what: "there is no `log.entries`" };
    let creator = root.member("log").and_then(|log| log.member("creator"));
    let creator = creator.and_then(|creator| creator.member_text("name")).unwrap_or_default();
    let mut exchanges = 0;
    for (entry, number) in entries.ok_or(missing)?.elements().into_iter().zip(1..) {
        let found = one(entry, &creator).ok_or_else(|| ConvertError::Shape {
            place: format!("entry {number}"),
            what: "there is no `request` with a method and a URL",
        })?;
        for found in found {
            found.write(lines)?;
            exchanges += 1;
        }
    }
    Ok(exchanges)
}

/// The exchanges of an entry: one, or for a WebSocket one for each message of the client.
fn one(entry: Raw<'_>, creator: &str) -> Option<Vec<Found>> {
    let request = entry.member("request")?;
    let response = entry.member("response");
    let began_ms = entry.member_text("startedDateTime").and_then(|at| unix_ms(&at)).unwrap_or(0);
    let content = response.and_then(|response| response.member("content"));
    let status = response.and_then(|response| response.member("status")).and_then(Raw::count);
    let events = entry.member("_eventSourceMessages").map(Raw::elements).unwrap_or_default();
    let text = content.and_then(|content| content_text(content, creator));
    let ours = entry.member("_latimer");
    let found = Found {
        unix_ms: began_ms,
        method: request.member_text("method")?.into_owned(),
        url: request.member_text("url")?.into_owned(),
        request_headers: pairs(request.member("headers")),
        request_body: request
            .member("postData")
            .and_then(|posted| posted.member_text("text"))
            .map(|text| text.into_owned()),
        // Browsers write 0 for a request that got no answer.
        status: status.and_then(|code| u16::try_from(code).ok()).filter(|code| *code > 0),
        response_headers: pairs(response.and_then(|response| response.member("headers"))),
        response_body: text.or_else(|| (!events.is_empty()).then(|| stream_of(&events))),
        extra: ours.and_then(Raw::non_null).map(|noted| noted.as_str().to_owned()),
    };
    let messages = entry.member("_webSocketMessages").map(Raw::elements).unwrap_or_default();
    if ours.is_some() {
        return Some(vec![found]);
    }
    if messages.is_empty() {
        return Some(vec![Found { extra: noted(entry, began_ms, &events), ..found }]);
    }
    Some(of_socket(found, &messages))
}

/// The text of an answer; bytes that are no text become U+FFFD.
fn content_text(content: Raw<'_>, creator: &str) -> Option<String> {
    let text = content.member_text("text")?;
    let media_type = content.member_text("mimeType").unwrap_or_default();
    match content.member_text("encoding").as_deref() {
        Some("base64") => Some(String::from_utf8_lossy(&base64(&text)).into_owned()),
        _ if creator == "mitmproxy" && media_type == "text/event-stream" => {
            Some(in_utf_8(&text).unwrap_or_else(|| text.into_owned()))
        }
        _ => Some(text.into_owned()),
    }
}

/// What was meant by a text that was read as ISO 8859-1, as mitmproxy (11.0) reads each text whose type
/// names no charset. An event stream is UTF-8 whatever its type says.
fn in_utf_8(text: &str) -> Option<String> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(|of| u8::try_from(u32::from(of))).collect();
    String::from_utf8(bytes.ok()?).ok()
}

/// What was noted of an exchange by others: how long it took, and when its events came.
fn noted(entry: Raw<'_>, began_ms: i64, events: &[Raw<'_>]) -> Option<String> {
    let milliseconds = |value: Raw<'_>| value.as_str().parse::<f64>().ok().filter(|ms| *ms >= 0.0);
    let us = |ms: f64| (ms * 1000.0) as u64;
    let timing = |name: &str| entry.member("timings")?.member(name).and_then(milliseconds);
    let mut account = Account {
        duration_us: entry.member("time").and_then(milliseconds).map(us),
        first_byte_us: timing("wait").map(|wait| us(wait + timing("send").unwrap_or_default())),
        ..Account::default()
    };
    let mut before_us = 0;
    for event in events {
        let at = event.member("time").and_then(milliseconds);
        let at_us = at.map_or(before_us, |seconds| us(seconds * 1000.0 - began_ms as f64));
        account.frames_us.push(at_us.saturating_sub(before_us));
        before_us = at_us.max(before_us);
    }
    account.first_event_us = account.frames_us.first().copied();
    serde_json::to_string(&account).ok()
}

/// A stream from the events that a browser saw of it.
fn stream_of(events: &[Raw<'_>]) -> String {
    let mut stream = String::new();
    for event in events {
        let name =
            event.member_text("eventName").filter(|name| !name.is_empty() && name != "message");
        let name = name.filter(|name| !name.contains(['\n', '\r']));
        sse::encode(&mut stream, name.as_deref(), &event.member_text("data").unwrap_or_default());
    }
    stream
}

/// Each message of the client begins an exchange; what the server says until the next is its answer.
fn of_socket(handshake: Found, messages: &[Raw<'_>]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for message in messages {
        let is_sent = message.member_text("type").as_deref() == Some("send");
        let data = message.member_text("data").unwrap_or_default();
        if is_sent || found.is_empty() {
            let number = found.len() as u64 + u64::from(is_sent && found.is_empty());
            let socket =
                Socket { connection: handshake.url.clone(), message: number, ..Socket::default() };
            let account = Account { websocket: Some(socket), ..Account::default() };
            let seconds = message.member("time").and_then(|time| time.as_str().parse::<f64>().ok());
            found.push(Found {
                unix_ms: seconds.map_or(handshake.unix_ms, |seconds| (seconds * 1000.0) as i64),
                method: handshake.method.clone(),
                url: handshake.url.clone(),
                request_headers: handshake.request_headers.clone(),
                request_body: is_sent.then(|| data.clone().into_owned()),
                status: Some(SWITCHING_PROTOCOLS),
                response_headers: handshake.response_headers.clone(),
                response_body: None,
                extra: serde_json::to_string(&account).ok(),
            });
        }
        if let Some(last) = found.last_mut().filter(|_| !is_sent) {
            sse::encode(last.response_body.get_or_insert_default(), None, &data);
        }
    }
    found
}

/// Bytes from base64 (RFC 4648); what is no digit of it is passed over.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte));
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::with_capacity(text.len() / 4 * 3));
    for value in values {
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Archive {
    entries: u64,
}

impl Archive {
    /// Writes what stands before the entries.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn begin(out: &mut dyn Write) -> io::Result<Archive> {
        let version = env!("CARGO_PKG_VERSION");
        let creator = format!("{{\"name\":\"Latimer\",\"version\":\"{version}\"}}");
        writeln!(out, "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"entries\":[")?;
        Ok(Archive::default())
    }

    /// Writes the entry of an exchange.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn exchange(&mut self, exchange: &Exchange<'_>, out: &mut dyn Write) -> io::Result<()> {
        if self.entries > 0 {
            out.write_all(b",\n")?;
        }
        self.entries += 1;
        out.write_all(entry(exchange).as_bytes())
    }

    /// Writes what stands after the entries.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"\n]}}\n")
    }
}

fn entry(exchange: &Exchange<'_>) -> String {
    let account = exchange.account().unwrap_or_default();
    let milliseconds = |us: Option<u64>| format!("{:.3}", us.unwrap_or_default() as f64 / 1e3);
    let began_ms = exchange.timestamp_unix_ms.unwrap_or_default();
    let wait = account.first_byte_us.or(account.duration_us);
    let receive = account.duration_us.zip(wait).map(|(all, wait)| all.saturating_sub(wait));
    let mut entry = String::new();
    let push = |out: &mut String, text: &str| out.push_str(text);
    let object = Object::new(&mut entry)
        .text("startedDateTime", &rfc3339(began_ms))
        .with("time", |out| push(out, &milliseconds(account.duration_us)))
        .with("request", |out| request(out, exchange))
        .with("response", |out| response(out, exchange))
        .with("cache", |out| push(out, "{}"))
        .with("timings", |out| {
            Object::new(out)
                .number("send", 0)
                .with("wait", |out| push(out, &milliseconds(wait)))
                .with("receive", |out| push(out, &milliseconds(receive)))
                .end();
        });
    let object = match messages(exchange, &account, began_ms) {
        Some((key, messages)) => object.with(key, |out| push(out, &messages)),
        None => object,
    };
    // Also where there is none: then the archive is known to be of our making.
    object.raw("_latimer", exchange.latimer.unwrap_or(Raw::NULL)).end();
    entry
}

fn request(out: &mut String, exchange: &Exchange<'_>) {
    let request = &exchange.request;
    let object = Object::new(out)
        .text("method", &request.method)
        .text("url", &request.url)
        .text("httpVersion", "HTTP/1.1")
        .raw("cookies", Raw::EMPTY_ARRAY)
        .with("headers", |out| headers(out, &request.headers))
        .raw("queryString", Raw::EMPTY_ARRAY);
    let object = match request.body.text() {
        Some(body) => object.with("postData", |out| {
            let media_type = request.headers.get("content-type").unwrap_or_default();
            Object::new(out).text("mimeType", media_type).text("text", body).end();
        }),
        None => object,
    };
    let size = request.body.text().map_or(0, str::len) as u64;
    object.with("headersSize", |out| out.push_str("-1")).number("bodySize", size).end();
}

fn response(out: &mut String, exchange: &Exchange<'_>) {
    let response = exchange.response.as_ref();
    let status = response.and_then(|response| response.status_code).unwrap_or_default();
    let none = Headers::default();
    let sent = response.map_or(&none, |response| &response.headers);
    let body = response.and_then(|response| response.body.text());
    let size = body.map_or(0, str::len) as u64;
    Object::new(out)
        .number("status", status.into())
        .text("statusText", "")
        .text("httpVersion", "HTTP/1.1")
        .raw("cookies", Raw::EMPTY_ARRAY)
        .with("headers", |out| headers(out, sent))
        .with("content", |out| {
            let media_type = sent.get("content-type").unwrap_or_default();
            let content = Object::new(out).number("size", size).text("mimeType", media_type);
            match body {
                Some(body) => content.text("text", body).end(),
                None => content.end(),
            }
        })
        .text("redirectURL", "")
        .with("headersSize", |out| out.push_str("-1"))
        .number("bodySize", size)
        .end();
}

fn headers(out: &mut String, headers: &Headers<'_>) {
    out.push('[');
    for ((name, value), at) in headers.0.iter().zip(0..) {
        if at > 0 {
            out.push(',');
        }
        Object::new(out).text("name", name).text("value", value).end();
    }
    out.push(']');
}

/// The events of a stream, or the messages of a WebSocket, with the times at which they came.
fn messages(
    exchange: &Exchange<'_>,
    account: &Account,
    began_ms: i64,
) -> Option<(&'static str, String)> {
    let response = exchange.response.as_ref()?;
    let body = stream::text_of(&response.headers, &response.body)?;
    let is_socket = response.is_websocket();
    let began_s = began_ms as f64 / 1e3;
    let mut list = String::from("[");
    let mut add = |time_s: f64, write: &dyn Fn(Object<'_>)| {
        list.push_str(if list.len() > 1 { "," } else { "" });
        let time = format!("{time_s:.6}");
        write(Object::new(&mut list).with("time", |out| out.push_str(&time)));
    };
    if let Some(sent) = exchange.request.body.text().filter(|_| is_socket) {
        add(began_s, &|object| {
            object.text("type", "send").number("opcode", TEXT_FRAME).text("data", sent).end();
        });
    }
    let mut at_us = 0;
    let mut times = account.frames_us.iter();
    let mut decoder = sse::Decoder::new(usize::MAX);
    decoder.push(body.as_bytes());
    while let Ok(Some(frame)) = decoder.next() {
        at_us += times.next().copied().unwrap_or_default();
        let name = frame.event.as_deref().unwrap_or("message");
        add(began_s + at_us as f64 / 1e6, &|object| match is_socket {
            true => object
                .text("type", "receive")
                .number("opcode", TEXT_FRAME)
                .text("data", &frame.data)
                .end(),
            false => {
                object.text("eventName", name).text("eventId", "").text("data", &frame.data).end()
            }
        });
    }
    list.push(']');
    Some((if is_socket { "_webSocketMessages" } else { "_eventSourceMessages" }, list))
}

#[cfg(test)]
mod tests {
    use super::{base64, in_utf_8};

    #[test]
    fn base64_is_read_with_and_without_its_end() {
        // From RFC 4648, section 10.
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba")]
        {
            assert_eq!(base64(text), bytes.as_bytes());
        }
    }

    #[test]
    fn a_text_that_was_misread_is_read_again_where_it_was() {
        assert_eq!(in_utf_8("\u{c3}\u{87}a").as_deref(), Some("Ça"));
        assert_eq!(in_utf_8("Ça"), None, "it is no UTF-8");
        assert_eq!(in_utf_8("雨"), None, "it was read well");
    }
}
