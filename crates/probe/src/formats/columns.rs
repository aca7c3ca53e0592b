//! The columns of a table of exchanges, which is written as CSV and as Parquet. In: an exchange in its
//! place. Out: what stands in each column.

use crate::summary::{Cache, Placed};

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// A name, an id, words.
    Text(String),
    /// A count.
    Count(u64),
    /// A time: milliseconds since 1970 (UTC).
    Time(i64),
    /// US dollars.
    Money(f64),
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "only Parquet writes types"))]
pub(crate) enum Kind {
    Text,
    Count,
    Time,
    Money,
}

/// A column: its name, its kind, and what stands in it for an exchange.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    #[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "only Parquet writes types"))]
    pub(crate) kind: Kind,
    pub(crate) of: fn(&Placed<'_>) -> Option<Cell>,
}

const fn text(name: &'static str, of: fn(&Placed<'_>) -> Option<Cell>) -> Column {
    Column { name, kind: Kind::Text, of }
}

const fn count(name: &'static str, of: fn(&Placed<'_>) -> Option<Cell>) -> Column {
    Column { name, kind: Kind::Count, of }
}

fn words(text: &str) -> Option<Cell> {
    (!text.is_empty()).then(|| Cell::Text(text.to_owned()))
}

fn number(number: impl Into<u64>) -> Option<Cell> {
    Some(Cell::Count(number.into()))
}

/// The columns, in their order.
pub(crate) const COLUMNS: &[Column] = &[
    count("number", |of| number(of.facts.number)),
    count("line", |of| number(of.facts.line)),
    Column { name: "began_at", kind: Kind::Time, of: |of| of.facts.at_unix_ms.map(Cell::Time) },
    text("session", |of| words(of.session)),
    count("turn", |of| (of.turn > 0).then_some(Cell::Count(of.turn))),
    text("method", |of| words(&of.facts.method)),
    text("path", |of| words(&of.facts.path)),
    text("model", |of| words(of.facts.model.as_deref()?)),
    count("status", |of| number(of.facts.status?)),
    text("outcome", |of| words(of.facts.outcome.name())),
    text("error", |of| words(of.facts.error.as_deref()?)),
    count("attempt", |of| number(of.facts.attempt)),
    count("retry_of", |of| number(of.facts.retry_of?)),
    count("duration_us", |of| number(of.facts.times.duration_us?)),
    count("first_byte_us", |of| number(of.facts.times.first_byte_us?)),
    count("first_event_us", |of| number(of.facts.times.first_event_us?)),
    count("longest_gap_us", |of| number(of.facts.times.longest_gap_us?)),
    count("tools_us", |of| number(of.facts.times.tools_us?)),
    count("request_bytes", |of| number(of.facts.request_bytes)),
    count("response_bytes", |of| number(of.facts.response_bytes)),
    count("input_tokens", |of| number(of.facts.tokens?.input)),
    count("cached_tokens", |of| number(of.facts.tokens?.cached)),
    count("output_tokens", |of| number(of.facts.tokens?.output)),
    count("reasoning_tokens", |of| number(of.facts.tokens?.reasoning)),
    Column { name: "cost_usd", kind: Kind::Money, of: |of| of.facts.cost_usd.map(Cell::Money) },
    count("lost_tokens_estimate", |of| number(missed(of)?.lost_tokens_estimate)),
    text("changed_at", |of| words(&of.facts.cache.as_ref()?.change.as_ref()?.path)),
    text("calls", |of| {
        let names: Vec<_> = of.facts.calls.iter().map(|call| call.name.as_str()).collect();
        words(&names.join(" "))
    }),
    count("violations", |of| {
        number(of.facts.violations.iter().map(|broken| broken.times).sum::<u64>())
    }),
];

fn missed<'a>(of: &Placed<'a>) -> Option<&'a Cache> {
    of.facts.cache.as_ref().filter(|cache| cache.is_miss())
}
