//! The report on a recording as Markdown: totals and tables first, then what the summary tells of
//! errors, caches, sessions and turns, then every exchange in full. In: a recording, and [`Options`].
//! Out: the chapters of the log as they are written, and at last the head. One pass over the lines, by
//! all cores, a few megabytes in memory at a time; what is quoted cannot leave the place it is quoted
//! in, and headers and URLs are shown as [`crate::redact`] allows.

pub(crate) mod diff;
mod log;
mod overview;
mod page;
mod request;
mod response;
mod sessions;
mod text;
mod totals;

use std::io::{self, Read, Write};

pub use diff::diff;
use page::Page;
use totals::Totals;

use crate::blocks;
use crate::content::parts::Parts;
use crate::record::exchange;
use crate::summary::{Lines, Seen, Selection, Summarizer, SummaryOptions};

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
    let mut head = Vec::new();
    report.write_head(&mut head)?;
    String::from_utf8(head).map_err(io::Error::other)
}

/// A report of one recording after another, as if they were one.
pub struct MarkdownReport<'a> {
    options: Options<'a>,
    totals: Totals,
    /// What tells sessions and turns, and which exchanges are wanted.
    summarizer: Option<Summarizer>,
    /// Not all exchanges are wanted.
    is_selected: bool,
    /// How many there were, wanted or not.
    exchanges: u64,
}

impl<'a> MarkdownReport<'a> {
    /// Begins a report of totals and log alone.
    pub fn new(options: Options<'a>) -> Self {
        let totals = Totals::default();
        MarkdownReport { options, totals, summarizer: None, is_selected: false, exchanges: 0 }
    }

    /// Begins a report that tells what the summary knows as well, of the exchanges that it selects;
    /// in [`Layout::Seed`] it only selects.
    pub fn with_summary(options: Options<'a>, summary: SummaryOptions) -> Self {
        let is_selected = summary.selection != Selection::default();
        let is_summarized = is_selected || options.layout == Layout::Default;
        let summarizer = is_summarized.then(|| Summarizer::new(summary));
        MarkdownReport { summarizer, is_selected, ..MarkdownReport::new(options) }
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
        let MarkdownReport { options, totals, summarizer, is_selected, exchanges } = self;
        totals.begin((source != options.source).then_some(source));
        if let Some(summarizer) = summarizer {
            summarizer.begin(source);
        }
        let (is_summarized, is_selected, layout) =
            (summarizer.is_some(), *is_selected, options.layout);
        blocks::in_order(
            recording,
            |lines, chapters: &mut Chapters| {
                chapters.fill(lines, layout, is_summarized, is_selected);
            },
            |chapters| {
                let first = *exchanges + 1;
                *exchanges += chapters.list.len() as u64;
                let wanted = match summarizer {
                    Some(summarizer) => wanted(summarizer, &mut chapters.seen)?,
                    None => (first..=*exchanges).collect(),
                };
                chapters.write(first, &wanted, totals, log)
            },
        )
    }

    /// What stands above the chapters.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_head(self, out: &mut impl Write) -> io::Result<()> {
        let mut head = String::new();
        let summary = self.summarizer.map(Summarizer::finish);
        let summary = summary.filter(|_| self.options.layout == Layout::Default);
        let mut page = Page::new(&mut head, self.options.layout);
        self.totals.write(&mut page, &self.options, summary.as_ref());
        out.write_all(head.as_bytes())?;
        if let Some(summary) = &summary {
            sessions::write(summary, self.options.layout, out)?;
        }
        writeln!(out, "## Full Conversation Log")
    }
}

/// The numbers of the exchanges that are wanted among these.
fn wanted(summarizer: &mut Summarizer, seen: &mut Lines) -> io::Result<Vec<u64>> {
    let mut wanted = Vec::new();
    summarizer.add(std::mem::take(seen), &mut |placed| {
        wanted.push(placed.facts.number);
        Ok(())
    })?;
    Ok(wanted)
}

/// The chapters of some exchanges, without their numbers: those are not known before all lines
/// above were read.
#[derive(Default)]
struct Chapters {
    text: String,
    list: Vec<Chapter>,
    /// Of all of them, and of lines that are no exchanges.
    totals: Totals,
    /// The same exchanges for the summary.
    seen: Lines,
}

/// The chapter of one exchange.
struct Chapter {
    /// Where in the text it ends.
    end: usize,
    /// Its part in the totals, where not all exchanges may be wanted.
    totals: Option<Box<Totals>>,
}

impl Chapters {
    /// Makes them of these lines, in place of what they were before.
    fn fill(&mut self, lines: &[u8], layout: Layout, is_summarized: bool, is_selected: bool) {
        let Chapters { text, list, totals, seen } = self;
        text.clear();
        list.clear();
        for (line, exchange) in exchange::read_numbered(lines) {
            let exchange = match exchange {
                Ok(exchange) => exchange,
                Err(unreadable) => {
                    totals.add_unreadable(&unreadable);
                    seen.push(line, Err(unreadable));
                    continue;
                }
            };
            let parts = Parts::of(&exchange);
            let mut own = is_selected.then(Box::<Totals>::default);
            own.as_deref_mut().unwrap_or(totals).add(&exchange, &parts);
            log::write_exchange(&mut Page::new(text, layout), &exchange, &parts);
            list.push(Chapter { end: text.len(), totals: own });
            if is_summarized {
                seen.push(line, Ok(Seen::of(&exchange, &parts)));
            }
        }
        let count = memchr::memchr_iter(b'\n', lines).count() as u64;
        totals.add_lines(count);
        seen.count = count;
    }

    /// Writes those that are wanted, and adds them to the totals; the first has the number `first`.
    fn write(
        &mut self,
        first: u64,
        wanted: &[u64],
        totals: &mut Totals,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (mut from, mut wanted) = (0, wanted.iter().peekable());
        totals.merge(std::mem::take(&mut self.totals));
        for (number, chapter) in (first..).zip(&mut self.list) {
            if wanted.next_if_eq(&&number).is_some() {
                write!(out, "\n### Request {number}: ")?;
                out.write_all(self.text.get(from..chapter.end).unwrap_or_default().as_bytes())?;
                if let Some(own) = chapter.totals.take() {
                    totals.merge(*own);
                }
            }
            from = chapter.end;
        }
        Ok(())
    }
}
