//! A configuration that is complete: every default filled in, every name looked up, every value
//! checked. What runs knows only this.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use latimer_wire::responses::Flavour;

use super::{ChatClients, Config, ConfigError, Limits, RecorderConfig, Target, Timeouts};
use crate::backplane::ReceiptsConfig;
use crate::compaction::{Seal, SealKey};
use crate::prompts::{self, Prompts};
use crate::state::StateConfig;

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
    /// What clients of Responses can name as `prompt`.
    pub prompts: Prompts,
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

impl Settings {
    /// What seals what clients keep.
    pub(crate) fn seal(&self) -> Seal {
        Seal::new(self.seal_key.clone(), &self.directory)
    }
}

impl Config {
    /// Fills in the defaults and checks what is written. `env` looks up environment variables.
    ///
    /// # Errors
    /// [`ConfigError`] says what cannot be used.
    pub fn resolve(self, env: impl Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
        let listen = self.listen.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8300));
        if !listen.ip().is_loopback() && !self.open {
            return Err(ConfigError::Exposed { listen });
        }
        self.limits.refuse_zeros()?;
        self.timeouts.refuse_zeros()?;
        self.recorder.redactor()?;
        prompts::check(&self.prompts).map_err(ConfigError::Prompt)?;
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
            prompts: self.prompts,
            directory: state_directory,
            seal_key: seal_key.transpose()?,
            recorder: self.recorder,
            receipts: self.receipts,
            limits: self.limits,
            timeouts: self.timeouts,
        })
    }
}

/// The key in a variable.
fn seal_key(name: &str, env: impl Fn(&str) -> Option<String>) -> Result<SealKey, ConfigError> {
    let text = env(name).filter(|key| !key.trim().is_empty());
    let text = text.ok_or_else(|| ConfigError::NoKey { name: name.to_owned() })?;
    SealKey::read(&text).ok_or_else(|| ConfigError::NoSealKey { name: name.to_owned() })
}
