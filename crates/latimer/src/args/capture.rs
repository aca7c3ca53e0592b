//! What `capture` takes: whom to listen to, and where its channels lead.

use std::path::PathBuf;

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

A target is a table; --targets FILE adds more:
  [mine]
  about = \"my agent\"
  steps = [\"mine --url {model}/v1\"]
  [mine.environment]
  MY_MODEL_URL = \"{model}/v1\"
  [[mine.channel]]
  name = \"model\"
  port = 8080
  upstream = \"https://api.example.com/\"";

/// A capture.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Capture {
    /// Whom to listen to: codex, claude, generic, or one of --targets.
    pub target: String,
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
    /// The directory to record into.
    #[arg(long, value_name = "DIR", default_value = "latimer")]
    pub record: PathBuf,
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

/// Reads `NAME=VALUE`.
fn named<T: std::str::FromStr<Err: std::fmt::Display>>(typed: &str) -> Result<(String, T), String> {
    let (name, value) = typed.split_once('=').ok_or("it has to be written NAME=VALUE")?;
    let value = value.parse().map_err(|error: T::Err| error.to_string())?;
    Ok((name.to_owned(), value))
}
