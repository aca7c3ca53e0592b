//! A server's WebSocket before the judge: one connection, on which a text is asked for, then what
//! follows on it, then what follows on an answer that never was. In: a connection to the server. Out:
//! each answer as the stream of events it would have been over HTTP, so that it is judged alike.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, StatusCode, Uri};
use latimer_wire::json::Raw;
use latimer_wire::responses::{Flavour, Kind, Role};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::upstream::Stream;

/// How long the next message may take.
const IDLE: Duration = Duration::from_secs(120);

/// A WebSocket that was opened.
pub(super) struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
    flavour: Flavour,
}

/// What came of one message, as HTTP would have said it.
pub(super) struct Answered {
    pub status: u16,
    pub body: String,
    /// The response that can be continued.
    pub id: Option<String>,
}

impl Socket {
    /// Asks for a WebSocket on a new connection.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn open(
        line: Box<dyn Stream>,
        address: Uri,
        headers: &HeaderMap,
        flavour: Flavour,
    ) -> Result<Socket, String> {
        let mut request = ClientRequestBuilder::new(address);
        for (name, value) in headers {
            let value = value.to_str().unwrap_or_default();
            request = request.with_header(name.as_str(), value);
        }
        match timeout(IDLE, client_async(request, line)).await {
            Ok(Ok((stream, _))) => Ok(Socket { stream, flavour }),
            Ok(Err(Error::Http(refused))) => Err(StatusCode::as_u16(&refused.status()).to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the handshake was not answered".to_owned()),
        }
    }

    /// Asks for a response, and hears it to its end.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&mut self, mut request: Value) -> Result<Answered, String> {
        if let Some(members) = request.as_object_mut() {
            members.insert("type".to_owned(), json!("response.create"));
        }
        let asked = self.stream.send(Message::text(request.to_string())).await;
        asked.map_err(|error| error.to_string())?;
        let mut body = String::new();
        loop {
            let heard = timeout(IDLE, self.stream.next()).await;
            let text = match heard.map_err(|_| "nothing more came".to_owned())? {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(_))) | None => return Err("it was closed".to_owned()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.to_string()),
            };
            let event =
                Raw::parse(&text).map_err(|error| format!("a message is no JSON: {error}"))?;
            let name = event.member_text("type").unwrap_or_default();
            if name == "error" && body.is_empty() {
                return Ok(refusal(event));
            }
            body.push_str(&format!("event: {name}\ndata: {text}\n\n"));
            if matches!(Kind::of(&name).row().role, Role::Terminal(_) | Role::Error) {
                let response = event.member("response");
                let id = response.and_then(|response| response.member_text("id"));
                return Ok(self.answered(body, id.map(Into::into)));
            }
        }
    }

    fn answered(&self, mut body: String, id: Option<String>) -> Answered {
        // Only a stream over HTTP has an end that is said besides.
        if self.flavour == Flavour::OpenResponses {
            body.push_str("data: [DONE]\n\n");
        }
        Answered { status: 200, body, id }
    }
}

/// An error as a whole answer: over a WebSocket it brings its status along.
fn refusal(event: Raw<'_>) -> Answered {
    let status = event.member("status").and_then(Raw::count).and_then(|it| u16::try_from(it).ok());
    let error = event.member("error").unwrap_or(Raw::NULL);
    let body = format!("{{\"error\":{error}}}");
    Answered { status: status.unwrap_or(400), body, id: None }
}
