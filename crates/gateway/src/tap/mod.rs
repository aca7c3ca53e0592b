//! Listening in: an address on this machine that stands for another one. In: whatever a program
//! sends there. Out: the same bytes to the address it stands for, and back, at once and untouched;
//! and a recording. Nothing is translated, refused or mended here; only what concerns one hop of
//! HTTP alone stays behind.
//!
//! A [`Channel`] is one such address; an agent may have several. Requests go by [`pass`], what
//! becomes a WebSocket by [`socket`].

mod dialogue;
mod messages;
mod pass;
mod socket;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use http::{Request, Uri};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::pass::Heard;
use crate::backplane::Runs;
use crate::capture::Recorder;
use crate::config::{Config, ConfigError, Settings, Timeouts};
use crate::gateway::Gateway;
use crate::listener::{Entrance, accept, connection, listen};
use crate::secret::Secret;
use crate::server::{StartError, sweep};
use crate::upstream::{Proxy, Upstream};

/// How long an answer may be silent, in milliseconds: whoever asked gives up first.
const PATIENCE_MS: u64 = 24 * 3600 * 1000;
/// How long what is open may go on after the signal to stop, in milliseconds.
const DRAIN_MS: u64 = 1_000;

/// An address on this machine that stands for another one.
#[derive(Debug, Clone)]
pub struct Channel {
    /// What the recording calls it.
    pub name: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What it stands for: paths are appended to it.
    pub upstream: Uri,
    /// Through what that is reached.
    pub proxy: Option<Proxy>,
}

/// Channels that are listened on.
pub struct Tap {
    lines: Vec<Line>,
}

/// One of them.
struct Line {
    listener: TcpListener,
    tapped: Arc<Tapped>,
}

/// What all exchanges of a channel share.
pub(crate) struct Tapped {
    pub name: String,
    pub gateway: Arc<Gateway>,
}

impl Tap {
    /// Opens the recording in `directory` and listens on all channels. Nothing is answered before
    /// [`Tap::run`].
    ///
    /// # Errors
    /// [`StartError`] says what is in the way.
    pub async fn bind(channels: Vec<Channel>, config: &Config) -> Result<Tap, StartError> {
        let mut lines = Vec::with_capacity(channels.len());
        for channel in channels {
            lines.push(Line::bind(channel, config)?);
        }
        Ok(Tap { lines })
    }

    /// The channels: name, where it is listened, and what that stands for.
    pub fn channels(&self) -> Vec<(String, SocketAddr, String)> {
        let channel = |line: &Line| {
            let Tapped { name, gateway } = &*line.tapped;
            (name.clone(), gateway.address, gateway.upstream.address(""))
        };
        self.lines.iter().map(channel).collect()
    }

    /// Passes on what comes until `stop` is ready; what is open then is cut off.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(());
        let mut running = JoinSet::new();
        for line in self.lines {
            running.spawn(line.run(stopped.clone()));
        }
        stop.await;
        let _ = stopping.send(());
        while running.join_next().await.is_some() {}
    }
}

impl Line {
    fn bind(channel: Channel, config: &Config) -> Result<Line, StartError> {
        let settings = settings(&channel, config)?;
        let Channel { name, listen: address, upstream, proxy } = channel;
        let upstream = Upstream::new(upstream, &settings.limits, &settings.timeouts)?;
        let upstream = upstream.with_http2()?.through(proxy);
        let refused = |error| StartError::Listen { address, error };
        let listener = listen(address).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let secret = Secret::default();
        let directory = settings.record.clone().unwrap_or_default();
        let recorder = Recorder::open(&directory, &settings.recorder, secret.clone());
        let recorder = recorder.map_err(|error| StartError::Record {
            directory: directory.display().to_string(),
            error,
        })?;
        let gateway = Gateway {
            upstream: Arc::new(upstream),
            recorder: Some(recorder),
            state: None,
            runs: Arc::new(Runs::new(&settings.limits, None)),
            seal: settings.seal(),
            secret,
            address,
            settings,
        };
        Ok(Line { listener, tapped: Arc::new(Tapped { name, gateway: Arc::new(gateway) }) })
    }

    async fn run(self, mut stopped: watch::Receiver<()>) {
        let tapped = self.tapped;
        let timeouts = &tapped.gateway.settings.timeouts;
        let entrance = Entrance {
            connections_max: tapped.gateway.settings.limits.connections,
            write_wait: Timeouts::of(timeouts.client_write_ms),
            drain: Timeouts::of(timeouts.drain_ms),
        };
        let sweeping = sweep(Arc::clone(&tapped.gateway.upstream));
        let serve = move |socket, stopped| speak(Arc::clone(&tapped), socket, stopped);
        let stop = async move { _ = stopped.changed().await };
        tokio::select! {
            () = accept(self.listener, entrance, stop, serve) => {}
            () = sweeping => {}
        }
    }
}

/// The settings of a channel: of the configuration only the recording and the bounds, and it waits as long
/// as its client does.
fn settings(channel: &Channel, config: &Config) -> Result<Settings, ConfigError> {
    let timeouts = Timeouts {
        first_byte_ms: PATIENCE_MS,
        idle_ms: PATIENCE_MS,
        keep_alive_ms: PATIENCE_MS,
        drain_ms: DRAIN_MS,
        ..config.timeouts.clone()
    };
    let config = Config {
        listen: Some(channel.listen),
        record: config.record.clone(),
        recorder: config.recorder.clone(),
        limits: config.limits.clone(),
        timeouts,
        ..Config::default()
    };
    config.resolve(|_| None)
}

/// The connection goes on as a WebSocket.
#[derive(Debug, thiserror::Error)]
#[error("the connection goes on as another protocol")]
struct Switched;

/// Speaks on a connection until it ends.
async fn speak<I>(tapped: Arc<Tapped>, mut io: I, stopped: watch::Receiver<()>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send,
{
    let asked = Arc::new(Mutex::new(None::<Parts>));
    let serve = |request: Request<Incoming>| {
        let (tapped, asked) = (Arc::clone(&tapped), Arc::clone(&asked));
        async move {
            match pass::pass(&tapped, request).await {
                Heard::Answer(response) => Ok(response),
                Heard::Socket(head) => {
                    *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(*head);
                    Err(Switched)
                }
            }
        }
    };
    connection(&mut io, stopped.clone(), serve).await;
    let head = asked.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(head) = head {
        socket::tunnel(&tapped, head, io, stopped).await;
    }
}
