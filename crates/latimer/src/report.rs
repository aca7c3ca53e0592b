//! `latimer report`: a recording in, Markdown out.

use std::fs::File;
use std::io::{self, ErrorKind, Seek, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use latimer_gateway::capture::FILE_NAME;
use latimer_probe::markdown::{self, Options};
use tempfile::{SpooledData, SpooledTempFile};

use crate::args;

/// How much of a report waits for its head in memory; what is longer waits in a temporary file.
const IN_MEMORY_BYTES: usize = 16 << 20;

/// Writes the report where it is wanted.
pub fn report(args: args::Report) -> Result<ExitCode> {
    let layout = match args.layout {
        args::Layout::Default => markdown::Layout::Default,
        args::Layout::Seed => markdown::Layout::Seed,
    };
    let file = if args.file.is_dir() { args.file.join(FILE_NAME) } else { args.file };
    let report = Rendered::of(&file, layout)?;
    match args.output {
        Some(path) => report.write(&path)?,
        None => report.print()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A report that is complete.
pub struct Rendered {
    head: String,
    log: SpooledTempFile,
}

impl Rendered {
    /// The report of a recording.
    pub fn of(file: &Path, layout: markdown::Layout) -> Result<Rendered> {
        let shown = file.display().to_string();
        let failed = || format!("cannot read the recording {shown}");
        let input = File::open(file).with_context(failed)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let options = Options { source: &shown, generated_unix_s: now.as_secs() as i64, layout };
        let mut log = SpooledTempFile::new(IN_MEMORY_BYTES);
        let head = markdown::render(input, &options, &mut log).with_context(failed)?;
        Ok(Rendered { head, log })
    }

    /// Writes it to a file.
    pub fn write(self, path: &Path) -> Result<()> {
        let written = File::create(path).and_then(|mut file| self.copy_to(&mut file));
        written.with_context(|| format!("cannot write the report {}", path.display()))
    }

    /// Prints it. That the reader has seen enough, as `head` does, is no error.
    fn print(self) -> Result<()> {
        match self.copy_to(&mut io::stdout().lock()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).context("cannot print the report")
            }
            _ => Ok(()),
        }
    }

    fn copy_to(mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(self.head.as_bytes())?;
        self.log.rewind()?;
        match self.log.into_inner() {
            SpooledData::InMemory(log) => out.write_all(log.get_ref()),
            // From file to file the system copies by itself.
            SpooledData::OnDisk(mut log) => io::copy(&mut log, out).map(drop),
        }
    }
}
