//! What `run` takes: an agent, the gateway it goes through, and its arguments.

use std::path::PathBuf;

use clap::ValueEnum;

use super::GatewayOptions;

const EXAMPLES: &str = "\
Examples:
  latimer run codex -- exec \"Say hello\"
  latimer run codex --upstream http://127.0.0.1:8080/v1 --model qwen3 -- exec --json \"List the files\"

The agent gets a configuration of its own that is thrown away; yours is not touched.";

/// An agent run.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
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
