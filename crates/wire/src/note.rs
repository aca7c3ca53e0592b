//! What a translation lost or changed. A note is never silent: it goes into the record, the report
//! and a response header.

use crate::json::Object;

/// One loss or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What kind of loss: one of a small set of names, for counting.
    pub code: &'static str,
    /// What it concerns, for a person: a tool's name, a parameter, an item's place.
    pub detail: String,
}

/// The notes of one exchange, in the order they came up. The list is bounded: what comes after
/// [`Notes::MAX`] is only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    notes: Vec<Note>,
    more: u64,
}

impl Notes {
    /// How many notes of one exchange are kept in words.
    pub const MAX: usize = 64;

    /// Adds a note.
    pub fn add(&mut self, code: &'static str, detail: impl Into<String>) {
        match self.notes.len() < Self::MAX {
            true => self.notes.push(Note { code, detail: detail.into() }),
            false => self.more += 1,
        }
    }

    /// Adds a note, unless it is there already.
    pub fn add_once(&mut self, code: &'static str, detail: &str) {
        if !self.notes.iter().any(|note| note.code == code && note.detail == detail) {
            self.add(code, detail);
        }
    }

    /// The notes that were kept.
    pub fn list(&self) -> &[Note] {
        &self.notes
    }

    /// How many came after those.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Takes over the notes of another stage of the same exchange.
    pub fn extend(&mut self, other: Notes) {
        for note in other.notes {
            self.add(note.code, note.detail);
        }
        self.more += other.more;
    }

    /// Appends the notes as a JSON array of `{code, detail}`; the last may say how many more there
    /// were.
    pub fn print(&self, out: &mut String) {
        out.push('[');
        for (index, note) in self.notes.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            Object::new(out).text("code", note.code).text("detail", &note.detail).end();
        }
        if self.more > 0 {
            out.push(',');
            Object::new(out)
                .text("code", "more_notes")
                .text("detail", &self.more.to_string())
                .end();
        }
        out.push(']');
    }
}
