//! What is taken out of a whole line before it is written down: secrets that have a form, patterns of
//! the user's, and both where the pieces of a stream cut them. In: a line of JSON. Out: the same
//! without them; it stays JSON.

use std::ops::Range;

use memchr::arch::all::packedpair::HeuristicFrequencyRank;
use memchr::memmem::{self, Finder, FinderBuilder};
use regex_lite::Regex;

use super::known::Known;
use super::replace;
use super::shapes::Shapes;

/// Members of events whose strings are pieces of a longer text, in the order in which it grows.
const PIECES: [&[u8]; 4] =
    [br#"\"delta\":"#, br#"\"content\":"#, br#"\"arguments\":"#, br#"\"reasoning_content\":"#];

/// What stands before the answer in a recorded line. A request may hold it too, but not a line's answer
/// before it.
const ANSWER: &[u8] = br#","response":"#;

/// Takes secrets out of lines.
#[derive(Debug, Clone)]
pub struct Redactor {
    shapes: Option<Shapes>,
    pieces: [Finder<'static>; PIECES.len()],
    patterns: Vec<Regex>,
}

/// A pattern that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the pattern `{pattern}` is not a regular expression: {error}")]
pub struct BadPattern {
    /// As it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub error: regex_lite::Error,
}

impl Default for Redactor {
    fn default() -> Self {
        let pieces =
            PIECES.map(|name| FinderBuilder::new().build_forward_with_ranker(InString, name));
        Redactor { shapes: Shapes::new(&[]), pieces, patterns: Vec::new() }
    }
}

impl Redactor {
    /// With patterns of the user's, as regular expressions. They see the line as it is written, so
    /// what they find ends before a quote or a backslash at the latest.
    ///
    /// # Errors
    /// When a pattern is none.
    ///
    /// ```
    /// use latimer_probe::redact::Redactor;
    /// let redactor = Redactor::with(["corp-[0-9]{4,}"])?;
    /// let mut line = br#"{"a":"corp-1234, sk-proj-a1b2c3d4e5f6g7h8i9j0"}"#.to_vec();
    /// redactor.erase(&mut line);
    /// assert_eq!(line, br#"{"a":"[REDACTED], [REDACTED]"}"#);
    /// # Ok::<(), latimer_probe::redact::BadPattern>(())
    /// ```
    pub fn with<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Redactor, BadPattern> {
        let patterns = patterns.into_iter().map(|pattern| {
            let bad = |error| BadPattern { pattern: pattern.to_owned(), error };
            Regex::new(pattern).map_err(bad)
        });
        Ok(Redactor { patterns: patterns.collect::<Result<_, _>>()?, ..Redactor::default() })
    }

    /// The same, for lines in which these keys may stand as well.
    ///
    /// ```
    /// use latimer_probe::redact::{Known, Redactor};
    /// let key = Known::of("operator-key").expect("long enough");
    /// let mut line = br#"{"a":"operator-key, sk-proj-a1b2c3d4e5f6g7h8i9j0"}"#.to_vec();
    /// Redactor::default().knowing(&[&key]).erase(&mut line);
    /// assert_eq!(line, br#"{"a":"[REDACTED], [REDACTED]"}"#);
    /// ```
    pub fn knowing(&self, keys: &[&Known]) -> Redactor {
        Redactor { shapes: Shapes::new(keys), ..self.clone() }
    }

    /// Takes the secrets out of a line.
    pub fn erase(&self, line: &mut Vec<u8>) {
        let found = self.find(line);
        replace(line, &found);
        self.erase_cut(line);
    }

    /// Where the secrets of a text are, in their order, apart from each other.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = self.shapes.as_ref().map(|shapes| shapes.find(text)).unwrap_or_default();
        if !self.patterns.is_empty()
            && let Ok(text) = std::str::from_utf8(text)
        {
            let hits = self.patterns.iter().flat_map(|pattern| pattern.find_iter(text));
            found.extend(hits.map(|hit| {
                let length = hit.as_str().find(['"', '\\']).unwrap_or(hit.len());
                hit.start()..hit.start() + length
            }));
            found.sort_unstable_by_key(|range| range.start);
            found.dedup_by(|next, before| {
                let overlaps = next.start < before.end;
                before.end = if overlaps { before.end.max(next.end) } else { before.end };
                overlaps
            });
        }
        found.retain(|range| !range.is_empty());
        found
    }

    /// The secrets that the pieces of a stream cut: looked for in all pieces together.
    fn erase_cut(&self, line: &mut Vec<u8>) {
        let pieces = self.pieces(line);
        let whole: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| line.get(piece.clone()).unwrap_or_default())
            .copied()
            .collect();
        let found = self.find(&whole);
        if found.is_empty() {
            return;
        }
        let (mut places, mut at) = (Vec::new(), 0);
        for piece in pieces {
            let of_whole = at..at + piece.len();
            for secret in &found {
                let from = secret.start.max(of_whole.start);
                let to = secret.end.min(of_whole.end);
                if from < to {
                    places.push(piece.start + from - at..piece.start + to - at);
                }
            }
            at = of_whole.end;
        }
        replace(line, &places);
    }

    /// The strings that are pieces of a text, inside a stream that is recorded as one string: its quotes
    /// are written `\"`, and a backslash of its own `\\`.
    fn pieces(&self, line: &[u8]) -> Vec<Range<usize>> {
        let mut pieces: Vec<Range<usize>> = Vec::new();
        let answer_at = memmem::find(line, ANSWER).unwrap_or_default();
        let answer = line.get(answer_at..).unwrap_or_default();
        for name in &self.pieces {
            for hit in name.find_iter(answer) {
                let value_at = answer_at + hit + name.needle().len();
                let value_at = value_at + usize::from(line.get(value_at) == Some(&b' '));
                let value = line.get(value_at..).unwrap_or_default();
                if let Some(value) = value.strip_prefix(br#"\""#) {
                    pieces.push(value_at + 2..value_at + 2 + inner_length(value));
                }
            }
        }
        pieces.sort_unstable_by_key(|piece| piece.start);
        pieces.dedup_by(|next, before| next.start < before.end);
        pieces
    }
}

/// How often bytes stand in JSON inside a string: its quotes and backslashes more often than any letter, so
/// that a name is looked for by its letters.
struct InString;

impl HeuristicFrequencyRank for InString {
    fn rank(&self, byte: u8) -> u8 {
        match byte {
            b'"' | b'\\' | b':' | b'_' => u8::MAX,
            b'e' | b't' | b'n' => 200,
            _ => 100,
        }
    }
}

/// How long a string inside a string is, up to the quote that ends it.
fn inner_length(value: &[u8]) -> usize {
    let mut at = 0;
    while let Some(more) = memchr::memchr2(b'\\', b'"', value.get(at..).unwrap_or_default()) {
        at += more;
        match (value.get(at), value.get(at + 1), value.get(at + 2)) {
            // The outer string ends, or the inner one does.
            (Some(b'"'), ..) | (_, Some(b'"') | None, _) => return at,
            // An escape of the inner string, of whatever two or one bytes.
            (_, Some(b'\\'), Some(b'\\')) => at += 4,
            (_, Some(b'\\'), _) => at += 3,
            _ => at += 2,
        }
    }
    value.len()
}
