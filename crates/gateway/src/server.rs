//! The gateway as a server: it opens what it needs, listens, and hands each request to the room for
//! its path. In: settings, and a signal to stop. Out: nothing but answers.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use latimer_wire::error::ApiError;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

use crate::access::refuse_strangers;
use crate::answer::{Answer, refusal};
use crate::capture::Recorder;
use crate::config::{Settings, Timeouts};
use crate::exchange;
use crate::gateway::Gateway;
use crate::listener::{Door, accept};
use crate::mock::{Mock, Script};
use crate::secret::Secret;
use crate::upstream::Upstream;

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
        let refused = |error| StartError::Listen { address: settings.listen, error };
        let listener = TcpListener::bind(settings.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
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
        let sweeping = sweep(Arc::clone(&gateway.upstream));
        let serve = move |request| respond(Arc::clone(&gateway), request);
        tokio::select! {
            () = accept(self.listener, door, stop, serve) => {}
            () = sweeping => {}
        }
    }
}

/// Lets go of backend connections that lay idle for too long, for ever. It is also what keeps the
/// clock ticking: with a timer due within the second, the much longer ones of each request need not
/// wake the system's poll to be seen (measured: two system calls a request).
async fn sweep(upstream: Arc<Upstream>) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        upstream.drop_expired();
    }
}

/// How often idle backend connections are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How much of a path that is not served an error gives back, in characters.
const PATH_CHARS: usize = 200;

/// The paths that are answered, and by which methods.
const PATHS: &[(&str, &str)] =
    &[("/healthz", "GET"), ("/v1/models", "GET"), ("/v1/responses", "POST")];

async fn respond(gateway: Arc<Gateway>, request: Request<Incoming>) -> Response<Answer> {
    if let Err(error) = refuse_strangers(gateway.address, request.headers()) {
        return refusal(&error);
    }
    let method = request.method().clone();
    match (&method, request.uri().path()) {
        (&Method::POST, "/v1/responses") => exchange::responses(&gateway, request).await,
        (&Method::GET, "/v1/responses") if asks_for_websocket(request.headers()) => {
            refusal(&ApiError {
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
            let mut response = refusal(&error);
            if let Ok(allowed) = HeaderValue::from_str(allowed) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            response
        }
        None => {
            let path: String = path.chars().take(PATH_CHARS).collect();
            let message = format!("Latimer: nothing is served at {path}. Served are: {served}.");
            let error = ApiError { status: 404, ..ApiError::invalid("", "not_found", message) };
            refusal(&error)
        }
    }
}
