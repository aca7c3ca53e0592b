//! Compaction: a summary takes the place of what came before. In: a request whose past is to be summed
//! up. Out: the request that asks the backend for the summary, and an item that holds it sealed, which
//! the client keeps; and, in later requests, the summary again in the place of the item.

mod seal;

pub use self::seal::SealKey;
pub(crate) use self::seal::{Seal, SealError};

use latimer_wire::error::ApiError;
use latimer_wire::json::{Object, Raw};
use latimer_wire::path::Path;
use latimer_wire::responses::Item;

/// What a backend is asked for where the operator has no words of his own.
pub const PROMPT: &str = "\
Write a summary of this conversation for yourself. You will go on with the work and see nothing of \
what came before but this summary. Keep: what the user wants, and every instruction and preference \
that still holds; what was decided, and why; what was done, with the names of files, commands, \
identifiers and values that matter, and what came of it; what failed; what is still open, and the \
next step. Leave out greetings and whatever is settled and of no further use. Answer with the summary \
alone.";

/// What a summary is introduced with when the model reads it.
const INTRODUCTION: &str = "Summary of the conversation up to here, which stands in its place:";

/// A message of the user, as JSON.
pub(crate) fn message(text: &str) -> String {
    let mut out = String::new();
    Object::new(&mut out)
        .text("type", "message")
        .text("role", "user")
        .list("content", [text], |out, text| {
            Object::new(out).text("type", "input_text").text("text", text).end();
        })
        .end();
    out
}

/// What a compaction item holds.
pub(crate) enum Sealed {
    /// A summary of what was there when it was made.
    Summary(String),
    /// All there is to know of what came before the item: items, as JSON.
    Window(Vec<String>),
}

const SUMMARY: &str = "summary";
const WINDOW: &str = "window";

impl Sealed {
    fn print(&self) -> String {
        let mut out = String::new();
        match self {
            Sealed::Summary(summary) => Object::new(&mut out).text(SUMMARY, summary).end(),
            Sealed::Window(items) => {
                Object::new(&mut out).list(WINDOW, items, |out, item| out.push_str(item)).end();
            }
        }
        out
    }

    fn read(text: &str) -> Option<Sealed> {
        let json = Raw::parse(text).ok()?;
        let summary = json.member_text(SUMMARY).map(|text| Sealed::Summary(text.into_owned()));
        summary.or_else(|| {
            let items = json.member(WINDOW)?.elements();
            Some(Sealed::Window(items.into_iter().map(|item| item.as_str().to_owned()).collect()))
        })
    }
}

/// The message that a summary is to the model, as JSON.
pub(crate) fn introduced(summary: &str) -> String {
    message(&format!("{INTRODUCTION}\n\n{summary}"))
}

/// The item that a client is given to keep, as JSON.
///
/// # Errors
/// When it cannot be sealed.
pub(crate) fn sealed(seal: &Seal, id: &str, what: &Sealed) -> Result<String, SealError> {
    let envelope = seal.seal(&what.print())?;
    let mut out = String::new();
    Object::new(&mut out)
        .text("id", id)
        .text("type", "compaction")
        .text("encrypted_content", &envelope)
        .end();
    Ok(out)
}

/// What a compaction item holds.
///
/// # Errors
/// A 400 that names the place, where it is not ours.
pub(crate) fn opened(seal: &Seal, item: &Item<'_>, path: Path<'_>) -> Result<Sealed, ApiError> {
    let envelope = item.required("encrypted_content", path)?;
    let text = seal.open(&envelope.text().unwrap_or_default());
    match text.and_then(|text| Sealed::read(&text).ok_or(SealError::Foreign)) {
        Ok(held) => Ok(held),
        Err(SealError::Foreign) => {
            let param = path.member("encrypted_content");
            let message = format!(
                "Latimer: `{param}` cannot be opened: it was not sealed with this gateway's key, or \
                 was changed. Gateways that share clients need the same key (`state.seal_key_env`)."
            );
            Err(ApiError::invalid(param, "invalid_encrypted_content", message))
        }
        Err(error) => Err(unusable(&error)),
    }
}

/// Nothing can be sealed here.
pub(crate) fn unusable(error: &SealError) -> ApiError {
    tracing::warn!(%error, "nothing can be sealed or opened");
    ApiError::server(
        503,
        "compaction_unavailable",
        "Latimer: nothing can be sealed or opened here now.",
    )
}

/// The text of a response's messages.
pub(crate) fn text_of(response: Raw<'_>) -> String {
    let items = response.member("output").map(Raw::elements).unwrap_or_default();
    let messages =
        items.into_iter().filter(|item| item.member_text("type").as_deref() == Some("message"));
    let parts =
        messages.flat_map(|item| item.member("content").map(Raw::elements).unwrap_or_default());
    let texts: Vec<_> = parts.filter_map(|part| part.member_text("text")).collect();
    texts.join("\n\n").trim().to_owned()
}
