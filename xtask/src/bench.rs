//! `cargo xtask bench`: builds Latimer and the bench for release, and runs the bench, which does
//! the measuring. What it measures of others is installed here, below `target/bench/peers`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

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
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root).args(arguments);
        cargo
    };
    let built = cargo(&["build", "--quiet", "--release", "--package", "latimer"]).status();
    ensure!(built.context("cannot run cargo")?.success(), "latimer does not build");
    let bench = ["run", "--quiet", "--release", "--package", "latimer-bench", "--"];
    let status = cargo(&bench).args(arguments).status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
