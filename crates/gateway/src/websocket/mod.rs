//! The Responses API over a WebSocket (RFC 6455): `GET /v1/responses`, upgraded. In: a connection that
//! has left HTTP. Out: each `response.create` becomes a request that goes the way of every `POST`
//! ([`crate::exchange`]), and its events come back as one text message each. What a client may hold
//! and for how long is bounded; a client that reads slowly slows its backends down.
//!
//! What the messages mean is `wire::responses::socket`; here are the connection ([`Talk`]), the
//! conversations on it ([`lanes`]) and one answer of them ([`answering`]).

mod answering;
mod handshake;
mod lanes;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use http::request::Parts;
use latimer_wire::error::ApiError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use self::lanes::Lanes;
use crate::config::{Limits, Timeouts};
use crate::gateway::Gateway;
use crate::listener::Left;

pub(crate) use self::handshake::{accept, is_asked_for};

/// How many messages of our own may wait for a client before it is not listened to any more.
const REPLIES: usize = 64;
/// What is read, and what is gathered before it is written, in bytes.
const READ_BYTES: usize = 16 << 10;
const WRITE_BYTES: usize = 64 << 10;
/// How long a client may take to close after we did.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// A connection that is to become a WebSocket.
pub(crate) struct Session {
    pub gateway: Arc<Gateway>,
    /// The request it was asked for with.
    pub head: Parts,
}

/// Why a connection that works is closed.
struct Farewell {
    code: CloseCode,
    reason: &'static str,
    /// What a request that comes now is told.
    error: fn(&Timeouts) -> ApiError,
    /// Whether the client is told of it before the close.
    is_said: bool,
}

const STOPPED: Farewell = Farewell {
    code: CloseCode::Away,
    reason: "the gateway stops",
    error: |_| {
        let message = "Latimer: the gateway stops. Connect again.";
        ApiError::server(503, "server_is_overloaded", message)
    },
    is_said: false,
};

const EXPIRED: Farewell = Farewell {
    code: CloseCode::Normal,
    reason: "the connection was open for as long as one may be",
    error: |timeouts| {
        let message = format!(
            "Latimer: this connection was open for {} seconds, as long as one may be. Connect again.",
            timeouts.websocket_ms / 1000
        );
        ApiError::invalid("", "websocket_connection_limit_reached", message)
    },
    is_said: true,
};

const TOO_LONG: Farewell = Farewell {
    code: CloseCode::Size,
    reason: "a message is too long",
    error: |_| ApiError::invalid("", "body_too_large", "Latimer: a message is too long."),
    is_said: true,
};

/// What there is to do.
enum Turn {
    /// The client said something.
    Heard(Message),
    /// A message was longer than one may be.
    TooLong,
    /// The connection was open for as long as it may be.
    Expired,
    /// It is over.
    Over,
}

impl Session {
    /// Speaks with the client until one of both closes. After the sign that it is time to stop, what
    /// was begun is answered first.
    pub async fn run<I>(self, left: Left<I>, mut stopped: watch::Receiver<()>)
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let Session { gateway, head } = self;
        let role = Some(config(&gateway.settings.limits));
        let Left { io, ahead } = left;
        let socket =
            WebSocketStream::from_partially_read(io, ahead.to_vec(), Role::Server, role).await;
        let mut talk = Talk::new(socket, gateway, &head);
        loop {
            let turn = tokio::select! {
                biased;
                _ = stopped.changed(), if talk.farewell.is_none() => {
                    talk.leave(STOPPED);
                    continue;
                }
                turn = poll_fn(|cx| talk.poll(cx)) => turn,
            };
            match turn {
                Turn::Heard(message) => talk.hear(message),
                Turn::TooLong => {
                    talk.deaf = true;
                    talk.leave(TOO_LONG);
                }
                Turn::Expired => talk.leave(EXPIRED),
                Turn::Over => return,
            }
        }
    }
}

fn config(limits: &Limits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_message_size(Some(limits.body_bytes))
        .max_frame_size(Some(limits.body_bytes))
}

/// A WebSocket and what is said on it.
struct Talk<I> {
    socket: WebSocketStream<I>,
    gateway: Arc<Gateway>,
    lanes: Lanes,
    /// Messages of our own that are to be said first.
    replies: VecDeque<Message>,
    /// Something was said that has not gone out.
    unflushed: bool,
    last_out: Instant,
    /// When the connection has to come to an end.
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
    farewell: Option<Farewell>,
    /// What comes cannot be understood any more.
    deaf: bool,
    /// The close was said.
    closed: bool,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Talk<I> {
    fn new(socket: WebSocketStream<I>, gateway: Arc<Gateway>, head: &Parts) -> Self {
        let now = Instant::now();
        let timeouts = &gateway.settings.timeouts;
        Talk {
            socket,
            lanes: Lanes::new(Arc::clone(&gateway), head),
            replies: VecDeque::new(),
            unflushed: false,
            last_out: now,
            deadline: now + Timeouts::of(timeouts.websocket_ms),
            timer: Box::pin(tokio::time::sleep(Timeouts::of(timeouts.keep_alive_ms))),
            farewell: None,
            deaf: false,
            closed: false,
            gateway,
        }
    }

    /// Carries on what can be, until there is something to do.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if self.replies.len() < REPLIES
            && !self.deaf
            && let Poll::Ready(heard) = Pin::new(&mut self.socket).poll_next(cx)
        {
            return Poll::Ready(match heard {
                Some(Ok(message)) => Turn::Heard(message),
                Some(Err(Error::Capacity(_))) if self.farewell.is_none() => Turn::TooLong,
                Some(Err(_)) | None => Turn::Over,
            });
        }
        if self.poll_say(cx).is_err() {
            return Poll::Ready(Turn::Over);
        }
        self.poll_timer(cx)
    }

    /// Says what there is to say, as long as the client takes it.
    fn poll_say(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while let Poll::Ready(room) = Pin::new(&mut self.socket).poll_ready(cx) {
            room?;
            let Some(message) = self.next_message(cx) else { break };
            Pin::new(&mut self.socket).start_send(message)?;
            (self.unflushed, self.last_out) = (true, Instant::now());
        }
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(cx)
        {
            flushed?;
            self.unflushed = false;
        }
        match self.deaf && self.closed && !self.unflushed {
            true => Err(Error::ConnectionClosed),
            false => Ok(()),
        }
    }

    fn next_message(&mut self, cx: &mut Context<'_>) -> Option<Message> {
        if self.closed {
            return None;
        }
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        match self.lanes.poll_next(cx) {
            Poll::Ready(Some(text)) => return Some(Message::text(text)),
            Poll::Pending => return None,
            Poll::Ready(None) => {}
        }
        let Farewell { code, reason, .. } = self.farewell.as_ref()?;
        let close = CloseFrame { code: *code, reason: (*reason).into() };
        self.closed = true;
        self.set_deadline(CLOSE_WAIT);
        Some(Message::Close(Some(close)))
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let keep_alive = Timeouts::of(self.gateway.settings.timeouts.keep_alive_ms);
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.deadline {
                let is_over = self.farewell.is_some();
                return Poll::Ready(if is_over { Turn::Over } else { Turn::Expired });
            }
            if now >= self.last_out + keep_alive {
                self.last_out = now;
                if !self.closed {
                    self.replies.push_back(Message::Ping(Bytes::new()));
                    cx.waker().wake_by_ref();
                }
            }
            self.timer.as_mut().reset(self.deadline.min(self.last_out + keep_alive));
        }
        Poll::Pending
    }

    fn set_deadline(&mut self, wait: Duration) {
        self.deadline = Instant::now() + wait;
        self.timer.as_mut().reset(self.deadline);
    }

    /// What was begun is answered, what comes now is refused, and then the connection is closed.
    fn leave(&mut self, farewell: Farewell) {
        let timeouts = &self.gateway.settings.timeouts;
        let (wait, error) = (Timeouts::of(timeouts.drain_ms), (farewell.error)(timeouts));
        if farewell.is_said {
            self.lanes.last_words(&error);
        }
        self.farewell = Some(farewell);
        self.set_deadline(wait);
    }

    fn hear(&mut self, message: Message) {
        let reply = match message {
            Message::Text(text) => match &self.farewell {
                None => self.lanes.hear(text.as_str()),
                Some(farewell) => {
                    Some(lanes::refusal(&(farewell.error)(&self.gateway.settings.timeouts)))
                }
            },
            Message::Binary(_) => {
                let message = "Latimer: a message has to be text.";
                Some(lanes::refusal(&ApiError::invalid("", "invalid_json", message)))
            }
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
        };
        self.replies.extend(reply.map(Message::text));
    }
}
