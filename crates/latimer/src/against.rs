//! `latimer report --against`: two sessions side by side, of one recording or of two.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use latimer_probe::markdown;
use latimer_probe::summary::{SessionSummary, Summary, SummaryOptions, compare};

use crate::args::ReportFormat;
use crate::recording::Recording;
use crate::report::{summarize, to};

/// How many sessions are named where one has to be chosen.
const NAMED_MAX: usize = 20;

/// Compares the session that `options` select with `other`: a recording, or a session's id.
pub fn report(
    files: &[PathBuf],
    other: &str,
    mut options: SummaryOptions,
    format: ReportFormat,
    output: Option<&Path>,
) -> Result<ExitCode> {
    let id = options.selection.session.take();
    let own = read(files, &options)?;
    let one = session(&own, id.as_deref(), "--session ID")?;
    let another = Path::new(other).exists().then(|| read(&[other.into()], &options)).transpose()?;
    let other = match &another {
        Some(summary) => session(summary, None, "a recording with one session")?,
        None => session(&own, Some(other), "--against ID or FILE")?,
    };
    let compared = compare(one, other);
    match format {
        ReportFormat::Markdown => {
            to(output, |out| out.write_all(markdown::against(&compared).as_bytes()))
        }
        ReportFormat::Json => to(output, |out| {
            serde_json::to_writer_pretty(&mut *out, &compared)?;
            out.write_all(b"\n")
        }),
        _ => bail!("two sessions are compared as --format markdown or json"),
    }
}

fn read(files: &[PathBuf], options: &SummaryOptions) -> Result<Summary> {
    let recording = Recording::find(files)?;
    recording.check()?;
    summarize(&recording, options.clone())
}

/// The session that is meant: the one whose id begins so, or the only one.
fn session<'s>(summary: &'s Summary, id: Option<&str>, how: &str) -> Result<&'s SessionSummary> {
    let meant = |session: &&SessionSummary| id.is_none_or(|id| session.id.starts_with(id));
    let mut found = summary.sessions.iter().filter(meant);
    let first = found.next().with_context(|| {
        let source = summary.sources.join(", ");
        format!("there is no session {} in {source}", id.unwrap_or_default())
    })?;
    if found.next().is_some() {
        let ids = summary.sessions.iter().take(NAMED_MAX).map(|session| session.id.as_str());
        bail!("which session? Name it with {how}: {}", ids.collect::<Vec<_>>().join(", "));
    }
    Ok(first)
}
