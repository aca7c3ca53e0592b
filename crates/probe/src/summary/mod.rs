//! What a recording holds, as data: sessions, their turns, the exchanges of each, and sums over all of
//! them. In: one recording or several, in one pass over their lines by all cores. Out: a [`Summary`],
//! of which every writer (JSON, HTML, Markdown, CSV, the terminal) is a view. Memory is bounded: of a body only
//! small facts stay, and of exchanges beyond [`SummaryLimits`] only what they add to the sums.

mod diff;
mod facts;
mod open;
mod prefix;
mod price;
mod schema;
mod select;
mod sessions;
mod sums;

pub use crate::content::socket::{Beside, Closed};
pub use crate::record::account::Tokens;
pub use diff::{Diff, DiffSide, TurnDigest, TurnPair, diff};
pub use price::{LongInput, Price, Prices};
pub use schema::{
    Added, BrokenRule, Cache, Called, Change, Ending, Facts, NamedBy, SUMMARY_VERSION,
    SessionSummary, Skipped, SkippedLine, Summary, Times, TurnSummary, diff_schema, schema,
};
pub use select::{Answered, Selection, UnknownAnswer};
pub use sums::{ModelSum, Sum, ToolSum};

use std::io::{self, Read};

use crate::blocks;
use crate::content::parts::Parts;
use crate::record::exchange::{self, Unreadable};
pub(crate) use facts::Seen;
use sessions::Assembly;

/// How much a summary keeps. What is beyond is counted, and only selected recordings show it.
#[derive(Debug, Clone, Copy)]
pub struct SummaryLimits {
    /// How many exchanges are kept with their facts.
    pub exchanges: u64,
    /// How many sessions are followed at a time; of one that was silent for longest, the next request
    /// is a session of its own.
    pub sessions: usize,
    /// How much of the last requests is kept to compare the next ones with, in bytes.
    pub prefix_bytes: usize,
    /// How many bytes of excerpts are kept in all.
    pub excerpt_bytes: usize,
    /// How many lines that are no exchanges are named.
    pub skipped_lines: usize,
}

impl Default for SummaryLimits {
    fn default() -> Self {
        SummaryLimits {
            exchanges: 10_000,
            sessions: 1_000,
            prefix_bytes: 8 << 20,
            excerpt_bytes: 4 << 20,
            skipped_lines: 20,
        }
    }
}

/// What a summary needs to know besides the exchanges.
#[derive(Debug, Clone, Default)]
pub struct SummaryOptions {
    /// Seconds since 1970 (UTC) at which it is made.
    pub generated_unix_s: i64,
    /// What models cost.
    pub prices: Prices,
    /// Which exchanges are wanted.
    pub selection: Selection,
    /// How much is kept.
    pub limits: SummaryLimits,
}

/// An exchange in its place.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The id of its session; empty for one outside of sessions.
    pub session: &'a str,
    /// The number of its turn in the session, from 1.
    pub turn: u64,
    /// What the turn began with.
    pub prompt: Option<&'a str>,
    /// It is the first of its turn.
    pub begins_turn: bool,
    /// What is known of it.
    pub facts: &'a Facts,
}

/// Makes a summary of one recording after another.
pub struct Summarizer {
    assembly: Assembly,
}

impl Summarizer {
    /// Begins a summary.
    pub fn new(options: SummaryOptions) -> Self {
        Summarizer { assembly: Assembly::new(options) }
    }

    /// Reads a whole recording, which the summary will call `source`. `watch` sees each exchange that
    /// is wanted, also those of which only the sums stay.
    ///
    /// # Errors
    /// When it cannot be read, or what `watch` returns.
    pub fn read(
        &mut self,
        source: &str,
        recording: impl Read,
        watch: &mut dyn FnMut(&Placed<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.begin(source);
        let assembly = &mut self.assembly;
        let read = |lines: &[u8], read: &mut Lines| *read = Lines::of(lines);
        blocks::in_order(recording, read, |lines| assembly.add(std::mem::take(lines), watch))
    }

    /// Begins with a recording of which [`Summarizer::lines`] will bring the lines.
    pub fn begin(&mut self, source: &str) {
        self.assembly.begin(source);
    }

    /// Takes whole lines that follow those before.
    ///
    /// # Errors
    /// What `watch` returns.
    pub fn lines(
        &mut self,
        lines: &[u8],
        watch: &mut dyn FnMut(&Placed<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.add(Lines::of(lines), watch)
    }

    /// The same for lines that were read already.
    pub(crate) fn add(
        &mut self,
        lines: Lines,
        watch: &mut dyn FnMut(&Placed<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.assembly.add(lines, watch)
    }

    /// The summary of all that was read.
    pub fn finish(self) -> Summary {
        self.assembly.finish()
    }
}

/// The summary of one recording.
///
/// # Errors
/// When it cannot be read.
///
/// ```
/// use latimer_probe::summary::{SummaryOptions, of};
/// let recording = r#"{"request": {"method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": "Hi"}}}"#;
/// let summary = of("a.jsonl", recording.as_bytes(), SummaryOptions::default())?;
/// assert_eq!(summary.sessions[0].turns[0].prompt.as_deref(), Some("Hi"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn of(source: &str, recording: impl Read, options: SummaryOptions) -> io::Result<Summary> {
    let mut summarizer = Summarizer::new(options);
    summarizer.read(source, recording, &mut |_| Ok(()))?;
    Ok(summarizer.finish())
}

/// The lines of a block as they were read.
#[derive(Default)]
pub(crate) struct Lines {
    /// How many line ends there are.
    pub(crate) count: u64,
    /// What each record says, and on which line.
    seen: Vec<(u64, Result<Seen, Unreadable>)>,
}

impl Lines {
    fn of(lines: &[u8]) -> Lines {
        let seen = exchange::read_numbered(lines).map(|(line, exchange)| {
            let seen = exchange.map(|exchange| Seen::of(&exchange, &Parts::of(&exchange)));
            (line, seen)
        });
        let seen = seen.collect();
        Lines { count: memchr::memchr_iter(b'\n', lines).count() as u64, seen }
    }

    /// Adds what the next record says.
    pub(crate) fn push(&mut self, line: u64, seen: Result<Seen, Unreadable>) {
        self.seen.push((line, seen));
    }
}
