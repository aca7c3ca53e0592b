//! What `serve` takes, and the options of a gateway, which `run` takes as well. In: what was typed. Out:
//! a configuration, the file laid under it; nothing is started here.

use std::net::SocketAddr;
use std::path::PathBuf;

use latimer_gateway::state::Keeper;
use latimer_gateway::{Config, ConfigError, Dialect, Settings, UpstreamConfig};
use latimer_wire::responses::Flavour;

use super::{DialectName, FlavourName, profile_names};

const EXAMPLES: &str = "\
Examples:
  latimer serve
  latimer serve --upstream https://api.example.com/v1 --api-key-env EXAMPLE_KEY
  latimer serve --config latimer.toml --no-record

Then:
  curl http://127.0.0.1:8300/v1/responses -H 'content-type: application/json' \\
       -d '{\"model\": \"mock\", \"input\": \"Hello\", \"stream\": true}'";

/// The gateway and its backend.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// Where to listen [default: 127.0.0.1:8300].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Listen where other machines can reach it, although no keys protect it.
    #[arg(long)]
    pub open: bool,
    /// Which backend, and what to keep.
    #[command(flatten)]
    pub gateway: GatewayOptions,
}

/// Options that `serve` and `run` share.
#[derive(Debug, clap::Args)]
pub struct GatewayOptions {
    /// The model backend's base address, or `stdio:` and the command of an agent; without one an
    /// embedded mock model answers.
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// What the backend speaks [default: chat; of a command: backplane].
    #[arg(long)]
    pub dialect: Option<DialectName>,
    /// The environment variable with the backend's key; without one the client's key is passed on.
    #[arg(long, value_name = "VAR")]
    pub api_key_env: Option<String>,
    /// The model to ask the backend for, whatever the client names.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Which backend it is, of those whose ways are known [default: generic].
    #[arg(long, value_name = "NAME", value_parser = profile_names())]
    pub profile: Option<String>,
    /// In which form clients of Responses are answered [default: openai].
    #[arg(long)]
    pub flavour: Option<FlavourName>,
    /// A configuration file (TOML); what is typed here wins over it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory to record into [default: latimer].
    #[arg(long, value_name = "DIR", conflicts_with = "no_record")]
    pub record: Option<PathBuf>,
    /// Record nothing.
    #[arg(long)]
    pub no_record: bool,
    /// Record secrets as well: keys in headers, URLs and bodies.
    #[arg(long, conflicts_with = "no_record")]
    pub reveal: bool,
    /// Where to keep what is said between requests: sqlite, memory, postgres://…, or off [default:
    /// sqlite, a file in the directory of the recording; before a Responses backend: it keeps that
    /// itself].
    #[arg(long, value_name = "STORE")]
    pub store: Option<Keeper>,
}

impl GatewayOptions {
    /// The configuration file, with what was typed laid over it.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        let named = config.upstream.take().unwrap_or_default();
        // Whoever says where to keep what is said wants it kept here.
        let stores = self.store.as_ref().is_some_and(|store| *store != Keeper::Off);
        let upstream = UpstreamConfig {
            url: self.upstream.clone().or(named.url),
            dialect: self.dialect.map(Dialect::from).or(named.dialect),
            api_key_env: self.api_key_env.clone().or(named.api_key_env),
            model: self.model.clone().or(named.model),
            context_tokens: named.context_tokens,
            remembers: named.remembers.or(stores.then_some(false)),
            profile: self.profile.clone().or(named.profile),
            quirks: named.quirks,
            policy: named.policy,
        };
        config.upstream = Some(upstream);
        config.flavour = self.flavour.map_or(config.flavour, Flavour::from);
        if let Some(directory) = &self.record {
            config.record = Some(directory.clone());
            config.recording = Some(true);
        }
        config.recorder.reveal |= self.reveal;
        if self.no_record {
            config.recording = Some(false);
        }
        if let Some(store) = &self.store {
            config.state.store = store.clone();
        }
        Ok(config)
    }
}

impl Serve {
    /// Everything that was typed and configured, complete and checked.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let mut config = self.gateway.config()?;
        config.listen = self.listen.or(config.listen);
        config.open |= self.open;
        config.resolve(|name| std::env::var(name).ok())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        serve: Serve,
    }

    /// Who says where to keep what is said wants it kept here, whatever the backend speaks.
    #[test]
    fn a_store_that_is_named_is_used() {
        for (typed, remembers) in [
            ("--dialect responses", true),
            ("--dialect responses --store memory", false),
            ("--dialect responses --store off", true),
            ("--dialect chat", false),
        ] {
            let words = format!("serve --upstream http://localhost {typed}");
            let typed = Typed::parse_from(words.split(' '));
            let upstream = typed.serve.settings().unwrap().upstream.unwrap();
            assert_eq!(upstream.remembers, remembers, "{words}");
        }
    }
}
