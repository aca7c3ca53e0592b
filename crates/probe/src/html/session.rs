//! The sessions of the page: each folds, and so do its turns and exchanges. In: a summary. Out: its
//! tree. A small one is shown open, a large one closed.

use super::element::Html;
use super::{exchange, timeline};
use crate::summary::{NamedBy, SessionSummary, Summary, TurnSummary};
use crate::words::{counted, date_and_time};

/// Up to so many exchanges in all, sessions and turns are shown open.
const OPEN_EXCHANGES: u64 = 60;

/// Writes all sessions, and what belongs to none.
pub(super) fn write_all(page: &mut Html<'_>, summary: &Summary) {
    let is_open = summary.sum.exchanges <= OPEN_EXCHANGES;
    page.plain("h2", "Sessions");
    if summary.sessions.is_empty() {
        page.plain("p", "There are none.");
    }
    for session in &summary.sessions {
        write_session(page, session, is_open);
    }
    if !summary.others.is_empty() {
        page.plain("h2", "Exchanges outside of sessions");
        summary.others.iter().for_each(|facts| exchange::write(page, facts));
    }
}

fn fold(
    page: &mut Html<'_>,
    class: &str,
    is_open: bool,
    summary: impl FnOnce(&mut Html<'_>),
    content: impl FnOnce(&mut Html<'_>),
) {
    let class = [("class", class), ("open", "")];
    let attributes = if is_open { class.as_slice() } else { class.get(..1).unwrap_or_default() };
    page.element("details", attributes, |page| {
        page.element("summary", &[], summary);
        page.markup("\n");
        content(page);
    });
    page.markup("\n");
}

fn write_session(page: &mut Html<'_>, session: &SessionSummary, is_open: bool) {
    let head = |page: &mut Html<'_>| {
        page.with("b", &[], "Session ");
        page.quote(&session.id);
        page.with("span", &[("class", "facts")], &session.sum.in_words().join(" · "));
    };
    fold(page, "session", is_open, head, |page| {
        page.element("p", &[("class", "about")], |page| {
            if let Some(first) = session.sum.first_unix_ms {
                page.text(&format!("Began {} UTC. ", date_and_time(first.div_euclid(1000))));
            }
            page.text(match session.named_by {
                NamedBy::Record => "The recorder noted its id down.",
                NamedBy::Client => "Its requests name it.",
                NamedBy::CacheKey => "Its requests share a key for the prompt cache.",
                NamedBy::Inferred => "Its requests begin the same way; nothing names it.",
            });
            if let Some(parent) = &session.parent {
                page.text(" Started by ");
                page.quote(parent);
                page.text(".");
            }
        });
        timeline::write(page, session);
        for (turn, number) in session.turns.iter().zip(1..) {
            write_turn(page, turn, number, is_open);
        }
    });
}

fn write_turn(page: &mut Html<'_>, turn: &TurnSummary, number: usize, is_open: bool) {
    let head = |page: &mut Html<'_>| {
        page.with("b", &[], &format!("Turn {number} "));
        page.quote(turn.prompt.as_deref().unwrap_or("(the user says nothing new)"));
        let exchanges = counted(turn.exchanges.len() as u64, "exchange");
        page.with("span", &[("class", "facts")], &exchanges);
    };
    fold(page, "turn", is_open, head, |page| {
        turn.exchanges.iter().for_each(|facts| exchange::write(page, facts));
    });
}
