//! The judge: what an answer breaks of the [`Rule`]s that clients rely on. In: the bytes of an answer
//! and, where it is known, the request and the status. Out: [`Finding`]s, each with its rule and its
//! place. It mends nothing and opens nothing.
//!
//! Order is judged by the hub's grammar; what events, items and chunks must hold stands in the
//! tables of `shape`; what the official SDKs and Codex do with a stream that breaks a rule stands in
//! the table of `rules`.

mod call;
mod chunks;
mod compare;
mod events;
mod frames;
mod pair;
mod promise;
mod rules;
mod shape;
mod text;
mod whole;

pub use pair::compare;
pub use rules::{Rule, Severity};

use std::collections::BTreeMap;

use crate::json::{Fields, Raw};
use crate::responses::Flavour;

/// Which API an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's Responses.
    Responses,
    /// Chat Completions.
    Chat,
}

impl Api {
    /// The API of a request's path, where it is one of the two.
    ///
    /// ```
    /// use latimer_wire::check::Api;
    /// assert_eq!(Api::of_path("http://h/v1/responses?x=1"), Some(Api::Responses));
    /// assert_eq!(Api::of_path("/v1/models"), None);
    /// ```
    pub fn of_path(url: &str) -> Option<Api> {
        let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        match path {
            path if path.ends_with("/chat/completions") => Some(Api::Chat),
            path if path.ends_with("/responses") => Some(Api::Responses),
            _ => None,
        }
    }
}

/// What is laid before the judge.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exhibit<'a> {
    /// The API, where it is known; otherwise the answer's looks decide.
    pub api: Option<Api>,
    /// In which form a Responses answer has to be.
    pub flavour: Flavour,
    /// What was asked: some rules need it, and are passed over without it.
    pub request: Option<Raw<'a>>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// The answer: server-sent events, events as JSON lines, or one JSON object.
    pub body: &'a [u8],
}

/// Where something was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The line of the answer, from 1.
    pub line: Option<usize>,
    /// The event of the stream, from 0.
    pub event: Option<usize>,
    /// The type of the event, or the member: what stands there.
    pub what: String,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// Where it was first seen.
    pub place: Place,
    /// What exactly, with a quote.
    pub detail: String,
    /// How often the same was seen.
    pub times: usize,
}

/// All that an answer breaks, in the order of its places.
///
/// ```
/// use latimer_wire::check::{Exhibit, Rule, judge};
/// let body = b"event: error\ndata: {\"type\":\"error\",\"message\":\"No.\",\"sequence_number\":0}\n\n";
/// let findings = judge(&Exhibit { body, ..Exhibit::default() });
/// assert_eq!(findings[0].rule, Rule::ErrorFirst);
/// ```
pub fn judge(exhibit: &Exhibit<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    let refused = exhibit.status.is_some_and(|status| status >= 400);
    let frames = match exhibit.body {
        _ if refused => None,
        body if frames::are_events(body) => Some(frames::of_events(body)),
        body if frames::are_lines(body) => Some(frames::of_lines(body)),
        _ => None,
    };
    let request = exhibit.request.filter(|request| request.is_object()).map(Fields::of);
    let request = request.as_ref();
    let asked = request.filter(|_| !refused);
    let asked = asked.map(|request| request.raw("stream").and_then(Raw::boolean) == Some(true));
    if let Some(asked) = asked.filter(|asked| *asked != frames.is_some()) {
        let form = if asked { "the request has `stream: true`" } else { "no stream was asked for" };
        findings.add(Rule::StreamIgnored, "", &Place::default(), form.to_owned());
    }
    match frames {
        None => whole::judge(exhibit, request, &mut findings),
        Some(frames) => {
            text::characters(&frames, &mut findings);
            let api = exhibit.api.or_else(|| chunks::are_chunks(&frames).then_some(Api::Chat));
            match api {
                Some(Api::Chat) => chunks::judge(&frames, request, &mut findings),
                _ => events::judge(&frames, exhibit.flavour, request, &mut findings),
            }
            if let Some(line) = frames.cut_off {
                let place = Place { line: Some(line), ..Place::default() };
                findings.add(Rule::EventCutOff, "", &place, "the last event has no end".to_owned());
            }
        }
    }
    findings.list
}

/// What an answer says went wrong, where it says so: the first error in it, to be quoted.
pub fn failure(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let frames = if frames::are_events(body) { frames::of_events(body).list } else { Vec::new() };
    let texts = frames.iter().map(|frame| frame.data.as_str()).chain([&*text]);
    texts.filter_map(|text| Raw::parse(text).ok()).find_map(|said| {
        let response = said.member("response").unwrap_or(said);
        let error =
            said.member("error").or_else(|| response.member("error")).and_then(Raw::non_null);
        let is_error = said.member_text("type").is_some_and(|kind| kind == "error");
        error.or(is_error.then_some(said)).map(|error| quote(error.as_str()))
    })
}

/// Findings as they are made: the same rule about the same subject is one, and is counted.
#[derive(Debug, Default)]
struct Findings {
    list: Vec<Finding>,
    known: BTreeMap<(Rule, String), usize>,
}

impl Findings {
    /// Adds what was found about `subject`.
    fn add(&mut self, rule: Rule, subject: &str, place: &Place, detail: String) {
        let at = *self.known.entry((rule, subject.to_owned())).or_insert(self.list.len());
        match self.list.get_mut(at) {
            Some(finding) => finding.times += 1,
            None => self.list.push(Finding { rule, place: place.clone(), detail, times: 1 }),
        }
    }
}

/// The beginning of a text, to be quoted.
fn quote(text: &str) -> String {
    const SHOWN_CHARACTERS: usize = 60;
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{}`", shown.replace(['\n', '\r'], " "))
}
