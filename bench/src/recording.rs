//! `latimer report` over a large recording. Latimer records a few exchanges of about 206 KB, their
//! lines are repeated until the file is large, and the report of it is timed.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cases::Case;
use crate::dialogue::Shape;
use crate::load::{self, Work};
use crate::measure::Run;
use crate::peers::{self, LATIMER, RECORDING, Running};
use crate::process::peak_resident_kb;
use crate::results::Figure;

/// What is recorded: exchanges whose lines have about 206 KB.
const RECORDED: Work =
    Work { shape: Shape::stream(170 << 10, 50), pace: None, connections: 1, requests: 8 };

/// Measures the report of a recording of `plan.report_bytes`, as a file with the end `end`.
///
/// # Errors
/// When nothing is recorded, or the report fails.
pub async fn measure(run: &mut Run<'_>, case: &Case, end: &str, options: &[&str]) -> Result<()> {
    let lines = lines(run, case).await?;
    let site = run.site;
    let file = site.scratch.join("large.jsonl");
    let bytes = write(&file, &lines, run.plan.report_bytes)?;
    for _ in 0..run.plan.rounds.min(case.rounds) {
        let (took, peak_kb) =
            site.cores.on_all(|| report(&site.latimer, &file, end, options))??;
        let gb_per_s = bytes as f64 / 1e9 / took.as_secs_f64();
        run.results.add(case.name, LATIMER, Figure::GbPerS, gb_per_s);
        run.results.add(case.name, LATIMER, Figure::ResidentMb, peak_kb as f64 / 1000.0);
    }
    fs::remove_file(&file)?;
    Ok(())
}

/// The lines of a short recording.
async fn lines(run: &mut Run<'_>, case: &Case) -> Result<Vec<u8>> {
    let running = Running::start(run.site, peers::named(RECORDING)?, run.upstream).await?;
    run.upstream.play(RECORDED.shape, RECORDED.pace);
    let answers = load::run(running.address, RECORDED, Duration::ZERO).await?;
    answers.account(case.name, RECORDING, run.results);
    let directory = running.directory.clone();
    // It writes what is left as it ends.
    drop(running);
    let traffic = fs::read(directory.join("record/traffic.jsonl"))?;
    // The first line is the short exchange with which a peer is known to be up.
    let end = memchr::memchr(b'\n', &traffic).context("nothing was recorded")? + 1;
    let lines = traffic.get(end..).unwrap_or_default().to_vec();
    ensure!(lines.ends_with(b"\n"), "the recording was not finished");
    Ok(lines)
}

fn write(file: &Path, lines: &[u8], wanted: u64) -> Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(file)?);
    let mut bytes = 0;
    while bytes < wanted {
        out.write_all(lines)?;
        bytes += lines.len() as u64;
    }
    out.flush()?;
    Ok(bytes)
}

/// Runs the report. Out: how long it took, and the most memory it had.
fn report(latimer: &Path, file: &Path, end: &str, options: &[&str]) -> Result<(Duration, u64)> {
    let output: PathBuf = file.with_extension(end);
    let mut command = Command::new(latimer);
    command.arg("report").arg(file).arg("-o").arg(&output).args(options).stdout(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn()?;
    let mut peak_kb = 0;
    let status = loop {
        peak_kb = peak_resident_kb(child.id()).unwrap_or(0).max(peak_kb);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = began.elapsed();
    ensure!(status.success(), "the report failed");
    ensure!(fs::metadata(&output)?.len() > 0, "the report is empty");
    fs::remove_file(&output)?;
    Ok((took, peak_kb))
}
