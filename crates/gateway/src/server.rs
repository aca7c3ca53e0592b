//! The listener: accepts connections, speaks HTTP/1.1 on them, and hands each request to the room
//! for its path. In: settings, and a signal to stop. Out: nothing but answers.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use latimer_wire::chat::Profile;
use latimer_wire::error::ApiError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::capture::Recorder;
use crate::config::{Dialect, Settings, Timeouts};
use crate::exchange;
use crate::mock::{Mock, Script};
use crate::secret::Secret;
use crate::stall::Stalling;
use crate::stream::Answer;
use crate::upstream::Upstream;

/// How long a client may take to send the head of a request, or stay idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// The head of a request may not be longer.
const HEAD_BYTES: usize = 64 << 10;
/// How long to wait after the system refused a connection, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every exchange needs.
pub struct Gateway {
    pub(crate) settings: Settings,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) recorder: Option<Recorder>,
    /// The operator's key, which a backend may say back.
    pub(crate) secret: Secret,
    address: SocketAddr,
}

impl Gateway {
    /// What the backend speaks. The embedded mock speaks Chat, so that it is translated like any.
    pub(crate) fn dialect(&self) -> Dialect {
        self.settings.upstream.as_ref().map_or(Dialect::Chat, |target| target.dialect)
    }

    /// What the backend takes.
    pub(crate) fn profile(&self) -> &Profile {
        static CAREFUL: LazyLock<Profile> = LazyLock::new(Profile::default);
        self.settings.upstream.as_ref().map_or(&CAREFUL, |target| &target.profile)
    }

    /// Address and port, as they stand in recorded URLs.
    pub(crate) fn authority(&self) -> SocketAddr {
        self.address
    }
}

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
            Some(target) => {
                Upstream::new(target.url.clone(), &settings.limits, &settings.timeouts)?
            }
            None => {
                let mock = Arc::new(Mock::new(Script::echo()));
                Upstream::embedded(mock.embedded(), &settings.limits, &settings.timeouts)
            }
        };
        let key = settings.upstream.as_ref().and_then(|target| target.api_key.as_deref());
        let secret = Secret::of(key);
        let recorder = settings.record.as_deref().map(|directory| {
            Recorder::open(directory, secret.clone()).map_err(|error| StartError::Record {
                directory: directory.display().to_string(),
                error,
            })
        });
        let (listener, address) = listen(settings.listen).await?;
        let recorder = recorder.transpose()?;
        let upstream = Arc::new(upstream);
        let gateway = Gateway { upstream, recorder, secret, address, settings };
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
        let door = Door {
            connections_max: gateway.settings.limits.connections,
            write_wait: Timeouts::of(timeouts.client_write_ms),
            drain: Timeouts::of(timeouts.drain_ms),
        };
        let serve = move |request| respond(Arc::clone(&gateway), request);
        accept(self.listener, door, stop, serve).await;
    }
}

/// Opens a listener and says where it really listens.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error| StartError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// What a listener allows its clients.
pub(crate) struct Door {
    /// How many there may be at the same time.
    pub connections_max: usize,
    /// How long each may read nothing.
    pub write_wait: Duration,
    /// How long open answers may go on after the signal to stop.
    pub drain: Duration,
}

/// The accept loop, for the gateway and for the mock.
pub(crate) async fn accept<S, F, B>(
    listener: TcpListener,
    door: Door,
    stop: impl Future<Output = ()>,
    serve: S,
) where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let mut stop = pin!(stop);
    let (stopping, stopped) = watch::channel(());
    let places = Arc::new(Semaphore::new(door.connections_max));
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
                let socket = Stalling::new(socket, door.write_wait);
                let (stopped, serve) = (stopped.clone(), serve.clone());
                open.spawn(async move {
                    connection(socket, stopped, serve).await;
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
        tokio::time::timeout(door.drain, async { while open.join_next().await.is_some() {} }).await;
}

/// One client connection, until it ends or the gateway stops.
pub(crate) async fn connection<I, S, F, B>(io: I, mut stopped: watch::Receiver<()>, serve: S)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let service = service_fn(move |request| {
        let answer = serve(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(io), service));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client connection ended early");
    }
}

/// How much of a path that is not served an error gives back, in characters.
const PATH_CHARS: usize = 200;

/// The paths that are answered, and by which methods.
const PATHS: &[(&str, &str)] =
    &[("/healthz", "GET"), ("/v1/models", "GET"), ("/v1/responses", "POST")];

async fn respond(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<Answer> {
    let method = request.method().clone();
    match (&method, request.uri().path()) {
        (&Method::POST, "/v1/responses") => exchange::responses(&gateway, request).await,
        (&Method::GET, "/v1/responses") if asks_for_websocket(request.headers()) => {
            exchange::refusal(&ApiError {
                status: 426,
                ..ApiError::invalid(
                    "",
                    "websocket_not_supported",
                    "Latimer: no WebSocket here yet; use POST /v1/responses with server-sent events.",
                )
            })
        }
        (&Method::GET, "/v1/models") => exchange::models(&gateway, request).await,
        (&Method::GET, "/healthz") => healthy(),
        (_, path) => unknown(&method, path),
    }
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.to_ascii_lowercase().contains("websocket"))
}

fn healthy() -> Response<Answer> {
    let mut response =
        Response::new(Answer::Whole(Some(Bytes::from_static(b"{\"status\":\"ok\"}"))));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn unknown(method: &Method, path: &str) -> Response<Answer> {
    let served: Vec<_> = PATHS.iter().map(|(path, method)| format!("{method} {path}")).collect();
    let served = served.join(", ");
    match PATHS.iter().find(|(known, _)| *known == path) {
        Some((_, allowed)) => {
            let message = format!("Latimer: {method} is not allowed on {path}; use {allowed}.");
            let error =
                ApiError { status: 405, ..ApiError::invalid("", "method_not_allowed", message) };
            let mut response = exchange::refusal(&error);
            if let Ok(allowed) = HeaderValue::from_str(allowed) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            response
        }
        None => {
            let path: String = path.chars().take(PATH_CHARS).collect();
            let message = format!("Latimer: nothing is served at {path}. Served are: {served}.");
            let error = ApiError { status: 404, ..ApiError::invalid("", "not_found", message) };
            exchange::refusal(&error)
        }
    }
}
