//! What is said on a WebSocket that passes by, as exchanges: a message of the client begins one, and
//! what the server says until the next is its answer. In: the bytes of both directions as they pass.
//! Out: records.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use latimer_probe::record::account::{Control, ControlKind, Outcome, Side, Socket};
use latimer_wire::responses::Status;
use latimer_wire::sse;

use super::messages::{Kind, Message, Messages};
use super::{Tapped, pass};
use crate::body::Received;
use crate::ledger::Exchange;
use crate::translation::Watch;

/// How long the head of the server's answer may be.
const HEAD_BYTES: usize = 64 << 10;

/// What is known of a connection.
pub(super) struct Dialogue {
    tapped: Arc<Tapped>,
    head: Parts,
    connection: String,
    number: u64,
    from_client: Messages,
    from_server: Messages,
    /// What came of the head of the server's answer; the answer, when it is whole.
    answer_head: Vec<u8>,
    answer: Option<(StatusCode, HeaderMap)>,
    exchange: Option<(Exchange, Watch)>,
}

impl Dialogue {
    /// For the connection that is asked for by this request.
    pub fn new(tapped: Arc<Tapped>, head: Parts) -> Self {
        let limit = tapped.gateway.settings.limits.event_bytes;
        Dialogue {
            tapped,
            head,
            connection: uuid::Uuid::now_v7().simple().to_string(),
            number: 0,
            from_client: Messages::new(limit),
            from_server: Messages::new(limit),
            answer_head: Vec::new(),
            answer: None,
            exchange: None,
        }
    }

    /// The client said something.
    pub fn client_said(&mut self, bytes: &[u8]) {
        for Message { kind, payload, wire_bytes } in self.from_client.push(bytes) {
            let plain = match kind {
                Kind::Text => Bytes::from(payload),
                Kind::Binary => Bytes::from(format!("data:;base64,{}", base64(&payload))),
                Kind::Control(kind) => {
                    self.control(Side::Client, kind, &payload);
                    continue;
                }
            };
            // What comes before the first message answers nothing.
            self.close(if self.number == 0 { Outcome::Completed } else { Outcome::Cancelled });
            self.number += 1;
            self.begin(Some((plain, wire_bytes)));
        }
    }

    /// The server said something.
    pub fn server_said(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.answer.is_none() {
            let Some(after) = self.take_head(bytes) else { return };
            rest = bytes.get(bytes.len() - after..).unwrap_or_default();
        }
        if !self.is_open() {
            return self.keep(rest.to_vec(), rest.len());
        }
        for Message { kind, payload, wire_bytes } in self.from_server.push(rest) {
            let mut frame = String::new();
            match kind {
                Kind::Text => {
                    let data = String::from_utf8_lossy(&payload);
                    sse::encode(&mut frame, None, &data);
                    self.keep(frame.into_bytes(), wire_bytes);
                    if let Some((_, watch)) = &mut self.exchange {
                        watch.see(&data, None);
                    }
                }
                Kind::Binary => {
                    sse::encode(&mut frame, Some("binary"), &base64(&payload));
                    self.keep(frame.into_bytes(), wire_bytes);
                }
                Kind::Control(kind) => self.control(Side::Server, kind, &payload),
            }
        }
    }

    /// The connection is over; what was open then ended so.
    pub fn end(mut self, outcome: Outcome) {
        if self.exchange.is_none() && self.number == 0 {
            self.begin(None);
        }
        self.close(if self.is_open() { outcome } else { Outcome::Failed });
    }

    /// Reads the head of the server's answer; how many bytes follow it here.
    fn take_head(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.answer_head.len() > HEAD_BYTES {
            return None;
        }
        let held = self.answer_head.len();
        self.answer_head.extend_from_slice(bytes);
        let end = memchr::memmem::find(&self.answer_head, b"\r\n\r\n")? + 4;
        self.answer_head.truncate(end);
        self.answer = Some(parsed(&self.answer_head));
        Some((held + bytes.len()).saturating_sub(end))
    }

    /// The server has agreed to speak as a WebSocket.
    fn is_open(&self) -> bool {
        let status = self.answer.as_ref().map(|(status, _)| *status);
        status == Some(StatusCode::SWITCHING_PROTOCOLS)
    }

    fn begin(&mut self, said: Option<(Bytes, usize)>) {
        let mut head = self.head.clone();
        head.extensions.insert(Socket {
            connection: self.connection.clone(),
            message: self.number,
            ..Socket::default()
        });
        let mut exchange = pass::begin(&self.tapped, &head, "ws");
        if let Some((plain, wire_bytes)) = said {
            exchange.asked(&Received { raw: plain.clone(), plain });
            exchange.has_request_bytes(wire_bytes);
        }
        if let Some((status, headers)) = &self.answer {
            exchange.answered(*status, headers);
        }
        let is_hub = head.uri.path().ends_with("/responses");
        self.exchange = Some((exchange, if is_hub { Watch::hub() } else { Watch::Nothing }));
    }

    fn control(&mut self, by: Side, kind: ControlKind, payload: &[u8]) {
        if self.exchange.is_none() {
            self.begin(None);
        }
        let Some((exchange, _)) = &mut self.exchange else { return };
        let (code, text) = match (kind, payload) {
            (ControlKind::Close, [high, low, reason @ ..]) => {
                (Some(u16::from_be_bytes([*high, *low])), reason)
            }
            _ => (None, payload),
        };
        let text = String::from_utf8_lossy(text).into_owned();
        exchange.passed(Control { at_us: 0, by, kind, code, text }, Instant::now());
    }

    fn keep(&mut self, text: Vec<u8>, wire_bytes: usize) {
        if text.is_empty() {
            return;
        }
        if self.exchange.is_none() {
            self.begin(None);
        }
        if let Some((exchange, _)) = &mut self.exchange {
            let now = Instant::now();
            exchange.keep_as(&Bytes::from(text), wire_bytes, now);
            exchange.ends(now);
        }
    }

    fn close(&mut self, otherwise: Outcome) {
        let Some((mut exchange, watch)) = self.exchange.take() else { return };
        let is_open = self.is_open();
        exchange.set_usage(watch.usage());
        exchange.close(match (watch.ended(), watch) {
            (Some(Status::Completed), _) => Outcome::Completed,
            (Some(Status::Incomplete), _) => Outcome::Incomplete,
            (Some(_), _) => Outcome::Failed,
            // Nothing says where an answer ends.
            (None, Watch::Nothing) if is_open => Outcome::Completed,
            (None, _) => otherwise,
        });
    }
}

/// Status and headers, as far as they can be read.
fn parsed(head: &[u8]) -> (StatusCode, HeaderMap) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| {
        let code: u16 = code.parse().ok()?;
        StatusCode::from_u16(code).ok()
    });
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.trim()).ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(header) {
        headers.append(name, value);
    }
    (status.unwrap_or(StatusCode::BAD_GATEWAY), headers)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
