//! The head of the report: what all exchanges have in sum. In: exchanges, one by one. Out: the
//! counts and tables above the log.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::text::{code, code_cell, inline};
use super::{Options, overview, page::Page};
use crate::content::parts::Parts;
use crate::content::structure::KeyPaths;
use crate::content::tally::Tally;
use crate::record::exchange::{Exchange, Unreadable, path_of};
use crate::redact;
use crate::summary::Summary;
use crate::words::{date_and_time, grouped};

/// Sums over the exchanges so far.
#[derive(Debug, Default)]
pub(super) struct Totals {
    lines: u64,
    requests: u64,
    first_unix_ms: Option<i64>,
    last_unix_ms: Option<i64>,
    request_bytes: u64,
    response_bytes: u64,
    endpoints: Tally,
    methods_by_path: BTreeMap<String, BTreeSet<String>>,
    methods: Tally,
    statuses: Tally,
    request_keys: KeyPaths,
    response_keys: KeyPaths,
    malformed: u64,
    /// The file, where it is one of several, and the line.
    first_malformed: Option<(Option<String>, u64)>,
    /// The file that is being read, where it is one of several.
    source: Option<String>,
    torn: u64,
    lost: u64,
}

impl Totals {
    /// Adds one exchange.
    pub(super) fn add(&mut self, exchange: &Exchange<'_>, parts: &Parts<'_>) {
        let request = &exchange.request;
        self.requests += 1;
        self.widen(exchange.timestamp_unix_ms, exchange.timestamp_unix_ms);
        let path = path_of(&redact::url(&request.url));
        self.endpoints.add(&path);
        self.methods_by_path.entry(path).or_default().insert(request.method.to_string());
        self.methods.add(&request.method);
        self.statuses.add(&status_of(exchange));
        self.request_bytes += parts.request.size_bytes;
        self.response_bytes += parts.response.size_bytes;
        if let Some(body) = parts.request.json() {
            self.request_keys.add(&body);
        }
        if let Some(body) = parts.response.json() {
            self.response_keys.add(&body);
        }
    }

    /// Begins with another file; `source` is its name where it is one of several.
    pub(super) fn begin(&mut self, source: Option<&str>) {
        self.source = source.map(str::to_owned);
        self.lines = 0;
    }

    /// Adds the sums over the lines that follow.
    pub(super) fn merge(&mut self, later: Totals) {
        if let (None, Some((_, line))) = (&self.first_malformed, later.first_malformed) {
            self.first_malformed = Some((self.source.clone(), self.lines + line));
        }
        self.lines += later.lines;
        self.requests += later.requests;
        self.malformed += later.malformed;
        self.torn += later.torn;
        self.lost += later.lost;
        self.widen(later.first_unix_ms, later.last_unix_ms);
        self.request_bytes += later.request_bytes;
        self.response_bytes += later.response_bytes;
        self.endpoints.merge(later.endpoints);
        for (path, methods) in later.methods_by_path {
            self.methods_by_path.entry(path).or_default().extend(methods);
        }
        self.methods.merge(later.methods);
        self.statuses.merge(later.statuses);
        self.request_keys.merge(later.request_keys);
        self.response_keys.merge(later.response_keys);
    }

    /// Takes two times into the time that is covered.
    fn widen(&mut self, first_unix_ms: Option<i64>, last_unix_ms: Option<i64>) {
        self.first_unix_ms = self.first_unix_ms.into_iter().chain(first_unix_ms).min();
        self.last_unix_ms = self.last_unix_ms.max(last_unix_ms);
    }

    /// Counts lines, whatever they hold.
    pub(super) fn add_lines(&mut self, lines: u64) {
        self.lines += lines;
    }

    /// Counts a line that gave no exchange.
    pub(super) fn add_unreadable(&mut self, unreadable: &Unreadable) {
        match unreadable {
            Unreadable::Malformed { line, .. } => {
                self.malformed += 1;
                self.first_malformed.get_or_insert((None, *line));
            }
            Unreadable::Torn { .. } => self.torn += 1,
            Unreadable::Incident { incident, .. } => self.lost += incident.lost,
        }
    }

    /// Writes what stands above the sessions and the log; of a summary, what went wrong before
    /// anything else.
    pub(super) fn write(
        &self,
        page: &mut Page<'_>,
        options: &Options<'_>,
        summary: Option<&Summary>,
    ) {
        page.paragraph("# Codex Traffic Analysis Report");
        self.write_head(page, options, summary);
        if let Some(summary) = summary {
            overview::write_wrong(page, summary);
        }
        let rows = self.endpoints.sorted().into_iter().map(|(path, count)| {
            let methods = self.methods_by_path.get(path).into_iter().flatten();
            let methods: Vec<_> = methods.map(|method| inline(method)).collect();
            [code_cell(path).into(), methods.join(", ").into(), grouped(count).into()]
        });
        section(page, "Endpoints", ["Endpoint", "Methods", "Count"], rows);
        section(page, "HTTP Methods", ["Method", "Count"], counts(&self.methods));
        section(page, "Response Status Codes", ["Status", "Count"], counts(&self.statuses));
        key_paths(page, "Request", &self.request_keys);
        key_paths(page, "Response", &self.response_keys);
        if let Some(summary) = summary {
            overview::write_used(page, summary);
        }
    }

    fn write_head(&self, page: &mut Page<'_>, options: &Options<'_>, summary: Option<&Summary>) {
        let duration_ms = self
            .last_unix_ms
            .zip(self.first_unix_ms)
            .map(|(last, first)| last.saturating_sub(first));
        page.line(format!("**Source:** {}", code(options.source)));
        page.line(format!("**Generated:** {} UTC", date_and_time(options.generated_unix_s)));
        page.line(format!("**Total requests:** {}", grouped(self.requests)));
        page.line(format!(
            "**Capture duration:** {:.1}s",
            duration_ms.unwrap_or(0) as f64 / 1000.0
        ));
        page.line(format!("**Total request payload:** {} bytes", grouped(self.request_bytes)));
        page.line(format!("**Total response payload:** {} bytes", grouped(self.response_bytes)));
        if self.malformed + self.torn > 0 {
            let first = self.first_malformed.as_ref().map(|(source, line)| match source {
                Some(source) => format!(" (first: {} line {line})", code(source)),
                None => format!(" (first: line {line})"),
            });
            page.line(format!(
                "**Skipped lines:** {} malformed{}, {} torn at the end",
                grouped(self.malformed),
                first.unwrap_or_default(),
                self.torn,
            ));
        }
        if let Some(selected) = summary.and_then(|summary| summary.selected.as_deref()) {
            page.line(format!("**Selected:** {}", code(selected)));
        }
        if self.lost > 0 {
            page.line(format!("**Not recorded:** {} exchanges were lost", grouped(self.lost)));
        }
        page.gap();
    }
}

/// How the answer's status is called: its number, or that there was no answer.
pub(super) fn status_of(exchange: &Exchange<'_>) -> String {
    let status = exchange.response.as_ref().and_then(|response| response.status_code);
    status.map_or_else(|| "no response".to_owned(), |code| code.to_string())
}

fn counts(tally: &Tally) -> impl Iterator<Item = [Cow<'_, str>; 2]> {
    tally.sorted().into_iter().map(|(name, count)| [inline(name), grouped(count).into()])
}

fn key_paths(page: &mut Page<'_>, side: &str, keys: &KeyPaths) {
    let rows = keys.rows().iter();
    let rows = rows.map(|row| {
        [code_cell(&row.path), row.types.join(", "), grouped(row.occurrences)].map(Cow::Owned)
    });
    let heading = format!("{side} Payload Structure (Top Keys)");
    section(page, &heading, ["Key Path", "Type", "Occurrences"], rows);
}

/// A table under its heading; nothing at all when it has no rows.
pub(super) fn section<'c, const N: usize>(
    page: &mut Page<'_>,
    heading: &str,
    head: [&str; N],
    rows: impl Iterator<Item = [Cow<'c, str>; N]>,
) {
    let mut rows = rows.peekable();
    if rows.peek().is_some() {
        page.paragraph(format!("## {heading}"));
        page.table(head, rows);
    }
}
