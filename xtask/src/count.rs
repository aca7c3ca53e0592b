//! How many instructions the hottest paths take, held against a table of bounds. Counts, unlike
//! times, are the same on a busy machine. In: `crates/wire/benches/instructions.rs`, built for
//! release and run by valgrind. Out: a line for each path.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::build;

/// What walks the paths: a program beside the measurements of wire.
const PROGRAM: &str = "instructions";
const HOW: [&str; 5] = ["--release", "--package", "latimer-wire", "--bench", PROGRAM];

/// A path, what one round of it is, and how many instructions a round may take: about a quarter
/// more than were counted on x86-64 with Rust 1.95. Who makes a path cheaper lowers its bound.
const BOUNDS: &[(&str, &str, u64)] = &[
    ("request", "lower a request of 64 KB to Chat Completions", 720_000),
    ("stream", "translate a Chat stream of 50 chunks to Responses events", 440_000),
];

/// The longer of two runs; the shorter is one round, so that what is done once does not count.
const ROUNDS: u64 = 11;

/// Counts, and fails where a bound is exceeded.
pub fn run(root: &Path) -> Result<ExitCode> {
    let program = build::program(root, PROGRAM, &HOW)?;
    let profiles = root.join("target/count");
    fs::create_dir_all(&profiles)?;
    let mut exceeded = Vec::new();
    for (path, round, bound) in BOUNDS {
        let profile = profiles.join(format!("{path}.callgrind"));
        let once = instructions(&program, path, 1, &profile)?;
        let often = instructions(&program, path, ROUNDS, &profile)?;
        let counted = often.saturating_sub(once) / (ROUNDS - 1);
        println!("{path:8} {counted:>9} instructions, at most {bound}: {round}");
        if counted > *bound {
            exceeded.push(format!("callgrind_annotate {}", profile.display()));
        }
    }
    if exceeded.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("Too many; where they are spent say:\n  {}", exceeded.join("\n  "));
    Ok(ExitCode::FAILURE)
}

/// How many instructions the program takes, start and end included.
fn instructions(program: &Path, path: &str, rounds: u64, profile: &Path) -> Result<u64> {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", profile.display())])
        .arg(program)
        .args([path, &rounds.to_string()])
        .output()
        .context("valgrind is missing: install Debian's package `valgrind`")?;
    let said = String::from_utf8_lossy(&run.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.parse().ok());
    match count.filter(|_| run.status.success()) {
        Some(count) => Ok(count),
        None => bail!("valgrind could not count `{path}`:\n{said}"),
    }
}
