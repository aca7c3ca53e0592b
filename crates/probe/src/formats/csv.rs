//! Exchanges as a table of comma-separated values (RFC 4180), a row each, as they are read. In:
//! exchanges in their places. Out: rows. A text that a spreadsheet would take for a formula gets an
//! apostrophe before it.

use std::io::{self, Write};

use crate::formats::columns::{COLUMNS, Cell};
use crate::summary::Placed;
use crate::words::rfc3339;

/// Writes the names of the columns.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_head(out: &mut dyn Write) -> io::Result<()> {
    write_line(out, COLUMNS.iter().map(|column| column.name.to_owned()))
}

/// Writes the row of an exchange.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_row(placed: &Placed<'_>, out: &mut dyn Write) -> io::Result<()> {
    write_line(out, COLUMNS.iter().map(|column| (column.of)(placed).map(cell).unwrap_or_default()))
}

fn write_line(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    write!(out, "{}\r\n", cells.collect::<Vec<_>>().join(","))
}

fn cell(cell: Cell) -> String {
    match cell {
        Cell::Text(text) => quoted(text),
        Cell::Count(count) => count.to_string(),
        Cell::Time(unix_ms) => rfc3339(unix_ms),
        Cell::Money(usd) => format!("{usd:.6}"),
    }
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
