//! What is remembered. All JSON is text that nobody here looks into; all times are seconds since
//! 1970.

use crate::Id;

/// An `expires_at` that never comes.
pub const NEVER: i64 = i64::MAX;

/// One turn: a response, and what was asked. Its items are kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The response's id.
    pub id: Id,
    /// The response it was built on (`previous_response_id`).
    pub previous: Option<Id>,
    /// The conversation it belongs to.
    pub conversation: Option<Id>,
    /// When it was asked, in seconds since 1970.
    pub created_at: i64,
    /// When it may be forgotten, in seconds since 1970, or [`NEVER`]. A turn that others were built
    /// on is kept as long as they are, although it can no longer be asked for itself.
    pub expires_at: i64,
    /// How far it is.
    pub status: TurnStatus,
    /// The gateway that works on it, as long as it is open; see [`Store::renew`](crate::Store::renew).
    pub owner: Option<Id>,
    /// The response object, as JSON.
    pub response: String,
}

/// How far a turn is, in the words of the Responses API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnStatus {
    /// Not begun.
    Queued,
    /// Begun.
    InProgress,
    /// Ended well.
    Completed,
    /// Ended early, by a limit.
    Incomplete,
    /// Ended by an error.
    Failed,
    /// Ended by the client.
    Cancelled,
}

/// Each status and its name in JSON.
const STATUSES: &[(TurnStatus, &str)] = &[
    (TurnStatus::Queued, "queued"),
    (TurnStatus::InProgress, "in_progress"),
    (TurnStatus::Completed, "completed"),
    (TurnStatus::Incomplete, "incomplete"),
    (TurnStatus::Failed, "failed"),
    (TurnStatus::Cancelled, "cancelled"),
];

impl TurnStatus {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        STATUSES.iter().find(|(status, _)| *status == self).map_or("", |(_, name)| *name)
    }

    /// The status of that name.
    pub fn named(name: &str) -> Option<Self> {
        STATUSES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// Whether there is more to come.
    pub fn is_open(self) -> bool {
        matches!(self, TurnStatus::Queued | TurnStatus::InProgress)
    }

    /// Whether a turn that ends so becomes part of its conversation.
    pub fn joins_conversation(self) -> bool {
        matches!(self, TurnStatus::Completed | TurnStatus::Incomplete)
    }
}

/// How a turn that is open goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// How far it is now.
    pub status: TurnStatus,
    /// The response object now, as JSON.
    pub response: String,
    /// The items of its output; those of a turn that is still open are not kept.
    pub output: Vec<StoredItem>,
}

/// An item of a turn or a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredItem {
    /// Its id. The same item may be in several turns.
    pub id: Id,
    /// The item, as JSON.
    pub json: String,
}

/// A list of items that hang together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thread {
    /// A response's. As a history: all that led to it and itself. As a list: its own input.
    Turn(Id),
    /// A conversation's.
    Conversation(Id),
}

/// A conversation without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: Id,
    /// When it was opened, in seconds since 1970.
    pub created_at: i64,
    /// When it may be forgotten, in seconds since 1970, or [`NEVER`]. It stays at least as long as
    /// the last turn that joined it.
    pub expires_at: i64,
    /// What the client attached to it, a JSON object.
    pub metadata: String,
}

/// How much of a history a caller wants to read; beyond it, reading is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Responses of a chain.
    pub links: u32,
    /// Items.
    pub items: u32,
    /// Bytes of the items' JSON.
    pub bytes: u64,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The item before the first that is wanted, in the order that is wanted.
    pub after: Option<Id>,
    /// How many at most.
    pub limit: u32,
    /// Newest first.
    pub descending: bool,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPage {
    /// The items, in the order that was wanted.
    pub items: Vec<StoredItem>,
    /// Whether there are more after them.
    pub has_more: bool,
}

/// An event of a response's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its `sequence_number`.
    pub sequence: i64,
    /// The event, as JSON.
    pub json: String,
}

/// Events of a response, and whether more will come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// How far the response was when they were read.
    pub status: TurnStatus,
    /// The events, in their order.
    pub events: Vec<StoredEvent>,
}
