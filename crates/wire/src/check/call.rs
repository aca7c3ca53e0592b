//! Tool calls, whatever API they come by: their arguments, their ids, and whether they fit the tools of
//! the request.

use std::collections::BTreeSet;

use super::{Findings, Place, Rule, quote};
use crate::json::{Fields, Raw};

/// The longest id that OpenAI takes back, in characters.
const ID_CHARACTERS_MAX: usize = 64;

/// Members by which a request may bring tools that it does not list itself.
const ELSEWHERE: &[&str] = &["previous_response_id", "conversation", "prompt", "functions"];

/// A finished call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub id: &'a str,
    /// As it is called; with the namespace before it where it has one.
    pub name: &'a str,
    pub namespace: Option<&'a str>,
    /// Of a function; a freeform tool's input is any text.
    pub arguments: Option<&'a str>,
    /// The answer broke off, so the arguments may be half.
    pub cut_off: bool,
}

/// What the request offers, and which ids were met.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Namespace, name, whether it is freeform. `None`: the request is not known.
    offered: Option<Vec<(String, String, bool)>>,
    ids: BTreeSet<String>,
}

impl Calls {
    pub fn of(request: Option<&Fields<'_>>) -> Calls {
        let Some(request) = request else { return Calls::default() };
        let given = |name: &&str| request.raw(name).and_then(Raw::non_null).is_some();
        if ELSEWHERE.iter().any(given) {
            return Calls::default();
        }
        let mut offered = Vec::new();
        let tools = request.raw("tools").map(Raw::elements).unwrap_or_default();
        for tool in tools {
            offer(tool, "", &mut offered);
        }
        // Tools may also come with the history, from a search or from the client.
        let history = request.raw("input").map(Raw::elements).unwrap_or_default();
        for tool in history.iter().filter_map(|item| item.member("tools")).flat_map(Raw::elements) {
            offer(tool, "", &mut offered);
        }
        Calls { offered: Some(offered), ids: BTreeSet::new() }
    }

    /// Judges one call.
    pub fn judge(&mut self, call: &Call<'_>, place: &Place, findings: &mut Findings) {
        if !call.id.is_empty() && !self.ids.insert(call.id.to_owned()) {
            findings.add(Rule::CallIdRepeated, call.id, place, quote(call.id));
        }
        if call.id.chars().count() > ID_CHARACTERS_MAX {
            let detail = format!("{} has {} characters", quote(call.id), call.id.chars().count());
            findings.add(Rule::CallIdLong, call.id, place, detail);
        }
        if let Some(arguments) = call.arguments.filter(|_| !call.cut_off)
            && !Raw::parse(arguments).is_ok_and(Raw::is_object)
        {
            let detail = format!("{} is called with {}", quote(call.name), quote(arguments));
            findings.add(Rule::ArgumentsNotJson, call.id, place, detail);
        }
        let Some(offered) = &self.offered else { return };
        let namespace = call.namespace.unwrap_or_default();
        let same = |tool: &&(String, String, bool)| tool.0 == namespace && tool.1 == call.name;
        let freeform = call.arguments.is_none();
        let named: Vec<_> = offered.iter().filter(same).collect();
        match named.as_slice() {
            [] => {
                let detail = format!("{} is not among the request's tools", quote(call.name));
                findings.add(Rule::CallNotOffered, call.name, place, detail);
            }
            named if named.iter().all(|tool| tool.2 != freeform) => {
                let [is, called] = match freeform {
                    true => ["a function", "a freeform tool"],
                    false => ["a freeform tool", "a function"],
                };
                let detail = format!("{} is {is} and was called as {called}", quote(call.name));
                findings.add(Rule::CallKind, call.name, place, detail);
            }
            _ => {}
        }
    }
}

fn offer(tool: Raw<'_>, namespace: &str, offered: &mut Vec<(String, String, bool)>) {
    let kind = tool.member_text("type").unwrap_or_default();
    let declared = tool.member(&kind).filter(|inner| inner.is_object()).unwrap_or(tool);
    let name = declared.member_text("name").unwrap_or_default().into_owned();
    match &*kind {
        "namespace" => {
            for tool in tool.member("tools").map(Raw::elements).unwrap_or_default() {
                offer(tool, &name, offered);
            }
        }
        "function" | "custom" => offered.push((namespace.to_owned(), name, kind == "custom")),
        _ => {}
    }
}
