//! What `translate` takes: two dialects, and what is to be translated.

use std::path::PathBuf;

use super::{DialectName, profile_names};

const EXAMPLES: &str = "\
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
#[command(after_help = EXAMPLES)]
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
