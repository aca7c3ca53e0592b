//! What `mock` takes: a script, which its examples show.

use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  latimer mock
      a model that says back what it is told, and calls a tool that the user names
  latimer mock --script script.toml
      what the script says; `latimer serve --upstream http://127.0.0.1:8400/v1` stands before it,
      with --dialect chat, responses or backplane
  latimer serve --upstream \"stdio:latimer mock --stdio --script script.toml\"
      the same script as an agent that is a program, started for each run
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
#[command(after_help = EXAMPLES)]
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
    /// Be an agent that is a program: run the one work order that comes on standard input, and end.
    #[arg(long, conflicts_with_all = ["listen", "record"])]
    pub stdio: bool,
}
