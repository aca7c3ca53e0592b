//! The load generator: one request after the other on one connection, each answer checked for its
//! whole text and its terminal event.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::upstream::{CHUNK_TEXT, CHUNKS};

/// A request, and how its answer is recognised.
pub struct Load {
    address: SocketAddr,
    request: Vec<u8>,
    /// What stands in each event that brings text.
    text_event: &'static [u8],
    /// What the last event holds.
    terminal: &'static [u8],
}

/// Times to the first text, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    /// The value that `percent` of the times do not pass.
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or_default()
    }
}

impl Load {
    /// Straight to a Chat Completions backend.
    pub fn chat(address: SocketAddr, request_bytes: usize) -> Load {
        let text = "words ".repeat(request_bytes / 6);
        let body = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": text}]});
        Load {
            address,
            request: post("/v1/chat/completions", &body.to_string()),
            text_event: b"\"delta\":{\"content\":\"some",
            terminal: b"[DONE]",
        }
    }

    /// As Codex asks: the Responses API.
    pub fn responses(address: SocketAddr, request_bytes: usize) -> Load {
        let text = "words ".repeat(request_bytes / 6);
        let body = json!({"model": "m", "stream": true, "store": false,
            "input": [{"type": "message", "role": "user",
                "content": [{"type": "input_text", "text": text}]}]});
        Load {
            address,
            request: post("/v1/responses", &body.to_string()),
            text_event: b"\"response.output_text.delta\"",
            terminal: b"\"response.completed\"",
        }
    }

    /// Runs `count` requests and checks every answer.
    pub async fn run(&self, count: usize) -> Result<Times> {
        let mut socket = TcpStream::connect(self.address).await?;
        socket.set_nodelay(true)?;
        let mut times = Vec::with_capacity(count);
        let mut answer = Vec::with_capacity(64 << 10);
        for _ in 0..count {
            answer.clear();
            let began = Instant::now();
            socket.write_all(&self.request).await?;
            let mut first = None;
            while !answer.ends_with(b"\r\n0\r\n\r\n") {
                let read = socket.read_buf(&mut answer).await?;
                ensure!(read > 0, "the connection ended inside an answer");
                if first.is_none() && find(&answer, self.text_event) {
                    first = Some(began.elapsed());
                }
            }
            self.check(&answer)?;
            times.push(first.context("an answer without text")?);
        }
        times.sort_unstable();
        Ok(Times(times))
    }

    fn check(&self, answer: &[u8]) -> Result<()> {
        let deltas = answer.windows(self.text_event.len()).filter(|part| *part == self.text_event);
        let texts = deltas.count();
        ensure!(texts == CHUNKS, "{texts} texts instead of {CHUNKS}");
        let whole = CHUNK_TEXT.repeat(CHUNKS);
        let bridged = self.terminal != b"[DONE]";
        ensure!(!bridged || find(answer, whole.as_bytes()), "the whole text is not there");
        ensure!(find(answer, self.terminal), "no terminal event");
        Ok(())
    }
}

fn find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
