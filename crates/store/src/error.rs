//! Why a store does not do what it is asked, by what a caller can do about it. No text of a request
//! and no id is in the messages.

use std::fmt;

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is none that this tenant may see: never there, deleted, expired, or another tenant's.
    #[error("no such {0}")]
    NotFound(What),
    /// It is there already, or has ended already. A write that was repeated because its first answer
    /// was lost may find this, and then has done its work.
    #[error("the {0} is there or has ended already")]
    Conflict(What),
    /// There is no room. Nothing was written; something has to be deleted or to expire first.
    #[error("the store is full: {0}")]
    Full(&'static str),
    /// What was asked for is longer than the caller wants to read.
    #[error("longer than the bound of {limit} {measure}")]
    TooLong {
        /// Which bound.
        measure: Measure,
        /// Its value.
        limit: u64,
    },
    /// Locked, slow, or all connections in use. Nothing was written; it may work in a moment.
    #[error("the store is busy: {0}")]
    Busy(String),
    /// Out of reach. A write that met this may have been done or not.
    #[error("the store is out of reach: {0}")]
    Gone(String),
    /// What is stored cannot be read; a person has to look.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// The database refused what we asked, which is a fault of ours or of its set-up.
    #[error("the store refused: {0}")]
    Refused(String),
}

/// What was not found, or is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The response that is asked for.
    Response,
    /// A response further back, on which the one that is asked for was built.
    Ancestor,
    /// A conversation.
    Conversation,
    /// An item.
    Item,
    /// An event.
    Event,
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            What::Response => "response",
            What::Ancestor => "earlier response",
            What::Conversation => "conversation",
            What::Item => "item",
            What::Event => "event",
        })
    }
}

/// What a bound counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Responses of a chain.
    Links,
    /// Items.
    Items,
    /// Bytes of the items' JSON.
    Bytes,
}

impl fmt::Display for Measure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Measure::Links => "responses",
            Measure::Items => "items",
            Measure::Bytes => "bytes",
        })
    }
}
