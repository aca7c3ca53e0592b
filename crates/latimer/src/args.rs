//! What can be typed: the verbs, each with its options in a file of its own, and the names that
//! several of them take.

mod capture;
mod check;
mod convert;
mod mock;
mod receipt;
mod replay;
mod report;
mod run;
mod serve;
mod translate;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use latimer_gateway::{Dialect, PROFILES};
use latimer_wire::responses::Flavour;

pub use self::capture::Capture;
pub use self::check::{Check, Format};
pub use self::convert::Convert;
pub use self::mock::Mock;
pub use self::receipt::{Receipt, ReceiptAction};
pub use self::replay::Replay;
pub use self::report::{Layout, Report, ReportFormat, Schema};
pub use self::run::{Agent, Run};
pub use self::serve::{GatewayOptions, Serve};
pub use self::translate::{Form, Translate};

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
    Serve(Serve),
    /// Run an agent through a gateway of its own, record it, and report.
    Run(Run),
    /// Listen in on an agent and the services it really talks to, without changing a byte.
    Capture(Capture),
    /// Write a report of a recording.
    Report(Report),
    /// Make a recording of what other programs recorded, or the other way round.
    Convert(Convert),
    /// Play a model backend from a script.
    Mock(Mock),
    /// Translate a request or an answer from one dialect into another.
    Translate(Translate),
    /// Play a model backend from a recording.
    Replay(Replay),
    /// Show, verify and export receipts of what was run or recorded.
    Receipt(Receipt),
    /// Judge answers: of a recording, of a stream in a file, or of a server that is asked.
    Check(Check),
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

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Dialect {
        match name {
            DialectName::Chat => Dialect::Chat,
            DialectName::Responses => Dialect::Responses,
            DialectName::Backplane => Dialect::Backplane,
        }
    }
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
