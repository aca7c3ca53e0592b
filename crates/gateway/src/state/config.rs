//! What an operator can set about what is kept between requests.

use std::path::PathBuf;
use std::time::Duration;

use latimer_store::{MemoryLimits, PostgresOptions, SqliteOptions};
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
    /// The environment variable with the key that seals summaries: 32 bytes in base64. Without one a
    /// key is made in the directory. Gateways that share clients need the same.
    pub seal_key_env: Option<String>,
    /// What a backend is asked for when a conversation is to be summed up.
    pub compaction_prompt: Option<String>,
    /// How long a response can be asked for after it was made, in seconds. Default 30 days.
    pub ttl_s: u64,
    /// How much one tenant may keep, in bytes of JSON and some for each row. Default 64 MiB in memory,
    /// 1 GiB in a file, 16 GiB in PostgreSQL.
    pub tenant_bytes: Option<u64>,
    /// How much all of them may keep in memory or in the file. Default 256 MiB in memory, 8 GiB in a
    /// file.
    pub total_bytes: Option<u64>,
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

impl StateConfig {
    pub(super) fn memory(&self) -> MemoryLimits {
        let usual = MemoryLimits::default();
        MemoryLimits {
            tenant_bytes: self.tenant_bytes.unwrap_or(usual.tenant_bytes),
            total_bytes: self.total_bytes.unwrap_or(usual.total_bytes),
        }
    }

    pub(super) fn sqlite(&self) -> SqliteOptions {
        let (wait, usual) = (Duration::from_millis(self.wait_ms), SqliteOptions::default());
        SqliteOptions {
            lock_wait: wait,
            queue_wait: wait,
            tenant_bytes: self.tenant_bytes.unwrap_or(usual.tenant_bytes),
            file_bytes: self.total_bytes.unwrap_or(usual.file_bytes),
            ..usual
        }
    }

    pub(super) fn postgres(&self) -> PostgresOptions {
        let usual = PostgresOptions::default();
        PostgresOptions {
            answer_wait: Duration::from_millis(self.wait_ms),
            tenant_bytes: self.tenant_bytes.unwrap_or(usual.tenant_bytes),
            ..usual
        }
    }
}

impl Default for StateConfig {
    fn default() -> Self {
        StateConfig {
            store: Keeper::default(),
            directory: None,
            seal_key_env: None,
            compaction_prompt: None,
            ttl_s: 30 * 24 * 3600,
            tenant_bytes: None,
            total_bytes: None,
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
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Keeper {
    /// One file in the directory.
    #[default]
    Sqlite,
    /// The process: it ends with it.
    Memory,
    /// A PostgreSQL server, which several gateways may share; its address, which may hold a password.
    Postgres(String),
    /// Nothing is kept.
    Off,
}

impl std::str::FromStr for Keeper {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sqlite" => Ok(Keeper::Sqlite),
            "memory" => Ok(Keeper::Memory),
            "off" => Ok(Keeper::Off),
            address
                if address.starts_with("postgres://") || address.starts_with("postgresql://") =>
            {
                Ok(Keeper::Postgres(address.to_owned()))
            }
            _ => Err("it is none of `sqlite`, `memory`, `off` and `postgres://…`".to_owned()),
        }
    }
}

impl TryFrom<String> for Keeper {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Keeper {
    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Keeper::Sqlite => "sqlite",
            Keeper::Memory => "memory",
            Keeper::Postgres(_) => "postgres",
            Keeper::Off => "off",
        }
    }
}

/// Without what an address may hold.
impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
