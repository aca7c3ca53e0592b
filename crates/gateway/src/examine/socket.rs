//! A server's WebSocket before the judge: one connection, on which a text is asked for, then what
//! follows on it, then what follows on an answer that never was. In: a connection to the server. Out:
//! each answer as the stream of events it would have been over HTTP, so that it is judged alike, as far
//! as it came.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{StatusCode, Uri};
use latimer_wire::check::{Api, Rule};
use latimer_wire::json::Raw;
use latimer_wire::responses::{Flavour, Kind, Role};
use latimer_wire::sse;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{ANSWER_BYTES_MAX, Examined, Heard, Server, finding, judged, label, path, with};
use crate::upstream::Stream;

/// A WebSocket that was opened.
struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
    flavour: Flavour,
    idle: Duration,
}

/// What came of one message, as HTTP would have said it.
struct Answered {
    status: u16,
    body: String,
    /// The response that can be continued.
    id: Option<String>,
    /// Something of it was no text message.
    not_text: bool,
    /// It came to an end, so that something else can be asked.
    ended: bool,
}

/// A message that says something.
struct Said {
    text: String,
    not_text: bool,
}

/// What is asked on one connection.
struct Turn {
    name: &'static str,
    input: &'static str,
    follows: Follows,
}

/// What a request is to continue.
#[derive(PartialEq, Eq)]
enum Follows {
    Nothing,
    TheFirst,
    WhatNeverWas,
}

const TURNS: &[Turn] = &[
    Turn { name: "text", input: "Say hello in one word.", follows: Follows::Nothing },
    Turn { name: "continuation", input: "And in another language?", follows: Follows::TheFirst },
    Turn { name: "unknown response", input: "And in a third?", follows: Follows::WhatNeverWas },
];
/// The id of a response that no server has made.
const NEVER_WAS: &str = "resp_that_never_was";

impl Server {
    /// A text over a WebSocket, what follows on it, and what follows on an answer that never was.
    pub(super) async fn websocket(&self, examined: &mut Vec<Examined>) {
        let name = |name: &str| format!("{}: WebSocket{name}", label(Api::Responses));
        let skipped =
            |name: String, why: String| Examined { name, findings: Vec::new(), skipped: Some(why) };
        let mut socket = match self.socket().await {
            Ok(socket) => socket,
            Err(why) => return examined.push(skipped(name(""), format!("not offered: {why}"))),
        };
        let (mut first, mut goes_on) = (None, true);
        for turn in TURNS {
            let name = name(&format!(", {}", turn.name));
            if !goes_on {
                let why = "not asked: the answer before it did not end".to_owned();
                examined.push(skipped(name, why));
                continue;
            }
            let request = self.request(turn, first.as_deref());
            let answered = socket.ask(&request).await;
            goes_on = answered.as_ref().is_ok_and(|answered| answered.ended);
            let id = answered.as_ref().ok().and_then(|answered| answered.id.clone());
            examined.push(self.turn(name, turn, &request, answered));
            first = first.or(id);
        }
    }

    /// The body of a turn.
    fn request(&self, turn: &Turn, first: Option<&str>) -> String {
        let previous = match turn.follows {
            Follows::Nothing => None,
            Follows::TheFirst => first,
            Follows::WhatNeverWas => Some(NEVER_WAS),
        };
        let previous = previous.map(|previous| ("previous_response_id", json!(previous)));
        let request = json!({"model": self.model, "input": turn.input, "store": false});
        with(&request.to_string(), previous.into_iter().collect())
    }

    /// What came of a turn.
    fn turn(
        &self,
        name: String,
        turn: &Turn,
        request: &str,
        answered: Result<Answered, String>,
    ) -> Examined {
        let not_text = answered.as_ref().is_ok_and(|answered| answered.not_text);
        let refused = answered.as_ref().map_or(true, |answered| answered.status >= 400);
        let heard =
            answered.map(|Answered { status, body, .. }| Heard { status, body: body.into() });
        let request = with(request, vec![("stream", json!(true))]);
        let must = turn.follows == Follows::Nothing;
        let mut turned = judged(name, heard, Api::Responses, &request, must, self.flavour);
        if turn.follows == Follows::WhatNeverWas {
            turned.skipped = None;
            let detail = "an answer that never was is continued".to_owned();
            turned.findings.extend((!refused).then(|| finding(Rule::RefusalMissing, detail)));
        }
        let detail = "a message is binary".to_owned();
        turned.findings.extend(not_text.then(|| finding(Rule::MessageNotText, detail)));
        turned
    }

    /// A WebSocket to the server.
    async fn socket(&self) -> Result<Socket, String> {
        let line = self.upstream.line().await.map_err(|error| error.to_string())?;
        let address = self.upstream.address(path(Api::Responses)).replacen("http", "ws", 1);
        let address: Uri = address.parse().map_err(|error| format!("{address}: {error}"))?;
        let mut request = ClientRequestBuilder::new(address);
        for (name, value) in &self.headers {
            let value = value.to_str().unwrap_or_default();
            request = request.with_header(name.as_str(), value);
        }
        match timeout(self.idle, client_async(request, line)).await {
            Ok(Ok((stream, _))) => Ok(Socket { stream, flavour: self.flavour, idle: self.idle }),
            Ok(Err(Error::Http(refused))) => Err(StatusCode::as_u16(&refused.status()).to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the handshake was not answered".to_owned()),
        }
    }
}

impl Socket {
    /// Asks for a response, and hears it to its end, or to where the server breaks off.
    ///
    /// # Errors
    /// Why nothing came.
    async fn ask(&mut self, request: &str) -> Result<Answered, String> {
        let create = with(request, vec![("type", json!("response.create"))]);
        self.stream.send(Message::text(create)).await.map_err(|error| error.to_string())?;
        let mut answered =
            Answered { status: 200, body: String::new(), id: None, not_text: false, ended: false };
        while !answered.ended {
            match self.next().await {
                Ok(said) => answered.hear(&said),
                Err(why) if answered.body.is_empty() => return Err(why),
                Err(_) => break,
            }
            if answered.body.len() > ANSWER_BYTES_MAX {
                return Err(format!("it is longer than {ANSWER_BYTES_MAX} bytes"));
            }
        }
        // Only a stream over HTTP has an end that is said besides.
        if self.flavour == Flavour::OpenResponses && answered.ended && answered.status == 200 {
            answered.body.push_str("data: [DONE]\n\n");
        }
        Ok(answered)
    }

    /// The next message that says something; that the connection lives says nothing.
    async fn next(&mut self) -> Result<Said, String> {
        let silent_at = Instant::now() + self.idle;
        loop {
            let heard = timeout_at(silent_at, self.stream.next()).await;
            match heard.map_err(|_| "nothing more came".to_owned())? {
                Some(Ok(Message::Text(text))) => {
                    return Ok(Said { text: text.to_string(), not_text: false });
                }
                Some(Ok(Message::Binary(bytes))) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    return Ok(Said { text, not_text: true });
                }
                Some(Ok(Message::Close(_))) | None => return Err("it was closed".to_owned()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
    }
}

impl Answered {
    fn hear(&mut self, Said { text, not_text }: &Said) {
        self.not_text |= not_text;
        let event = Raw::parse(text).unwrap_or(Raw::NULL);
        let name = event.member_text("type").unwrap_or_default();
        if name == "error" && self.body.is_empty() {
            return self.refuse(event);
        }
        sse::encode(&mut self.body, Some(&*name).filter(|name| !name.is_empty()), text);
        let role = Kind::of(&name).row().role;
        self.ended = matches!(role, Role::Terminal(_) | Role::Error);
        let response = event.member("response").filter(|_| self.ended);
        self.id = response.and_then(|response| response.member_text("id")).map(Into::into);
    }

    /// An error as a whole answer: over a WebSocket it brings its status along.
    fn refuse(&mut self, event: Raw<'_>) {
        let status = event.member("status").and_then(Raw::count);
        self.status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(400);
        self.body = format!("{{\"error\":{}}}", event.member("error").unwrap_or(Raw::NULL));
        self.ended = true;
    }
}
