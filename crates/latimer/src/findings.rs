//! Findings as text: for people, as JSON, as JUnit's XML. In: what was judged. Out: the text.

use std::collections::BTreeSet;
use std::fmt::Write;

use latimer_wire::check::{Finding, Place};
use serde_json::{Value, json};

use crate::args::Format;

/// An answer that was judged.
pub struct Judged {
    /// What it answers, and where it stands.
    pub name: String,
    /// What it breaks.
    pub findings: Vec<Finding>,
    /// Why it was not judged.
    pub skipped: Option<String>,
}

/// All findings in one of the forms. `target` is what was named on the command line.
pub fn write(judged: &[Judged], format: Format, target: &str) -> String {
    match format {
        Format::Text => text(judged),
        Format::Json => format!("{:#}\n", json(judged, target)),
        Format::Junit => junit(judged, target),
    }
}

fn count(judged: &[Judged]) -> usize {
    judged.iter().map(|judged| judged.findings.len()).sum()
}

fn text(judged: &[Judged]) -> String {
    let mut out = String::new();
    for Judged { name, findings, .. } in judged.iter().filter(|judged| !judged.findings.is_empty())
    {
        let _ = writeln!(out, "{name}");
        let mut told = BTreeSet::new();
        for rule in findings.iter().map(|finding| finding.rule).filter(|rule| told.insert(*rule)) {
            let _ = writeln!(out, "  {} {rule}: {}", rule.severity().name(), rule.title());
            for finding in findings.iter().filter(|finding| finding.rule == rule) {
                let _ = writeln!(out, "      {}", seen(finding));
            }
        }
        out.push('\n');
    }
    let skipped = judged.iter().filter_map(|judged| Some((&judged.name, judged.skipped.as_ref()?)));
    for (name, reason) in skipped.clone() {
        let _ = writeln!(out, "skipped: {name}: {reason}");
    }
    let answers = match judged.len() - skipped.count() {
        1 => "1 answer".to_owned(),
        more => format!("{more} answers"),
    };
    let _ = match count(judged) {
        0 => writeln!(out, "No findings in {answers}."),
        1 => writeln!(out, "1 finding in {answers}. {MORE}"),
        more => writeln!(out, "{more} findings in {answers}. {MORE}"),
    };
    out
}

const MORE: &str = "`latimer check --explain RULE` says why a rule matters.";

/// Where it was seen, what, and how often.
fn seen(finding: &Finding) -> String {
    let times = match finding.times {
        0 | 1 => String::new(),
        more => format!(" ({more} times)"),
    };
    format!("{}: {}{times}", shown(&finding.place), finding.detail)
}

fn shown(place: &Place) -> String {
    let line = place.line.map(|line| format!("line {line}"));
    let event = place.event.map(|event| format!("event {event}"));
    let what = Some(place.what.clone()).filter(|what| !what.is_empty());
    [line, event, what].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn json(judged: &[Judged], target: &str) -> Value {
    let finding = |finding: &Finding| {
        json!({"rule": finding.rule.id(), "severity": finding.rule.severity().name(),
            "title": finding.rule.title(), "line": finding.place.line,
            "event": finding.place.event, "what": finding.place.what,
            "detail": finding.detail, "times": finding.times})
    };
    let answer = |judged: &Judged| {
        json!({"name": judged.name, "skipped": judged.skipped,
            "findings": judged.findings.iter().map(finding).collect::<Vec<_>>()})
    };
    json!({"target": target, "findings": count(judged),
        "answers": judged.iter().map(answer).collect::<Vec<_>>()})
}

fn junit(judged: &[Judged], target: &str) -> String {
    let failed = judged.iter().filter(|judged| !judged.findings.is_empty()).count();
    let skipped = judged.iter().filter(|judged| judged.skipped.is_some()).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"latimer check {}\" tests=\"{}\" failures=\"{failed}\" \
         skipped=\"{skipped}\">\n",
        escaped(target),
        judged.len()
    );
    for Judged { name, findings, skipped } in judged {
        let _ =
            writeln!(out, "  <testcase classname=\"latimer.check\" name=\"{}\">", escaped(name));
        if let Some(first) = findings.first() {
            let lines: Vec<_> = findings
                .iter()
                .map(|finding| format!("{}: {}", finding.rule, seen(finding)))
                .collect();
            let _ = writeln!(
                out,
                "    <failure type=\"{}\" message=\"{}\">{}</failure>",
                first.rule,
                escaped(first.rule.title()),
                escaped(&lines.join("\n"))
            );
        }
        if let Some(reason) = skipped {
            let _ = writeln!(out, "    <skipped message=\"{}\"/>", escaped(reason));
        }
        out.push_str("  </testcase>\n");
    }
    out + "</testsuite>\n"
}

/// Text in XML; characters that XML cannot hold become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => out.push(character),
            other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}');
            }
            other => out.push(other),
        }
    }
    out
}
