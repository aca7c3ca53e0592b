//! The project's chores, as `cargo xtask <verb>`. Nothing here is part of what users run.

mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
Usage: cargo xtask <verb>

  tidy      hold the tree against the rules of the house, and name its longest parts";

fn main() -> ExitCode {
    outcome().unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn outcome() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((verb, [])) if verb == "tidy" => tidy::run(&root()?),
        _ => bail!("`{}` is not a verb and its options\n\n{USAGE}", arguments.join(" ")),
    }
}

/// The directory of the workspace.
fn root() -> Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.map(Path::to_owned).context("xtask has no directory above it")
}
