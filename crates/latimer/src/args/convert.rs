//! What `convert` takes: files of any form, and where the recording goes.

use std::path::PathBuf;

const EXAMPLES: &str = "\
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
#[command(after_help = EXAMPLES)]
pub struct Convert {
    /// What is converted: files of one form, which is seen from their beginning, or a folder.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where to write it: an archive where the name ends in .har, else a recording; without this
    /// a recording is printed.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
