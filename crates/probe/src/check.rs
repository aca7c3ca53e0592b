//! A recording before the judge: each exchange's answer, with what was asked and its status beside. In:
//! the bytes of a file. Out: findings, each with the line of the recording and what was asked there.

use latimer_wire::check::{Api, Exhibit, Finding, judge};
use latimer_wire::json::{Fields, Node, Raw, push_string};
use latimer_wire::responses::Flavour;

use crate::record::exchange::{Exchange, Unreadable, read};

/// What was found in one answer.
#[derive(Debug)]
pub struct Verdict {
    /// The line of the recording, from 1; `None` where the file is the answer itself.
    pub line: Option<usize>,
    /// What was asked: method and path.
    pub asked: String,
    /// What it breaks.
    pub findings: Vec<Finding>,
}

/// Judges a file: a recording, or an answer by itself. Answers to other requests than those of the two
/// APIs are passed over, and answers that the client did not wait for. Beside the verdicts, in words,
/// what of the file could not be judged.
///
/// An answer by itself is in `flavour`; what is recorded is in the hub's.
pub fn file(bytes: &[u8], flavour: Flavour) -> (Vec<Verdict>, Vec<String>) {
    if !is_recording(bytes) {
        let findings = judge(&Exhibit { body: bytes, flavour, ..Exhibit::default() });
        return (vec![Verdict { line: None, asked: String::new(), findings }], Vec::new());
    }
    let (mut verdicts, mut unjudged) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        match read(text).next() {
            None => {}
            Some(Ok(exchange)) => {
                let body = exchange.request.body.json().map(|json| Fields::of(json.root()));
                verdicts.extend(answer(&exchange, body.as_ref()).map(|(asked, findings)| Verdict {
                    line: Some(line),
                    asked,
                    findings,
                }))
            }
            Some(Err(Unreadable::Malformed { source, .. })) => {
                unjudged.push(format!("line {line} is not a recorded exchange: {source}"));
            }
            Some(Err(Unreadable::Torn { .. })) => {
                unjudged.push(format!("line {line} ends in the middle of a record"));
            }
            Some(Err(Unreadable::Incident { incident, .. })) if incident.lost > 0 => {
                unjudged.push(format!("before line {line}, {} were not recorded", incident.lost));
            }
            Some(Err(Unreadable::Incident { .. })) => {}
        }
    }
    (verdicts, unjudged)
}

/// Whether the first line is a record, or the beginning of one.
fn is_recording(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let first = first.and_then(|line| std::str::from_utf8(line).ok());
    first
        .and_then(|line| Raw::parse(line.trim()).ok())
        .is_some_and(|line| line.member("request").is_some_and(Raw::is_object))
}

/// What the judge says of one exchange, beside what was asked; none where it has nothing to judge.
/// `body` are the members of the request's body.
pub(crate) fn answer(
    exchange: &Exchange<'_>,
    body: Option<&Fields<'_>>,
) -> Option<(String, Vec<Finding>)> {
    let api = Api::of_path(&exchange.request.url)?;
    let outcome = exchange.latimer.and_then(|latimer| latimer.member_text("outcome"));
    if exchange.request.method != "POST" || outcome.as_deref() == Some("cancelled") {
        return None;
    }
    let response = exchange.response.as_ref()?;
    let said = response.body.text().unwrap_or_default();
    let settings = body.map(settings);
    let request = settings.as_deref().map(Raw::unchecked);
    let exhibit = Exhibit {
        api: Some(api),
        request,
        status: response.status_code,
        body: said.as_bytes(),
        ..Exhibit::default()
    };
    let asked = format!("{} {}", exchange.request.method, exchange.request.url);
    Some((asked, judge(&exhibit)))
}

/// Members of a request that are long, and that the judge does not look at.
const SPOKEN: &[&str] = &["instructions", "messages"];

/// A request without what was only said in it: the judge looks up one member after another, and of the
/// input only at items that bring tools.
fn settings(body: &Fields<'_>) -> String {
    let mut settings = String::from("{");
    for (key, value) in body.iter().filter(|(key, _)| !SPOKEN.contains(key)) {
        settings.push_str(if settings.len() > 1 { "," } else { "" });
        push_string(&mut settings, key);
        settings.push(':');
        if key == "input" && value.is_array() {
            let brings_tools = |item: &Node<'_>| item.member("tools").is_some();
            let items =
                value.elements().into_iter().filter(brings_tools).map(|item| item.raw().as_str());
            settings.push_str(&format!("[{}]", items.collect::<Vec<_>>().join(",")));
        } else {
            settings.push_str(value.as_str());
        }
    }
    settings.push('}');
    settings
}
