//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use latimer_gateway::state::Keeper;
use latimer_gateway::{Config, ConfigError, Dialect, PROFILES, Settings, UpstreamConfig};
use latimer_probe::summary::Answered;
use latimer_wire::responses::Flavour;

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
      what was said, as Markdown
  latimer replay latimer/traffic.jsonl
      the same answers once more, without the model
  latimer check latimer/traffic.jsonl
      what in the answers breaks a rule that clients rely on";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Listen for clients and translate for a model backend.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Run an agent through a gateway of its own, record it, and report.
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Listen in on an agent and the services it really talks to, without changing a byte.
    #[command(after_help = CAPTURE_EXAMPLES)]
    Capture(Capture),
    /// Write a report of a recording.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(Report),
    /// Make a recording of what other programs recorded, or the other way round.
    #[command(after_help = CONVERT_EXAMPLES)]
    Convert(Convert),
    /// Play a model backend from a script.
    #[command(after_help = MOCK_EXAMPLES)]
    Mock(Mock),
    /// Translate a request or an answer from one dialect into another.
    #[command(after_help = TRANSLATE_EXAMPLES)]
    Translate(Translate),
    /// Play a model backend from a recording.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Replay),
    /// Show, verify and export receipts of what was run or recorded.
    #[command(after_help = RECEIPT_EXAMPLES)]
    Receipt(Receipt),
    /// Judge answers: of a recording, of a stream in a file, or of a server that is asked.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
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
    /// Where to keep what is said between requests, before a Chat backend: sqlite, memory,
    /// postgres://…, or off [default: sqlite, a file in the directory of the recording].
    #[arg(long, value_name = "STORE")]
    pub store: Option<Keeper>,
}

/// What a backend speaks, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DialectName {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses; bytes pass through untouched.
    Responses,
    /// Work orders and agent events (abp/v0.1).
    Backplane,
}

/// A form of the Responses API, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FlavourName {
    /// As OpenAI's own clients expect it.
    Openai,
    /// As the Open Responses specification has it.
    OpenResponses,
}

impl From<FlavourName> for Flavour {
    fn from(name: FlavourName) -> Flavour {
        match name {
            FlavourName::Openai => Flavour::OpenAi,
            FlavourName::OpenResponses => Flavour::OpenResponses,
        }
    }
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
            context_tokens: named.context_tokens,
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

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Dialect {
        match name {
            DialectName::Chat => Dialect::Chat,
            DialectName::Responses => Dialect::Responses,
            DialectName::Backplane => Dialect::Backplane,
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

const CAPTURE_EXAMPLES: &str = "\
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

const REPORT_EXAMPLES: &str = "\
Examples:
  latimer report latimer/traffic.jsonl
      what was said, in full, as Markdown
  latimer report latimer -o report.html
      sessions and turns as a page: what each added to the prompt, where the prompt cache broke and
      what that cost, errors first, a timeline; all segments of the folder
  latimer report latimer --format json --session 0199 --since '2026-11-20 14:00'
      the same as data; `latimer report --schema` describes it
  latimer report latimer --format csv --status error > errors.csv
      a row for each exchange that failed
  latimer report latimer -o exchanges.parquet
      the same table for DuckDB and its likes
  latimer report latimer --format otlp | \\
      curl http://127.0.0.1:4318/v1/traces -H 'content-type: application/json' --data-binary @-
      traces for OpenTelemetry
  latimer report before.jsonl --against after.jsonl
      two sessions side by side: sums, and the turns in which they differ
  latimer report latimer --follow
      turns as they are recorded, until Ctrl-C

Prices are those that come with Latimer, each with its source and date; a file given with --prices
goes before them:
  [[price]]
  model = \"qwen3\"
  input = 0.10          # USD per million tokens
  cached = 0.02
  output = 0.40
  source = \"our own machine\"
  date = \"2026-11-20\"";

/// A report.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// The recordings: files (`traffic.jsonl`, `*.jsonl.zst`), or folders of them.
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    pub files: Vec<PathBuf>,
    /// Where to write it; without this it is printed.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Its form [default: by the end of the output's name, else markdown].
    #[arg(long)]
    pub format: Option<ReportFormat>,
    /// How Markdown is laid out.
    #[arg(long, default_value = "default")]
    pub layout: Layout,
    /// Only this session: its id, or the beginning of it.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Only requests that began then or later: `2026-11-20`, `2026-11-20 14:05` (UTC).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only requests for this model.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Only those answered so: 429, 5xx, error, completed, incomplete, failed, broken-off, cancelled.
    #[arg(long, value_name = "STATUS")]
    pub status: Option<Answered>,
    /// What models cost: a TOML file, as below.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Hold the session against another one: the recording it is in, or its id in the same recording.
    #[arg(long, value_name = "FILE|ID", conflicts_with = "follow")]
    pub against: Option<String>,
    /// Show turns as they are recorded.
    #[arg(long, conflicts_with_all = ["output", "format"])]
    pub follow: bool,
    /// Print the JSON schema of the summary, and do nothing else.
    #[arg(long)]
    pub schema: bool,
}

/// Forms of the report.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReportFormat {
    /// Everything that was said, in full.
    Markdown,
    /// One page: sessions, turns, caches, errors, times.
    Html,
    /// The same as data.
    Json,
    /// A row for each exchange.
    Csv,
    /// The same rows for DuckDB, ClickHouse, Spark.
    #[cfg(feature = "parquet")]
    Parquet,
    /// Traces for OpenTelemetry, as the body of a request of OTLP/HTTP.
    Otlp,
}

const CONVERT_EXAMPLES: &str = "\
Examples:
  latimer convert session.har -o traffic.jsonl
      what a browser or a proxy saved, for `latimer report`, `check` and `replay`
  latimer convert latimer -o session.har
      a recording for whatever reads HTTP archives
  latimer convert dump -o traffic.jsonl
      the folder of `codex responses-api-proxy --dump-dir dump`
  latimer convert ~/.codex/sessions/2026/11/20/rollout-*.jsonl -o traffic.jsonl
      what Codex itself wrote down of its sessions
  latimer convert flows -o traffic.jsonl
      flows of mitmproxy, through mitmdump, where that is installed

All forms, with what each keeps: crates/probe/docs/formats.md. What has no exchanges any more, as a
table or traces, is a form of `latimer report`.";

/// A conversion.
#[derive(Debug, clap::Args)]
pub struct Convert {
    /// What is converted: files of one form, which is seen from their beginning, or a folder.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where to write it: an archive where the name ends in .har, else a recording; without this
    /// a recording is printed.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
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

const TRANSLATE_EXAMPLES: &str = "\
Examples:
  latimer translate --from responses --to chat request.json
  curl -sN http://127.0.0.1:8080/v1/chat/completions -d @chat.json | \\
      latimer translate --from chat --to responses --answers request.json
  latimer translate --from responses --to backplane request.json
      the work order that asks for the same; an answer becomes agent events and a receipt
  latimer translate --from responses --to responses broken.sse
      the same stream as it should be, and on standard error what was mended

What is lost or changed on the way is said on standard error. Streams are translated as they arrive.";

/// A translation without a server.
#[derive(Debug, clap::Args)]
pub struct Translate {
    /// What is translated; without this it is read from standard input.
    pub file: Option<PathBuf>,
    /// The dialect of the input.
    #[arg(long, value_name = "DIALECT")]
    pub from: DialectName,
    /// The dialect it is translated into.
    #[arg(long, value_name = "DIALECT")]
    pub to: DialectName,
    /// What the input is; without one of these it is seen from its beginning.
    #[command(flatten)]
    pub form: Form,
    /// The Responses request that an answer belongs to: it knows the tools.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// The Chat backend it is for or from [default: generic].
    #[arg(long, value_name = "NAME", value_parser = profile_names())]
    pub profile: Option<String>,
}

/// What is translated.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct Form {
    /// A request.
    #[arg(long)]
    pub request: bool,
    /// A whole answer.
    #[arg(long)]
    pub response: bool,
    /// A stream of server-sent events.
    #[arg(long)]
    pub stream: bool,
}

const REPLAY_EXAMPLES: &str = "\
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

const RECEIPT_EXAMPLES: &str = "\
Examples:
  latimer receipt verify latimer/traffic.jsonl
      no line of the recording was changed, left out or moved
  latimer receipt export latimer/traffic.jsonl --signing-key key.pem -o chain.json
      a receipt of each exchange, sealed one after the other and signed
  latimer receipt verify chain.json --public-key public.pem
      the first receipt that is not as it was sealed, missing, out of order or there twice
  latimer receipt show chain.json

Keys: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out public.pem

A FILE is a recording (traffic.jsonl, or the directory it is in), an exported chain, or one receipt as
POST /backplane/v1/run answers.";

/// Receipts.
#[derive(Debug, clap::Args)]
pub struct Receipt {
    /// What to do with them.
    #[command(subcommand)]
    pub action: ReceiptAction,
}

/// What can be done with receipts.
#[derive(Debug, Subcommand)]
pub enum ReceiptAction {
    /// Say in a few lines what each run did.
    Show {
        /// The receipts.
        file: PathBuf,
    },
    /// Find out whether all is as it was sealed.
    Verify {
        /// The receipts.
        file: PathBuf,
        /// The key (PEM) that has to have signed every receipt.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// The seal that has to be the last: without it, what is missing at the end does not show.
        #[arg(long, value_name = "SHA256")]
        head: Option<String>,
    },
    /// Write them as a chain, in the format of the agent backplane.
    Export {
        /// The receipts.
        file: PathBuf,
        /// Where to write it; without this it is printed.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// The ed25519 key (PEM, PKCS#8) to sign them with.
        #[arg(long, value_name = "FILE")]
        signing_key: Option<PathBuf>,
    },
}

const CHECK_EXAMPLES: &str = "\
Examples:
  latimer check latimer/traffic.jsonl
  latimer check stream.sse --format json
  latimer check http://127.0.0.1:8080/v1 --model qwen3
  latimer check https://api.example.com/v1 --dialect responses --api-key-env EXAMPLE_KEY
  latimer check --explain                   all rules
  latimer check --explain no-terminal       one rule: what has to hold, and why it matters

Exit code: 0 nothing was found, 1 something was, 2 it could not be checked.";

/// A judgement.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// A recording (`traffic.jsonl`, or the directory it is in), a stream (`.sse`, or its events as
    /// JSON lines), one whole answer (JSON); or the address of a server, which then is sent about
    /// forty small requests.
    #[arg(value_name = "URL|FILE", required_unless_present = "explain")]
    pub target: Option<String>,
    /// Explain a rule; without a name, list all.
    #[arg(long, value_name = "RULE", num_args = 0..=1)]
    pub explain: Option<Option<String>>,
    /// How the findings are written.
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// What the server has to speak [default: whichever of the two it answers].
    #[arg(long)]
    pub dialect: Option<DialectName>,
    /// In which form the answers of Responses have to be; what Latimer recorded is in OpenAI's.
    #[arg(long, default_value = "openai")]
    pub flavour: FlavourName,
    /// The model to ask the server for [default: default].
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// The environment variable with the server's key.
    #[arg(long, value_name = "VAR")]
    pub api_key_env: Option<String>,
}

/// Forms of the findings.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
    /// For people: grouped by answer, with place and quote.
    Text,
    /// One JSON object.
    Json,
    /// JUnit's XML, which CI systems show: a test for each answer.
    Junit,
}
