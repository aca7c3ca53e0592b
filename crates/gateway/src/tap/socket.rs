//! A WebSocket that passes by: the bytes of both directions as they come, from the handshake on, and
//! what is said on it written down by [`super::dialogue`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, header};
use latimer_probe::record::account::Outcome;
use latimer_wire::error::ApiError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::Tapped;
use super::dialogue::Dialogue;

/// How much is read at a time.
const READ_BYTES: usize = 32 << 10;
/// How long the server may go on when its client has left.
const LEAVING: Duration = Duration::from_secs(5);

/// Carries a connection whose handshake is `head`, until one of its ends has nothing more to say.
pub(super) async fn tunnel<I>(
    tapped: &Arc<Tapped>,
    head: Parts,
    mut client: I,
    mut stopped: watch::Receiver<()>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send,
{
    let handshake = handshake(tapped, &head);
    let dialogue = Mutex::new(Dialogue::new(Arc::clone(tapped), head));
    let said = |say: &dyn Fn(&mut Dialogue)| {
        say(&mut dialogue.lock().unwrap_or_else(PoisonError::into_inner));
    };
    let outcome = match tapped.gateway.upstream.line().await {
        Err(error) => {
            let refused = refused(&ApiError::from(error));
            said(&|dialogue| dialogue.server_said(&refused));
            let _ = client.write_all(&refused).await;
            Outcome::Failed
        }
        Ok(mut backend) => {
            let (from_client, to_client) = tokio::io::split(&mut client);
            let (from_backend, to_backend) = tokio::io::split(&mut backend);
            let out = async {
                let mut to_backend = to_backend;
                to_backend.write_all(&handshake).await?;
                let heard = |bytes: &[u8]| said(&|dialogue| dialogue.client_said(bytes));
                carry(from_client, to_backend, heard).await
            };
            let back = carry(from_backend, to_client, |bytes: &[u8]| {
                said(&|dialogue| dialogue.server_said(bytes));
            });
            tokio::pin!(out);
            // The server's end is the end; the client's is passed on to it.
            let both = async {
                tokio::pin!(back);
                tokio::select! {
                    ended = &mut back => ended.map(|()| Outcome::Failed),
                    left = &mut out => match left {
                        Ok(()) => {
                            let _ = tokio::time::timeout(LEAVING, back).await;
                            Ok(Outcome::Cancelled)
                        }
                        Err(error) => Err(error),
                    },
                }
            };
            tokio::select! {
                outcome = both => outcome.unwrap_or(Outcome::Cancelled),
                _ = stopped.changed() => Outcome::Cancelled,
            }
        }
    };
    dialogue.into_inner().unwrap_or_else(PoisonError::into_inner).end(outcome);
}

/// Carries bytes until there are no more, and says so to the other end.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    heard: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(bytes).await?;
        to.flush().await?;
        heard(bytes);
    }
}

/// The handshake as it goes on: the client's, for the host it is meant for.
fn handshake(tapped: &Tapped, head: &Parts) -> Vec<u8> {
    let upstream = &tapped.gateway.upstream;
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut bytes = format!("{} {} HTTP/1.1\r\n", head.method, upstream.path(path)).into_bytes();
    let mut line = |name: &HeaderName, value: &[u8]| {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    };
    line(&header::HOST, upstream.host().as_bytes());
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != header::HOST) {
        line(name, value.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// An answer of our own where the backend cannot be reached.
fn refused(error: &ApiError) -> Vec<u8> {
    let body = error.body();
    format!(
        "HTTP/1.1 {} Bad Gateway\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        error.status,
        body.len()
    )
    .into_bytes()
}
