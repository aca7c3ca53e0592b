//! A recording that answers. In: requests, and the file that holds what was answered to their likes.
//! Out: the recorded answers, found by what is asked without what differs from run to run
//! ([`latimer_probe::replay::matching`]); for what was not recorded an error that shows what comes nearest,
//! or, where there is a backend to ask, its answer, which is recorded as well.
//!
//! The n-th equal request of a session gets the n-th recorded answer. When they are used up, the
//! last one is given again; with a backend, the request counts as not recorded. A response that was
//! made in the background, and is recorded as it was made, is queued, and there when it is asked for.

mod miss;
mod play;
mod player;
mod reel;
mod sessions;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use self::player::{Player, play_on};
use self::reel::Reel;
use crate::backplane::Runs;
use crate::capture::Recorder;
use crate::config::{RecorderConfig, Settings};
use crate::gateway::Gateway;
use crate::listener::listen;
use crate::secret::Secret;
use crate::upstream::Upstream;

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read or written.
    #[error("cannot use the recording {path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// There is nothing in it that could be played.
    #[error(
        "there is nothing to play in the recording {path}: none of its lines holds an answer{first}"
    )]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is wrong with the first line, if there is one.
        first: String,
    },
    /// What is not recorded could not be asked for.
    #[error("there is no backend to record from: name it with --upstream")]
    NoUpstream,
    /// The machine's trusted certificates cannot be used.
    #[error("cannot prepare TLS for the backend: {0}")]
    Tls(#[from] rustls::Error),
}

/// A recording that can be served.
///
/// As a backend in a test:
///
/// ```no_run
/// # async fn ask(_: &str) {}
/// # async fn test() -> Result<(), Box<dyn std::error::Error>> {
/// use latimer_gateway::replay::Replay;
///
/// let model = Replay::open("tests/cassettes/weather.jsonl")?.start()?;
/// ask(&model.base_url()).await; // http://127.0.0.1:PORT/v1, until `model` is dropped
/// # Ok(())
/// # }
/// ```
pub struct Replay {
    path: PathBuf,
    speed: Option<f64>,
    lenient: bool,
    tell: Box<dyn Fn(&str) + Send + Sync>,
    source: Option<Source>,
    reel: Mutex<Reel>,
}

/// Where the answers come from that are not recorded.
struct Source {
    settings: Settings,
    upstream: Arc<Upstream>,
    secret: Secret,
}

/// A recording that is being served, until this is dropped.
#[derive(Debug)]
pub struct Playing {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Playing {
    /// The base address for clients, as SDKs want it: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    /// When the file cannot be read, or holds nothing that can be played.
    pub fn open(path: impl Into<PathBuf>) -> Result<Replay, ReplayError> {
        let replay = Replay::of(path.into());
        let mut reel = replay.reel();
        reel.read_on(&replay.path, true).map_err(|error| replay.unusable(error))?;
        if reel.cassette.is_empty() {
            let first = reel.cassette.holes().first();
            let first = first.map(|hole| format!(" (line {}: {})", hole.line, hole.why));
            let path = replay.path.clone();
            return Err(ReplayError::Empty { path, first: first.unwrap_or_default() });
        }
        drop(reel);
        Ok(replay)
    }

    /// Reads a recording, which may not be there yet, and asks the backend of `settings` for what is
    /// not in it. What the backend answers is added to the file.
    ///
    /// # Errors
    /// When the file cannot be read and written, or there is no backend.
    pub fn recording(path: impl Into<PathBuf>, settings: Settings) -> Result<Replay, ReplayError> {
        let mut replay = Replay::of(path.into());
        let target = settings.upstream.as_ref().ok_or(ReplayError::NoUpstream)?;
        let secret = Secret::of(target.api_key.as_deref());
        let upstream = Upstream::of(target, &settings.limits, &settings.timeouts)?;
        match replay.reel().read_on(&replay.path, true) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(replay.unusable(error));
            }
            _ => {}
        }
        replay.source = Some(Source { settings, upstream: Arc::new(upstream), secret });
        Ok(replay)
    }

    fn of(path: PathBuf) -> Replay {
        Replay {
            path,
            speed: None,
            lenient: false,
            tell: Box::new(|_| {}),
            source: None,
            reel: Mutex::default(),
        }
    }

    /// Gives answers at the recorded pace, `speed` times as fast, instead of at once. Of a stream the
    /// first byte and the end are recorded; its events are spread evenly between.
    #[must_use]
    pub fn at_speed(self, speed: f64) -> Replay {
        Replay { speed: Some(speed), ..self }
    }

    /// Answers what was not recorded with the answer to the nearest request that was, if that was
    /// sent to the same path and wanted the same form: a stream, or whole.
    #[must_use]
    pub fn lenient(self) -> Replay {
        Replay { lenient: true, ..self }
    }

    /// Tells what goes otherwise than recorded, in lines of text, some of it quoted from requests.
    #[must_use]
    pub fn telling(self, tell: impl Fn(&str) + Send + Sync + 'static) -> Replay {
        Replay { tell: Box::new(tell), ..self }
    }

    /// How many answers there are, and in words, line by line, what is missing.
    pub fn inventory(&self) -> (usize, Vec<String>) {
        let reel = self.reel();
        let holes = reel.cassette.holes().iter().map(|hole| {
            let left_out = if hole.is_playable { "" } else { "left out: " };
            format!("line {}: {left_out}{}", hole.line, hole.why)
        });
        (reel.cassette.len(), holes.collect())
    }

    /// Listens on `address` and answers until `stop` is ready. `ready` is called once with the real
    /// address.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the file cannot be written.
    pub async fn serve(
        self,
        address: SocketAddr,
        ready: impl FnOnce(SocketAddr),
        stop: impl Future<Output = ()>,
    ) -> Result<(), ReplayError> {
        let (listener, address) = opened(address)?;
        let player = self.player(address)?;
        ready(address);
        play_on(listener, player, stop).await;
        Ok(())
    }

    /// Serves on a free port of this machine, in the background of the runtime, until what this
    /// returns is dropped.
    ///
    /// # Errors
    /// When no port can be listened on, the file cannot be written, or no tokio runtime is here.
    pub fn start(self) -> Result<Playing, ReplayError> {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let refused = |error| ReplayError::Listen { address: local, error };
        let runtime = Handle::try_current().map_err(|error| refused(io::Error::other(error)))?;
        let (listener, address) = opened(local)?;
        let player = self.player(address)?;
        let (stop, stopped) = oneshot::channel::<()>();
        runtime.spawn(play_on(listener, player, async {
            let _ = stopped.await;
        }));
        Ok(Playing { address, _stop: stop })
    }

    fn player(mut self, address: SocketAddr) -> Result<Arc<Player>, ReplayError> {
        let gateway = self.source.take().map(|source| {
            let recorder = Recorder::open_file(
                self.path.clone(),
                &RecorderConfig::one_file(),
                source.secret.clone(),
            );
            let recorder = recorder.map_err(|error| self.unusable(error))?;
            let Source { settings, upstream, secret } = source;
            Ok::<_, ReplayError>(Arc::new(Gateway {
                runs: Arc::new(Runs::new(&settings.limits, None)),
                seal: settings.seal(),
                settings,
                upstream,
                recorder: Some(recorder),
                secret,
                state: None,
                address,
            }))
        });
        Ok(Arc::new(Player { address, gateway: gateway.transpose()?, replay: self }))
    }

    fn unusable(&self, error: io::Error) -> ReplayError {
        ReplayError::File { path: self.path.clone(), error }
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

fn opened(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ReplayError> {
    let opened = listen(address).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    opened.map_err(|error| ReplayError::Listen { address, error })
}
