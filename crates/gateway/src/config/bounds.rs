//! How much and how long: every bound and every waiting time, with its default. None of them is known
//! anywhere else.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

/// Bounds. All sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A request body as it comes over the wire.
    pub body_bytes: usize,
    /// A request body after decompression.
    pub decoded_body_bytes: usize,
    /// One event of a backend's stream.
    pub event_bytes: usize,
    /// A backend's answer that comes whole.
    pub answer_bytes: usize,
    /// A backend's answer that comes as a stream: its texts are held until it ends.
    pub stream_bytes: usize,
    /// How much of an answer is kept for the recording, and of a request that is listened to.
    pub recorded_bytes: usize,
    /// How many answers one request of a Chat client (`n`) may ask a Responses backend for.
    pub answers: u64,
    /// How many agents that are programs may run at the same time.
    pub agents: usize,
    /// How much of what such an agent says on its standard error is kept, the end of it.
    pub agent_stderr_bytes: usize,
    /// How many receipts of runs are kept, the newest.
    pub receipts: usize,
    /// How much memory these may take.
    pub receipts_bytes: usize,
    /// Client connections at the same time.
    pub connections: usize,
    /// Backend connections that are kept open while idle.
    pub idle_upstream_connections: usize,
    /// Conversations that share one WebSocket.
    pub websocket_lanes: usize,
    /// Requests on one WebSocket at the same time, those that wait for their lane included.
    pub websocket_requests: usize,
    /// The histories that one WebSocket holds, so that what nobody stores can be continued on it.
    pub websocket_held_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 64 << 20,
            decoded_body_bytes: 256 << 20,
            event_bytes: 16 << 20,
            answer_bytes: 64 << 20,
            stream_bytes: 256 << 20,
            recorded_bytes: 64 << 20,
            answers: 16,
            agents: 16,
            agent_stderr_bytes: 8 << 10,
            receipts: 1_000,
            receipts_bytes: 64 << 20,
            connections: 8_000,
            idle_upstream_connections: 256,
            websocket_lanes: 32,
            websocket_requests: 16,
            websocket_held_bytes: 64 << 20,
        }
    }
}

impl Limits {
    /// # Errors
    /// The first bound with which nothing could be served.
    pub(super) fn refuse_zeros(&self) -> Result<(), ConfigError> {
        refuse_zeros(&[
            ("limits.body_bytes", self.body_bytes as u64),
            ("limits.decoded_body_bytes", self.decoded_body_bytes as u64),
            ("limits.event_bytes", self.event_bytes as u64),
            ("limits.answer_bytes", self.answer_bytes as u64),
            ("limits.stream_bytes", self.stream_bytes as u64),
            ("limits.answers", self.answers),
            ("limits.agents", self.agents as u64),
            ("limits.connections", self.connections as u64),
            ("limits.websocket_lanes", self.websocket_lanes as u64),
            ("limits.websocket_requests", self.websocket_requests as u64),
        ])
    }
}

/// Waiting times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection to the backend, name and TLS included.
    pub connect_ms: u64,
    /// From the request to the head of the backend's answer.
    pub first_byte_ms: u64,
    /// Between two events of the backend's answer; comments do not count. Codex gives up after 300,000.
    pub idle_ms: u64,
    /// Silence towards the client after which a comment is sent to keep proxies from cutting.
    pub keep_alive_ms: u64,
    /// How long a client may read nothing of what is written to it.
    pub client_write_ms: u64,
    /// Between two reads of a request body.
    pub body_ms: u64,
    /// How long a backend connection is kept while idle.
    pub idle_upstream_ms: u64,
    /// How long an agent that is a program may take to end, when it has said all or is told to.
    pub agent_exit_ms: u64,
    /// How long open answers may go on after the signal to stop.
    pub drain_ms: u64,
    /// How long a WebSocket may stay open; OpenAI's stay 60 minutes.
    pub websocket_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect_ms: 10_000,
            first_byte_ms: 600_000,
            idle_ms: 280_000,
            keep_alive_ms: 15_000,
            client_write_ms: 60_000,
            body_ms: 30_000,
            idle_upstream_ms: 90_000,
            agent_exit_ms: 2_000,
            drain_ms: 300_000,
            websocket_ms: 3_600_000,
        }
    }
}

impl Timeouts {
    /// Milliseconds as a duration.
    pub(crate) fn of(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// # Errors
    /// The first waiting time with which nothing could be served.
    pub(super) fn refuse_zeros(&self) -> Result<(), ConfigError> {
        refuse_zeros(&[
            ("timeouts.connect_ms", self.connect_ms),
            ("timeouts.first_byte_ms", self.first_byte_ms),
            ("timeouts.idle_ms", self.idle_ms),
            ("timeouts.keep_alive_ms", self.keep_alive_ms),
            ("timeouts.client_write_ms", self.client_write_ms),
            ("timeouts.body_ms", self.body_ms),
            ("timeouts.websocket_ms", self.websocket_ms),
        ])
    }
}

fn refuse_zeros(values: &[(&'static str, u64)]) -> Result<(), ConfigError> {
    match values.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => Err(ConfigError::Zero { name }),
        None => Ok(()),
    }
}
