//! The sessions of the report: first all of them as a tree, then each with its turns, and each turn with
//! its requests: when what came, what was added to the prompt, what became of the cache, what was said and
//! called, and what was wrong. In: a summary. Out: chapters of the head, written session by session.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::Layout;
use super::overview::{attempt, cached, number, place, status};
use super::page::Page;
use super::text::{code, code_cell, inline};
use crate::summary::{Ending, Facts, NamedBy, SessionSummary, Summary, TurnSummary};
use crate::words::{counted, date_and_time, duration, grouped, time_with_ms, usd};

/// How deep the tree of sessions is drawn.
const DEPTH_MAX: usize = 16;

/// Writes all sessions, and what belongs to none.
pub(super) fn write(summary: &Summary, layout: Layout, out: &mut impl Write) -> io::Result<()> {
    let mut text = String::new();
    let mut flush = |write: &dyn Fn(&mut Page<'_>)| {
        text.clear();
        write(&mut Page::new(&mut text, layout));
        out.write_all(text.as_bytes())
    };
    if !summary.sessions.is_empty() {
        flush(&|page| write_tree(page, &summary.sessions))?;
    }
    for session in &summary.sessions {
        flush(&|page| write_session(page, session))?;
    }
    if !summary.others.is_empty() {
        flush(&|page| {
            page.paragraph("## Requests outside of Sessions");
            write_timeline(page, &summary.others);
        })?;
    }
    Ok(())
}

/// The sessions, each below the one that started it.
fn write_tree(page: &mut Page<'_>, sessions: &[SessionSummary]) {
    page.paragraph("## Sessions");
    let known: BTreeMap<&str, usize> =
        sessions.iter().zip(0..).map(|(session, at)| (session.id.as_str(), at)).collect();
    let mut children = BTreeMap::<Option<usize>, Vec<&SessionSummary>>::new();
    for (session, at) in sessions.iter().zip(0..) {
        // A session begins after the one that starts it.
        let parent = session.parent.as_deref().and_then(|id| known.get(id)).copied();
        children.entry(parent.filter(|parent| *parent < at)).or_default().push(session);
    }
    write_branches(page, &children, &known, None, 0);
    page.gap();
}

fn write_branches(
    page: &mut Page<'_>,
    children: &BTreeMap<Option<usize>, Vec<&SessionSummary>>,
    known: &BTreeMap<&str, usize>,
    of: Option<usize>,
    depth: usize,
) {
    for session in children.get(&of).into_iter().flatten().filter(|_| depth < DEPTH_MAX) {
        let turns = counted(session.turns.len() as u64, "turn");
        let (id, facts) = (code(&session.id), session.sum.in_words().join(", "));
        page.line(format!("{}- {id}: {turns}, {facts}", "  ".repeat(depth)));
        write_branches(page, children, known, known.get(&*session.id).copied(), depth + 1);
    }
}

fn write_session(page: &mut Page<'_>, session: &SessionSummary) {
    page.paragraph(format!("### Session {}", code(&session.id)));
    if let Some(first) = session.sum.first_unix_ms {
        page.line(format!("**Began:** {} UTC", date_and_time(first.div_euclid(1000))));
    }
    page.line(format!("**Known by:** {}", named_by(session.named_by)));
    if let Some(parent) = &session.parent {
        page.line(format!("**Started by:** {}", code(parent)));
    }
    page.paragraph(format!("**In all:** {}", session.sum.in_words().join(", ")));
    for (turn, number) in session.turns.iter().zip(1..) {
        write_turn(page, turn, number);
    }
}

/// How the requests of a session were found.
fn named_by(named_by: NamedBy) -> &'static str {
    match named_by {
        NamedBy::Record => "the recorder noted its id down",
        NamedBy::Client => "its requests name it",
        NamedBy::CacheKey => "its requests share a key for the prompt cache",
        NamedBy::Inferred => "its requests begin the same way; nothing names it",
    }
}

fn write_turn(page: &mut Page<'_>, turn: &TurnSummary, number: usize) {
    let prompt = turn.prompt.as_deref().unwrap_or("(the user says nothing new)");
    page.paragraph(format!("#### Turn {number}: {}", inline(prompt)));
    write_timeline(page, &turn.exchanges);
    write_retries(page, &turn.exchanges);
    turn.exchanges.iter().for_each(|facts| write_exchange(page, facts));
}

/// When what came: a row for each request.
fn write_timeline(page: &mut Page<'_>, exchanges: &[Facts]) {
    let time = |us: Option<u64>| us.map_or(Cow::Borrowed("–"), |us| duration(us).into());
    let tokens = |count: Option<u64>| count.map_or(Cow::Borrowed("–"), |of| grouped(of).into());
    let rows = exchanges.iter().map(|facts| {
        let used = facts.tokens.as_ref();
        let [tools, first_byte, first_event, longest_gap, took] =
            facts.times.named().map(|(_, us)| time(us));
        [
            number(facts),
            facts.at_unix_ms.map_or(Cow::Borrowed("–"), |at| time_with_ms(at).into()),
            status(facts),
            facts.outcome.name().into(),
            attempt(facts),
            tools,
            first_byte,
            first_event,
            longest_gap,
            took,
            tokens(used.map(|used| used.input)),
            tokens(used.map(|used| used.cached)),
            tokens(used.map(|used| used.output)),
            facts.cost_usd.map_or(Cow::Borrowed("–"), |cost| usd(cost).into()),
        ]
    });
    let head = [
        "Request",
        "Began",
        "Status",
        "End",
        "Attempt",
        "Tools",
        "First Byte",
        "First Event",
        "Longest Gap",
        "Duration",
        "Input",
        "Cached",
        "Output",
        "Cost",
    ];
    page.table(head, rows);
}

/// Attempts at the same, in a line for each thing that was attempted.
fn write_retries(page: &mut Page<'_>, exchanges: &[Facts]) {
    let mut attempts = BTreeMap::<u64, Vec<&Facts>>::new();
    for facts in exchanges {
        attempts.entry(facts.retry_of.unwrap_or(facts.number)).or_default().push(facts);
    }
    attempts.retain(|_, attempts| attempts.iter().any(|facts| facts.retry_of.is_some()));
    for attempts in attempts.values() {
        let ends = attempts.iter().map(|facts| {
            let end = match facts.outcome {
                Ending::Failed => status(facts),
                ending => ending.name().into(),
            };
            format!("request {} ({end})", number(facts))
        });
        page.line(format!("- **Retried:** {}", ends.collect::<Vec<_>>().join(" → ")));
    }
    if !attempts.is_empty() {
        page.gap();
    }
}

/// What a request added and what came of it.
fn write_exchange(page: &mut Page<'_>, facts: &Facts) {
    let model = facts.model.as_deref().map(|model| format!(" to {}", code(model)));
    let kind = facts.request_kind.as_deref().filter(|kind| *kind != "turn");
    let kind = kind.map(|kind| format!(", {}", inline(kind)));
    let added = facts.added.len() as u64 + facts.added_more;
    page.folded(
        format!("<b>Request {}</b>: {} added", grouped(facts.number), counted(added, "part")),
        |page| {
            let line = [model, kind].into_iter().flatten().collect::<String>();
            page.paragraph(format!("Line {}{line}", grouped(facts.line)));
            write_added(page, facts);
            write_cache(page, facts);
            write_said(page, facts);
            write_wrong(page, facts);
        },
    );
}

fn write_added(page: &mut Page<'_>, facts: &Facts) {
    if facts.added_more > 0 {
        page.paragraph(format!("{} more before these:", grouped(facts.added_more)));
    }
    if facts.added.is_empty() {
        return;
    }
    let rows = facts.added.iter().map(|part| {
        let [chars, bytes] = [part.chars, part.bytes].map(grouped);
        let place = code_cell(&part.path).into();
        [place, inline(&part.what), chars.into(), bytes.into(), inline(&part.text)]
    });
    page.table(["Added at", "What", "Chars", "Bytes", "Text"], rows);
}

fn write_cache(page: &mut Page<'_>, facts: &Facts) {
    let Some(cache) = &facts.cache else { return };
    page.paragraph(format!("**Prompt cache:** {}.", cached(cache)));
    if let Some(change) = &cache.change {
        let (path, byte) = place(Some(change));
        page.paragraph(format!("**First change:** at {path}, byte {byte}:"));
        page.quote(&change.before);
        page.gap();
        page.paragraph("became");
        page.quote(&change.after);
        page.gap();
    }
}

fn write_said(page: &mut Page<'_>, facts: &Facts) {
    if let Some(said) = &facts.said {
        page.paragraph(format!("**Said:** {}", inline(said)));
    }
    for call in &facts.calls {
        let unfinished = if call.is_done { "" } else { " (unfinished)" };
        let arguments = inline(&call.arguments);
        page.line(format!("- calls {}{unfinished}: {arguments}", code(&call.name)));
    }
    if !facts.calls.is_empty() {
        page.gap();
    }
}

fn write_wrong(page: &mut Page<'_>, facts: &Facts) {
    let error = facts.error.as_deref().map(|error| format!("- error: {}", inline(error)));
    let broken = facts.violations.iter().map(|broken| {
        let (rule, detail) = (code(&broken.rule), inline(&broken.detail));
        format!(
            "- breaks {rule} ({}, {}): {detail}",
            broken.severity,
            counted(broken.times, "time")
        )
    });
    let notes = facts.notes.iter().map(|note| format!("- in translation: {}", inline(note)));
    let beside = facts.websocket.as_ref();
    let beside = beside.map(|beside| format!("- WebSocket: {}", inline(&beside.words())));
    let lines: Vec<_> = error.into_iter().chain(broken).chain(notes).chain(beside).collect();
    lines.iter().for_each(|line| page.line(line));
    if !lines.is_empty() {
        page.gap();
    }
}
