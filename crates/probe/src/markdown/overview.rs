//! What the summary says over all exchanges: what went wrong, before anything else, and what was used.
//! In: a summary. Out: chapters of the head.

use std::borrow::Cow;

use super::page::Page;
use super::text::{code_cell, inline};
use super::totals::section;
use crate::summary::{Cache, Change, Facts, Sum, Summary};
use crate::words::{duration, grouped, usd};

/// How many errors and cache misses are listed here; all of them are with their sessions.
const LISTED_MAX: usize = 100;

/// Errors, retries, and rules that answers broke.
pub(super) fn write_wrong(page: &mut Page<'_>, summary: &Summary) {
    let errors = || summary.exchanges().filter(|facts| facts.outcome.is_error());
    let rows = errors().take(LISTED_MAX).map(|facts| {
        let error = inline(facts.error.as_deref().unwrap_or_default());
        [number(facts), attempt(facts), status(facts), facts.outcome.name().into(), error]
    });
    section(page, "Errors", ["Request", "Attempt", "Status", "End", "What it says"], rows);
    more(page, errors().count());
    let rows = summary.violations.iter().map(|broken| {
        let (rule, detail) = (code_cell(&broken.rule).into(), inline(&broken.detail));
        [rule, inline(&broken.severity), grouped(broken.times).into(), detail]
    });
    section(page, "Broken Rules", ["Rule", "Clients", "Times", "First Place"], rows);
    if summary.left_out_exchanges > 0 {
        let left_out = grouped(summary.left_out_exchanges);
        page.paragraph(format!(
            "{left_out} more exchanges are in the sums and in the log, but in no session below."
        ));
    }
}

/// Models with tokens and money, the prompt cache, and tools.
pub(super) fn write_used(page: &mut Page<'_>, summary: &Summary) {
    let rows = summary.models.iter().map(|model| {
        let Sum { exchanges, errors, tokens, cost_usd, .. } = &model.sum;
        let cost = model.price_date.as_ref().map(|_| usd(*cost_usd));
        let read = model.price_date.as_deref().zip(model.price_source.as_deref());
        let read = read.map(|(date, source)| inline(&format!("{date}, {source}")).into_owned());
        let [exchanges, errors, input, cached, output] =
            [*exchanges, *errors, tokens.input, tokens.cached, tokens.output].map(grouped);
        [
            code_cell(&model.model),
            exchanges,
            errors,
            input,
            cached,
            output,
            cost.unwrap_or_else(|| "no price".to_owned()),
            read.unwrap_or_default(),
        ]
        .map(Cow::Owned)
    });
    let head = ["Model", "Requests", "Errors", "Input", "Cached", "Output", "Cost", "Price read"];
    section(page, "Tokens and Money", head, rows);
    write_misses(page, summary);
    let rows = summary.tools.iter().map(|tool| {
        let mean = tool.round_trips_us.checked_div(tool.outputs).unwrap_or_default();
        let time = |us: u64| if us > 0 { duration(us) } else { "–".to_owned() };
        let [calls, unfinished, outputs, bytes] =
            [tool.calls, tool.unfinished, tool.outputs, tool.output_bytes].map(grouped);
        let longest = time(tool.longest_round_trip_us);
        [code_cell(&tool.name), calls, unfinished, outputs, bytes, time(mean), longest]
            .map(Cow::Owned)
    });
    let head = ["Tool", "Calls", "Unfinished", "Outputs", "Output Bytes", "Mean Trip", "Longest"];
    section(page, "Tool Usage", head, rows);
}

fn write_misses(page: &mut Page<'_>, summary: &Summary) {
    let misses = || {
        let cached = summary.exchanges().filter_map(|facts| Some((facts, facts.cache.as_ref()?)));
        cached.filter(|(_, cache)| cache.is_miss())
    };
    let rows = misses().take(LISTED_MAX).map(|(facts, cache)| {
        let (path, byte) = place(cache.change.as_ref());
        let lost = format!("≈ {}", grouped(cache.lost_tokens_estimate)).into();
        let usd = cache.lost_usd_estimate.map(|lost| format!("≈ {}", usd(lost)));
        let usd = usd.unwrap_or_else(|| "no price".to_owned()).into();
        [number(facts), lost, usd, path.into(), byte.into(), cache.reason().into()]
    });
    let head = ["Request", "Lost Tokens", "Lost Money", "First Change", "Byte", "Why"];
    section(page, "Prompt Cache Misses", head, rows);
    more(page, misses().count());
}

/// Where a prompt changed: the path, and the byte.
pub(super) fn place(change: Option<&Change>) -> (String, String) {
    let Some(change) = change else { return ("–".to_owned(), "–".to_owned()) };
    let [at, of] = [change.at_byte, change.prompt_bytes].map(grouped);
    let byte = if change.prompt_bytes > 0 { format!("{at} of {of}") } else { "–".to_owned() };
    (code_cell(&change.path), byte)
}

/// What became of the cache, in a line.
pub(super) fn cached(cache: &Cache) -> String {
    let mut said = cache.reason().to_owned();
    if cache.expected_tokens > 0 {
        let [cached, expected, lost] =
            [cache.cached_tokens, cache.expected_tokens, cache.lost_tokens_estimate].map(grouped);
        said += &format!(": {cached} of {expected} tokens came from it; about {lost} were lost");
        said.extend(cache.lost_usd_estimate.map(|lost| format!(", about {}", usd(lost))));
    }
    said
}

/// The number of an exchange, by which the log has it.
pub(super) fn number<'c>(facts: &Facts) -> Cow<'c, str> {
    grouped(facts.number).into()
}

/// The HTTP status of an exchange in a word.
pub(super) fn status<'c>(facts: &Facts) -> Cow<'c, str> {
    facts.status.map_or(Cow::Borrowed("no answer"), |status| status.to_string().into())
}

/// Which attempt an exchange is, and at what.
pub(super) fn attempt<'c>(facts: &Facts) -> Cow<'c, str> {
    match facts.retry_of {
        Some(first) => format!("{} at {}", facts.attempt, grouped(first)).into(),
        None => facts.attempt.to_string().into(),
    }
}

fn more(page: &mut Page<'_>, all: usize) {
    if all > LISTED_MAX {
        page.paragraph(format!("and {} more", grouped((all - LISTED_MAX) as u64)));
    }
}
