//! A whole answer before the judge: a response, a completion, or an error.

use super::call::{Call, Calls};
use super::shape::{self, Member, require};
use super::{Api, Exhibit, Findings, Place, Rule, chunks, events, promise, quote, text};
use crate::json::{Fields, Raw};
use crate::responses::Flavour;

const COMPLETION: &[Member] = &[
    ("id", "string"),
    ("object", "string"),
    ("created", "number"),
    ("model", "string"),
    ("choices", "array"),
];
const CHOICE: &[Member] = &[
    ("index", "number"),
    ("finish_reason", "string"),
    ("message", "object"),
    ("message.role", "string"),
];

/// Judges an answer that is no stream.
pub(super) fn judge(exhibit: &Exhibit<'_>, request: Option<&Fields<'_>>, findings: &mut Findings) {
    let place = Place { what: "the answer".to_owned(), ..Place::default() };
    let body = String::from_utf8_lossy(exhibit.body);
    let answer = match Raw::parse(&body) {
        Ok(answer) if answer.is_object() => Fields::of(answer),
        Ok(_) => return findings.add(Rule::NotJson, "", &place, quote(&body)),
        Err(error) => {
            let detail = format!("{error}: {}", quote(&body));
            return findings.add(Rule::NotJson, "", &place, detail);
        }
    };
    let object = answer.text("object").unwrap_or_default();
    let error = answer.raw("error").and_then(Raw::non_null);
    let says_something = answer.get("output").is_some() || answer.get("choices").is_some();
    let refused = exhibit.status.is_some_and(|status| status >= 400);
    if refused || (error.is_some() && !says_something) {
        if let Some(status) = exhibit.status.filter(|_| !refused) {
            let detail = format!("the status is {status}, the body {}", quote(&body));
            findings.add(Rule::ErrorStatus, "", &place, detail);
        }
        if refused && error.is_none() && says_something {
            let detail = format!("the status is {}", exhibit.status.unwrap_or_default());
            return findings.add(Rule::ErrorStatus, "", &place, detail);
        }
        return shape::error(error, &place, findings);
    }
    let is_chat = object.starts_with("chat.completion") || answer.get("choices").is_some();
    match exhibit.api {
        Some(Api::Chat) => completion(&answer, request, &place, findings),
        None if is_chat => completion(&answer, request, &place, findings),
        _ => response(&answer, exhibit.flavour, request, &place, findings),
    }
}

fn response(
    response: &Fields<'_>,
    flavour: Flavour,
    request: Option<&Fields<'_>>,
    place: &Place,
    findings: &mut Findings,
) {
    shape::response(response, flavour, place, findings);
    let asked = |name| request.and_then(|request| request.raw(name)?.boolean());
    let status = response.text("status").unwrap_or_default();
    if matches!(&*status, "queued" | "in_progress") && asked("background") != Some(true) {
        let detail = format!("a whole answer is {}", quote(&status));
        findings.add(Rule::StatusMismatch, "", place, detail);
    }
    events::finished(response, None, request, place, findings);
    let mut calls = Calls::of(request);
    for (index, item) in
        response.raw("output").map(Raw::elements).unwrap_or_default().into_iter().enumerate()
    {
        shape::item(item, &format!("output[{index}]"), place, findings);
        events::call(item, &mut calls, place, findings);
        for part in item.member("content").map(Raw::elements).unwrap_or_default() {
            if part.member_text("type").as_deref() == Some("output_text") {
                let said = part.member_text("text").unwrap_or_default();
                text::think_tags(&said, place, findings);
            }
        }
    }
}

fn completion(
    answer: &Fields<'_>,
    request: Option<&Fields<'_>>,
    place: &Place,
    findings: &mut Findings,
) {
    require(answer, COMPLETION, Rule::CompletionMember, "completion", place, findings);
    let usage = answer.raw("usage").and_then(Raw::non_null);
    match usage {
        Some(usage) => shape::chat_usage(usage, place, findings),
        None => findings.add(Rule::UsageMissing, "", place, "`usage` is missing".to_owned()),
    }
    let mut calls = Calls::of(request);
    for (index, choice) in
        answer.raw("choices").map(Raw::elements).unwrap_or_default().into_iter().enumerate()
    {
        let subject = format!("choices[{index}]");
        let choice = Fields::of(choice);
        require(&choice, CHOICE, Rule::CompletionMember, &subject, place, findings);
        let message = choice.raw("message").unwrap_or(Raw::NULL);
        let said = message.member_text("content").unwrap_or_default();
        text::think_tags(&said, place, findings);
        let told = message.member("tool_calls").map(Raw::elements).unwrap_or_default();
        let finish = choice.text("finish_reason").unwrap_or_default();
        chunks::reason(&finish, !told.is_empty(), &subject, place, findings);
        chunks::limit(&finish, usage, request, place, findings);
        let mut called = Vec::new();
        for call in told {
            let function = call.member("function");
            let inner = function.or_else(|| call.member("custom")).unwrap_or(Raw::NULL);
            let member = |name| inner.member_text(name).unwrap_or_default();
            let (id, name) = (call.member_text("id").unwrap_or_default(), member("name"));
            let arguments = member("arguments");
            let call = Call {
                id: &id,
                name: &name,
                namespace: None,
                arguments: function.map(|_| &*arguments),
                cut_off: finish == "length",
            };
            calls.judge(&call, place, findings);
            called.push(name.into_owned());
        }
        if matches!(&*finish, "stop" | "tool_calls") {
            promise::kept(request, &said, &called, place, findings);
        }
    }
}
