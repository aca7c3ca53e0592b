//! The index of a closed segment: a line for each exchange, by which a reader finds those it wants
//! without reading the others. In: a line and where it stands. Out: its [`Entry`]. It holds nothing
//! that is not in the segment, so it can be made again from it.

use serde::{Deserialize, Serialize};

use crate::record::account::Outcome;
use crate::record::exchange;

/// Where an exchange stands in its segment, and what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Where its line begins in the segment, uncompressed, in bytes.
    pub at: u64,
    /// How long its line is, the line end included.
    pub bytes: u64,
    /// Where the frame that holds it begins in the compressed segment. It can be read alone.
    pub frame: u64,
    /// Where its line begins in that frame, uncompressed.
    pub at_in_frame: u64,
    /// When it began: milliseconds since 1970.
    pub timestamp_unix_ms: i64,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The status of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// The entry of a line; `None` where it holds no exchange.
///
/// ```
/// let line = br#"{"timestamp":1.5,"request":{"method":"GET","url":"/"},"latimer":{"id":"a"}}"#;
/// let entry = latimer_probe::record::index::entry(line, 100, 0, 100).expect("an exchange");
/// assert_eq!((entry.timestamp_unix_ms, entry.id.as_deref()), (1500, Some("a")));
/// assert!(latimer_probe::record::index::entry(b"{}\n", 0, 0, 0).is_none());
/// ```
pub fn entry(line: &[u8], at: u64, frame: u64, at_in_frame: u64) -> Option<Entry> {
    let exchange = exchange::read(line).next()?.ok()?;
    let account = exchange.account().unwrap_or_default();
    Some(Entry {
        at,
        bytes: line.len() as u64,
        frame,
        at_in_frame,
        timestamp_unix_ms: exchange.timestamp_unix_ms.unwrap_or_default(),
        id: account.id,
        session: account.session,
        turn: account.turn,
        outcome: account.outcome,
        status: exchange.response.and_then(|response| response.status_code),
    })
}
