//! What the request asked for by name: a tool that must be called, a form that the text must have, a
//! response that is gone on from.

use super::{Findings, Place, Rule, quote};
use crate::json::{Fields, Raw};

/// Judges a finished answer that `said` this text and `called` these tools.
pub(super) fn kept(
    request: Option<&Fields<'_>>,
    said: &str,
    called: &[String],
    place: &Place,
    findings: &mut Findings,
) {
    let Some(request) = request else { return };
    if let Some(choice) = request.raw("tool_choice") {
        forced(choice, called, place, findings);
    }
    let format = request.raw("text").and_then(|text| text.member("format"));
    let format = format.or_else(|| request.raw("response_format"));
    if let Some(format) = format.filter(|_| called.is_empty() && !said.is_empty()) {
        formed(format, said, place, findings);
    }
}

/// Judges what a response says that came before it. One that says nothing of it is judged by its
/// members alone.
pub(super) fn continued(
    request: Option<&Fields<'_>>,
    response: &Fields<'_>,
    place: &Place,
    findings: &mut Findings,
) {
    const MEMBER: &str = "previous_response_id";
    let wanted = request.and_then(|request| request.text(MEMBER));
    if let (Some(wanted), Some(given)) = (wanted, response.get(MEMBER))
        && given.text().as_deref() != Some(&*wanted)
    {
        let detail = format!("{} was asked for, and it says {}", quote(&wanted), given.as_str());
        findings.add(Rule::PreviousDiffers, "", place, detail);
    }
}

fn forced(choice: Raw<'_>, called: &[String], place: &Place, findings: &mut Findings) {
    let kind = choice.member_text("type").unwrap_or_default();
    let detail = match (choice.text().as_deref(), &*kind) {
        (Some("required"), _) if called.is_empty() => "a call was required".to_owned(),
        (Some("none"), _) if !called.is_empty() => "no call was allowed".to_owned(),
        (None, "function" | "custom") => {
            let declared = choice.member(&kind).unwrap_or(choice);
            let name = declared.member_text("name").unwrap_or_default();
            if called.iter().any(|called| *called == name) {
                return;
            }
            format!("{} was to be called", quote(&name))
        }
        _ => return,
    };
    findings.add(Rule::ToolChoiceIgnored, "", place, detail);
}

fn formed(format: Raw<'_>, said: &str, place: &Place, findings: &mut Findings) {
    let kind = format.member_text("type").unwrap_or_default();
    if !matches!(&*kind, "json_schema" | "json_object") {
        return;
    }
    let Ok(value) = Raw::parse(said) else {
        let detail = format!("the text is not JSON: {}", quote(said));
        return findings.add(Rule::FormatIgnored, "", place, detail);
    };
    let schema = format.member("schema");
    let schema = schema.or_else(|| format.member("json_schema")?.member("schema"));
    let required = schema.and_then(|schema| schema.member("required"));
    let required = required.map(Raw::elements).unwrap_or_default();
    let lacks = required.iter().filter_map(|name| name.text());
    for name in lacks.filter(|name| value.member(name).is_none()) {
        let detail = format!("{} is missing in {}", quote(&name), quote(said));
        findings.add(Rule::FormatIgnored, &name, place, detail);
    }
}
