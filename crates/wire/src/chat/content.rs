//! The content of messages and outputs: a string or a list of parts. In: the hub's parts. Out: the
//! same as Chat parts, or their text alone where only text has a place. What has no form there
//! leaves a note.

use std::borrow::Cow;

use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::note::Notes;
use crate::responses::{missing, wrong_type};

/// Parts that are text: part type, and the member that holds it. The last is plain text in what
/// one agent says to another (Codex 0.169).
const TEXT_PARTS: &[(&str, &str)] = &[
    ("input_text", "text"),
    ("output_text", "text"),
    ("text", "text"),
    ("summary_text", "text"),
    ("reasoning_text", "text"),
    ("refusal", "refusal"),
    ("encrypted_content", "encrypted_content"),
];

/// Checks that a content is a string or a list of parts, each with a type, and text where its type
/// says so.
pub(super) fn check_content(content: Raw<'_>, path: &str) -> Result<(), ApiError> {
    if content.is_null() {
        return Err(missing(path));
    }
    if !content.is_string() && !content.is_array() {
        return Err(wrong_type(path, "a string or an array", content));
    }
    for (index, part) in content.elements().into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !part.is_object() {
            return Err(wrong_type(&path, "an object", part));
        }
        let kind = part.member_text("type").ok_or_else(|| missing(&format!("{path}.type")))?;
        let Some((_, member)) = TEXT_PARTS.iter().find(|(name, _)| *name == kind) else { continue };
        match part.member(member).and_then(Raw::non_null) {
            Some(text) if text.is_string() => {}
            Some(other) => return Err(wrong_type(&format!("{path}.{member}"), "a string", other)),
            None => return Err(missing(&format!("{path}.{member}"))),
        }
    }
    Ok(())
}

/// Appends a list of parts, each in its Chat form; what has none leaves a note.
pub(super) fn push_parts(out: &mut String, parts: &[Raw<'_>], path: &str, notes: &mut Notes) {
    out.push('[');
    let mut first = true;
    for (index, part) in parts.iter().copied().enumerate() {
        let kind = part.member_text("type").unwrap_or_default();
        let text = TEXT_PARTS.iter().find(|(name, _)| *name == kind);
        if text.is_none() && !is_seen(part) {
            notes.add("content_dropped", format!("{path}[{index}]: {kind}"));
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        match text.and_then(|(_, member)| part.member(member)) {
            Some(text) => Object::new(out)
                .text("type", "text")
                .with("text", |out| push_inner(out, text.inner()))
                .end(),
            None => push_seen(out, part),
        }
        if is_original(part) {
            notes.add("content_changed", format!("{path}[{index}]: detail original"));
        }
    }
    if first {
        out.push_str("{\"type\":\"text\",\"text\":\"\"}");
    }
    out.push(']');
}

/// All text of a content where only text has a place.
pub(super) fn words<'a>(content: Raw<'a>, path: &str, notes: &mut Notes) -> Cow<'a, str> {
    for (index, part) in content.elements().into_iter().enumerate().filter(|(_, p)| is_seen(*p)) {
        let kind = part.member_text("type").unwrap_or_default();
        notes.add("content_dropped", format!("{path}[{index}]: {kind}"));
    }
    joined(content, path, notes)
}

/// All text of a content, as the inside of one literal. Parts that have no form in Chat
/// Completions leave a note; images and files are somebody else's to write.
pub(super) fn joined<'a>(content: Raw<'a>, path: &str, notes: &mut Notes) -> Cow<'a, str> {
    if content.is_string() {
        return Cow::Borrowed(content.inner());
    }
    let mut texts = Vec::new();
    for (index, part) in content.elements().into_iter().enumerate() {
        let kind = part.member_text("type").unwrap_or_default();
        match TEXT_PARTS.iter().find(|(name, _)| *name == kind) {
            Some((_, member)) => texts.extend(part.member(member).map(Raw::inner)),
            None if is_seen(part) => {}
            None => notes.add("content_dropped", format!("{path}[{index}]: {kind}")),
        }
    }
    match texts.as_slice() {
        [one] => Cow::Borrowed(one),
        many => Cow::Owned(many.join("\\n")),
    }
}

/// Whether an image is to be seen at full size, which Chat Completions cannot say.
pub(super) fn is_original(part: Raw<'_>) -> bool {
    part.member("detail").is_some_and(|detail| detail.inner() == "original")
}

/// Whether a part is an image, a file or a sound that Chat Completions has a form for.
pub(super) fn is_seen(part: Raw<'_>) -> bool {
    let has = |key| part.member(key).is_some_and(|value| value.is_string());
    match part.member_text("type").as_deref() {
        Some("input_image") => has("image_url"),
        Some("input_file") => has("file_data") || has("file_id"),
        Some("input_audio") => part.member("input_audio").is_some_and(Raw::is_object),
        _ => false,
    }
}

/// Appends such a part.
pub(super) fn push_seen(out: &mut String, part: Raw<'_>) {
    let given = |key| part.member(key).and_then(Raw::non_null);
    match part.member_text("type").as_deref() {
        Some("input_image") => Object::new(out)
            .text("type", "image_url")
            .with("image_url", |out| {
                let detail = given("detail").filter(|detail| detail.inner() != "original");
                Object::new(out).raw_if("url", given("image_url")).raw_if("detail", detail).end();
            })
            .end(),
        Some("input_file") => Object::new(out)
            .text("type", "file")
            .with("file", |out| {
                Object::new(out)
                    .raw_if("file_data", given("file_data"))
                    .raw_if("file_id", given("file_id"))
                    .raw_if("filename", given("filename"))
                    .end();
            })
            .end(),
        _ => Object::new(out)
            .text("type", "input_audio")
            .raw_if("input_audio", given("input_audio"))
            .end(),
    }
}

pub(super) fn push_inner(out: &mut String, inner: &str) {
    out.push('"');
    out.push_str(inner);
    out.push('"');
}
