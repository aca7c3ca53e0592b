//! What an operator can set, and what it means. In: a TOML file and what the command line adds.
//! Out: [`Settings`] that are complete and checked. Every key has a default; a key that is not
//! known is an error that names it and its line.
//!
//! [`backend`] is the model that answers, [`recorder`] the recording, [`bounds`] how much and how long;
//! [`capture`] whom `latimer capture` listens to; [`settings`] is what all of it comes to, [`error`] why it does not.

mod backend;
mod bounds;
mod capture;
mod error;
mod recorder;
mod settings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use latimer_wire::chat::Reasoning;
use latimer_wire::responses::Flavour;
use serde::Deserialize;

pub use self::backend::{Dialect, Target, UpstreamConfig, address};
pub use self::bounds::{Limits, Timeouts};
pub use self::capture::{CaptureChannel, CaptureConfig, CaptureTarget};
pub use self::error::ConfigError;
pub use self::recorder::{RecorderConfig, SyncPolicy};
pub use self::settings::Settings;
use crate::backplane::ReceiptsConfig;
use crate::prompts::Prompts;
use crate::state::StateConfig;

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
    /// What clients of Responses can name as `prompt`.
    pub prompts: Prompts,
    /// How the recording is kept.
    pub recorder: RecorderConfig,
    /// How receipts of runs are made.
    pub receipts: ReceiptsConfig,
    /// To whom `latimer capture` listens.
    pub capture: CaptureConfig,
    /// Bounds on what is held in memory.
    pub limits: Limits,
    /// How long to wait for what.
    pub timeouts: Timeouts,
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
