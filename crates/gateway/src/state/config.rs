//! What an operator can set about what is kept between requests.

use std::path::PathBuf;

use serde::Deserialize;

/// What is kept between requests, where, and for how long. All keys are optional.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// Where: `sqlite`, `memory`, `postgres://…`, or `off`.
    pub store: Keeper,
    /// The directory of what is kept: the database and the key that seals. Default: that of the
    /// recording.
    pub directory: Option<PathBuf>,
    /// How long a response can be asked for after it was made, in seconds. Default 30 days.
    pub ttl_s: u64,
    /// Whether an answer that cannot be stored is an error. Otherwise it is given, and says that it
    /// is not stored.
    pub fail_closed: bool,
    /// How long the end of an answer may wait for the store, in milliseconds.
    pub wait_ms: u64,
    /// How many responses may be made in the background at the same time.
    pub background: usize,
    /// How long after the last sign of life a gateway counts as gone, in seconds. What it was making
    /// in the background has then failed.
    pub lease_s: u64,
    /// How many responses a request may be built on.
    pub history_links: u32,
    /// How many items may come before those of a request.
    pub history_items: u32,
    /// How many bytes these may have.
    pub history_bytes: u64,
}

impl Default for StateConfig {
    fn default() -> Self {
        StateConfig {
            store: Keeper::default(),
            directory: None,
            ttl_s: 30 * 24 * 3600,
            fail_closed: false,
            wait_ms: 5_000,
            background: 256,
            lease_s: 10,
            history_links: 1_000,
            history_items: 1_000,
            history_bytes: 64 << 20,
        }
    }
}

/// What keeps the state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeper {
    /// The process: it ends with it.
    #[default]
    Memory,
    /// Nothing is kept.
    Off,
}
