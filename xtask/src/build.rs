//! Building a program of the workspace. In: what cargo is to build. Out: where the program is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Builds the program `name`; `how` is what `cargo build` is told.
pub fn program(root: &Path, name: &str, how: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--message-format", "json-render-diagnostics"])
        .args(how)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(built.status.success(), "{name} does not build");
    let messages = String::from_utf8_lossy(&built.stdout);
    let program = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = message.get("executable")?.as_str()?;
        (message.pointer("/target/name")? == name).then(|| PathBuf::from(path))
    });
    program.with_context(|| format!("cargo does not say where it put {name}"))
}
