//! The report on a recording as Markdown: totals and tables first, then every exchange in full.
//! In: exchanges, one after another, and [`Options`]. Out: one text. One pass, one exchange in
//! memory at a time; what is quoted cannot leave the place it is quoted in, and headers and URLs
//! are shown as [`crate::redact`] allows.

mod log;
mod page;
mod request;
mod response;
mod text;
mod totals;

use crate::exchange::{Exchange, Unreadable};
use page::Page;
use totals::Totals;

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

/// Appends the report on `exchanges`, as [`crate::exchange::read`] gives them. Lines that were
/// malformed or torn are counted in the report's head.
///
/// # Errors
/// [`Unreadable::Io`] when reading stopped; nothing is appended then.
///
/// ```
/// use latimer_probe::{exchange::read, markdown::{Layout, Options, render}};
/// let recording = r#"{"request": {"method": "GET", "url": "/v1/models"}}"#;
/// let options = Options { source: "a.jsonl", generated_unix_s: 0, layout: Layout::Default };
/// let mut report = String::new();
/// render(read(recording.as_bytes()), &options, &mut report)?;
/// assert!(report.contains("| `/v1/models` | GET | 1 |"));
/// # Ok::<(), latimer_probe::exchange::Unreadable>(())
/// ```
pub fn render(
    exchanges: impl IntoIterator<Item = Result<Exchange, Unreadable>>,
    options: &Options<'_>,
    out: &mut String,
) -> Result<(), Unreadable> {
    let mut totals = Totals::default();
    let mut log = String::new();
    let mut page = Page::new(&mut log, options.layout);
    for exchange in exchanges {
        match exchange {
            Ok(exchange) => {
                totals.add(&exchange);
                log::write_exchange(&mut page, totals.requests(), &exchange);
            }
            Err(Unreadable::Malformed { line, .. }) => totals.add_malformed(line),
            Err(Unreadable::Torn { .. }) => totals.add_torn(),
            Err(stopped @ Unreadable::Io { .. }) => return Err(stopped),
        }
    }
    totals.write(&mut Page::new(out, options.layout), options);
    out.push_str(&log);
    Ok(())
}
