//! `latimer report --follow`: turns and exchanges on the terminal as they are recorded. In: a recording
//! that grows. Out: a line for each turn and one for each exchange, until somebody ends it.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use latimer_gateway::capture::FILE_NAME;
use latimer_probe::summary::{Facts, Placed, Summarizer, SummaryOptions};
use latimer_probe::{visible, words};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How much is read of it at once.
const READ_BYTES: u64 = 1 << 20;

/// Tells what a recording holds and what comes to it.
pub fn follow(paths: &[PathBuf], options: SummaryOptions) -> Result<ExitCode> {
    let [path] = paths else { anyhow::bail!("--follow takes one recording") };
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path.clone() };
    let shown = path.display().to_string();
    ensure!(!shown.ends_with(".zst"), "{shown} is closed: nothing comes to a compressed segment");
    let mut summarizer = Summarizer::new(options);
    summarizer.begin(&shown);
    let mut tail = Tail { path: &path, file: None, begun_line: Vec::new() };
    loop {
        let lines = tail.next().with_context(|| format!("cannot read the recording {shown}"))?;
        if lines.is_empty() {
            std::thread::sleep(LOOK_EVERY);
            continue;
        }
        let mut out = io::stdout().lock();
        let told = summarizer.lines(&lines, &mut |placed| tell(placed, &mut out));
        match told.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(ExitCode::SUCCESS);
            }
            other => other.context("cannot write to the terminal")?,
        }
    }
}

fn tell(placed: &Placed<'_>, out: &mut impl Write) -> io::Result<()> {
    if placed.begins_turn {
        let session: String = placed.session.chars().take(8).collect();
        let prompt = one_line(placed.prompt.unwrap_or("(the user says nothing new)"));
        writeln!(out, "{} · turn {}: {prompt}", one_line(&session), placed.turn)?;
    }
    writeln!(out, "  {}", one_line(&exchange(placed.facts)))
}

/// An exchange in a line.
fn exchange(facts: &Facts) -> String {
    let calls = facts.calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>();
    let miss = facts.cache.as_ref().filter(|cache| cache.is_miss());
    let parts = [
        Some(format!("#{}", facts.number)),
        Some(facts.status.map_or("no answer".to_owned(), |status| status.to_string())),
        Some(facts.outcome.name().to_owned()),
        facts.model.clone(),
        (facts.attempt > 1).then(|| format!("attempt {}", facts.attempt)),
        facts.times.duration_us.map(words::duration),
        facts
            .tokens
            .map(|used| format!("{} in ({} cached), {} out", used.input, used.cached, used.output)),
        facts.cost_usd.map(words::usd),
        miss.map(|cache| {
            let at = cache.change.as_ref().map(|change| format!(" at {}", change.path));
            let lost = cache.lost_tokens_estimate;
            format!("cache miss{}, about {lost} tokens", at.unwrap_or_default())
        }),
        (!calls.is_empty()).then(|| format!("calls {}", calls.join(", "))),
        facts.error.clone(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// A text that stays on its line and does nothing to the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { visible(c) }).collect()
}

/// A file that grows, is cut, or is made anew.
struct Tail<'p> {
    path: &'p Path,
    file: Option<(File, u64)>,
    begun_line: Vec<u8>,
}

impl Tail<'_> {
    /// The whole lines that came since the last time.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let metadata = match std::fs::metadata(self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if !self.is_same(&metadata)? {
            self.file = Some((File::open(self.path)?, 0));
            self.begun_line.clear();
        }
        let Some((file, read_bytes)) = &mut self.file else { return Ok(Vec::new()) };
        file.seek(SeekFrom::Start(*read_bytes))?;
        let mut lines = std::mem::take(&mut self.begun_line);
        *read_bytes += file.take(READ_BYTES).read_to_end(&mut lines)? as u64;
        let end = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.begun_line = lines.split_off(end);
        Ok(lines)
    }

    fn is_same(&self, found: &Metadata) -> io::Result<bool> {
        let Some((file, read_bytes)) = &self.file else { return Ok(false) };
        Ok(file.metadata()?.ino() == found.ino() && found.len() >= *read_bytes)
    }
}
