//! `latimer report`: recordings in, a report out, in the form that is wanted.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
#[cfg(feature = "parquet")]
use latimer_probe::formats::parquet;
use latimer_probe::markdown::{self, MarkdownReport, Options};
use latimer_probe::summary::{Placed, Prices, Selection, Summarizer, Summary, SummaryOptions};
use latimer_probe::{
    formats::{csv, otlp},
    html, summary, unix_ms,
};
use tempfile::{SpooledData, SpooledTempFile};

use crate::args::{self, ReportFormat};
use crate::recording::Recording;
use crate::{diff, follow, terminal};

/// How much of a report waits for its head in memory; what is longer waits in a temporary file.
const IN_MEMORY_BYTES: usize = 4 << 20;

/// The forms by the end of the output's name.
const FORMATS: &[(&str, ReportFormat)] = &[
    ("html", ReportFormat::Html),
    ("htm", ReportFormat::Html),
    ("json", ReportFormat::Json),
    ("csv", ReportFormat::Csv),
    #[cfg(feature = "parquet")]
    ("parquet", ReportFormat::Parquet),
];

/// Writes the report where it is wanted.
pub fn report(args: args::Report) -> Result<ExitCode> {
    if let Some(of) = args.schema {
        let schema = match of {
            args::Schema::Summary => summary::schema(),
            args::Schema::Diff => summary::diff_schema(),
        };
        return to(args.output.as_deref(), |out| writeln!(out, "{schema}"));
    }
    let options = options(&args)?;
    if args.follow {
        return follow::follow(&args.files, options);
    }
    if !args.diff.is_empty() {
        let output = args.output.as_deref();
        return diff::report(&args.files, &args.diff, &options, format(&args), output);
    }
    let recording = Recording::find(&args.files)?;
    recording.check()?;
    recording.spare(args.output.as_deref())?;
    match format(&args) {
        ReportFormat::Markdown => {
            let source: Vec<_> = args.files.iter().map(|file| file.display().to_string()).collect();
            let source = source.join(", ");
            let report = Rendered::of(&source, &recording, args.layout, options)?;
            match &args.output {
                Some(path) => report.write(path)?,
                None => report.print()?,
            }
            Ok(ExitCode::SUCCESS)
        }
        ReportFormat::Csv => to(args.output.as_deref(), |out| {
            csv::write_head(out)?;
            each(&recording, options, &mut |placed| csv::write_row(placed, out))
        }),
        ReportFormat::Otlp => to(args.output.as_deref(), |out| {
            let mut traces = otlp::Traces::begin(out)?;
            each(&recording, options, &mut |placed| traces.exchange(placed, out))?;
            traces.finish(out)
        }),
        #[cfg(feature = "parquet")]
        ReportFormat::Parquet => to(args.output.as_deref(), |out| {
            let mut table = parquet::Table::new(out)?;
            each(&recording, options, &mut |placed| table.row(placed))?;
            table.finish()
        }),
        ReportFormat::Html => {
            let summary = summarize(&recording, options)?;
            to(args.output.as_deref(), |out| html::write(&summary, out))
        }
        ReportFormat::Json => {
            let summary = summarize(&recording, options)?;
            to(args.output.as_deref(), |out| {
                serde_json::to_writer_pretty(&mut *out, &summary)?;
                writeln!(out)
            })
        }
    }
}

/// The summary of a recording.
pub fn summarize(recording: &Recording, options: SummaryOptions) -> Result<Summary> {
    let mut summarizer = Summarizer::new(options);
    recording.read(|source, input| summarizer.read(source, input, &mut |_| Ok(())))?;
    Ok(summarizer.finish())
}

/// Shows each exchange that is wanted to `watch`.
fn each(
    recording: &Recording,
    options: SummaryOptions,
    watch: &mut dyn FnMut(&Placed<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut summarizer = Summarizer::new(options);
    let read = recording.read(|source, input| summarizer.read(source, input, watch));
    read.map_err(io::Error::other)
}

/// What is wanted of the exchanges, with prices and time.
fn options(args: &args::Report) -> Result<SummaryOptions> {
    let since = args.since.as_deref().map(|typed| {
        let wrong =
            || anyhow!("--since {typed}: a time is `2026-11-20` or `2026-11-20 14:05` (UTC)");
        unix_ms(typed).ok_or_else(wrong)
    });
    Ok(SummaryOptions {
        generated_unix_s: now_unix_s(),
        prices: prices(args.prices.as_deref())?,
        selection: Selection {
            session: args.session.clone(),
            since_unix_ms: since.transpose()?,
            model: args.model.clone(),
            status: args.status,
        },
        ..SummaryOptions::default()
    })
}

/// The user's prices before those that come with Latimer.
fn prices(file: Option<&Path>) -> Result<Prices> {
    let Some(file) = file else { return Ok(Prices::shipped()) };
    let shown = file.display();
    let table =
        fs::read_to_string(file).with_context(|| format!("cannot read the prices {shown}"))?;
    let prices = Prices::parse(&table).with_context(|| format!("the prices {shown} are wrong"))?;
    Ok(prices.or(Prices::shipped()))
}

fn now_unix_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() as i64
}

/// The form that is named, or else the one that the output's name ends in.
fn format(args: &args::Report) -> ReportFormat {
    let end = args.output.as_deref().and_then(Path::extension);
    let by_name = || FORMATS.iter().find(|(name, _)| end.is_some_and(|end| end == *name));
    args.format.or_else(|| by_name().map(|(_, format)| *format)).unwrap_or(ReportFormat::Markdown)
}

/// Writes to a file, or prints.
pub fn to(
    path: Option<&Path>,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<ExitCode> {
    let buffered = |out: &mut (dyn Write + Send)| {
        let mut out = BufWriter::with_capacity(1 << 16, out);
        write(&mut out)?;
        out.flush()
    };
    match path {
        Some(path) => {
            let written = File::create(path).and_then(|mut file| buffered(&mut file));
            written.with_context(|| format!("cannot write the report {}", path.display()))?;
        }
        None => terminal::printed(match terminal::stdout() {
            Some(mut shown) => buffered(&mut shown),
            None => buffered(&mut io::stdout()),
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A Markdown report that is complete.
pub struct Rendered<'a> {
    report: MarkdownReport<'a>,
    log: SpooledTempFile,
}

impl<'a> Rendered<'a> {
    /// The report of a recording, of the exchanges that are selected.
    pub fn of(
        source: &'a str,
        recording: &Recording,
        layout: args::Layout,
        summary: SummaryOptions,
    ) -> Result<Rendered<'a>> {
        let layout = match layout {
            args::Layout::Default => markdown::Layout::Default,
            args::Layout::Seed => markdown::Layout::Seed,
        };
        let options = Options { source, generated_unix_s: summary.generated_unix_s, layout };
        let mut log = SpooledTempFile::new(IN_MEMORY_BYTES);
        let mut report = MarkdownReport::with_summary(options, summary);
        let single = recording.single().is_some();
        recording
            .read(|file, input| report.read(if single { source } else { file }, input, &mut log))?;
        Ok(Rendered { report, log })
    }

    /// Writes it to a file.
    pub fn write(self, path: &Path) -> Result<()> {
        let written = File::create(path).and_then(|mut file| self.copy_to(&mut file));
        written.with_context(|| format!("cannot write the report {}", path.display()))
    }

    /// Prints it.
    fn print(self) -> Result<()> {
        terminal::printed(match terminal::stdout() {
            Some(mut shown) => self.copy_to(&mut shown),
            None => self.copy_to(&mut io::stdout().lock()),
        })
    }

    fn copy_to(mut self, out: &mut impl Write) -> io::Result<()> {
        self.report.write_head(out)?;
        self.log.rewind()?;
        match self.log.into_inner() {
            SpooledData::InMemory(log) => out.write_all(log.get_ref())?,
            // From file to file the system copies by itself.
            SpooledData::OnDisk(mut log) => io::copy(&mut log, out).map(drop)?,
        }
        out.flush()
    }
}

/// Leaves the reports of a recording beside it: Markdown and HTML.
pub fn leave_beside(recording: &Path) -> Result<[PathBuf; 2]> {
    let files = Recording::find(&[recording.to_owned()])?;
    let [markdown, page] = ["report.md", "report.html"].map(|name| recording.with_file_name(name));
    let source = recording.display().to_string();
    let options = SummaryOptions {
        generated_unix_s: now_unix_s(),
        prices: Prices::shipped(),
        ..SummaryOptions::default()
    };
    Rendered::of(&source, &files, args::Layout::Default, options.clone())?.write(&markdown)?;
    let summary = summarize(&files, options)?;
    to(Some(&page), |out| html::write(&summary, out))?;
    Ok([markdown, page])
}
