//! `latimer report --diff`: two sessions side by side. Each is named by its id, which is looked for in all
//! recordings that are given, or is the only one of a recording of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use latimer_probe::summary::{SessionSummary, Summary, SummaryOptions, diff};
use latimer_probe::{html, markdown};

use crate::args::ReportFormat;
use crate::recording::Recording;
use crate::report::{summarize, to};

/// How many sessions are named where one has to be chosen.
const NAMED_MAX: usize = 20;

/// Compares the sessions that `named` names.
pub fn report(
    files: &[PathBuf],
    named: &[String],
    options: &SummaryOptions,
    format: ReportFormat,
    output: Option<&Path>,
) -> Result<ExitCode> {
    let [one, other] = named else { bail!("--diff takes two sessions") };
    let all = (!files.is_empty()).then(|| read(files, options)).transpose()?;
    let [one, other] = [find(one, all.as_ref(), options)?, find(other, all.as_ref(), options)?];
    let diff = diff(&one, &other);
    match format {
        ReportFormat::Markdown => to(output, |out| out.write_all(markdown::diff(&diff).as_bytes())),
        ReportFormat::Html => to(output, |out| html::write_diff(&diff, out)),
        ReportFormat::Json => to(output, |out| {
            serde_json::to_writer_pretty(&mut *out, &diff)?;
            out.write_all(b"\n")
        }),
        _ => bail!("two sessions are compared as --format markdown, html or json"),
    }
}

fn read(files: &[PathBuf], options: &SummaryOptions) -> Result<Summary> {
    let recording = Recording::find(files)?;
    recording.check()?;
    summarize(&recording, options.clone())
}

/// The session that is meant: a recording's only one, or that whose id begins so.
fn find(named: &str, all: Option<&Summary>, options: &SummaryOptions) -> Result<SessionSummary> {
    if Path::new(named).exists() {
        let summary = read(&[named.into()], options)?;
        return only(&summary, "").cloned();
    }
    let all = all.with_context(|| {
        format!("{named} is no file; a session is named beside the recording: --diff ID ID FILE")
    })?;
    // A whole id is meant even where another one begins with it.
    let whole = all.sessions.iter().find(|session| session.id == named);
    whole.map_or_else(|| only(all, named), Ok).cloned()
}

/// The only session whose id begins so.
fn only<'s>(summary: &'s Summary, id: &str) -> Result<&'s SessionSummary> {
    let mut found = summary.sessions.iter().filter(|session| session.id.starts_with(id));
    let source = summary.sources.join(", ");
    let first = found.next().with_context(|| format!("there is no session {id} in {source}"))?;
    if found.next().is_some() {
        let ids = summary.sessions.iter().filter(|session| session.id.starts_with(id));
        let ids: Vec<_> = ids.take(NAMED_MAX).map(|session| session.id.as_str()).collect();
        let ids = ids.join(", ");
        bail!("which session of {source}? Name it, as in --diff ID ID {source}: {ids}");
    }
    Ok(first)
}
