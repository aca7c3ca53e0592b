//! `latimer convert`: what other programs recorded becomes a recording, and a recording an archive.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use latimer_probe::formats::form::FileForm;
use latimer_probe::formats::har::Archive;
use latimer_probe::formats::{convert::ConvertError, dump, har, rollout};
use latimer_probe::record::exchange;

use crate::args;
use crate::recording::{Recording, form, spare};
use crate::report::to;

/// The longest file that has to be read whole: an archive is one JSON value.
const WHOLE_BYTES_MAX: u64 = 1 << 30;
/// How much of a recording is in memory at once, besides a line that is longer.
const BLOCK_BYTES: u64 = 1 << 20;

/// Converts, and says what became of it.
pub fn convert(args: args::Convert) -> Result<ExitCode> {
    let is_archive = args.output.as_deref().and_then(Path::extension) == Some(OsStr::new("har"));
    spare(&args.files, args.output.as_deref())?;
    let mut exchanges = 0;
    let mut failed = None;
    let code = to(args.output.as_deref(), |out| {
        let done = match is_archive {
            true => export(&args.files, out),
            false => import(&args.files, out),
        };
        match done {
            Ok(count) => exchanges = count,
            // What is written tells why by itself; all else is told whole.
            Err(error) => match error.downcast::<io::Error>() {
                Ok(error) => return Err(error),
                Err(error) => failed = Some(error),
            },
        }
        Ok(())
    })?;
    match failed {
        Some(error) => {
            if let Some(path) = &args.output {
                let _ = fs::remove_file(path);
            }
            Err(error)
        }
        None => {
            eprintln!("latimer: {exchanges} exchanges");
            Ok(code)
        }
    }
}

/// A recording as an archive.
fn export(files: &[PathBuf], out: &mut dyn Write) -> Result<u64> {
    let recording = Recording::find(files)?;
    recording.check()?;
    let mut archive = Archive::begin(out)?;
    let mut exchanges = 0;
    recording.read(|_, input| {
        each_line(input, &mut |line| {
            for exchange in exchange::read(line).flatten() {
                exchanges += 1;
                archive.exchange(&exchange, out)?;
            }
            Ok(())
        })
    })?;
    archive.finish(out)?;
    Ok(exchanges)
}

/// Whole lines of a reader, a few at a time.
fn each_line(
    input: &mut dyn Read,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut lines = Vec::new();
    loop {
        let read = input.take(BLOCK_BYTES).read_to_end(&mut lines)?;
        let end = match lines.iter().rposition(|byte| *byte == b'\n') {
            _ if read == 0 => lines.len(),
            Some(at) => at + 1,
            None => continue,
        };
        let rest = lines.split_off(end);
        take(&lines)?;
        if read == 0 {
            return Ok(());
        }
        lines = rest;
    }
}

/// Files of another form as a recording.
fn import(files: &[PathBuf], out: &mut dyn Write) -> Result<u64> {
    let mut exchanges = 0;
    for file in files {
        let lines = &mut |line: &[u8]| out.write_all(line);
        exchanges += match file.is_dir() {
            true => folder(file, lines)?,
            false => one(file, lines)?,
        };
    }
    Ok(exchanges)
}

type Lines<'l> = &'l mut dyn FnMut(&[u8]) -> io::Result<()>;

fn one(file: &Path, lines: Lines<'_>) -> Result<u64> {
    let shown = || format!("cannot convert {}", file.display());
    match form(file)? {
        FileForm::Har => har::read(&whole(file)?, lines).with_context(shown),
        FileForm::Rollout => rollout::read(&whole(file)?, lines).with_context(shown),
        FileForm::Dump => dumped(file, lines),
        FileForm::Flows => har::read(&flows(file)?, lines).with_context(shown),
        FileForm::Recording => bail!(
            "{} is a recording already; name an output that ends in .har to make an archive of it",
            file.display()
        ),
        other => bail!(
            "{} cannot be converted: it looks like {}; it can be an HTTP archive, a session log of \
             Codex, a dump folder of `codex responses-api-proxy`, or flows of mitmproxy",
            file.display(),
            other.words()
        ),
    }
}

/// The text of a file; bytes that are no text become U+FFFD.
fn whole(file: &Path) -> Result<String> {
    let shown = file.display();
    let bytes = fs::metadata(file).with_context(|| format!("cannot read {shown}"))?.len();
    ensure!(bytes <= WHOLE_BYTES_MAX, "{shown} is longer than 1 GiB, and has to be read whole");
    let content = fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    Ok(String::from_utf8(content)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A folder of dumps, in the order of their numbers.
fn folder(folder: &Path, lines: Lines<'_>) -> Result<u64> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_request = |file: &PathBuf| file.to_string_lossy().ends_with(dump::REQUEST_END);
    let mut requests: Vec<PathBuf> = files.filter(is_request).collect();
    ensure!(!requests.is_empty(), "there is no *{} in {}", dump::REQUEST_END, folder.display());
    requests.sort();
    requests.iter().try_for_each(|request| dumped(request, lines).map(drop))?;
    Ok(requests.len() as u64)
}

/// An exchange of a dump folder, by the name of its request.
fn dumped(request: &Path, lines: Lines<'_>) -> Result<u64> {
    let shown = request.display().to_string();
    let name = request.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(stem) = shown.strip_suffix(dump::REQUEST_END) else {
        bail!(
            "{shown} is one of two files: name the folder, or the one that ends in {}",
            dump::REQUEST_END
        )
    };
    let answer = PathBuf::from(format!("{stem}{}", dump::RESPONSE_END));
    let answer = answer.is_file().then(|| whole(&answer)).transpose()?;
    dump::read(&name, &whole(request)?, answer.as_deref(), lines).map(|()| 1).map_err(
        |error: ConvertError| anyhow::Error::new(error).context(format!("cannot convert {shown}")),
    )
}

/// Flows of mitmproxy as an archive, which only mitmproxy itself makes of them.
fn flows(file: &Path) -> Result<String> {
    let archive = tempfile::Builder::new().suffix(".har").tempfile()?;
    let made = Command::new("mitmdump")
        .args(["--quiet", "--no-server", "--rfile"])
        .arg(file)
        .arg("--set")
        .arg(format!("hardump={}", archive.path().display()))
        .output();
    match made {
        Ok(output) if output.status.success() => whole(archive.path()),
        Ok(output) => bail!(
            "mitmdump does not read {}: {}",
            file.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "{} holds flows of mitmproxy, which only mitmproxy itself reads: install it (`mitmdump` has to be on \
             the PATH), or make an archive where it is: mitmdump -nr FILE --set hardump=flows.har",
            file.display()
        ),
        Err(error) => Err(error).context("cannot start mitmdump"),
    }
}
