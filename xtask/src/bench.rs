//! `cargo xtask bench`: builds Latimer and the bench for release, and runs the bench, which does
//! the measuring. What it measures of others is installed here, below `target/bench/peers`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::build;
use crate::tools::{CODEX_RELAY, LITELLM, RESPONSES_PROXY};

/// Installs the peers that are no part of a system.
pub fn install_peers(root: &Path) -> Result<ExitCode> {
    let peers = root.join("target/bench/peers");
    for peer in [CODEX_RELAY, RESPONSES_PROXY, LITELLM] {
        peer.install(&peers)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds what is measured and what measures, each as it is built alone, and runs it.
pub fn run(root: &Path, arguments: &[&str]) -> Result<ExitCode> {
    let release = ["--quiet", "--release", "--package"];
    build::program(root, "latimer", &[&release[..], &["latimer"]].concat())?;
    let bench =
        build::program(root, "latimer-bench", &[&release[..], &["latimer-bench"]].concat())?;
    let status = Command::new(bench).current_dir(root).args(arguments).status();
    let success = status.context("cannot run the bench")?.success();
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
