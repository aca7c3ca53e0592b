//! The head of the page: what it is about, sums, and what went wrong, before anything else. In: a
//! summary. Out: the header of the page with its tables.

use super::element::Html;
use crate::summary::{Facts, Skipped, Sum, Summary};
use crate::words::{date_and_time, duration, grouped, usd};

/// How many errors and cache misses are listed here; all of them are with their sessions.
const LISTED_MAX: usize = 100;

/// Writes the header.
pub(super) fn write(page: &mut Html<'_>, summary: &Summary) {
    page.element("header", &[], |page| {
        page.element("a", &[("class", "skip"), ("href", "#sessions")], |page| {
            page.text("To the sessions");
        });
        page.plain("h1", "What was asked and said");
        page.element("p", &[("class", "about")], |page| {
            page.quote(&summary.sources.join(", "));
            page.text(&format!(" · made {} UTC", date_and_time(summary.generated_unix_s)));
            if let Some(selected) = &summary.selected {
                page.text(" · only ");
                page.quote(selected);
            }
        });
        write_sum(page, &summary.sum, summary.sessions.len());
        write_skipped(page, &summary.skipped, summary.left_out_exchanges);
        write_errors(page, summary);
        write_misses(page, summary);
        write_violations(page, summary);
        write_models(page, summary);
        write_tools(page, summary);
    });
}

fn write_sum(page: &mut Html<'_>, sum: &Sum, sessions: usize) {
    let tokens = &sum.tokens;
    let cost = match (sum.unpriced_exchanges, sum.tokens.total) {
        (0, 0) => "–".to_owned(),
        (0, _) => usd(sum.cost_usd),
        _ if sum.cost_usd == 0.0 => "no price".to_owned(),
        (unpriced, _) => format!("{} + {unpriced} unpriced", usd(sum.cost_usd)),
    };
    let cards = [
        ("sessions", sessions.to_string(), false),
        ("exchanges", grouped(sum.exchanges), false),
        ("errors", grouped(sum.errors), sum.errors > 0),
        ("retries", grouped(sum.retries), sum.retries > 0),
        ("duration", duration(sum.duration_ms().max(0) as u64 * 1000), false),
        ("input tokens", grouped(tokens.input), false),
        ("of these cached", grouped(tokens.cached), false),
        ("output tokens", grouped(tokens.output), false),
        ("cost", cost, false),
        ("cache misses", grouped(sum.cache_misses), sum.cache_misses > 0),
        ("asked, bytes", grouped(sum.request_bytes), false),
        ("answered, bytes", grouped(sum.response_bytes), false),
    ];
    page.element("dl", &[("class", "cards")], |page| {
        for (name, value, is_bad) in cards {
            let class = if is_bad { "bad" } else { "" };
            page.element("div", &[("class", class)], |page| {
                page.plain("dt", name);
                page.plain("dd", &value);
            });
        }
    });
    page.markup("\n");
}

fn write_skipped(page: &mut Html<'_>, skipped: &Skipped, left_out: u64) {
    if left_out > 0 {
        page.element("p", &[("class", "warning")], |page| {
            let left_out = grouped(left_out);
            page.text(&format!(
                "{left_out} exchanges are in the sums only: there are more than one "
            ));
            page.text("page holds. --session, --since, --model and --status show a part of them.");
        });
    }
    let Skipped { malformed, torn, lost_exchanges, suspect_segments, lines } = skipped;
    if malformed + torn + lost_exchanges + suspect_segments == 0 {
        return;
    }
    page.element("section", &[("class", "warning")], |page| {
        page.plain("h2", "Not read");
        let counts = format!(
            "{} malformed lines, {} torn, {} exchanges lost while recording, {} suspect segments",
            grouped(*malformed),
            grouped(*torn),
            grouped(*lost_exchanges),
            grouped(*suspect_segments),
        );
        page.plain("p", &counts);
        page.element("ul", &[], |page| {
            for line in lines {
                page.element("li", &[], |page| {
                    page.quote(&line.source);
                    page.text(&format!(" line {}: {}", line.line, line.what));
                });
            }
        });
    });
}

fn write_errors(page: &mut Html<'_>, summary: &Summary) {
    let errors = || summary.exchanges().filter(|facts| facts.outcome.is_error());
    if errors().next().is_none() {
        return;
    }
    page.element("section", &[("class", "bad")], |page| {
        page.plain("h2", "Errors");
        page.table(&["#Exchange", "Status", "End", "What it says"], |page| {
            for facts in errors().take(LISTED_MAX) {
                page.element("tr", &[], |page| {
                    link_cell(page, facts);
                    page.plain("td", &status(facts));
                    page.plain("td", facts.outcome.name());
                    page.element("td", &[], |page| {
                        page.quote(facts.error.as_deref().unwrap_or_default());
                        if facts.attempt > 1 {
                            page.text(&format!(" (attempt {})", facts.attempt));
                        }
                    });
                });
            }
        });
        more(page, errors().count());
    });
}

fn write_misses(page: &mut Html<'_>, summary: &Summary) {
    let misses = || {
        let cached = summary.exchanges().filter_map(|facts| Some((facts, facts.cache.as_ref()?)));
        cached.filter(|(_, cache)| cache.is_miss())
    };
    if misses().next().is_none() {
        return;
    }
    page.element("section", &[], |page| {
        page.plain("h2", "Prompt cache misses");
        let sum = &summary.sum;
        let cost = match sum.lost_usd_estimate > 0.0 {
            true => format!("by the prices known here {}", usd(sum.lost_usd_estimate)),
            false => "no price is known for them".to_owned(),
        };
        let lost = grouped(sum.lost_tokens_estimate);
        let told =
            "tokens were read anew that a cache could have served; all of this is estimated.";
        page.plain("p", &format!("About {lost} {told} What they cost: {cost}."));
        page.table(&["#Exchange", "#Lost tokens", "#Lost USD", "First change", "Why"], |page| {
            for (facts, cache) in misses().take(LISTED_MAX) {
                page.element("tr", &[], |page| {
                    link_cell(page, facts);
                    page.number(&format!("≈ {}", grouped(cache.lost_tokens_estimate)));
                    let lost = cache.lost_usd_estimate.map(|lost| format!("≈ {}", usd(lost)));
                    page.number(lost.as_deref().unwrap_or("no price"));
                    page.element("td", &[], |page| match &cache.change {
                        Some(change) => page.with("code", &[], &change.path),
                        None => page.text("–"),
                    });
                    page.plain("td", cache.reason());
                });
            }
        });
        more(page, misses().count());
    });
}

fn write_violations(page: &mut Html<'_>, summary: &Summary) {
    if summary.violations.is_empty() {
        return;
    }
    page.element("section", &[], |page| {
        page.plain("h2", "Rules that answers broke");
        page.table(&["Rule", "Clients", "#Times", "First place"], |page| {
            for violation in &summary.violations {
                page.element("tr", &[], |page| {
                    page.element("td", &[], |page| page.with("code", &[], &violation.rule));
                    page.plain("td", &violation.severity);
                    page.number(&grouped(violation.times));
                    page.element("td", &[], |page| page.quote(&violation.detail));
                });
            }
        });
    });
}

fn write_models(page: &mut Html<'_>, summary: &Summary) {
    if summary.models.is_empty() {
        return;
    }
    page.element("section", &[], |page| {
        page.plain("h2", "Models");
        let heads = [
            "Model",
            "#Exchanges",
            "#Errors",
            "#Input",
            "#Cached",
            "#Output",
            "#Cost",
            "Price read",
        ];
        page.table(&heads, |page| {
            for model in &summary.models {
                let Sum { exchanges, errors, tokens, cost_usd, .. } = &model.sum;
                page.element("tr", &[], |page| {
                    page.element("td", &[], |page| page.quote(&model.model));
                    for count in [*exchanges, *errors, tokens.input, tokens.cached, tokens.output] {
                        page.number(&grouped(count));
                    }
                    let cost = model.price_date.as_ref().map(|_| usd(*cost_usd));
                    page.number(cost.as_deref().unwrap_or("no price"));
                    page.element("td", &[], |page| {
                        if let (Some(date), Some(source)) = (&model.price_date, &model.price_source)
                        {
                            page.text(&format!("{date}, "));
                            page.with("small", &[], source);
                        }
                    });
                });
            }
        });
    });
}

fn write_tools(page: &mut Html<'_>, summary: &Summary) {
    if summary.tools.is_empty() {
        return;
    }
    page.element("section", &[], |page| {
        page.plain("h2", "Tools");
        let heads = [
            "Tool",
            "#Calls",
            "#Unfinished",
            "#Outputs",
            "#Output bytes",
            "#Mean trip",
            "#Longest",
        ];
        page.table(&heads, |page| {
            for tool in &summary.tools {
                page.element("tr", &[], |page| {
                    page.element("td", &[], |page| page.quote(&tool.name));
                    for count in [tool.calls, tool.unfinished, tool.outputs, tool.output_bytes] {
                        page.number(&grouped(count));
                    }
                    let mean = tool.round_trips_us.checked_div(tool.outputs).unwrap_or_default();
                    for time in [mean, tool.longest_round_trip_us] {
                        page.number(&if time > 0 { duration(time) } else { "–".to_owned() });
                    }
                });
            }
        });
    });
}

/// The HTTP status of an exchange in a word.
pub(super) fn status(facts: &Facts) -> String {
    facts.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())
}

fn link_cell(page: &mut Html<'_>, facts: &Facts) {
    page.element("td", &[("class", "number")], |page| link(page, facts.number));
}

/// A link to an exchange.
pub(super) fn link(page: &mut Html<'_>, number: u64) {
    page.element("a", &[("href", &format!("#x{number}"))], |page| page.text(&number.to_string()));
}

fn more(page: &mut Html<'_>, all: usize) {
    if all > LISTED_MAX {
        page.plain("p", &format!("and {} more", all - LISTED_MAX));
    }
}
