//! A key that must not be shown, and how it is taken out of text that others wrote.

use std::sync::Arc;

use latimer_probe::redact::Known;

/// A key, or nothing where there is none.
#[derive(Clone, Default)]
pub(crate) struct Secret(Option<Arc<Known>>);

impl Secret {
    /// The secret that `key` is.
    pub fn of(key: Option<&str>) -> Secret {
        Secret(key.and_then(Known::of).map(Arc::new))
    }

    /// What is known of it.
    pub fn known(&self) -> Option<&Known> {
        self.0.as_deref()
    }

    /// Takes the secret out of a text that is written down.
    pub fn erase(&self, json: &mut Vec<u8>) {
        if let Some(key) = &self.0 {
            key.erase(json);
        }
    }

    /// The text without the secret.
    pub fn hide(&self, json: String) -> String {
        match &self.0 {
            Some(key) => key.hide(json),
            None => json,
        }
    }
}
