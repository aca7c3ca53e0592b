//! A key that must not be shown, and how it is taken out of text that others wrote.

use latimer_probe::redact::REDACTED;
use latimer_wire::json::push_string;
use memchr::memmem;

/// Shorter texts are no keys; taking them out would only garble what is shown.
const SHORTEST: usize = 8;

/// A key as it would stand inside JSON text; nothing where there is none.
#[derive(Clone, Default)]
pub(crate) struct Secret(Option<String>);

impl Secret {
    /// The secret that `key` is.
    pub fn of(key: Option<&str>) -> Secret {
        Secret(key.filter(|key| key.len() >= SHORTEST).map(|key| {
            let mut literal = String::new();
            push_string(&mut literal, key);
            literal.trim_matches('"').to_owned()
        }))
    }

    /// Takes the secret out of a text that is written down.
    pub fn erase(&self, json: &mut Vec<u8>) {
        let Some(key) = self.0.as_deref().map(str::as_bytes) else { return };
        let mut from = 0;
        while let Some(at) = json.get(from..).and_then(|rest| memmem::find(rest, key)) {
            let place = from + at..from + at + key.len();
            json.splice(place, REDACTED.bytes());
            from += at + REDACTED.len();
        }
    }

    /// The text without the secret.
    pub fn hide(&self, json: String) -> String {
        match &self.0 {
            Some(key) if json.contains(key) => json.replace(key, REDACTED),
            _ => json,
        }
    }
}
