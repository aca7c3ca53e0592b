//! `latimer report`: a recording in, Markdown out.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use latimer_gateway::capture::FILE_NAME;
use latimer_probe::exchange;
use latimer_probe::markdown::{self, Options};

use crate::args;

/// Writes the report where it is wanted.
pub fn report(args: args::Report) -> Result<ExitCode> {
    let layout = match args.layout {
        args::Layout::Default => markdown::Layout::Default,
        args::Layout::Seed => markdown::Layout::Seed,
    };
    let file = if args.file.is_dir() { args.file.join(FILE_NAME) } else { args.file };
    let report = render(&file, layout)?;
    match args.output {
        Some(path) => write(&path, &report)?,
        None => print(&report)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints it. That the reader has seen enough, as `head` does, is no error.
fn print(report: &str) -> Result<()> {
    match std::io::stdout().write_all(report.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot print the report")
        }
        _ => Ok(()),
    }
}

/// The report of a recording.
pub fn render(file: &Path, layout: markdown::Layout) -> Result<String> {
    let shown = file.display().to_string();
    let input = File::open(file).with_context(|| format!("cannot read the recording {shown}"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let options = Options { source: &shown, generated_unix_s: now.as_secs() as i64, layout };
    let mut report = String::new();
    markdown::render(exchange::read(BufReader::new(input)), &options, &mut report)
        .with_context(|| format!("cannot read the recording {shown}"))?;
    Ok(report)
}

/// Writes a report to a file.
pub fn write(path: &PathBuf, report: &str) -> Result<()> {
    std::fs::write(path, report)
        .with_context(|| format!("cannot write the report {}", path.display()))
}
