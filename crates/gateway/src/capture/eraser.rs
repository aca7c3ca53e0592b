//! What is taken out of a line before it is written: what betrays itself as a secret, the operator's
//! key, and the keys the caller sent, which a backend that refuses them may say back.

use std::collections::HashMap;

use latimer_probe::redact::Redactor;

use super::finished::Finished;
use crate::secret::Secret;

/// Of how many callers' keys the search is kept ready.
const CALLERS: usize = 64;

/// Takes secrets out of lines.
pub(super) struct Eraser {
    redactor: Option<Redactor>,
    operator: Secret,
    callers: HashMap<String, Secret>,
}

impl Eraser {
    /// Without a redactor only the operator's key is taken out.
    pub fn new(redactor: Option<Redactor>, operator: Secret) -> Eraser {
        Eraser { redactor, operator, callers: HashMap::new() }
    }

    /// Whether secrets stay.
    pub fn is_idle(&self) -> bool {
        self.redactor.is_none()
    }

    /// Takes the secrets out of the line of an exchange.
    pub fn erase(&mut self, line: &mut Vec<u8>, exchange: &Finished) {
        self.operator.erase(line);
        let Some(redactor) = &self.redactor else { return };
        for key in exchange.caller_keys() {
            if self.callers.len() >= CALLERS {
                self.callers.clear();
            }
            let secret = self.callers.entry(key.into_owned());
            secret.or_insert_with_key(|key| Secret::of(Some(key))).erase(line);
        }
        redactor.erase(line);
    }
}
