//! What `replay` takes: a recording, and how it is to answer. In: what was typed. Out: the settings of a
//! gateway that listens there.

use std::net::SocketAddr;
use std::path::PathBuf;

use latimer_gateway::{Config, ConfigError, Dialect, Settings, UpstreamConfig};

use super::DialectName;

const EXAMPLES: &str = "\
Examples:
  latimer replay latimer/traffic.jsonl
      answers on http://127.0.0.1:8500/v1 as recorded; what was not recorded is an error (404) that
      shows the nearest recorded request and where it differs
  latimer replay tests/weather.jsonl --record-missing --upstream http://127.0.0.1:8080/v1
      a cassette: what is recorded is replayed, anything else is asked of the backend and recorded
  latimer replay session.jsonl --listen 127.0.0.1:8500 &
  latimer run codex --upstream http://127.0.0.1:8500/v1 --dialect responses -- exec \"Fix the tests\"
      a session of Codex without a model

Two requests are the same when method, path and body are, but for ids, times and directories that
differ from run to run. The n-th equal request of a session (thread-id or session-id header, or
prompt_cache_key; those without share one) gets the n-th recorded answer, and when they are used
up, the last one again; with --record-missing it is asked anew.";

/// A recording that answers.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Replay {
    /// The recording: `traffic.jsonl`, or the directory it is in.
    pub file: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8500")]
    pub listen: SocketAddr,
    /// Listen where other machines can reach it, although no keys protect it.
    #[arg(long)]
    pub open: bool,
    /// Answer at the recorded pace, N times as fast (1 = as recorded) [default: at once]. Of a
    /// stream the first byte and the end are recorded; its events are spread evenly between.
    #[arg(long, value_name = "N", value_parser = speed)]
    pub speed: Option<f64>,
    /// Answer what was not recorded as the nearest request was, and print what differs. Only if
    /// that came to the same path and wanted the same form: a stream, or whole.
    #[arg(long, conflicts_with = "record_missing")]
    pub lenient: bool,
    /// Ask the upstream for what was not recorded, and add its answer, also an error, to the file.
    #[arg(long, requires = "upstream")]
    pub record_missing: bool,
    /// The model backend's base address, for --record-missing.
    #[arg(long, value_name = "URL", requires = "record_missing")]
    pub upstream: Option<String>,
    /// What the backend speaks [default: chat]; a client that speaks something else is translated.
    #[arg(long, requires = "upstream")]
    pub dialect: Option<DialectName>,
    /// The environment variable with the backend's key; without one the client's key is passed on.
    #[arg(long, value_name = "VAR", requires = "upstream")]
    pub api_key_env: Option<String>,
}

fn speed(typed: &str) -> Result<f64, String> {
    let speed = typed.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "it has to be a number above 0, as in 1 or 2.5".to_owned())
}

impl Replay {
    /// Where to listen and whom to ask, complete and checked.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let upstream = UpstreamConfig {
            url: self.upstream.clone(),
            dialect: self.dialect.map(Dialect::from),
            api_key_env: self.api_key_env.clone(),
            ..UpstreamConfig::default()
        };
        let config = Config {
            listen: Some(self.listen),
            open: self.open,
            upstream: Some(upstream),
            ..Config::default()
        };
        config.resolve(|name| std::env::var(name).ok())
    }
}
