//! A listener: accepts connections, speaks HTTP/1.1 on them, and stops when it is told to. It knows
//! nothing of what is served; the gateway and the mock both stand behind it.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::stall::Stalling;

/// How long a client may take to send the head of a request, or stay idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// The head of a request may not be longer.
const HEAD_BYTES: usize = 64 << 10;
/// How long to wait after the system refused a connection, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections may wait to be accepted: agents come in crowds.
const BACKLOG: u32 = 4_096;

/// Opens a listener.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What a listener allows its clients.
pub(crate) struct Entrance {
    /// How many there may be at the same time.
    pub connections_max: usize,
    /// How long each may read nothing.
    pub write_wait: Duration,
    /// How long open answers may go on after the signal to stop.
    pub drain: Duration,
}

/// The accept loop, for the gateway and for the mock. `serve` gets each connection, and a sign that
/// it is time to stop.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    entrance: Entrance,
    stop: impl Future<Output = ()>,
    serve: impl Fn(Stalling<TcpStream>, watch::Receiver<()>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut stop = pin!(stop);
    let (stopping, stopped) = watch::channel(());
    let places = Arc::new(Semaphore::new(entrance.connections_max));
    let mut open = JoinSet::new();
    loop {
        let place = tokio::select! {
            () = &mut stop => break,
            Ok(place) = Arc::clone(&places).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        while open.try_join_next().is_some() {}
        match accepted {
            Ok((socket, _)) => {
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
                let socket = Stalling::new(socket, entrance.write_wait);
                let served = serve(socket, stopped.clone());
                open.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = stopping.send(());
    let _ =
        tokio::time::timeout(entrance.drain, async { while open.join_next().await.is_some() {} })
            .await;
}

/// One client connection, all of whose requests are answered.
pub(crate) async fn answering<I, S, F, B>(
    io: I,
    stopped: watch::Receiver<()>,
    serve: S,
) -> Option<Left<I>>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Fn(Request<Incoming>) -> F + Unpin,
    F: Future<Output = Response<B>>,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let serve = move |request| {
        let answer = serve(request);
        async { Ok::<_, Infallible>(answer.await) }
    };
    connection(io, stopped, serve).await
}

/// A connection on which HTTP has come to its end, by an answer that switches to another protocol or
/// because nothing more comes.
pub(crate) struct Left<I> {
    pub io: I,
    /// What was read of it already.
    pub ahead: Bytes,
}

/// One client connection, until it ends, the gateway stops, or `serve` has no answer: then nothing is
/// written, and `io` is as the request left it.
pub(crate) async fn connection<I, S, F, B, E>(
    io: I,
    mut stopped: watch::Receiver<()>,
    serve: S,
) -> Option<Left<I>>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Fn(Request<Incoming>) -> F + Unpin,
    F: Future<Output = Result<Response<B>, E>>,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: std::error::Error + Send + Sync,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
    let serve = service_fn(move |request| Box::pin(serve(request)));
    let mut serving = builder.serve_connection(TokioIo::new(io), serve);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| serving.poll_without_shutdown(cx)) => break ended,
            _ = stopped.changed(), if !stopping => {
                std::pin::Pin::new(&mut serving).graceful_shutdown();
                stopping = true;
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client connection ended early");
        return None;
    }
    let Parts { io, read_buf, .. } = serving.into_parts();
    Some(Left { io: io.into_inner(), ahead: read_buf })
}
