//! What `check` takes: what is to be judged, and how the findings are told.

use clap::ValueEnum;

use super::{DialectName, FlavourName};

const EXAMPLES: &str = "\
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
#[command(after_help = EXAMPLES)]
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
