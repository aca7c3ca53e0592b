//! A Chat Completions backend that costs next to nothing: whatever is asked, it answers at once
//! with the same stream, written in one piece.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How many chunks of text a stream brings.
pub const CHUNKS: usize = 50;
/// The text of one chunk: about four tokens.
pub const CHUNK_TEXT: &str = "some words of text ";

/// Listens on a free port.
pub async fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer_all(socket));
        }
    });
    Ok(address)
}

async fn answer_all(mut socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    let answer = answer();
    let mut buffer = Vec::with_capacity(128 << 10);
    loop {
        let end = match request_end(&buffer) {
            Some(end) if end <= buffer.len() => end,
            _ => match socket.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            },
        };
        buffer.drain(..end);
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Where the first request in the buffer ends; `None` while its head is not complete.
fn request_end(buffer: &[u8]) -> Option<usize> {
    let head_end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(buffer.get(..head_end)?).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    Some(head_end + length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or(0))
}

fn answer() -> String {
    let mut events = String::new();
    let mut chunk = |rest: &str| {
        events.push_str("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",");
        events.push_str(rest);
        events.push_str("}\n\n");
    };
    chunk(
        r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]"#,
    );
    for _ in 0..CHUNKS {
        chunk(&format!(
            r#""choices":[{{"index":0,"delta":{{"content":"{CHUNK_TEXT}"}},"finish_reason":null}}]"#
        ));
    }
    chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#);
    chunk(
        r#""choices":[],"usage":{"prompt_tokens":16000,"completion_tokens":200,"total_tokens":16200}"#,
    );
    events.push_str("data: [DONE]\n\n");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{events}\r\n0\r\n\r\n",
        events.len()
    )
}
