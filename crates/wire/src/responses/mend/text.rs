//! A text that is heard in pieces, said in pieces, and perhaps told whole at its end. It knows what
//! of it was said, so that nothing is said twice.

use crate::json::{Raw, push_unquoted};

/// One text. What is held is the inside of a JSON literal.
#[derive(Debug, Default)]
pub(super) struct Text {
    heard: String,
    said_bytes: usize,
    /// Its end was said.
    pub over: bool,
}

/// What the whole text shows of the pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing was told at all.
    Nothing,
    /// All of it was heard before.
    Same,
    /// It goes on where the pieces stopped.
    More,
    /// It says something else.
    Other,
}

impl Text {
    /// Adds a piece.
    pub fn hear(&mut self, literal: Raw<'_>) {
        self.heard.push_str(literal.inner());
    }

    /// Takes the whole text. One that is empty or missing tells nothing.
    pub fn settle(&mut self, whole: Option<Raw<'_>>) -> Told {
        let Some(whole) = whole.filter(|whole| !whole.inner().is_empty()) else {
            return Told::Nothing;
        };
        if whole.inner() == self.heard {
            return Told::Same;
        }
        let literal = self.whole();
        let heard = Raw::trusted(&literal).text().unwrap_or_default();
        let text = whole.text().unwrap_or_default();
        match text.strip_prefix(&*heard) {
            Some("") => Told::Same,
            Some(rest) => {
                push_unquoted(&mut self.heard, rest);
                Told::More
            }
            None => {
                self.heard = whole.inner().to_owned();
                self.mark_said();
                Told::Other
            }
        }
    }

    /// Whether nothing was heard.
    pub fn is_empty(&self) -> bool {
        self.heard.is_empty()
    }

    /// The text as a literal.
    pub fn whole(&self) -> String {
        format!("\"{}\"", self.heard)
    }

    /// What was not said yet, as a literal.
    pub fn unsaid(&self) -> Option<String> {
        let unsaid = self.heard.get(self.said_bytes..).filter(|unsaid| !unsaid.is_empty());
        unsaid.map(|unsaid| format!("\"{unsaid}\""))
    }

    /// All that was heard was said.
    pub fn mark_said(&mut self) {
        self.said_bytes = self.heard.len();
    }
}
