//! Two sessions side by side as a page. In: their comparison. Out: a table of their sums, then a fold for
//! each pair of turns, open where they differ.

use super::element::Html;
use crate::markdown::diff::{SUMS, TURNS, title};
use crate::summary::{Diff, TurnDigest, TurnPair};

/// Writes the inside of the page.
pub(super) fn write(page: &mut Html<'_>, diff: &Diff) {
    page.element("header", &[], |page| {
        page.plain("h1", "Two sessions");
        page.element("p", &[("class", "about")], |page| {
            page.quote(&diff.one.id);
            page.text(" and ");
            page.quote(&diff.other.id);
        });
        page.table(&["", "#One", "#Other", "Differs"], |page| {
            for (name, of) in SUMS {
                let (one, other) = (of(&diff.one.sum), of(&diff.other.sum));
                page.element("tr", &[], |page| {
                    page.plain("td", name);
                    page.number(&one);
                    page.number(&other);
                    page.plain("td", if one == other { "" } else { "≠" });
                });
            }
        });
    });
    page.element("main", &[], |page| diff.turns.iter().for_each(|pair| write_turn(page, pair)));
}

fn write_turn(page: &mut Html<'_>, pair: &TurnPair) {
    let is_same = pair.differs.is_empty() && pair.one.is_some() && pair.other.is_some();
    let attributes = [("class", "turn"), ("open", "")];
    let attributes = attributes.get(..if is_same { 1 } else { 2 }).unwrap_or_default();
    page.element("details", attributes, |page| {
        page.element("summary", &[], |page| {
            page.with("b", &[], &title(pair));
            page.text(" ");
            let prompt = pair.one.as_ref().or(pair.other.as_ref()).map(|turn| &turn.prompt);
            page.quote(prompt.map_or("", |prompt| prompt));
        });
        page.table(&["", "One", "Other"], |page| {
            let sides = [pair.one.as_ref(), pair.other.as_ref()];
            TURNS.iter().for_each(|(name, of)| write_row(page, name, sides, *of));
        });
    });
    page.markup("\n");
}

fn write_row(
    page: &mut Html<'_>,
    name: &str,
    sides: [Option<&TurnDigest>; 2],
    of: fn(&TurnDigest) -> String,
) {
    page.element("tr", &[], |page| {
        page.plain("td", name);
        for side in sides {
            page.element("td", &[], |page| page.quote(&side.map(of).unwrap_or_default()));
        }
    });
}
