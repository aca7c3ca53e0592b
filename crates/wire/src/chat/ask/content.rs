//! The content of a Chat message as parts of the hub.

use super::{given, required, unsupported, wrong_type};
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::path::Path;

/// Whose content it is: what its text is called in the hub, and which parts it may hold.
#[derive(Clone, Copy)]
pub(super) struct Speaker {
    text: &'static str,
    parts: &'static [&'static str],
}

const PLAIN: &[&str] = &["text"];

pub(super) const INSTRUCTIONS: Speaker = Speaker { text: "input_text", parts: PLAIN };
pub(super) const USER: Speaker =
    Speaker { text: "input_text", parts: &["text", "image_url", "input_audio", "file"] };
pub(super) const ASSISTANT: Speaker = Speaker { text: "output_text", parts: &["text", "refusal"] };
pub(super) const TOOL: Speaker =
    Speaker { text: "input_text", parts: &["text", "image_url", "file"] };

impl Speaker {
    /// Appends a content: a string stays one, parts become those of the hub.
    pub fn write(self, out: &mut String, content: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
        if content.is_string() {
            out.push_str(content.as_str());
            return Ok(());
        }
        out.push('[');
        self.push_parts(out, content, path)?;
        out.push(']');
        Ok(())
    }

    /// Appends the inside of a list of parts.
    pub fn push_parts(
        self,
        out: &mut String,
        content: Raw<'_>,
        path: Path<'_>,
    ) -> Result<(), ApiError> {
        if content.is_string() {
            Object::new(out).text("type", self.text).raw("text", content).end();
            return Ok(());
        }
        if !content.is_array() {
            return Err(wrong_type(path, "a string or an array", content));
        }
        for (index, part) in content.elements().into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.push_part(out, part, path.index(index))?;
        }
        Ok(())
    }

    fn push_part(self, out: &mut String, part: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
        if !part.is_object() {
            return Err(wrong_type(path, "an object", part));
        }
        let kind = required(part, "type", path)?.text().unwrap_or_default();
        if !self.parts.contains(&&*kind) {
            return Err(unsupported(path.member("type"), &kind, self.parts));
        }
        match &*kind {
            "text" => {
                let text = required(part, "text", path)?;
                Object::new(out).text("type", self.text).raw("text", text).end();
            }
            "refusal" => {
                let refusal = required(part, "refusal", path)?;
                Object::new(out).text("type", "refusal").raw("refusal", refusal).end();
            }
            "image_url" => push_image(out, part, path)?,
            "input_audio" => {
                let audio = inner(part, "input_audio", path)?;
                Object::new(out).text("type", "input_audio").raw("input_audio", audio).end();
            }
            _ => push_file(out, inner(part, "file", path)?),
        }
        Ok(())
    }
}

/// The object that a part holds under the name of its type.
fn inner<'a>(part: Raw<'a>, key: &str, path: Path<'_>) -> Result<Raw<'a>, ApiError> {
    let param = path.member(key);
    match given(part, key) {
        Some(inner) if inner.is_object() => Ok(inner),
        Some(other) => Err(wrong_type(param, "an object", other)),
        None => Err(super::missing(param)),
    }
}

/// An image by its address; some clients leave out the object around it.
fn push_image(out: &mut String, part: Raw<'_>, path: Path<'_>) -> Result<(), ApiError> {
    let (url, detail) = match given(part, "image_url") {
        Some(url) if url.is_string() => (url, given(part, "detail")),
        _ => {
            let image = inner(part, "image_url", path)?;
            (required(image, "url", path.member("image_url"))?, given(image, "detail"))
        }
    };
    Object::new(out)
        .text("type", "input_image")
        .raw("image_url", url)
        .raw_if("detail", detail)
        .end();
    Ok(())
}

fn push_file(out: &mut String, file: Raw<'_>) {
    let mut object = Object::new(out).text("type", "input_file");
    for key in ["file_data", "file_id", "filename"] {
        object = object.raw_if(key, given(file, key));
    }
    object.end();
}
