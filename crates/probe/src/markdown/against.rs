//! Two sessions side by side as Markdown. In: their comparison. Out: a table of their sums, then each
//! turn in which they differ.

use std::borrow::Cow;

use super::Layout;
use super::page::Page;
use super::text::{code, code_cell, inline};
use crate::summary::{Against, Sum, TurnDigest, TurnPair};
use crate::words::{grouped, usd};

/// A row of the sums: what it is, and what a sum says.
type Row = (&'static str, fn(&Sum) -> String);

/// The rows.
const ROWS: &[Row] = &[
    ("exchanges", |sum| grouped(sum.exchanges)),
    ("errors", |sum| grouped(sum.errors)),
    ("retries", |sum| grouped(sum.retries)),
    ("seconds", |sum| format!("{:.1}", sum.duration_ms() as f64 / 1000.0)),
    ("input tokens", |sum| grouped(sum.tokens.input)),
    ("of these cached", |sum| grouped(sum.tokens.cached)),
    ("output tokens", |sum| grouped(sum.tokens.output)),
    ("cost", |sum| if sum.unpriced_exchanges > 0 { "no price".into() } else { usd(sum.cost_usd) }),
    ("cache misses", |sum| grouped(sum.cache_misses)),
    ("lost tokens (estimate)", |sum| grouped(sum.lost_tokens_estimate)),
];

/// The comparison of two sessions.
pub fn against(compared: &Against) -> String {
    let mut text = String::new();
    let mut page = Page::new(&mut text, Layout::Default);
    page.paragraph("# Two sessions");
    let (one, other) = (&compared.one, &compared.other);
    page.line(format!("**One:** {}", code(&one.0)));
    page.paragraph(format!("**Other:** {}", code(&other.0)));
    let rows = ROWS.iter().map(|(name, of)| {
        let (left, right) = (of(&one.1), of(&other.1));
        let mark = if left == right { "" } else { "≠" };
        [Cow::Borrowed(*name), left.into(), right.into(), mark.into()]
    });
    page.table(["", "One", "Other", "Differs"], rows);
    for pair in &compared.turns {
        write_turn(&mut page, pair);
    }
    text
}

fn write_turn(page: &mut Page<'_>, pair: &TurnPair) {
    let number = pair.number;
    match (&pair.one, &pair.other) {
        (Some(one), Some(_)) if pair.differs.is_empty() => {
            page.paragraph(format!("## Turn {number}: the same"));
            page.paragraph(inline(&one.prompt).as_ref());
        }
        (Some(one), Some(other)) => {
            page.paragraph(format!("## Turn {number}: {} differ", pair.differs.join(", ")));
            let rows = [
                row("prompt", one, other, |turn| inline(&turn.prompt).into_owned()),
                row("models", one, other, |turn| code_cell(&turn.models.join(", "))),
                row("exchanges", one, other, |turn| grouped(turn.exchanges)),
                row("errors", one, other, |turn| grouped(turn.errors)),
                row("calls", one, other, |turn| code_cell(&turn.calls.join("; "))),
                row("said", one, other, |turn| inline(&turn.said).into_owned()),
                row("tokens in, cached, out", one, other, |turn| {
                    let (input, cached, output) = turn.tokens;
                    [input, cached, output].map(grouped).join(" · ")
                }),
            ];
            page.table(["", "One", "Other"], rows);
        }
        (Some(only), None) => only_one(page, number, "one", only),
        (None, Some(only)) => only_one(page, number, "other", only),
        (None, None) => {}
    }
}

fn row<'c>(
    name: &'static str,
    one: &TurnDigest,
    other: &TurnDigest,
    of: impl Fn(&TurnDigest) -> String,
) -> [Cow<'c, str>; 3] {
    [name.into(), of(one).into(), of(other).into()]
}

fn only_one(page: &mut Page<'_>, number: usize, which: &str, turn: &TurnDigest) {
    page.paragraph(format!("## Turn {number}: only in the {which}"));
    page.paragraph(inline(&turn.prompt).as_ref());
}
