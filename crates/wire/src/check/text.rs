//! What can be wrong with any text: broken characters, and reasoning that stands in the answer.

use super::frames::Frames;
use super::{Findings, Place, Rule, quote};

/// Looks for characters that were cut.
pub(super) fn characters(frames: &Frames, findings: &mut Findings) {
    for (event, frame) in frames.list.iter().enumerate() {
        if let Some(at) = frame.data.find('\u{fffd}') {
            let place = Place { line: Some(frame.line), event: Some(event), what: String::new() };
            let around: String =
                frame.data.get(at..).unwrap_or_default().chars().take(20).collect();
            findings.add(Rule::BrokenCharacter, "", &place, quote(&around));
        }
    }
}

/// Looks for tags around reasoning at the beginning of an answer's text.
pub(super) fn think_tags(text: &str, place: &Place, findings: &mut Findings) {
    let text = text.trim_start();
    if ["<think>", "<thinking>", "<thought>"].iter().any(|tag| text.starts_with(tag)) {
        findings.add(Rule::ThinkTags, "", place, quote(text));
    }
}
