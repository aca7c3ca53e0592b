//! Two answers to one request, streamed and whole, side by side: the members of the response and of its
//! items are the same. What they say may differ, a model need not say the same twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Findings, Place, Rule, frames};
use crate::json::Raw;

/// Where a response streamed and a response whole have not the same members.
pub fn compare(stream: &[u8], whole: &[u8]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let frames = frames::of_events(stream);
    let last = frames.list.iter().rev().find_map(|frame| {
        let event = Raw::parse(&frame.data).ok()?;
        event.member("response").map(|response| (frame.line, response))
    });
    let whole = std::str::from_utf8(whole).ok().and_then(|whole| Raw::parse(whole).ok());
    let (Some((line, streamed)), Some(whole)) = (last, whole) else { return findings.list };
    let place = Place { line: Some(line), event: None, what: "streamed and whole".to_owned() };
    let (streamed, whole) = (members(streamed), members(whole));
    for (object, names) in &streamed {
        let Some(others) = whole.get(object) else { continue };
        for name in names.symmetric_difference(others) {
            let form = if names.contains(name) { "streamed" } else { "whole" };
            let detail = format!("`{object}.{name}` is only in the answer that is {form}");
            findings.add(Rule::WholeUnlikeStream, &format!("{object}.{name}"), &place, detail);
        }
    }
    findings.list
}

/// The names of the members of a response, and of the first item of each type.
fn members(response: Raw<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let names = |object: Raw<'_>| {
        let given = object.members().into_iter().filter(|(_, value)| !value.is_null());
        given.map(|(name, _)| name.into_owned()).collect::<BTreeSet<_>>()
    };
    let mut members = BTreeMap::from([("response".to_owned(), names(response))]);
    for item in response.member("output").map(Raw::elements).unwrap_or_default() {
        let kind = item.member_text("type").unwrap_or_default().into_owned();
        members.entry(kind).or_insert_with(|| names(item));
    }
    members
}
