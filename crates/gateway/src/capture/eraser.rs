//! What is taken out of a line before it is written: what betrays itself as a secret, the operator's
//! key, and the keys the caller sent, which a backend that refuses them may say back.

use std::borrow::Cow;
use std::collections::HashMap;

use latimer_probe::redact::{Known, Redactor};

use super::finished::Finished;
use crate::secret::Secret;

/// Of how many callers the search is kept ready.
const CALLERS: usize = 64;

/// Takes secrets out of lines.
pub(super) struct Eraser {
    redactor: Option<Redactor>,
    operator: Secret,
    /// What takes out a caller's keys as well, by these keys.
    callers: HashMap<Vec<String>, Redactor>,
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
        let Some(redactor) = &self.redactor else { return self.operator.erase(line) };
        if self.callers.len() >= CALLERS {
            self.callers.clear();
        }
        let keys = exchange.caller_keys().map(Cow::into_owned).collect();
        let of_caller = self.callers.entry(keys).or_insert_with_key(|keys| {
            let callers: Vec<_> = keys.iter().filter_map(|key| Known::of(key)).collect();
            let known: Vec<_> = self.operator.known().into_iter().chain(&callers).collect();
            redactor.knowing(&known)
        });
        of_caller.erase(line);
    }
}
