//! The project's chores, as `cargo xtask <verb>`. Nothing here is part of what users run.

mod bench;
mod build;
mod count;
mod interop;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Usage: cargo xtask <verb>

  interop [--only NAME] [--keep]
            install real clients below the target directory, and run every scenario of
            `interop/` with each; --only: runs whose name (scenario/dialect/client) holds
            NAME; --keep: leave the scratch directories
  judge [--update]
            install LiteLLM's proxy, hold it before `latimer check`, and compare what is found
            with interop/judged/litellm.md; --update: write that page
  readers   install DuckDB, haralyzer, OpenTelemetry's messages and mitmproxy, and have them read
            what Latimer writes, and Latimer what mitmproxy writes
  count     count the instructions of the hottest paths, and hold them against their bounds
            (valgrind is needed)
  bench [OPTIONS]
            measure Latimer beside nginx, haproxy and its peers; --help: the options
  bench --install-peers
            install the peers below the target directory
  tidy      hold the tree against the rules of the house, and name its longest parts";

fn main() -> ExitCode {
    outcome().unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn outcome() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.split_first() {
        Some((&"interop", options)) => {
            let (only, keep) = interop_options(options)?;
            interop::run(&root()?, only, keep)
        }
        Some((&"judge", [])) => interop::judged::run(&root()?, false),
        Some((&"judge", ["--update"])) => interop::judged::run(&root()?, true),
        Some((&"readers", [])) => interop::readers::run(&root()?),
        Some((&"count", [])) => count::run(&root()?),
        Some((&"bench", ["--install-peers"])) => bench::install_peers(&root()?),
        Some((&"bench", options)) => bench::run(&root()?, options),
        Some((&"tidy", [])) => tidy::run(&root()?),
        _ => bail!("`{}` is not a verb and its options\n\n{USAGE}", arguments.join(" ")),
    }
}

fn interop_options<'a>(options: &[&'a str]) -> Result<(Option<&'a str>, bool)> {
    match *options {
        [] => Ok((None, false)),
        ["--keep"] => Ok((None, true)),
        ["--only", name] => Ok((Some(name), false)),
        ["--only", name, "--keep"] | ["--keep", "--only", name] => Ok((Some(name), true)),
        _ => bail!("`{}` are no options of interop\n\n{USAGE}", options.join(" ")),
    }
}

/// The directory of the workspace.
fn root() -> Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.map(Path::to_owned).context("xtask has no directory above it")
}
