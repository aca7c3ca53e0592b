//! An exchange that is over, on its way into the record: shared bytes, of which its line is made by the
//! thread that writes. What can be seen in them (times of frames, session, attempt) is noted down then,
//! not while the answer streams.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use latimer_probe::record::account::{Account, Outcome};
use latimer_probe::record::attempts::Attempts;
use latimer_probe::record::{Body, Record};
use latimer_probe::record::{arrivals, lineage};
use latimer_wire::json::Raw;
use latimer_wire::responses::Usage;
use tokio::sync::oneshot;

use crate::coding::{self, Decoder};
use crate::headers;

/// How much of a compressed body is recorded, made plain.
const PLAIN_BYTES: usize = 64 << 20;
/// The headers in which callers send their keys.
const KEYS_OF_CALLER: &[&str] = &["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// An exchange that is over, as the recorder takes it.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub timestamp_unix_ms: u64,
    pub method: Method,
    pub url: String,
    pub request_headers: HeaderMap,
    pub request_body: Bytes,
    /// Nobody has read it on its way: the body of the request is as it came over the wire, perhaps
    /// compressed, and what the answer says of itself is not noted down yet.
    pub is_overheard: bool,
    /// The body of the request was read as JSON on its way, all of it.
    pub is_json: bool,
    pub status: Option<u16>,
    pub response_headers: HeaderMap,
    /// The pieces of the answer's body, and when each left: microseconds since the beginning.
    pub response_body: Vec<(Bytes, u64)>,
    /// What is noted down beside it; what can be seen in the rest is added when it is written.
    pub account: Account,
    /// Dropped when it is written, or lost.
    pub waiting: Option<oneshot::Sender<()>>,
}

impl Finished {
    /// What it holds in memory, nearly.
    pub fn bytes(&self) -> usize {
        let pieces = self.response_body.iter().map(|(piece, _)| piece.len());
        self.request_body.len() + pieces.sum::<usize>()
    }

    /// Keeps a piece of the answer.
    pub fn keep(&mut self, piece: Bytes, at_us: u64) {
        self.response_body.push((piece, at_us));
    }

    /// The body of the request without its coding, as far as that can be undone; else as it came.
    fn plain_request(&self) -> Cow<'_, [u8]> {
        let coding = headers::coding(&self.request_headers).filter(|_| self.is_overheard);
        let decoder = coding.and_then(|coding| Decoder::of(&coding, PLAIN_BYTES));
        let plain = decoder.map(|decoder| coding::undo_beginning(decoder, &self.request_body));
        match plain.filter(|plain| !plain.is_empty()) {
            Some(plain) => Cow::Owned(plain),
            None => Cow::Borrowed(&self.request_body),
        }
    }

    /// What the body of the request is. A bare JSON string would read back as text, without its quotes.
    fn body_of<'a>(&self, request: &'a [u8]) -> Body<'a> {
        match request.trim_ascii_start().first() {
            Some(b'{' | b'[') if self.is_json => Body::Json(request),
            _ => Body::of(request),
        }
    }

    /// The pieces of the answer without their coding, as far as it came and can be undone.
    fn plain_pieces(&self) -> Vec<(Cow<'_, [u8]>, u64)> {
        let coding = self.response_headers.get(header::CONTENT_ENCODING).map(text);
        let Some(mut decoder) = coding.and_then(|coding| Decoder::of(&coding, PLAIN_BYTES)) else {
            let pieces = self.response_body.iter();
            return pieces.map(|(piece, at_us)| (Cow::Borrowed(&**piece), *at_us)).collect();
        };
        let mut pieces = Vec::with_capacity(self.response_body.len());
        for (piece, at_us) in &self.response_body {
            let (plain, is_sound) = coding::undo_piece(&mut decoder, piece);
            pieces.push((Cow::Owned(plain), *at_us));
            if !is_sound {
                break;
            }
        }
        pieces
    }

    /// Notes down what can be seen in the exchange itself.
    fn complete(
        &self,
        request: &[u8],
        pieces: &[(Cow<'_, [u8]>, u64)],
        answer: Body<'_>,
        attempts: &mut Attempts,
    ) -> Account {
        let mut account = self.account.clone();
        let header = |name: &str| self.request_headers.get(name).map(text);
        lineage::note(&mut account, header, request);
        account.request_coding = headers::coding(&self.request_headers);
        account.response_coding = headers::coding(&self.response_headers);
        account.first_byte_us = self.response_body.first().map(|(_, at_us)| *at_us);
        account.first_byte_ms = account.first_byte_us.map(|us| us / 1000);
        account.duration_ms = account.duration_us.map(|us| us / 1000);
        let media_type = self.response_headers.get(header::CONTENT_TYPE).map(text);
        let is_stream = media_type.is_some_and(|media_type| media_type.contains("event-stream"));
        if is_stream || account.websocket.is_some() {
            let pieces = pieces.iter().map(|(piece, at_us)| (&**piece, *at_us));
            account.arrived(arrivals::of_stream(pieces));
        }
        if let (true, Body::Json(answer)) = (self.is_overheard, answer) {
            read_whole(&mut account, answer);
        }
        let ended_unix_ms = self.timestamp_unix_ms + account.duration_ms.unwrap_or_default();
        attempts.note(&mut account, ended_unix_ms, &self.url, request);
        account
    }

    /// The keys the caller sent.
    pub fn caller_keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let values = KEYS_OF_CALLER.iter().filter_map(|name| self.request_headers.get(*name));
        values.map(text).map(|value| match value.split_whitespace().last() {
            Some(word) if word.len() < value.len() => word.to_owned().into(),
            _ => value,
        })
    }

    /// Appends its line.
    pub fn write_line(&self, line: &mut Vec<u8>, attempts: &mut Attempts, is_revealed: bool) {
        let (request_headers, response_headers) =
            (texts(&self.request_headers), texts(&self.response_headers));
        let (request, pieces) = (self.plain_request(), self.plain_pieces());
        let response_body = match pieces.as_slice() {
            [(whole, _)] => Cow::Borrowed(&**whole),
            pieces => {
                let pieces: Vec<&[u8]> = pieces.iter().map(|(piece, _)| &**piece).collect();
                Cow::Owned(pieces.concat())
            }
        };
        let response_body = Body::of(&response_body);
        let account = self.complete(&request, &pieces, response_body, attempts);
        let account = serde_json::to_string(&account).unwrap_or_default();
        Record {
            timestamp_unix_ms: self.timestamp_unix_ms,
            method: self.method.as_str(),
            url: &self.url,
            request_headers: &pairs(&request_headers),
            request_body: self.body_of(&request),
            status: self.status,
            response_headers: &pairs(&response_headers),
            response_body,
            extra: Some(Raw::unchecked(&account)),
            is_revealed,
        }
        .write_line(line);
    }
}

/// What an answer that came whole says of itself: what it used, and whether it was cut short.
fn read_whole(account: &mut Account, answer: &[u8]) {
    let Some(answer) = std::str::from_utf8(answer).ok().map(Raw::unchecked) else { return };
    account.used(answer.member("usage").and_then(Raw::non_null).map(Usage::read));
    let is_response = answer.member_text("object").as_deref() == Some("response");
    if is_response && account.outcome == Some(Outcome::Completed) {
        account.outcome = Some(Outcome::of(answer));
    }
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// Headers as text.
fn texts(headers: &HeaderMap) -> Vec<(&str, Cow<'_, str>)> {
    headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
}

fn pairs<'h>(headers: &'h [(&'h str, Cow<'h, str>)]) -> Vec<(&'h str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, &**value)).collect()
}
