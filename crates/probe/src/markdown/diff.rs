//! Two sessions side by side as Markdown. In: their comparison. Out: a table of their sums, then each
//! turn in which they differ.

use std::borrow::Cow;

use super::Layout;
use super::page::Page;
use super::text::{code, inline};
use crate::summary::{Diff, Sum, TurnDigest, TurnPair};
use crate::words::{grouped, usd};

/// A row of a comparison: what it is, and what each side says.
pub(crate) type Row<T> = (&'static str, fn(&T) -> String);

/// The rows of the sums.
pub(crate) const SUMS: &[Row<Sum>] = &[
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
pub fn diff(diff: &Diff) -> String {
    let mut text = String::new();
    let mut page = Page::new(&mut text, Layout::Default);
    page.paragraph("# Two sessions");
    let (one, other) = (&diff.one, &diff.other);
    page.line(format!("**One:** {}", code(&one.id)));
    page.paragraph(format!("**Other:** {}", code(&other.id)));
    let rows = SUMS.iter().map(|(name, of)| {
        let (left, right) = (of(&one.sum), of(&other.sum));
        let mark = if left == right { "" } else { "≠" };
        [Cow::Borrowed(*name), left.into(), right.into(), mark.into()]
    });
    page.table(["", "One", "Other", "Differs"], rows);
    for pair in &diff.turns {
        write_turn(&mut page, pair);
    }
    text
}

/// The rows of two turns that belong together.
pub(crate) const TURNS: &[Row<TurnDigest>] = &[
    ("prompt", |turn| turn.prompt.clone()),
    ("models", |turn| turn.models.join(", ")),
    ("exchanges", |turn| grouped(turn.exchanges)),
    ("errors", |turn| grouped(turn.errors)),
    ("calls", |turn| turn.calls.join("; ")),
    ("said", |turn| turn.said.clone()),
    ("tokens", |turn| {
        let [input, cached, output] =
            [turn.tokens.input, turn.tokens.cached, turn.tokens.output].map(grouped);
        format!("{input} in ({cached} cached), {output} out")
    }),
];

/// What stands above two turns: which they are, and what of them differs.
pub(crate) fn title(pair: &TurnPair) -> String {
    match (&pair.one, &pair.other) {
        (Some(one), Some(other)) => {
            let numbers = match one.number == other.number {
                true => one.number.to_string(),
                false => format!("{} and {}", one.number, other.number),
            };
            match pair.differs.is_empty() {
                true => format!("Turn {numbers}: the same"),
                false => format!("Turn {numbers}: {} differ", pair.differs.join(", ")),
            }
        }
        (Some(only), None) => format!("Turn {}: only in the one", only.number),
        (None, Some(only)) => format!("Turn {}: only in the other", only.number),
        (None, None) => String::new(),
    }
}

fn write_turn(page: &mut Page<'_>, pair: &TurnPair) {
    page.paragraph(format!("## {}", title(pair)));
    match (&pair.one, &pair.other) {
        (Some(one), Some(other)) if !pair.differs.is_empty() => {
            let rows = TURNS.iter().map(|(name, of)| {
                let [one, other] = [one, other].map(|turn| inline(&of(turn)).into_owned().into());
                [Cow::Borrowed(*name), one, other]
            });
            page.table(["", "One", "Other"], rows);
        }
        (Some(turn), _) | (None, Some(turn)) => page.paragraph(inline(&turn.prompt).as_ref()),
        (None, None) => {}
    }
}
