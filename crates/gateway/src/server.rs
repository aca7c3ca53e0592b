//! The gateway as a server: it opens what it needs, listens, and hands each request to the room for
//! its path. In: settings, and a signal to stop. Out: nothing but answers.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::access::refuse_strangers;
use crate::answer::{Answer, refusal};
use crate::backplane::{self, KeyTrouble, Runs, signing_key};
use crate::body::Incoming;
use crate::capture::Recorder;
use crate::config::{ConfigError, Settings, Timeouts};
use crate::exchange;
use crate::flavour;
use crate::gateway::Gateway;
use crate::listener::{Entrance, accept, answering, listen};
use crate::mock::{Mock, Script};
use crate::paths::{self, Room};
use crate::route::Door;
use crate::secret::Secret;
use crate::state::State;
use crate::upstream::Upstream;
use crate::websocket::{self, Session};

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The recording cannot be written.
    #[error(
        "cannot record into {directory}: {error}. Choose another with --record, or --no-record"
    )]
    Record {
        /// The directory.
        directory: String,
        /// Why.
        error: std::io::Error,
    },
    /// The key that signs receipts cannot be used.
    #[error("cannot sign receipts with {path}: {why}")]
    SigningKey {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// What is kept between requests cannot be opened.
    #[error(
        "cannot open the state: {error} (where it is a file, in {directory}). Mend or move it, or \
         choose another with --store: sqlite, memory, postgres://…, off"
    )]
    State {
        /// The directory of the file.
        directory: String,
        /// Why.
        error: latimer_store::StoreError,
    },
    /// Something that was configured cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine's trusted certificates cannot be used.
    #[error("cannot prepare TLS for the backend: {0}")]
    Tls(#[from] rustls::Error),
}

/// A gateway that listens.
pub struct Server {
    listener: TcpListener,
    gateway: Arc<Gateway>,
}

impl Server {
    /// Opens the recording and the listener. No request is answered before [`Server::run`].
    ///
    /// # Errors
    /// [`StartError`] says what is in the way.
    pub async fn bind(settings: Settings) -> Result<Server, StartError> {
        let upstream = match &settings.upstream {
            Some(target) => Upstream::of(target, &settings.limits, &settings.timeouts)?,
            None => {
                let mock = Arc::new(Mock::new(Script::echo()));
                Upstream::embedded(mock.embedded(), &settings.limits, &settings.timeouts)
            }
        };
        let key = settings.upstream.as_ref().and_then(|target| target.api_key.as_deref());
        let secret = Secret::of(key);
        let recorder = settings.record.as_deref().map(|directory| {
            Recorder::open(directory, &settings.recorder, secret.clone()).map_err(|error| {
                StartError::Record { directory: directory.display().to_string(), error }
            })
        });
        let refused = |error| StartError::Listen { address: settings.listen, error };
        let listener = listen(settings.listen).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let recorder = recorder.transpose()?;
        let upstream = Arc::new(upstream);
        let state = State::open(&settings).map_err(|error| StartError::State {
            directory: settings.directory.display().to_string(),
            error,
        })?;
        let state = state.map(Arc::new);
        let seal = settings.seal();
        let runs = Arc::new(runs(&settings)?);
        let gateway = Gateway { upstream, recorder, secret, state, runs, seal, address, settings };
        Ok(Server { listener, gateway: Arc::new(gateway) })
    }

    /// The address that is listened on, with the port the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.gateway.address
    }

    /// Answers requests until `stop` is ready; then takes no more, and waits for open answers as
    /// long as the settings allow.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let gateway = self.gateway;
        let timeouts = &gateway.settings.timeouts;
        let entrance = Entrance {
            connections_max: gateway.settings.limits.connections,
            write_wait: Timeouts::of(timeouts.client_write_ms),
            drain: Timeouts::of(timeouts.drain_ms),
        };
        let sweeping = sweep(Arc::clone(&gateway.upstream));
        let state = gateway.state.clone();
        let tending = tend(state.clone());
        let drain = entrance.drain;
        let serve = move |socket, stopped| speak(Arc::clone(&gateway), socket, stopped);
        tokio::select! {
            () = accept(self.listener, entrance, stop, serve) => {}
            () = sweeping => {}
            () = tending => {}
        }
        if let Some(state) = state {
            state.stop(drain).await;
        }
    }
}

/// Tends the state, where there is one, for ever.
async fn tend(state: Option<Arc<State>>) {
    match state {
        Some(state) => state.tend().await,
        None => std::future::pending().await,
    }
}

/// The receipts of runs, signed where a key is named.
pub(crate) fn runs(settings: &Settings) -> Result<Runs, StartError> {
    let key = settings.receipts.signing_key.as_deref().map(|path| {
        signing_key(path).map_err(|trouble: KeyTrouble| StartError::SigningKey {
            path: path.display().to_string(),
            why: trouble.to_string(),
        })
    });
    Ok(Runs::new(&settings.limits, key.transpose()?))
}

/// Lets go of backend connections that lay idle for too long, for ever. It is also what keeps the
/// clock ticking: with a timer due within the second, the much longer ones of each request need not
/// wake the system's poll to be seen (measured: two system calls a request).
pub(crate) async fn sweep(upstream: Arc<Upstream>) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        upstream.drop_expired();
    }
}

/// How often idle backend connections are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Speaks with a client until the connection ends: HTTP, and from an upgrade on over a WebSocket.
async fn speak<I>(gateway: Arc<Gateway>, io: I, stopped: watch::Receiver<()>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let opened = Arc::new(Mutex::new(None::<Session>));
    let session = Arc::clone(&opened);
    let serve = move |mut request: Request<hyper::body::Incoming>| {
        flavour::take_from_path(&mut request);
        let (gateway, session) = (Arc::clone(&gateway), Arc::clone(&session));
        async move {
            if !gateway.settings.websockets || !websocket::is_asked_for(&request) {
                return respond(gateway, request).await;
            }
            let (head, _) = request.into_parts();
            match refuse_strangers(gateway.address, &head.headers)
                .and_then(|()| websocket::accept(&head))
            {
                Ok(accepted) => {
                    let opened = Session { gateway, head };
                    *session.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
                    accepted
                }
                Err(error) => refusal(&error),
            }
        }
    };
    let left = answering(io, stopped.clone(), serve).await;
    let session = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (Some(left), Some(session)) = (left, session) {
        session.run(left, stopped).await;
    }
}

/// Answers a request that has come to the gateway.
pub(crate) async fn respond(
    gateway: Arc<Gateway>,
    mut request: Request<impl Incoming>,
) -> Response<Answer> {
    if let Err(error) = at_the_door(gateway.address, &request) {
        return refusal(&error);
    }
    let uri = request.uri().clone();
    let flavour = flavour::of(request.extensions(), gateway.settings.flavour);
    match paths::find(request.method(), uri.path()) {
        Ok((Room::Health, _)) => healthy(gateway.state.as_deref()),
        Ok((Room::Models, _)) => exchange::list_models(&gateway, request).await,
        Ok((Room::Model(Door::Responses), _)) => {
            flavour::plainly(flavour, &mut request);
            let answer = exchange::ask(&gateway, Door::Responses, request).await;
            gateway.told(flavour, answer)
        }
        Ok((Room::Model(door), _)) => exchange::ask(&gateway, door, request).await,
        Ok((Room::Capabilities, _)) => backplane::capabilities(&gateway),
        Ok((Room::Receipt, ids)) => backplane::receipt(&gateway, ids.first()),
        Ok((Room::State(act), ids)) => {
            flavour::plainly(flavour, &mut request);
            gateway.told(flavour, exchange::about_state(&gateway, act, &ids, request).await)
        }
        Err(unserved) => *unserved,
    }
}

/// Refuses what comes from elsewhere than this machine, and what nobody here can do. `address` is
/// where it is listened.
pub(crate) fn at_the_door<B>(address: SocketAddr, request: &Request<B>) -> Result<(), ApiError> {
    refuse_strangers(address, request.headers())?;
    if websocket::is_asked_for(request) {
        let message = "Latimer: no WebSocket here; use POST /v1/responses with server-sent events.";
        let error = ApiError::invalid("", "websocket_not_supported", message);
        return Err(ApiError { status: 426, ..error });
    }
    Ok(())
}

/// That someone is there, and what is to be said of what is kept: how many answers were to be stored and
/// are not.
pub(crate) fn healthy(state: Option<&State>) -> Response<Answer> {
    let state = state.map(State::health);
    let mut body = String::new();
    Object::new(&mut body)
        .text("status", "ok")
        .raw_if("state", state.as_deref().map(Raw::unchecked))
        .end();
    let mut response = Response::new(Answer::Whole(Some(Bytes::from(body))));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Result};
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::watch;

    use super::{Server, answering, respond};
    use crate::config::{Config, UpstreamConfig};
    use crate::stall::Stalling;
    use crate::state::{Keeper, StateConfig};

    /// The gateway's end of a client's connection: each write is a system call.
    struct Counting {
        socket: TcpStream,
        writes: Arc<AtomicUsize>,
    }

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            Pin::new(&mut self.socket).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(buf)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<Result<usize>> {
            self.writes.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
        }

        fn is_write_vectored(&self) -> bool {
            self.socket.is_write_vectored()
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
            Pin::new(&mut self.socket).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
            Pin::new(&mut self.socket).poll_shutdown(cx)
        }
    }

    const CHUNKS: usize = 50;
    /// One is what it takes; a second leaves room for the end of the body to come alone.
    const WRITES_MAX: usize = 2;

    /// A backend's stream, each event in a chunk of its own.
    fn answer() -> String {
        let event = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
                     \"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"some words of \
                     text \"},\"finish_reason\":null}]}\n\n";
        let events = (0..CHUNKS).map(|_| event).chain(["data: [DONE]\n\n"]);
        let body: String = events.map(|e| format!("{:x}\r\n{e}\r\n", e.len())).collect();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n{body}0\r\n\r\n"
        )
    }

    async fn listen() -> Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    /// One write for each event is what makes a gateway slow, and the update of a library can bring
    /// that back without a word.
    #[tokio::test]
    async fn a_stream_that_came_at_once_leaves_in_few_writes() -> Result<()> {
        let ((door, address), (backend, behind)) = (listen().await?, listen().await?);
        let url = Some(format!("http://{behind}/v1"));
        let upstream = Some(UpstreamConfig { url, ..UpstreamConfig::default() });
        let listen = Some("127.0.0.1:0".parse().unwrap());
        let state = StateConfig { store: Keeper::Memory, ..StateConfig::default() };
        let recording = Some(false);
        let config = Config { listen, upstream, recording, state, ..Config::default() };
        let server = Server::bind(config.resolve(|_| None).unwrap()).await.unwrap();

        let mut client = TcpStream::connect(address).await?;
        let writes = Arc::new(AtomicUsize::new(0));
        let socket = Counting { socket: door.accept().await?.0, writes: Arc::clone(&writes) };
        let (_running, stopped) = watch::channel(());
        let serve = move |request| respond(Arc::clone(&server.gateway), request);
        tokio::spawn(answering(Stalling::new(socket, Duration::from_secs(10)), stopped, serve));

        let body = r#"{"input":"Hi","stream":true}"#;
        let request = format!(
            "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(request.as_bytes()).await?;
        let mut line = backend.accept().await?.0;
        line.read_u8().await?;
        line.write_all(answer().as_bytes()).await?;
        let mut answered = String::new();
        client.read_to_string(&mut answered).await?;
        assert_eq!(answered.matches("event: response.output_text.delta\n").count(), CHUNKS);
        let writes = writes.load(Ordering::Relaxed);
        assert!(writes <= WRITES_MAX, "{writes} writes");
        Ok(())
    }
}
