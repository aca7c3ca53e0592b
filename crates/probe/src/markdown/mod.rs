//! The report on a recording as Markdown: totals and tables first, then every exchange in full.
//! In: a recording, and [`Options`]. Out: the chapters as they are written, and at last the head. One
//! pass over the lines, by all cores, a few megabytes in memory at a time; what is quoted cannot leave
//! the place it is quoted in, and headers and URLs are shown as [`crate::redact`] allows.

mod against;
mod log;
mod page;
mod request;
mod response;
mod text;
mod totals;

use std::io::{self, Read, Write};

pub use against::against;
use page::Page;
use totals::Totals;

use crate::blocks;
use crate::content::parts::Parts;
use crate::record::exchange::{self, Unreadable};

/// How the report looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Quoted text always stays inside its fences.
    #[default]
    Default,
    /// The layout of the report that came first: every fence has three backticks, so that quoted
    /// text which holds such a fence breaks out of it. For comparing against that report.
    Seed,
}

/// What a report needs to know besides the exchanges.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The recording's path, as the reader of the report knows it.
    pub source: &'a str,
    /// When the report is made: seconds since 1970 (UTC).
    pub generated_unix_s: i64,
    /// How the report looks.
    pub layout: Layout,
}

/// Writes the chapters of a report to `log`, and returns what stands above them, which is only known
/// when all exchanges are: the report is the head and then the log. Lines that were malformed or torn
/// are counted in the head.
///
/// # Errors
/// When `recording` cannot be read or `log` not be written; what `log` holds is to be dropped then.
///
/// ```
/// use latimer_probe::markdown::{Layout, Options, render};
/// let recording = r#"{"request": {"method": "GET", "url": "/v1/models"}}"#;
/// let options = Options { source: "a.jsonl", generated_unix_s: 0, layout: Layout::Default };
/// let mut log = Vec::new();
/// let head = render(recording.as_bytes(), &options, &mut log)?;
/// assert!(head.contains("| `/v1/models` | GET | 1 |"));
/// assert!(log.starts_with(b"\n### Request 1: `GET /v1/models`"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn render(
    recording: impl Read,
    options: &Options<'_>,
    log: &mut impl Write,
) -> io::Result<String> {
    let mut report = MarkdownReport::new(*options);
    report.read(options.source, recording, log)?;
    Ok(report.head())
}

/// A report of one recording after another, as if they were one.
pub struct MarkdownReport<'a> {
    options: Options<'a>,
    totals: Totals,
}

impl<'a> MarkdownReport<'a> {
    /// Begins a report.
    pub fn new(options: Options<'a>) -> Self {
        MarkdownReport { options, totals: Totals::default() }
    }

    /// Writes the chapters of a recording to `log`; `source` is its name, should it hold a line that
    /// is no exchange.
    ///
    /// # Errors
    /// As [`render`].
    pub fn read(
        &mut self,
        source: &str,
        recording: impl Read,
        log: &mut impl Write,
    ) -> io::Result<()> {
        let (totals, layout) = (&mut self.totals, self.options.layout);
        totals.begin((source != self.options.source).then_some(source));
        blocks::in_order(
            recording,
            |lines, chapters: &mut Chapters| chapters.fill(lines, layout),
            |chapters| {
                chapters.write(totals.requests(), log)?;
                totals.merge(std::mem::take(&mut chapters.totals));
                Ok(())
            },
        )
    }

    /// What stands above the chapters.
    pub fn head(&self) -> String {
        let mut head = String::new();
        self.totals.write(&mut Page::new(&mut head, self.options.layout), &self.options);
        head
    }
}

/// The chapters of some exchanges, without their numbers: those are not known before all lines
/// above were read.
#[derive(Default)]
struct Chapters {
    text: String,
    /// Where in the text each chapter ends.
    ends: Vec<usize>,
    totals: Totals,
}

impl Chapters {
    /// Makes them of these lines, in place of what they were before.
    fn fill(&mut self, lines: &[u8], layout: Layout) {
        let Chapters { text, ends, totals } = self;
        text.clear();
        ends.clear();
        for exchange in exchange::read(lines) {
            match exchange {
                Ok(exchange) => {
                    let parts = Parts::of(&exchange);
                    totals.add(&exchange, &parts);
                    log::write_exchange(&mut Page::new(text, layout), &exchange, &parts);
                    ends.push(text.len());
                }
                Err(Unreadable::Malformed { line, .. }) => totals.add_malformed(line),
                Err(Unreadable::Torn { .. }) => totals.add_torn(),
                Err(Unreadable::Incident { incident, .. }) => totals.add_lost(incident.lost),
            }
        }
        totals.add_lines(memchr::memchr_iter(b'\n', lines).count() as u64);
    }

    /// Writes them, numbered from the one after `last_number`.
    fn write(&self, last_number: u64, out: &mut impl Write) -> io::Result<()> {
        let mut from = 0;
        for (number, end) in (last_number + 1..).zip(&self.ends) {
            write!(out, "\n### Request {number}: ")?;
            out.write_all(self.text.get(from..*end).unwrap_or_default().as_bytes())?;
            from = *end;
        }
        Ok(())
    }
}
