//! The lines of a recording, held against their seals: none changed, left out or moved. In: lines, in
//! their order. Out: what there is of them, or the first thing that is not as it was written.
//!
//! Each line of a writer holds the seal of the one before, inside what is sealed. Several writers may
//! write to one file, and each begins its own row of lines when it starts; that the last lines of a row
//! are missing does not show.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::exchange::{Unreadable, read};
use crate::seal;

/// The first thing that is not as it was written. RecordedLines are counted from 1, over all files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenLine {
    /// A line is not what was sealed.
    #[error("line {line} is not as it was written: its seal does not hold")]
    Changed {
        /// Which.
        line: u64,
    },
    /// A line has no seal, and others have.
    #[error("line {line} has no seal, and others have")]
    Unsealed {
        /// Which.
        line: u64,
    },
    /// The line that a line follows is not before it.
    #[error(
        "before line {line} something is missing or out of order: the line that it follows is not there"
    )]
    Missing {
        /// Which.
        line: u64,
    },
    /// An exchange is there twice.
    #[error("line {line} is there already: exchange {id} is line {first} as well")]
    Duplicate {
        /// Which.
        line: u64,
        /// The exchange.
        id: String,
        /// Where it was first.
        first: u64,
    },
    /// A line is no record.
    #[error("line {line} is no record: {why}")]
    Unreadable {
        /// Which.
        line: u64,
        /// Why.
        why: String,
    },
}

/// What a recording is that is as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedLines {
    /// How many lines it has.
    pub lines: u64,
    /// How many have a seal that holds.
    pub sealed: u64,
    /// How many rows of lines there are: one for each start of a gateway.
    pub rows: u64,
    /// The seals that end the rows.
    pub heads: BTreeSet<String>,
    ids: BTreeMap<String, u64>,
}

impl RecordedLines {
    /// Takes the next line; blank ones are passed over.
    ///
    /// # Errors
    /// [`BrokenLine`] where it is not as it was written.
    pub fn push(&mut self, line: &[u8]) -> Result<(), BrokenLine> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        self.lines += 1;
        let number = self.lines;
        let exchange = match read(line).next() {
            Some(Err(Unreadable::Incident { .. })) | None => return Ok(()),
            Some(Err(why)) => {
                return Err(BrokenLine::Unreadable { line: number, why: why.to_string() });
            }
            Some(Ok(exchange)) => exchange,
        };
        match seal::holds(line) {
            Some(true) => self.linked(line, number)?,
            Some(false) => return Err(BrokenLine::Changed { line: number }),
            None if self.sealed > 0 => return Err(BrokenLine::Unsealed { line: number }),
            None => {}
        }
        match exchange.account().and_then(|account| account.id) {
            Some(id) => self.once(id, number),
            None => Ok(()),
        }
    }

    /// A sealed line follows the last of its row, or begins one.
    fn linked(&mut self, line: &[u8], number: u64) -> Result<(), BrokenLine> {
        self.sealed += 1;
        match seal::parent(line) {
            // The first line may follow one of an earlier file.
            Some(parent) if !self.heads.remove(&parent) && number > 1 => {
                return Err(BrokenLine::Missing { line: number });
            }
            Some(_) => {}
            None => self.rows += 1,
        }
        self.heads.extend(seal::digits(line));
        Ok(())
    }

    fn once(&mut self, id: String, line: u64) -> Result<(), BrokenLine> {
        match self.ids.insert(id.clone(), line) {
            Some(first) => Err(BrokenLine::Duplicate { line, id, first }),
            None => Ok(()),
        }
    }
}
