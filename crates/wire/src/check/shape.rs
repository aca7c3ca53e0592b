//! What must be there: members by kind of object, as the official SDKs' types require them, and the
//! one function that looks for them.

use super::{Findings, Place, Rule, quote};
use crate::json::{Fields, Node, Raw};
use crate::responses::Flavour;

/// A member, and the kind of its value; a kind of `any` may be everything.
pub(super) type Member = (&'static str, &'static str);

const ID: Member = ("id", "string");
const STATUS: Member = ("status", "string");
const CALL_ID: Member = ("call_id", "string");
const NAME: Member = ("name", "string");
const ARGUMENTS: Member = ("arguments", "string");
const SERVER: Member = ("server_label", "string");

/// By type of item.
const ITEMS: &[(&str, &[Member])] = &[
    ("message", &[ID, STATUS, ("role", "string"), ("content", "array")]),
    ("reasoning", &[ID, ("summary", "array")]),
    ("function_call", &[CALL_ID, NAME, ARGUMENTS]),
    ("custom_tool_call", &[CALL_ID, NAME, ("input", "string")]),
    ("file_search_call", &[ID, STATUS, ("queries", "array")]),
    ("web_search_call", &[ID, STATUS]),
    ("computer_call", &[ID, CALL_ID, STATUS, ("pending_safety_checks", "array")]),
    ("tool_search_call", &[ID, STATUS, ("execution", "string"), ("arguments", "any")]),
    ("code_interpreter_call", &[ID, STATUS, ("container_id", "string")]),
    ("image_generation_call", &[ID, STATUS]),
    ("local_shell_call", &[ID, CALL_ID, STATUS, ("action", "object")]),
    ("shell_call", &[ID, CALL_ID, STATUS, ("action", "object")]),
    ("apply_patch_call", &[ID, CALL_ID, STATUS, ("operation", "object")]),
    ("mcp_call", &[ID, NAME, SERVER, ARGUMENTS]),
    ("mcp_list_tools", &[ID, SERVER, ("tools", "array")]),
    ("mcp_approval_request", &[ID, NAME, SERVER, ARGUMENTS]),
    ("compaction", &[ID, ("encrypted_content", "string")]),
];

/// By type of part.
const PARTS: &[(&str, &[Member])] = &[
    ("output_text", &[("text", "string"), ("annotations", "array")]),
    ("refusal", &[("refusal", "string")]),
    ("reasoning_text", &[("text", "string")]),
    ("summary_text", &[("text", "string")]),
];

/// Of a response.
const RESPONSE: &[Member] = &[
    ID,
    ("object", "string"),
    ("created_at", "number"),
    STATUS,
    ("model", "string"),
    ("output", "array"),
    ("tools", "array"),
    ("tool_choice", "any"),
    ("parallel_tool_calls", "boolean"),
];

/// Of a response's usage.
const USAGE: &[Member] = &[
    ("input_tokens", "number"),
    ("input_tokens_details.cached_tokens", "number"),
    ("output_tokens", "number"),
    ("output_tokens_details.reasoning_tokens", "number"),
    ("total_tokens", "number"),
];

/// Of the usage in Chat Completions.
const CHAT_USAGE: &[Member] =
    &[("prompt_tokens", "number"), ("completion_tokens", "number"), ("total_tokens", "number")];

/// Of an error.
const ERROR: &[Member] = &[("message", "string"), ("type", "string")];

/// The value at a dotted path.
fn at<'a>(object: &Fields<'a>, path: &str) -> Option<Node<'a>> {
    let mut keys = path.split('.');
    let first = object.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.member(key))
}

/// Adds what `object` lacks of `members`. `subject` names the object.
pub(super) fn require(
    object: &Fields<'_>,
    members: &[Member],
    rule: Rule,
    subject: &str,
    place: &Place,
    findings: &mut Findings,
) {
    for (path, kind) in members {
        let found = at(object, path).map_or("missing", |found| found.kind());
        if found == *kind || (*kind == "any" && found != "missing") {
            continue;
        }
        let subject = format!("{subject}.{path}");
        let detail = match found {
            "missing" => format!("`{subject}` is missing"),
            found => format!("`{subject}` is of type {found}, not {kind}"),
        };
        findings.add(rule, &subject, place, detail);
    }
}

/// An item, with its parts.
pub(super) fn item(item: Raw<'_>, subject: &str, place: &Place, findings: &mut Findings) {
    let fields = Fields::of(item);
    let Some(kind) = fields.text("type") else {
        let detail = format!("`{subject}.type` is missing in {}", quote(item.as_str()));
        return findings.add(Rule::ItemMember, subject, place, detail);
    };
    if let Some((_, members)) = ITEMS.iter().find(|(known, _)| *known == kind) {
        require(&fields, members, Rule::ItemMember, subject, place, findings);
    }
    for list in ["content", "summary"] {
        let parts = fields.raw(list).map(Raw::elements).unwrap_or_default();
        for (index, part) in parts.into_iter().enumerate() {
            self::part(part, &format!("{subject}.{list}[{index}]"), place, findings);
        }
    }
}

/// A part of an item.
pub(super) fn part(part: Raw<'_>, subject: &str, place: &Place, findings: &mut Findings) {
    let part = Fields::of(part);
    let Some(kind) = part.text("type") else {
        let detail = format!("`{subject}.type` is missing");
        return findings.add(Rule::PartMember, subject, place, detail);
    };
    if let Some((_, members)) = PARTS.iter().find(|(known, _)| *known == kind) {
        require(&part, members, Rule::PartMember, subject, place, findings);
    }
}

/// A response, without its items.
pub(super) fn response(
    response: &Fields<'_>,
    flavour: Flavour,
    place: &Place,
    findings: &mut Findings,
) {
    require(response, RESPONSE, Rule::ResponseMember, "response", place, findings);
    for member in flavour.lacks(response) {
        let detail = format!("`{member}` is missing, or null");
        findings.add(Rule::ResponseMember, member, place, detail);
    }
}

/// The usage of a finished response.
pub(super) fn usage(response: &Fields<'_>, place: &Place, findings: &mut Findings) {
    let Some(usage) = response.get("usage").and_then(Node::non_null).map(Fields::of) else {
        let detail = "`response.usage` is missing".to_owned();
        return findings.add(Rule::UsageMissing, "", place, detail);
    };
    require(&usage, USAGE, Rule::UsageShape, "response.usage", place, findings);
    sum(&usage, ["input_tokens", "output_tokens"], 0, place, findings);
}

/// The usage of a completion.
pub(super) fn chat_usage(usage: Raw<'_>, place: &Place, findings: &mut Findings) {
    let usage = Fields::of(usage);
    require(&usage, CHAT_USAGE, Rule::UsageShape, "usage", place, findings);
    // Some services do not count reasoning as completion.
    let reasoning = at(&usage, "completion_tokens_details.reasoning_tokens");
    let reasoning = reasoning.and_then(|reasoning| reasoning.count());
    let parts = ["prompt_tokens", "completion_tokens"];
    sum(&usage, parts, reasoning.unwrap_or_default(), place, findings);
}

fn sum(usage: &Fields<'_>, parts: [&str; 2], apart: u64, place: &Place, findings: &mut Findings) {
    let count = |name| usage.raw(name).and_then(Raw::count);
    let [Some(read), Some(made), Some(total)] =
        [count(parts[0]), count(parts[1]), count("total_tokens")]
    else {
        return;
    };
    let sum = read.saturating_add(made);
    if total != sum && total != sum.saturating_add(apart) {
        let detail = format!("{read} read and {made} made, but `total_tokens` is {total}");
        findings.add(Rule::UsageSum, "", place, detail);
    }
}

/// An error, where it stands.
pub(super) fn error(error: Option<Raw<'_>>, place: &Place, findings: &mut Findings) {
    match error.filter(|error| error.is_object()) {
        Some(error) => {
            require(&Fields::of(error), ERROR, Rule::ErrorShape, "error", place, findings)
        }
        None => {
            let detail = "there is no object `error`".to_owned();
            findings.add(Rule::ErrorShape, "error", place, detail);
        }
    }
}
