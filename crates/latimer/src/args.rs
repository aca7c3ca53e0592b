//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use latimer_gateway::{Config, ConfigError, Dialect, PROFILES, Settings, UpstreamConfig};

/// An interpreter between programs that talk to a language model and the model that answers.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub struct Args {
    /// Say only what goes wrong.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; twice: still more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  latimer serve
      listen on 127.0.0.1:8300; an embedded mock model answers
  latimer serve --upstream http://127.0.0.1:8080/v1 --model qwen3
      speak Responses to clients, Chat Completions to a local server
  latimer run codex --upstream http://127.0.0.1:8080/v1 --model qwen3 -- exec \"Explain this folder\"
      one turn of the Codex CLI against that server, with a recording and a report
  latimer report latimer/traffic.jsonl
      what was said, as Markdown";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Listen for clients and translate for a model backend.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Run an agent through a gateway of its own, record it, and report.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Write a report of a recording.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(Report),
    /// Play a model backend from a script.
    #[command(after_help = MOCK_EXAMPLES)]
    Mock(Mock),
}

const SERVE_EXAMPLES: &str = "\
Examples:
  latimer serve
  latimer serve --upstream https://api.example.com/v1 --api-key-env EXAMPLE_KEY
  latimer serve --config latimer.toml --no-record

Then:
  curl http://127.0.0.1:8300/v1/responses -H 'content-type: application/json' \\
       -d '{\"model\": \"mock\", \"input\": \"Hello\", \"stream\": true}'";

/// The gateway and its backend.
#[derive(Debug, clap::Args)]
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
    /// The model backend's base address; without one an embedded mock model answers.
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// What the backend speaks [default: chat].
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
    /// A configuration file (TOML); what is typed here wins over it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory to record into [default: latimer].
    #[arg(long, value_name = "DIR", conflicts_with = "no_record")]
    pub record: Option<PathBuf>,
    /// Record nothing.
    #[arg(long)]
    pub no_record: bool,
}

/// What a backend speaks, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DialectName {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses; bytes pass through untouched.
    Responses,
}

/// The names that `--profile` takes.
fn profile_names() -> clap::builder::PossibleValuesParser {
    PROFILES.iter().map(|profile| profile.name).collect::<Vec<_>>().into()
}

impl GatewayOptions {
    /// The configuration file, with what was typed laid over it.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        let named = config.upstream.take().unwrap_or_default();
        let upstream = UpstreamConfig {
            url: self.upstream.clone().or(named.url),
            dialect: self.dialect.map(Dialect::from).or(named.dialect),
            api_key_env: self.api_key_env.clone().or(named.api_key_env),
            model: self.model.clone().or(named.model),
            profile: self.profile.clone().or(named.profile),
            quirks: named.quirks,
        };
        config.upstream = Some(upstream);
        if let Some(directory) = &self.record {
            config.record = Some(directory.clone());
            config.recording = Some(true);
        }
        if self.no_record {
            config.recording = Some(false);
        }
        Ok(config)
    }
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Dialect {
        match name {
            DialectName::Chat => Dialect::Chat,
            DialectName::Responses => Dialect::Responses,
        }
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

const RUN_EXAMPLES: &str = "\
Examples:
  latimer run codex -- exec \"Say hello\"
  latimer run codex --upstream http://127.0.0.1:8080/v1 --model qwen3 -- exec --json \"List the files\"

The agent gets a configuration of its own that is thrown away; yours is not touched.";

/// An agent run.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Which agent.
    pub agent: Agent,
    /// Which backend, and where to leave recording and report.
    #[command(flatten)]
    pub gateway: GatewayOptions,
    /// The agent's program, where it is not on the PATH under its own name.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// What the agent is given.
    #[arg(last = true, required = true, value_name = "ARGUMENTS")]
    pub arguments: Vec<String>,
}

/// The agents that can be run.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Agent {
    /// OpenAI's Codex CLI.
    Codex,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  latimer report latimer/traffic.jsonl
  latimer report latimer/traffic.jsonl -o report.md";

/// A report.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// The recording: `traffic.jsonl`, or the directory it is in.
    pub file: PathBuf,
    /// Where to write it; without this it is printed.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How it is laid out.
    #[arg(long, default_value = "default")]
    pub layout: Layout,
}

/// Layouts of the report.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Layout {
    /// Fences are long enough for what they hold.
    Default,
    /// Exactly as the first such report was laid out: fences of three, whatever they hold.
    Seed,
}

const MOCK_EXAMPLES: &str = "\
Examples:
  latimer mock
      a model that says back what it is told, and calls a tool that the user names
  latimer mock --script script.toml
      what the script says; `latimer serve --upstream http://127.0.0.1:8400/v1` stands before it
  latimer mock --schema > script.schema.json
      the form of a script, for editors
  curl http://127.0.0.1:8400/mock/fault -d '{\"fault\": \"close_mid_stream:5\", \"times\": 1}'
      the next answer breaks off after five frames; a rule says so with
      fault = { kind = \"close_mid_stream:5\" }, a request with the header latimer-fault;
      all faults: crates/gateway/docs/faults.md

A script; of its rules the first that fits answers:
  tokens_per_second = 80
  [[rule]]
  when = { user_matches = \"(?i)weather in \\\\w+\" }
  steps = [
    { calls = [{ name = \"get_weather\", arguments = { city = \"Oslo\" } }] },
    { reasoning = \"It rains.\", text = \"Take an umbrella: {tool_output}\" },
  ]
  [[rule]]
  refuse = { status = 429, message = \"Slow down.\", retry_after_s = 2 }";

/// A scripted backend.
#[derive(Debug, clap::Args)]
pub struct Mock {
    /// The script (TOML, or JSON when it ends in .json); without one the model echoes.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Print the JSON schema of scripts, and do nothing else.
    #[arg(long)]
    pub schema: bool,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8400")]
    pub listen: SocketAddr,
    /// Where to write traffic.jsonl: what it was asked, and what left it; off if not given.
    #[arg(long, value_name = "DIRECTORY")]
    pub record: Option<PathBuf>,
}
