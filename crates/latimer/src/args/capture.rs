//! What `capture` takes: whom to listen to, and where its channels lead.

use std::path::PathBuf;

use latimer_gateway::{Config, ConfigError};

const EXAMPLES: &str = "\
Examples:
  latimer capture codex
      listens on 127.0.0.1:8080 (for https://api.openai.com/) and 8081 (for https://chatgpt.com/), and
      says how Codex is told, until Ctrl-C
  latimer capture codex -- codex exec \"Explain this folder\"
      the same for one run: the addresses are added to the command
  latimer capture claude -- claude -p \"Hello\"
  latimer capture generic --upstream model=https://api.example.com/ --port model=9000
  latimer capture codex --upstream-proxy socks5h://127.0.0.1:1080
      the usual variables (https_proxy, http_proxy, all_proxy, no_proxy) hold without it
  latimer report latimer
      what was said

A target is a table; --targets FILE adds more, as do the tables [capture.targets.NAME] of --config:
  [mine]
  about = \"my agent\"
  steps = [\"mine --url {model}/v1\"]
  [mine.environment]
  MY_MODEL_URL = \"{model}/v1\"
  [[mine.channel]]
  name = \"model\"
  port = 8080
  upstream = \"https://api.example.com/\"

--config FILE is the configuration of `latimer serve`. Of it `record`, [recorder], [limits] and [timeouts]
hold here too (but an agent is waited for as long as it waits itself), and all of this can stand there:
  [capture]
  target = \"codex\"
  upstream = { model = \"https://api.example.com/\" }
  port = { model = 9000, backend = 9001 }
  upstream_proxy = \"socks5h://127.0.0.1:1080\"";

/// A capture.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Capture {
    /// Whom to listen to: codex, claude, generic, or one of --targets; without it whom --config names.
    pub target: Option<String>,
    /// A configuration file (TOML); what is typed here wins over it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// More targets (TOML).
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    /// Where a channel leads to, instead of where its target says. May be repeated.
    #[arg(long, value_name = "CHANNEL=URL", value_parser = named::<String>)]
    pub upstream: Vec<(String, String)>,
    /// The port on which a channel is listened to; 0: any. May be repeated.
    #[arg(long, value_name = "CHANNEL=PORT", value_parser = named::<u16>)]
    pub port: Vec<(String, u16)>,
    /// A proxy to reach them through: http://, socks5:// or socks5h:// (names are looked up there).
    #[arg(long, value_name = "URL")]
    pub upstream_proxy: Option<String>,
    /// The directory to record into [default: latimer].
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// A regular expression for what else is to be taken out of the recording. May be repeated.
    #[arg(long, value_name = "REGEX")]
    pub secret: Vec<String>,
    /// Record secrets as well: keys in headers, URLs and bodies.
    #[arg(long)]
    pub reveal: bool,
    /// A command to run with the addresses set; when it ends, so does the capture.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl Capture {
    /// The configuration file, with what was typed laid over it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        let record = self.record.clone().or(config.record);
        config.record = Some(record.unwrap_or_else(|| PathBuf::from("latimer")));
        config.recorder.reveal |= self.reveal;
        config.recorder.secrets.extend(self.secret.iter().cloned());
        let capture = &mut config.capture;
        capture.target = self.target.clone().or(capture.target.take());
        capture.upstream_proxy = self.upstream_proxy.clone().or(capture.upstream_proxy.take());
        capture.upstream.extend(self.upstream.iter().cloned());
        capture.port.extend(self.port.iter().cloned());
        Ok(config)
    }
}

/// Reads `NAME=VALUE`.
fn named<T: std::str::FromStr<Err: std::fmt::Display>>(typed: &str) -> Result<(String, T), String> {
    let (name, value) = typed.split_once('=').ok_or("it has to be written NAME=VALUE")?;
    let value = value.parse().map_err(|error: T::Err| error.to_string())?;
    Ok((name.to_owned(), value))
}
