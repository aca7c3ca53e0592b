//! Exchanges as a table of comma-separated values (RFC 4180), a row each, as they are read. In:
//! exchanges in their places. Out: rows. A text that a spreadsheet would take for a formula gets an
//! apostrophe before it.

use std::io::{self, Write};

use crate::summary::{Cache, Placed};
use crate::words::rfc3339;

/// A column: its name, and what stands in it.
type Column = (&'static str, fn(&Placed<'_>) -> Option<String>);

/// The columns.
const COLUMNS: &[Column] = &[
    ("number", |of| Some(of.facts.number.to_string())),
    ("line", |of| Some(of.facts.line.to_string())),
    ("at", |of| of.facts.at_unix_ms.map(rfc3339)),
    ("session", |of| Some(of.session.to_owned())),
    ("turn", |of| (of.turn > 0).then(|| of.turn.to_string())),
    ("method", |of| Some(of.facts.method.clone())),
    ("path", |of| Some(of.facts.path.clone())),
    ("model", |of| of.facts.model.clone()),
    ("status", |of| of.facts.status.map(|status| status.to_string())),
    ("outcome", |of| Some(of.facts.outcome.name().to_owned())),
    ("error", |of| of.facts.error.clone()),
    ("attempt", |of| Some(of.facts.attempt.to_string())),
    ("retry_of", |of| of.facts.retry_of.map(|number| number.to_string())),
    ("duration_us", |of| of.facts.times.duration_us.map(|us| us.to_string())),
    ("first_byte_us", |of| of.facts.times.first_byte_us.map(|us| us.to_string())),
    ("first_event_us", |of| of.facts.times.first_event_us.map(|us| us.to_string())),
    ("longest_gap_us", |of| of.facts.times.longest_gap_us.map(|us| us.to_string())),
    ("tools_us", |of| of.facts.times.tools_us.map(|us| us.to_string())),
    ("request_bytes", |of| Some(of.facts.request_bytes.to_string())),
    ("response_bytes", |of| Some(of.facts.response_bytes.to_string())),
    ("input_tokens", |of| of.facts.tokens.map(|used| used.input.to_string())),
    ("cached_tokens", |of| of.facts.tokens.map(|used| used.cached.to_string())),
    ("output_tokens", |of| of.facts.tokens.map(|used| used.output.to_string())),
    ("reasoning_tokens", |of| of.facts.tokens.map(|used| used.reasoning.to_string())),
    ("cost_usd", |of| of.facts.cost_usd.map(|usd| format!("{usd:.6}"))),
    ("lost_tokens_estimate", |of| missed(of).map(|cache| cache.lost_tokens_estimate.to_string())),
    ("changed_at", |of| of.facts.cache.as_ref()?.change.as_ref().map(|change| change.path.clone())),
    ("calls", |of| {
        let names: Vec<_> = of.facts.calls.iter().map(|call| call.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(" "))
    }),
    ("violations", |of| {
        let count: u64 = of.facts.violations.iter().map(|violation| violation.times).sum();
        Some(count.to_string())
    }),
];

fn missed<'a>(of: &Placed<'a>) -> Option<&'a Cache> {
    of.facts.cache.as_ref().filter(|cache| cache.is_miss())
}

/// Writes the names of the columns.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_head(out: &mut dyn Write) -> io::Result<()> {
    write_line(out, COLUMNS.iter().map(|(name, _)| Some((*name).to_owned())))
}

/// Writes the row of an exchange.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_row(placed: &Placed<'_>, out: &mut dyn Write) -> io::Result<()> {
    write_line(out, COLUMNS.iter().map(|(_, of)| of(placed)))
}

fn write_line(out: &mut dyn Write, cells: impl Iterator<Item = Option<String>>) -> io::Result<()> {
    let cells: Vec<String> = cells.map(|cell| cell.map(quoted).unwrap_or_default()).collect();
    write!(out, "{}\r\n", cells.join(","))
}

fn quoted(text: String) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn cells_hold_what_they_are_given_and_compute_nothing() {
        let cases = [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"no\"\r\n", "\"say \"\"no\"\"\r\n\""),
            ("=1+1", "'=1+1"),
            ("@cmd,x", "\"'@cmd,x\""),
        ];
        for (text, cell) in cases {
            assert_eq!(quoted(text.to_owned()), cell);
        }
    }
}
