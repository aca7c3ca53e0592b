//! One exchange of the page: a line that opens to what was added to the prompt, what became of the
//! cache, what was said and called, and what was wrong with it. In: its facts. Out: a fold with an
//! address of its own.

use super::element::Html;
use super::overview::{link, status};
use crate::summary::{Added, Cache, Called, Change, Facts, Times};
use crate::words::{duration, grouped, time_with_ms, usd};

/// Writes an exchange.
pub(super) fn write(page: &mut Html<'_>, facts: &Facts) {
    let class = if facts.outcome.is_error() { "exchange bad" } else { "exchange" };
    let id = format!("x{}", facts.number);
    page.element("details", &[("class", class), ("id", &id)], |page| {
        page.element("summary", &[], |page| write_line(page, facts));
        page.markup("\n");
        write_parts(page, facts);
    });
    page.markup("\n");
}

fn write_line(page: &mut Html<'_>, facts: &Facts) {
    page.with("b", &[], &format!("{} ", facts.number));
    page.with("span", &[("class", "status")], &format!("{} ", status(facts)));
    page.with("code", &[], &format!("{} {}", facts.method, facts.path));
    let tokens = facts.tokens.map(|used| {
        let [input, cached, output] = [used.input, used.cached, used.output].map(grouped);
        format!("{input} in ({cached} cached), {output} out")
    });
    let miss = facts.cache.as_ref().is_some_and(Cache::is_miss).then(|| "cache miss".to_owned());
    let calls: Vec<_> = facts.calls.iter().map(|call| call.name.as_str()).collect();
    let words = [
        (facts.outcome.is_error() || facts.status == Some(200))
            .then(|| facts.outcome.name().to_owned()),
        (facts.attempt > 1).then(|| format!("attempt {}", facts.attempt)),
        facts.request_kind.clone().filter(|kind| kind != "turn"),
        facts.times.duration_us.map(duration),
        tokens,
        facts.cost_usd.map(usd),
        miss,
        (!calls.is_empty()).then(|| format!("calls {}", calls.join(", "))),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    page.element("bdi", &[("class", "facts")], |page| page.text(&words.join(" · ")));
}

fn write_parts(page: &mut Html<'_>, facts: &Facts) {
    page.element("p", &[("class", "about")], |page| {
        page.text(&format!("Line {}", facts.line));
        if let Some(at) = facts.at_unix_ms {
            page.text(&format!(" · {} UTC", time_with_ms(at)));
        }
        if let Some(model) = &facts.model {
            page.text(" · ");
            page.quote(model);
        }
        let [asked, answered] = [facts.request_bytes, facts.response_bytes].map(grouped);
        page.text(&format!(" · {asked} bytes asked, {answered} bytes answered"));
        if let Some(first) = facts.retry_of {
            page.text(" · a retry of ");
            link(page, first);
        }
    });
    if let Some(error) = &facts.error {
        page.element("p", &[("class", "bad")], |page| page.quote(error));
    }
    write_times(page, &facts.times);
    if let Some(beside) = &facts.websocket {
        page.element("p", &[("class", "about")], |page| {
            page.text("WebSocket: ");
            page.quote(&beside.words());
        });
    }
    write_added(page, &facts.added, facts.added_more);
    if let Some(cache) = &facts.cache {
        write_cache(page, cache);
    }
    if let Some(said) = &facts.said {
        page.plain("h4", "Said");
        page.block(said);
    }
    write_calls(page, &facts.calls);
    write_wrong(page, facts);
}

fn write_times(page: &mut Html<'_>, times: &Times) {
    let known: Vec<_> = times
        .named()
        .into_iter()
        .filter_map(|(name, time)| Some(format!("{name} {}", duration(time?))))
        .collect();
    if !known.is_empty() {
        page.with("p", &[("class", "about")], &known.join(" · "));
    }
}

fn write_added(page: &mut Html<'_>, added: &[Added], more: u64) {
    if added.is_empty() && more == 0 {
        return;
    }
    page.plain("h4", "Added to the prompt");
    if more > 0 {
        page.with("p", &[("class", "about")], &format!("{} more before these", grouped(more)));
    }
    page.element("ul", &[("class", "added")], |page| {
        for part in added {
            page.element("li", &[], |page| {
                page.with("code", &[], &part.path);
                let size = format!(
                    " {} · {} chars, {} bytes ",
                    part.what,
                    grouped(part.chars),
                    grouped(part.bytes)
                );
                page.with("span", &[("class", "facts")], &size);
                page.quote(&part.text);
            });
        }
    });
}

fn write_cache(page: &mut Html<'_>, cache: &Cache) {
    page.plain("h4", "Prompt cache");
    page.element("p", &[], |page| {
        page.text(cache.reason());
        if cache.expected_tokens > 0 {
            let [expected, cached, lost] =
                [cache.expected_tokens, cache.cached_tokens, cache.lost_tokens_estimate]
                    .map(grouped);
            page.text(&format!(": {cached} of {expected} tokens came from it; "));
            page.text(&format!("about {lost} were lost"));
            if let Some(usd_lost) = cache.lost_usd_estimate {
                page.text(&format!(", about {}", usd(usd_lost)));
            }
        }
        page.text(".");
    });
    if let Some(Change { path, at_byte, prompt_bytes, before, after }) = &cache.change {
        page.element("p", &[], |page| {
            page.text("First change at ");
            page.with("code", &[], path);
            let [at, of] = [*at_byte, *prompt_bytes].map(grouped);
            page.text(&format!(", byte {at} of {of}:"));
        });
        page.element("div", &[("class", "change")], |page| {
            page.with("pre", &[("dir", "auto"), ("class", "before")], before);
            page.with("pre", &[("dir", "auto"), ("class", "after")], after);
        });
    }
}

fn write_calls(page: &mut Html<'_>, calls: &[Called]) {
    if calls.is_empty() {
        return;
    }
    page.plain("h4", "Calls");
    for call in calls {
        page.element("p", &[], |page| {
            page.with("code", &[], &call.name);
            if let Some(id) = &call.call_id {
                page.text(" ");
                page.with("span", &[("class", "facts")], id);
            }
            if !call.is_done {
                page.text(" (unfinished)");
            }
        });
        if !call.arguments.is_empty() {
            page.block(&call.arguments);
        }
    }
}

fn write_wrong(page: &mut Html<'_>, facts: &Facts) {
    if !facts.violations.is_empty() {
        page.plain("h4", "Rules it breaks");
        page.element("ul", &[], |page| {
            for violation in &facts.violations {
                page.element("li", &[], |page| {
                    page.with("code", &[], &violation.rule);
                    page.text(&format!(" ({}, {} ×) ", violation.severity, violation.times));
                    page.quote(&violation.detail);
                });
            }
        });
    }
    if !facts.notes.is_empty() {
        page.plain("h4", "Lost or changed in translation");
        page.element("ul", &[], |page| {
            facts.notes.iter().for_each(|note| page.element("li", &[], |page| page.quote(note)));
        });
    }
}
