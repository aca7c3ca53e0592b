//! The head of the report: what all exchanges have in sum. In: exchanges, one by one. Out: the
//! counts and tables above the log.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{code, code_cell, date_and_time, grouped, inline};
use super::{Options, page::Page};
use crate::exchange::{Exchange, Payload};
use crate::structure::KeyPaths;
use crate::tally::Tally;
use crate::{python, redact};

/// Sums over the exchanges so far.
#[derive(Debug, Default)]
pub(super) struct Totals {
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
    first_malformed_line: Option<u64>,
    torn: u64,
}

impl Totals {
    /// How many exchanges were added.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Adds one exchange.
    pub(super) fn add(&mut self, exchange: &Exchange) {
        let request = &exchange.request;
        self.requests += 1;
        if let Some(at) = exchange.timestamp_unix_ms {
            self.first_unix_ms = Some(self.first_unix_ms.map_or(at, |first| first.min(at)));
            self.last_unix_ms = Some(self.last_unix_ms.map_or(at, |last| last.max(at)));
        }
        let path = path_of(&redact::url(&request.url));
        self.endpoints.add(&path);
        self.methods_by_path.entry(path).or_default().insert(request.method.clone());
        self.methods.add(&request.method);
        self.statuses.add(&status_of(exchange));
        self.request_bytes += size_bytes(&request.body);
        if let Payload::Json(body) = &request.body {
            self.request_keys.add(body);
        }
        if let Some(response) = &exchange.response {
            self.response_bytes += size_bytes(&response.body);
            if let Payload::Json(body) = &response.body {
                self.response_keys.add(body);
            }
        }
    }

    /// Counts a line that is no record.
    pub(super) fn add_malformed(&mut self, line: u64) {
        self.malformed += 1;
        self.first_malformed_line.get_or_insert(line);
    }

    /// Counts a last line that was cut off.
    pub(super) fn add_torn(&mut self) {
        self.torn += 1;
    }

    /// Writes everything above the log, and its heading.
    pub(super) fn write(&self, page: &mut Page<'_>, options: &Options<'_>) {
        page.paragraph("# Codex Traffic Analysis Report");
        self.write_head(page, options);
        let rows = self.endpoints.sorted().into_iter().map(|(path, count)| {
            let methods = self.methods_by_path.get(path).into_iter().flatten();
            let methods: Vec<_> = methods.map(|method| inline(method)).collect();
            [code_cell(path), methods.join(", "), grouped(count)]
        });
        section(page, "Endpoints", ["Endpoint", "Methods", "Count"], rows);
        section(page, "HTTP Methods", ["Method", "Count"], counts(&self.methods));
        section(page, "Response Status Codes", ["Status", "Count"], counts(&self.statuses));
        key_paths(page, "Request", &self.request_keys);
        key_paths(page, "Response", &self.response_keys);
        page.line("## Full Conversation Log");
    }

    fn write_head(&self, page: &mut Page<'_>, options: &Options<'_>) {
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
            let first = self.first_malformed_line.map(|line| format!(" (first: line {line})"));
            page.line(format!(
                "**Skipped lines:** {} malformed{}, {} torn at the end",
                grouped(self.malformed),
                first.unwrap_or_default(),
                self.torn,
            ));
        }
        page.gap();
    }
}

/// How the answer's status is called: its number, or that there was no answer.
pub(super) fn status_of(exchange: &Exchange) -> String {
    let status = exchange.response.as_ref().and_then(|response| response.status_code);
    status.map_or_else(|| "no response".to_owned(), |code| code.to_string())
}

/// How large a body is: text in bytes, JSON as Python would print it.
pub(super) fn size_bytes(body: &Payload) -> u64 {
    match body {
        Payload::None => 0,
        Payload::Text(text) => text.len() as u64,
        Payload::Json(value) => python::json_bytes(value),
    }
}

fn path_of(url: &str) -> String {
    let address = url.split(['?', '#']).next().unwrap_or_default();
    let after_scheme = address.split_once("//").map_or(address, |(_, rest)| rest);
    match after_scheme.find('/') {
        Some(at) => after_scheme.get(at..).unwrap_or_default().to_owned(),
        None => "/".to_owned(),
    }
}

fn counts(tally: &Tally) -> impl Iterator<Item = [String; 2]> {
    tally.sorted().into_iter().map(|(name, count)| [inline(name), grouped(count)])
}

fn key_paths(page: &mut Page<'_>, side: &str, keys: &KeyPaths) {
    let rows = keys.rows().iter();
    let rows =
        rows.map(|row| [code_cell(&row.path), row.types.join(", "), grouped(row.occurrences)]);
    let heading = format!("{side} Payload Structure (Top Keys)");
    section(page, &heading, ["Key Path", "Type", "Occurrences"], rows);
}

/// A table under its heading; nothing at all when it has no rows.
fn section<const N: usize>(
    page: &mut Page<'_>,
    heading: &str,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let mut rows = rows.peekable();
    if rows.peek().is_some() {
        page.paragraph(format!("## {heading}"));
        page.table(head, rows);
    }
}
