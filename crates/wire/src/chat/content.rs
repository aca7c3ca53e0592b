//! The content of messages and outputs: a string or a list of parts. In: the hub's parts. Out: the
//! same as Chat parts, or their text alone where only text has a place. What has no form there
//! leaves a note.

use std::borrow::Cow;

use crate::error::ApiError;
use crate::json::{Node, Object, Raw};
use crate::note::Notes;
use crate::path::Path;
use crate::responses::{Item, missing, wrong_type};

/// Of a part that is text, the member that holds it.
fn text_member(kind: &str) -> Option<&'static str> {
    match kind {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => Some("text"),
        "refusal" => Some("refusal"),
        // Plain text in what one agent says to another (Codex 0.169).
        "encrypted_content" => Some("encrypted_content"),
        _ => None,
    }
}

/// A content, its parts read once.
pub(super) struct Content<'a> {
    given: Raw<'a>,
    pub parts: Vec<Part<'a>>,
}

/// One part of a content.
pub(super) struct Part<'a> {
    pub raw: Raw<'a>,
    kind: Option<Cow<'a, str>>,
    says: Says<'a>,
}

/// What a part has to say.
#[derive(Clone, Copy)]
enum Says<'a> {
    /// The member that holds its text, and what stands there.
    Text(&'static str, Option<Raw<'a>>),
    /// It is an image, a file or a sound that Chat Completions has a form for.
    Seen,
    Nothing,
}

impl<'a> Content<'a> {
    /// The content of an item, whatever it is.
    pub fn of(item: &'a Item<'a>, member: &str) -> Self {
        Content::from(item.node(member).unwrap_or(Raw::NULL.into()))
    }

    /// Whether there is none.
    pub fn is_null(&self) -> bool {
        self.given.is_null()
    }

    /// Checks that it is a string or a list of parts, each with a type, and text where its type
    /// says so.
    pub fn check(&self, path: Path<'_>) -> Result<(), ApiError> {
        if self.given.is_null() {
            return Err(missing(path));
        }
        if !self.given.is_string() && !self.given.is_array() {
            return Err(wrong_type(path, "a string or an array", self.given));
        }
        for (index, part) in self.parts.iter().enumerate() {
            let path = path.index(index);
            if !part.raw.is_object() {
                return Err(wrong_type(path, "an object", part.raw));
            }
            match part.says {
                _ if part.kind.is_none() => return Err(missing(path.member("type"))),
                Says::Text(member, Some(other)) if !other.is_string() => {
                    return Err(wrong_type(path.member(member), "a string", other));
                }
                Says::Text(member, None) => return Err(missing(path.member(member))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Appends its parts, each in its Chat form; what has none leaves a note.
    pub fn push_parts(&self, out: &mut String, path: Path<'_>, notes: &mut Notes) {
        out.push('[');
        let mut first = true;
        for (index, part) in self.parts.iter().enumerate() {
            let path = path.index(index);
            if let Says::Nothing = part.says {
                notes.add("content_dropped", format!("{path}: {}", part.kind()));
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            match part.says {
                Says::Text(_, Some(text)) => Object::new(out)
                    .text("type", "text")
                    .with("text", |out| push_inner(out, text.inner()))
                    .end(),
                _ => push_seen(out, part.raw),
            }
            if is_original(part.raw) {
                notes.add("content_changed", format!("{path}: detail original"));
            }
        }
        if first {
            out.push_str("{\"type\":\"text\",\"text\":\"\"}");
        }
        out.push(']');
    }

    /// All its text where only text has a place.
    pub fn words(&self, path: Path<'_>, notes: &mut Notes) -> Cow<'a, str> {
        for (index, part) in self.parts.iter().enumerate().filter(|(_, part)| part.is_seen()) {
            notes.add("content_dropped", format!("{}: {}", path.index(index), part.kind()));
        }
        self.joined(path, notes)
    }

    /// All its text, as the inside of one literal. Parts that have no form in Chat Completions leave
    /// a note; images and files are somebody else's to write.
    pub fn joined(&self, path: Path<'_>, notes: &mut Notes) -> Cow<'a, str> {
        if self.given.is_string() {
            return Cow::Borrowed(self.given.inner());
        }
        let mut joined: Option<Cow<'a, str>> = None;
        for (index, part) in self.parts.iter().enumerate() {
            match (part.says, &mut joined) {
                (Says::Text(_, None) | Says::Seen, _) => {}
                (Says::Text(_, Some(text)), None) => joined = Some(Cow::Borrowed(text.inner())),
                (Says::Text(_, Some(text)), Some(joined)) => {
                    let joined = joined.to_mut();
                    joined.push_str("\\n");
                    joined.push_str(text.inner());
                }
                (Says::Nothing, _) => {
                    notes.add("content_dropped", format!("{}: {}", path.index(index), part.kind()));
                }
            }
        }
        joined.unwrap_or_default()
    }
}

impl<'a> From<Node<'a>> for Content<'a> {
    fn from(given: Node<'a>) -> Self {
        let parts = match given.is_array() {
            true => given.values().map(Part::of).collect(),
            false => Vec::new(),
        };
        Content { given: given.raw(), parts }
    }
}

impl<'a> Part<'a> {
    fn of(part: Node<'a>) -> Self {
        let kind = part.member_text("type");
        let says = match kind.as_deref().and_then(text_member) {
            Some(member) => {
                Says::Text(member, part.member(member).map(Node::raw).and_then(Raw::non_null))
            }
            None if is_seen(kind.as_deref().unwrap_or_default(), part) => Says::Seen,
            None => Says::Nothing,
        };
        Part { raw: part.raw(), kind, says }
    }

    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or_default()
    }

    /// Whether it is an image, a file or a sound that Chat Completions has a form for.
    pub fn is_seen(&self) -> bool {
        matches!(self.says, Says::Seen)
    }
}

fn is_seen(kind: &str, part: Node<'_>) -> bool {
    let has = |key| part.member(key).is_some_and(|value| value.is_string());
    match kind {
        "input_image" => has("image_url"),
        "input_file" => has("file_data") || has("file_id"),
        "input_audio" => part.member("input_audio").is_some_and(|sound| sound.is_object()),
        _ => false,
    }
}

/// Whether an image is to be seen at full size, which Chat Completions cannot say.
pub(super) fn is_original(part: Raw<'_>) -> bool {
    part.member("detail").is_some_and(|detail| detail.inner() == "original")
}

/// Appends a part that is seen.
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
