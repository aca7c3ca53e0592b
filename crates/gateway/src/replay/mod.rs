//! A recording that answers. In: requests, and the file that holds what was answered to their likes.
//! Out: the recorded answers, found by what is asked without what differs from run to run
//! ([`latimer_probe::replay::matching`]); for what was not recorded an error that shows what comes nearest,
//! or, where there is a backend to ask, its answer, which is recorded as well.
//!
//! The n-th equal request of a session gets the n-th recorded answer. When they are used up, the
//! last one is given again; with a backend, the request counts as not recorded.

mod miss;
mod play;
mod sessions;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use latimer_probe::replay::cassette::{Cassette, Nearest, Take};
use latimer_probe::replay::matching::Asked;
use latimer_wire::error::ApiError;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use self::miss::{likened, missing};
use self::sessions::Sessions;
use crate::answer::{Answer, refusal};
use crate::backplane::Runs;
use crate::body;
use crate::capture::Recorder;
use crate::config::RecorderConfig;
use crate::config::{Limits, Settings, Timeouts};
use crate::gateway::Gateway;
use crate::listener::{Entrance, accept, answering, listen};
use crate::secret::Secret;
use crate::server::{at_the_door, healthy, respond, sweep};
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

/// The recording, how far it was read, and who has heard what.
#[derive(Default)]
struct Reel {
    cassette: Cassette,
    read_bytes: u64,
    sessions: Sessions,
}

/// What is to be done with a request.
enum Found {
    Take(Arc<Take>),
    Like(Arc<Take>, Nearest),
    Missing(Option<Nearest>),
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

impl Reel {
    /// Reads what the file holds beyond what was read. An unfinished line is one to come, unless it
    /// is the `last`.
    fn read_on(&mut self, path: &Path, last: bool) -> io::Result<()> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() <= self.read_bytes {
            return Ok(());
        }
        let mut lines = Vec::new();
        file.seek(SeekFrom::Start(self.read_bytes))?;
        file.read_to_end(&mut lines)?;
        if !last {
            lines.truncate(memchr::memrchr(b'\n', &lines).map_or(0, |end| end + 1));
        }
        self.read_bytes += lines.len() as u64;
        self.cassette.add(&lines);
        Ok(())
    }
}

/// A recording at its listener.
struct Player {
    replay: Replay,
    address: SocketAddr,
    /// What is asked for what is not recorded.
    gateway: Option<Arc<Gateway>>,
}

async fn play_on(listener: TcpListener, player: Arc<Player>, stop: impl Future<Output = ()>) {
    let (limits, timeouts) = player.bounds();
    let entrance = Entrance {
        connections_max: limits.connections,
        write_wait: Timeouts::of(timeouts.client_write_ms),
        drain: if player.gateway.is_some() {
            Timeouts::of(timeouts.drain_ms)
        } else {
            Duration::ZERO
        },
    };
    let upstream = player.gateway.as_ref().map(|gateway| Arc::clone(&gateway.upstream));
    let serve = move |socket, stopped| {
        let player = Arc::clone(&player);
        async move {
            answering(socket, stopped, move |request| Arc::clone(&player).respond(request)).await;
        }
    };
    let sweeping = async {
        match upstream {
            Some(upstream) => sweep(upstream).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = accept(listener, entrance, stop, serve) => {}
        () = sweeping => {}
    }
}

impl Player {
    fn bounds(&self) -> (Limits, Timeouts) {
        let settings = self.gateway.as_ref().map(|gateway| &gateway.settings);
        settings.map(|s| (s.limits.clone(), s.timeouts.clone())).unwrap_or_default()
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Answer> {
        if let Err(error) = at_the_door(self.address, &request) {
            return refusal(&error);
        }
        if request.uri().path() == "/healthz" {
            return healthy();
        }
        let (head, incoming) = request.into_parts();
        self.answer(head, incoming).await.unwrap_or_else(|error| refusal(&error))
    }

    async fn answer(&self, head: Parts, incoming: Incoming) -> Result<Response<Answer>, ApiError> {
        let (limits, timeouts) = self.bounds();
        let raw = body::read(&head.headers, incoming, &limits, &timeouts).await?;
        let plain = body::decode(&head.headers, raw.clone(), &limits).await?;
        let asked = Asked::of(head.method.as_str(), &head.uri.to_string(), &plain);
        let take = match (self.find(&head, &plain, &asked), &self.gateway) {
            (Found::Take(take), _) => take,
            (Found::Like(take, nearest), _) => {
                (self.replay.tell)(&likened(&asked, &nearest));
                take
            }
            (Found::Missing(_), Some(gateway)) => {
                (self.replay.tell)(&format!("recording {}", asked.place));
                let request = Request::from_parts(head, Full::<Bytes>::new(raw));
                return Ok(respond(Arc::clone(gateway), request).await);
            }
            (Found::Missing(nearest), None) => {
                let (error, told) = missing(&asked, nearest.as_ref());
                (self.replay.tell)(&told);
                return Err(error);
            }
        };
        tracing::info!(line = take.line, status = take.status, path = head.uri.path(), "replayed");
        Ok(play::play(&take, self.replay.speed).await)
    }

    fn find(&self, head: &Parts, body: &[u8], asked: &Asked) -> Found {
        let session = sessions::of(&head.headers, body);
        let records = self.gateway.is_some();
        let mut reel = self.replay.reel();
        if records && let Err(error) = reel.read_on(&self.replay.path, false) {
            tracing::debug!(%error, "the recording cannot be read on");
        }
        let key: Arc<str> = asked.key().into();
        let recorded = reel.cassette.find(&key);
        if recorded.is_none() && !records {
            return self.find_like(&mut reel, &session, asked);
        }
        let (key, mut takes) = recorded.unwrap_or((key, Vec::new()));
        if records {
            takes.retain(|take| !take.was_left);
        }
        let before = reel.sessions.count(&session, &key);
        let again = takes.last().filter(|_| !records);
        match takes.get(before).or(again) {
            Some(take) => Found::Take(Arc::clone(take)),
            None => Found::Missing(None),
        }
    }

    /// What comes nearest, and its answer where that will do.
    fn find_like(&self, reel: &mut Reel, session: &str, asked: &Asked) -> Found {
        let nearest = reel.cassette.nearest(asked);
        let like = nearest.as_ref().filter(|nearest| self.replay.lenient && nearest.is_like);
        let recorded = like.and_then(|nearest| reel.cassette.find(&nearest.key));
        let Some((key, takes)) = recorded else { return Found::Missing(nearest) };
        let before = reel.sessions.count(session, &key);
        match (takes.get(before).or(takes.last()), nearest) {
            (Some(take), Some(nearest)) => Found::Like(Arc::clone(take), nearest),
            (_, nearest) => Found::Missing(nearest),
        }
    }
}
