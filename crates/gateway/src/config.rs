//! What an operator can set, and what it means. In: a TOML file and what the command line adds.
//! Out: [`Settings`] that are complete and checked. Every key has a default; a key that is not
//! known is an error that names it and its line.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use latimer_probe::redact::{self, BadPattern, Redactor};
use latimer_wire::backplane::PolicyProfile;
use latimer_wire::chat::{Profile, Reasoning};
use latimer_wire::responses::Flavour;
use serde::Deserialize;

use crate::backplane::{Policy, ReceiptsConfig};
use crate::compaction::{Seal, SealKey};
use crate::state::StateConfig;
use crate::upstream::{command_words, host};

/// The configuration as it is written. All keys are optional.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen: address and port. Default 127.0.0.1:8300.
    pub listen: Option<SocketAddr>,
    /// Allow an address that other machines can reach, although no keys protect it.
    pub open: bool,
    /// Directory of the recording. Default `latimer`.
    pub record: Option<PathBuf>,
    /// Whether to record at all. Default true.
    pub recording: Option<bool>,
    /// The model backend. Without one the embedded mock model answers.
    pub upstream: Option<UpstreamConfig>,
    /// In which form clients of Responses are answered: `openai` or `open-responses`.
    #[serde(deserialize_with = "flavour")]
    pub flavour: Flavour,
    /// Whether `GET /v1/responses` opens a WebSocket for a client that asks for one. Default true.
    pub websockets: Option<bool>,
    /// What clients of Chat Completions are told before a Responses backend.
    pub chat_clients: ChatClients,
    /// What is kept between requests.
    pub state: StateConfig,
    /// How the recording is kept.
    pub recorder: RecorderConfig,
    /// How receipts of runs are made.
    pub receipts: ReceiptsConfig,
    /// Bounds on what is held in memory.
    pub limits: Limits,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// A model backend as it is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Base address, usually ending in `/v1`; or `stdio:` and the command of an agent.
    pub url: Option<String>,
    /// What it speaks. Default `chat`, of a command `backplane`.
    pub dialect: Option<Dialect>,
    /// The environment variable that holds its key. Without one the caller's own is passed on.
    pub api_key_env: Option<String>,
    /// The model to ask it for, whatever the client names.
    pub model: Option<String>,
    /// How many tokens its model takes, for requests that may be cut (`truncation`).
    pub context_tokens: Option<u64>,
    /// Which backend it is, of those whose ways are known. Default `generic`.
    pub profile: Option<String>,
    /// Entries of the profile that are different here.
    pub quirks: BTreeMap<String, String>,
    /// What an agent may do: the policy of the work orders it is given.
    pub policy: Policy,
}

/// How clients of Chat Completions are served before a Responses backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatClients {
    /// Their leading system messages become `instructions`; else they stay items.
    pub instructions: bool,
    /// How reasoning is told: `content`, `tagged` or `off`.
    #[serde(deserialize_with = "reasoning")]
    pub reasoning: Reasoning,
}

/// A flavour, by its name.
fn flavour<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Flavour, D::Error> {
    let name = String::deserialize(from)?;
    let row = Flavour::NAMES.iter().find(|(known, _)| *known == name);
    row.map(|(_, flavour)| *flavour).ok_or_else(|| {
        serde::de::Error::custom(format!("`{name}` is none of `openai`, `open-responses`"))
    })
}

/// How reasoning is told, by its name.
fn reasoning<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Reasoning, D::Error> {
    const NAMES: &[(&str, Reasoning)] =
        &[("content", Reasoning::Content), ("tagged", Reasoning::Tagged), ("off", Reasoning::Off)];
    let name = String::deserialize(from)?;
    let row = NAMES.iter().find(|(known, _)| *known == name);
    row.map(|(_, reasoning)| *reasoning).ok_or_else(|| {
        serde::de::Error::custom(format!("`{name}` is none of `content`, `tagged`, `off`"))
    })
}

/// What a backend speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI Chat Completions, `POST {base}/chat/completions`.
    Chat,
    /// OpenAI Responses, `POST {base}/responses`: bytes go through untouched.
    Responses,
    /// Work orders and agent events (abp/v0.1): `POST {base}/run`, or a program.
    Backplane,
}

impl Dialect {
    /// Its name, as it is configured.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Chat => "chat",
            Dialect::Responses => "responses",
            Dialect::Backplane => "backplane",
        }
    }
}

/// How the recording is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecorderConfig {
    /// When what was written is brought to the disk.
    pub sync: SyncPolicy,
    /// How long the file may become before it is closed as a segment, in bytes; 0: it never is.
    pub segment_bytes: u64,
    /// How old its first line may become before that, in seconds; 0: as old as it may.
    pub segment_age_s: u64,
    /// Whether closed segments are compressed (zstd).
    pub compress: bool,
    /// The end of an answer waits until the exchange is written: what a client has got whole is in
    /// the file, even if the process is killed in that moment.
    pub strict: bool,
    /// Regular expressions for what is to be taken out of every line, beside the secrets that are
    /// known by their form.
    pub secrets: Vec<String>,
    /// Whether lines are written with the secrets in them. The operator's key is taken out always.
    pub reveal: bool,
}

/// When what was written is brought to the disk. That a process is killed loses nothing that was
/// written; a machine that loses its power does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncPolicy {
    /// Each second, and each MiB.
    Second,
    /// After each exchange.
    Always,
    /// Whenever the system does it.
    Never,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        RecorderConfig {
            sync: SyncPolicy::Second,
            segment_bytes: 256 << 20,
            segment_age_s: 86_400,
            compress: true,
            strict: false,
            secrets: Vec::new(),
            reveal: false,
        }
    }
}

impl RecorderConfig {
    /// What takes the secrets out of lines; nothing where they stay.
    ///
    /// # Errors
    /// When one of the patterns is none.
    pub(crate) fn redactor(&self) -> Result<Option<Redactor>, BadPattern> {
        let redactor = Redactor::with(self.secrets.iter().map(String::as_str))?;
        Ok((!self.reveal).then_some(redactor))
    }

    /// For a file that is never closed.
    pub fn one_file() -> Self {
        RecorderConfig { segment_bytes: 0, ..RecorderConfig::default() }
    }
}

/// Bounds. All sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A request body as it comes over the wire.
    pub body_bytes: usize,
    /// A request body after decompression.
    pub decoded_body_bytes: usize,
    /// One event of a backend's stream.
    pub event_bytes: usize,
    /// A backend's answer that comes whole.
    pub answer_bytes: usize,
    /// A backend's answer that comes as a stream: its texts are held until it ends.
    pub stream_bytes: usize,
    /// How much of an answer is kept for the recording.
    pub recorded_bytes: usize,
    /// How many answers one request of a Chat client (`n`) may ask a Responses backend for.
    pub answers: u64,
    /// How many agents that are programs may run at the same time.
    pub agents: usize,
    /// How much of what such an agent says on its standard error is kept, the end of it.
    pub agent_stderr_bytes: usize,
    /// How many receipts of runs are kept, the newest.
    pub receipts: usize,
    /// How much memory these may take.
    pub receipts_bytes: usize,
    /// Client connections at the same time.
    pub connections: usize,
    /// Backend connections that are kept open while idle.
    pub idle_upstream_connections: usize,
    /// Conversations that share one WebSocket.
    pub websocket_lanes: usize,
    /// Requests on one WebSocket at the same time, those that wait for their lane included.
    pub websocket_requests: usize,
    /// The histories that one WebSocket holds, so that what nobody stores can be continued on it.
    pub websocket_held_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 64 << 20,
            decoded_body_bytes: 256 << 20,
            event_bytes: 16 << 20,
            answer_bytes: 64 << 20,
            stream_bytes: 256 << 20,
            recorded_bytes: 64 << 20,
            answers: 16,
            agents: 16,
            agent_stderr_bytes: 8 << 10,
            receipts: 1_000,
            receipts_bytes: 64 << 20,
            connections: 8_000,
            idle_upstream_connections: 256,
            websocket_lanes: 32,
            websocket_requests: 16,
            websocket_held_bytes: 64 << 20,
        }
    }
}

/// Waiting times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection to the backend, name and TLS included.
    pub connect_ms: u64,
    /// From the request to the head of the backend's answer.
    pub first_byte_ms: u64,
    /// Between two events of the backend's answer; comments do not count. Codex gives up after 300,000.
    pub idle_ms: u64,
    /// Silence towards the client after which a comment is sent to keep proxies from cutting.
    pub keep_alive_ms: u64,
    /// How long a client may read nothing of what is written to it.
    pub client_write_ms: u64,
    /// Between two reads of a request body.
    pub body_ms: u64,
    /// How long a backend connection is kept while idle.
    pub idle_upstream_ms: u64,
    /// How long an agent that is a program may take to end, when it has said all or is told to.
    pub agent_exit_ms: u64,
    /// How long open answers may go on after the signal to stop.
    pub drain_ms: u64,
    /// How long a WebSocket may stay open; OpenAI's stay 60 minutes.
    pub websocket_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect_ms: 10_000,
            first_byte_ms: 600_000,
            idle_ms: 280_000,
            keep_alive_ms: 15_000,
            client_write_ms: 60_000,
            body_ms: 30_000,
            idle_upstream_ms: 90_000,
            agent_exit_ms: 2_000,
            drain_ms: 300_000,
            websocket_ms: 3_600_000,
        }
    }
}

/// A configuration that is complete.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Directory of the recording; none: nothing is recorded.
    pub record: Option<PathBuf>,
    /// The backend; none: the embedded mock model.
    pub upstream: Option<Target>,
    /// In which form clients of Responses are answered.
    pub flavour: Flavour,
    /// Whether WebSockets are opened.
    pub websockets: bool,
    /// What Chat clients are told, and how.
    pub chat_clients: ChatClients,
    /// What is kept between requests.
    pub state: StateConfig,
    /// The directory of what is kept.
    pub directory: PathBuf,
    /// The key that seals what clients keep; none: the one in the directory.
    pub seal_key: Option<SealKey>,
    /// How the recording is kept.
    pub recorder: RecorderConfig,
    /// How receipts of runs are made.
    pub receipts: ReceiptsConfig,
    /// Bounds.
    pub limits: Limits,
    /// Waiting times.
    pub timeouts: Timeouts,
}

/// A backend, ready to be asked.
#[derive(Clone)]
pub struct Target {
    /// Base address without a slash at its end; of a command, a name for it.
    pub url: http::Uri,
    /// The words of the command that starts it; none where it is at its address.
    pub command: Vec<String>,
    /// What it speaks.
    pub dialect: Dialect,
    /// Its key. It is never printed.
    pub api_key: Option<String>,
    /// The model to ask it for.
    pub model: Option<String>,
    /// How many tokens its model takes.
    pub context_tokens: Option<u64>,
    /// What it takes.
    pub profile: Profile,
    /// What it may do, where it is an agent.
    pub policy: PolicyProfile,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("url", &self.url)
            .field("dialect", &self.dialect)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// A configuration that cannot be used; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not right; the text names key, line and column.
    #[error("the configuration {path} is not valid:\n{error}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// The backend's address is not one.
    #[error(
        "the upstream `{url}` is not an address: {reason}. Write it as in \
         `http://127.0.0.1:8080/v1` or `https://api.example.com/v1`; a command as in \
         `stdio:python3 agent.py`"
    )]
    Upstream {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The profile is not known, or has no such entry.
    #[error("{0}")]
    Profile(String),
    /// A bound or a waiting time that would let nothing through.
    #[error("`{name}` is 0, with which nothing can be served")]
    Zero {
        /// The key.
        name: &'static str,
    },
    /// What is to be taken out of the recording cannot be looked for.
    #[error("`recorder.secrets`: {0}")]
    Secrets(#[from] BadPattern),
    /// The key's variable is not set.
    #[error("the environment variable {name}, named as a key, is not set or is empty")]
    NoKey {
        /// The variable.
        name: String,
    },
    /// The variable of the key that seals holds no such key.
    #[error(
        "the environment variable {name} has to hold 32 random bytes in base64, as made by \
         `head -c 32 /dev/urandom | base64`"
    )]
    NoSealKey {
        /// The variable.
        name: String,
    },
    /// Other machines could use the gateway and its key.
    #[error(
        "{listen} can be reached by other machines, and nothing protects it: Latimer has no access \
         keys yet. Listen on 127.0.0.1, or say `--open` (`open = true`) if something else guards it"
    )]
    Exposed {
        /// The address.
        listen: SocketAddr,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, and the key and the line where it is wrong.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        toml::from_str(&text)
            .map_err(|error| ConfigError::Invalid { path: path.to_owned(), error: Box::new(error) })
    }

    /// Fills in the defaults and checks what is written. `env` looks up environment variables.
    ///
    /// # Errors
    /// [`ConfigError`] says what cannot be used.
    pub fn resolve(self, env: impl Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
        let listen = self.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8300));
        if !listen.ip().is_loopback() && !self.open {
            return Err(ConfigError::Exposed { listen });
        }
        self.refuse_zeros()?;
        self.recorder.redactor()?;
        let record = self.recording.unwrap_or(true);
        let directory = self.record.unwrap_or_else(|| PathBuf::from("latimer"));
        let state_directory = self.state.directory.clone().unwrap_or_else(|| directory.clone());
        let seal_key = self.state.seal_key_env.as_deref().map(|name| seal_key(name, &env));
        let upstream = self.upstream.map(|upstream| upstream.resolve(env)).transpose()?;
        Ok(Settings {
            listen,
            record: record.then_some(directory),
            upstream: upstream.flatten(),
            flavour: self.flavour,
            websockets: self.websockets.unwrap_or(true),
            chat_clients: self.chat_clients,
            state: self.state,
            directory: state_directory,
            seal_key: seal_key.transpose()?,
            recorder: self.recorder,
            receipts: self.receipts,
            limits: self.limits,
            timeouts: self.timeouts,
        })
    }
}

impl Config {
    fn refuse_zeros(&self) -> Result<(), ConfigError> {
        let (limits, timeouts) = (&self.limits, &self.timeouts);
        let values = [
            ("limits.body_bytes", limits.body_bytes as u64),
            ("limits.decoded_body_bytes", limits.decoded_body_bytes as u64),
            ("limits.event_bytes", limits.event_bytes as u64),
            ("limits.answer_bytes", limits.answer_bytes as u64),
            ("limits.stream_bytes", limits.stream_bytes as u64),
            ("limits.answers", limits.answers),
            ("limits.agents", limits.agents as u64),
            ("limits.connections", limits.connections as u64),
            ("limits.websocket_lanes", limits.websocket_lanes as u64),
            ("limits.websocket_requests", limits.websocket_requests as u64),
            ("timeouts.connect_ms", timeouts.connect_ms),
            ("timeouts.first_byte_ms", timeouts.first_byte_ms),
            ("timeouts.idle_ms", timeouts.idle_ms),
            ("timeouts.keep_alive_ms", timeouts.keep_alive_ms),
            ("timeouts.client_write_ms", timeouts.client_write_ms),
            ("timeouts.body_ms", timeouts.body_ms),
            ("timeouts.websocket_ms", timeouts.websocket_ms),
        ];
        match values.into_iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(ConfigError::Zero { name }),
            None => Ok(()),
        }
    }
}

impl UpstreamConfig {
    fn resolve(self, env: impl Fn(&str) -> Option<String>) -> Result<Option<Target>, ConfigError> {
        let Some(url) = self.url else { return Ok(None) };
        let api_key = match self.api_key_env {
            None => None,
            Some(name) => match env(&name).filter(|key| !key.trim().is_empty()) {
                Some(key) => Some(key.trim().to_owned()),
                None => return Err(ConfigError::NoKey { name }),
            },
        };
        let (url, command) = place(&url, self.dialect)?;
        let usual = if command.is_empty() { Dialect::Chat } else { Dialect::Backplane };
        Ok(Some(Target {
            url,
            command,
            dialect: self.dialect.unwrap_or(usual),
            api_key,
            model: self.model,
            context_tokens: self.context_tokens,
            profile: profile(self.profile.as_deref(), &self.quirks)
                .map_err(ConfigError::Profile)?,
            policy: self.policy.into(),
        }))
    }
}

/// How a backend that is a command is named.
const COMMAND: &str = "stdio:";

/// The address of a backend, or a name for it and the words of its command.
fn place(url: &str, dialect: Option<Dialect>) -> Result<(http::Uri, Vec<String>), ConfigError> {
    let wrong =
        |reason: &str| ConfigError::Upstream { url: redact::url(url), reason: reason.into() };
    let Some(command) = url.strip_prefix(COMMAND) else {
        let usual = match dialect {
            Some(Dialect::Backplane) => "/backplane/v1",
            _ => "/v1",
        };
        return Ok((base_address(url, usual)?, Vec::new()));
    };
    if !matches!(dialect, None | Some(Dialect::Backplane)) {
        return Err(wrong("a command speaks the dialect `backplane`"));
    }
    let words = command_words(command);
    if words.first().is_none_or(String::is_empty) {
        return Err(wrong("it names no command"));
    }
    let url = format!("http://{}/", host(&words)).parse();
    Ok((url.map_err(|_| wrong("its program has no name"))?, words))
}

/// The key in a variable.
fn seal_key(name: &str, env: impl Fn(&str) -> Option<String>) -> Result<SealKey, ConfigError> {
    let text = env(name).filter(|key| !key.trim().is_empty());
    let text = text.ok_or_else(|| ConfigError::NoKey { name: name.to_owned() })?;
    SealKey::read(&text).ok_or_else(|| ConfigError::NoSealKey { name: name.to_owned() })
}

/// The profile of a name, with what is different here.
fn profile(name: Option<&str>, quirks: &BTreeMap<String, String>) -> Result<Profile, String> {
    let mut profile = name.map_or(Ok(Profile::default()), Profile::named)?;
    for (entry, value) in quirks {
        profile.set(entry, value)?;
    }
    Ok(profile)
}

/// Checks an address.
///
/// # Errors
/// When it is none, or holds what must not be in it.
pub fn address(url: &str) -> Result<http::Uri, ConfigError> {
    let wrong = |reason: String| ConfigError::Upstream { url: redact::url(url), reason };
    let uri: http::Uri = url
        .trim_end_matches('/')
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(wrong("it has to begin with http:// or https://".to_owned())),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("it names no host".to_owned()));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("it must not hold a user; name the key with api_key_env".to_owned()));
    }
    if uri.query().is_some() {
        return Err(wrong("it must not have a query".to_owned()));
    }
    Ok(uri)
}

/// Checks a base address. One without a path gets the one that nearly every such backend uses.
fn base_address(url: &str, usual: &'static str) -> Result<http::Uri, ConfigError> {
    let uri = address(url)?;
    if !matches!(uri.path(), "" | "/") {
        return Ok(uri);
    }
    let wrong = |reason: String| ConfigError::Upstream { url: redact::url(url), reason };
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(usual));
    http::Uri::from_parts(parts).map_err(|error| wrong(error.to_string()))
}

impl Settings {
    /// What seals what clients keep.
    pub(crate) fn seal(&self) -> Seal {
        Seal::new(self.seal_key.clone(), &self.directory)
    }
}

impl Timeouts {
    /// Milliseconds as a duration.
    pub(crate) fn of(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
}
