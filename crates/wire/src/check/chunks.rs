//! A Chat Completions stream before the judge: the shape of its chunks, how each choice begins and ends,
//! and how its tool calls are told in fragments.

use std::collections::BTreeMap;

use super::call::{Call, Calls};
use super::frames::{DONE, Frames};
use super::shape::{self, Member, require};
use super::{Findings, Place, Rule, promise, quote, text};
use crate::json::{Fields, Raw};

const CHUNK: &[Member] = &[
    ("id", "string"),
    ("object", "string"),
    ("created", "number"),
    ("model", "string"),
    ("choices", "array"),
];
const CHOICE: &[Member] = &[("index", "number"), ("delta", "object")];

/// Why a choice may end.
pub(super) const REASONS: &[&str] =
    &["stop", "length", "tool_calls", "content_filter", "function_call"];

/// Whether these are chunks, by the first that is JSON.
pub(super) fn are_chunks(frames: &Frames) -> bool {
    let first = frames.list.iter().find_map(|frame| Raw::parse(&frame.data).ok());
    first.is_some_and(|chunk| {
        let object = chunk.member_text("object").unwrap_or_default();
        let is_bare_error = chunk.member("type").is_none() && chunk.member("error").is_some();
        object.starts_with("chat.completion") || chunk.member("choices").is_some() || is_bare_error
    })
}

/// Judges the frames of one stream.
pub(super) fn judge(frames: &Frames, request: Option<&Fields<'_>>, findings: &mut Findings) {
    let mut stream = Stream {
        id: None,
        choices: BTreeMap::new(),
        usage: None,
        done: false,
        errored: false,
        findings,
    };
    let mut last = Place { what: "the end".to_owned(), ..Place::default() };
    for (number, frame) in frames.list.iter().enumerate() {
        let place = Place { line: Some(frame.line), event: Some(number), what: String::new() };
        (last.line, last.event) = (place.line, place.event);
        if stream.done {
            let detail = format!("{} after it", quote(&frame.data));
            stream.findings.add(Rule::DoneMissing, "after", &place, detail);
        } else if frame.data == DONE {
            stream.done = true;
        } else {
            match Raw::parse(&frame.data) {
                Ok(chunk) if chunk.is_object() => stream.chunk(chunk, &place, number == 0),
                Ok(_) => stream.findings.add(Rule::FrameNotJson, "", &place, quote(&frame.data)),
                Err(error) => {
                    let detail = format!("{error}: {}", quote(&frame.data));
                    stream.findings.add(Rule::FrameNotJson, "", &place, detail);
                }
            }
        }
    }
    stream.end(frames, request, &last);
}

struct Stream<'s> {
    id: Option<String>,
    choices: BTreeMap<u64, Choice>,
    usage: Option<String>,
    done: bool,
    errored: bool,
    findings: &'s mut Findings,
}

#[derive(Default)]
struct Choice {
    said: String,
    finish: Option<String>,
    /// A call came, even if it cannot be placed.
    called: bool,
    calls: BTreeMap<u64, Fragments>,
}

/// A call as far as it has come.
#[derive(Default)]
struct Fragments {
    id: String,
    name: String,
    arguments: String,
    custom: bool,
}

impl Stream<'_> {
    fn chunk(&mut self, chunk: Raw<'_>, place: &Place, first: bool) {
        let held = Fields::of(chunk);
        if let Some(error) = held.raw("error").and_then(Raw::non_null) {
            self.errored = true;
            if first {
                self.findings.add(Rule::ErrorFirst, "", place, quote(error.as_str()));
            }
            return shape::error(Some(error), place, self.findings);
        }
        require(&held, CHUNK, Rule::ChunkMember, "chunk", place, self.findings);
        if let Some(id) = held.text("id") {
            let known = self.id.get_or_insert_with(|| id.clone().into_owned());
            if *known != id {
                let detail = format!("{} was {}", quote(&id), quote(known));
                self.findings.add(Rule::ChunkIdChanged, "", place, detail);
            }
        }
        if let Some(usage) = held.raw("usage").and_then(Raw::non_null) {
            self.usage = Some(usage.as_str().to_owned());
            shape::chat_usage(usage, place, self.findings);
        }
        for choice in held.raw("choices").map(Raw::elements).unwrap_or_default() {
            self.choice(choice, place);
        }
    }

    fn choice(&mut self, choice: Raw<'_>, place: &Place) {
        let held = Fields::of(choice);
        require(&held, CHOICE, Rule::ChunkMember, "choice", place, self.findings);
        let index = held.raw("index").and_then(Raw::count).unwrap_or_default();
        let subject = format!("choices[{index}]");
        let told = held.raw("delta").unwrap_or(Raw::NULL);
        let delta = Fields::of(told);
        if !self.choices.contains_key(&index) && delta.text("role").is_none() {
            let detail = format!("`{subject}`: {}", quote(told.as_str()));
            self.findings.add(Rule::RoleMissing, &subject, place, detail);
        }
        let seen = self.choices.entry(index).or_default();
        let content = delta.text("content").unwrap_or_default();
        let calls = delta.raw("tool_calls").map(Raw::elements).unwrap_or_default();
        let finish = held.text("finish_reason");
        if seen.finish.is_some() && (!content.is_empty() || !calls.is_empty() || finish.is_some()) {
            let detail = format!("`{subject}`: {}", quote(choice.as_str()));
            self.findings.add(Rule::FinishRepeated, &subject, place, detail);
        }
        seen.said.push_str(&content);
        seen.called |= !calls.is_empty();
        for call in calls {
            seen.fragment(call, &subject, place, self.findings);
        }
        if let Some(finish) = finish {
            seen.finish.get_or_insert(finish.into_owned());
        }
    }

    fn end(self, frames: &Frames, request: Option<&Fields<'_>>, place: &Place) {
        let mut calls = Calls::of(request);
        for (index, choice) in &self.choices {
            choice.end(&format!("choices[{index}]"), &mut calls, place, self.findings);
        }
        // After an error nothing more is to be expected.
        if self.errored {
            return;
        }
        if self.choices.is_empty() {
            let detail = "there was no choice at all".to_owned();
            self.findings.add(Rule::FinishMissing, "", place, detail);
        }
        for (index, _) in self.choices.iter().filter(|(_, choice)| choice.finish.is_none()) {
            let detail = format!("`choices[{index}]` just ends");
            self.findings.add(Rule::FinishMissing, &index.to_string(), place, detail);
        }
        // Events as JSON lines are often kept without it.
        if !self.done && frames.list.iter().any(|frame| frame.named.is_some()) {
            let detail = "the stream just ends".to_owned();
            self.findings.add(Rule::DoneMissing, "", place, detail);
        }
        let asked = request
            .and_then(|request| request.raw("stream_options")?.member("include_usage")?.boolean());
        let usage = self.usage.as_deref().map(Raw::unchecked);
        if asked == Some(true) && usage.is_none() {
            let detail = "`stream_options.include_usage` asked for it".to_owned();
            self.findings.add(Rule::UsageMissing, "", place, detail);
        }
        for choice in self.choices.values() {
            let finish = choice.finish.as_deref().unwrap_or_default();
            if matches!(finish, "stop" | "tool_calls") {
                let called: Vec<_> = choice.calls.values().map(|call| call.name.clone()).collect();
                promise::kept(request, &choice.said, &called, place, self.findings);
            }
            limit(finish, usage, request, place, self.findings);
        }
    }
}

impl Choice {
    fn fragment(&mut self, call: Raw<'_>, subject: &str, place: &Place, findings: &mut Findings) {
        let Some(index) = call.member("index").and_then(Raw::count) else {
            let detail = format!("`{subject}`: no `index` in {}", quote(call.as_str()));
            return findings.add(Rule::CallFragment, subject, place, detail);
        };
        let subject = format!("{subject}.tool_calls[{index}]");
        let custom = call.member_text("type").as_deref() == Some("custom");
        let inner = call.member("function").or_else(|| call.member("custom")).unwrap_or(Raw::NULL);
        let id = call.member_text("id").unwrap_or_default();
        let name = inner.member_text("name").unwrap_or_default();
        let begun = self.calls.contains_key(&index);
        if !begun && (id.is_empty() || name.is_empty() || call.member_text("type").is_none()) {
            let detail = format!("`{subject}` begins with {}", quote(call.as_str()));
            findings.add(Rule::CallFragment, &subject, place, detail);
        }
        let seen = self.calls.entry(index).or_default();
        if begun && !id.is_empty() && !seen.id.is_empty() && seen.id != id {
            let detail = format!("`{subject}` was {} and is {}", quote(&seen.id), quote(&id));
            return findings.add(Rule::CallIndexReused, &subject, place, detail);
        }
        if seen.id.is_empty() {
            seen.id.push_str(&id);
        }
        if seen.name.is_empty() {
            seen.name.push_str(&name);
        }
        seen.custom |= custom;
        let arguments = inner.member_text("arguments").or_else(|| inner.member_text("input"));
        seen.arguments.push_str(&arguments.unwrap_or_default());
    }

    fn end(&self, subject: &str, calls: &mut Calls, place: &Place, findings: &mut Findings) {
        text::think_tags(&self.said, place, findings);
        let finish = self.finish.as_deref().unwrap_or_default();
        reason(finish, self.called, subject, place, findings);
        for fragments in self.calls.values() {
            let call = Call {
                id: &fragments.id,
                name: &fragments.name,
                namespace: None,
                arguments: (!fragments.custom).then_some(&fragments.arguments),
                cut_off: finish != "tool_calls" && finish != "stop",
            };
            calls.judge(&call, place, findings);
        }
    }
}

/// Whether a finish reason is one, and fits; an empty one is missing.
pub(super) fn reason(
    finish: &str,
    has_calls: bool,
    subject: &str,
    place: &Place,
    findings: &mut Findings,
) {
    let detail = match finish {
        "" => return,
        "stop" if has_calls => format!("`{subject}` calls tools and says `stop`"),
        "tool_calls" if !has_calls => format!("`{subject}` calls no tool and says `tool_calls`"),
        known if REASONS.contains(&known) => return,
        other => format!("`{subject}` says {}", quote(other)),
    };
    findings.add(Rule::FinishReason, subject, place, detail);
}

/// Whether an answer that reached its limit says so.
pub(super) fn limit(
    finish: &str,
    usage: Option<Raw<'_>>,
    request: Option<&Fields<'_>>,
    place: &Place,
    findings: &mut Findings,
) {
    let limit = request.and_then(|request| {
        let limit = request.raw("max_completion_tokens").and_then(Raw::non_null);
        limit.or_else(|| request.raw("max_tokens"))?.count()
    });
    let made = usage.and_then(|usage| usage.member("completion_tokens")?.count());
    if let (Some(limit), Some(made), "stop") = (limit, made, finish)
        && made >= limit
    {
        let detail = format!("{made} tokens of {limit}, and it says `stop`");
        findings.add(Rule::LimitAsCompleted, "", place, detail);
    }
}
