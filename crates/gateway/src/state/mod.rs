//! What a gateway keeps between requests: responses, conversations, and what led to them. Here is
//! what all of it shares: the store, its bounds, and how its errors are told. What a request is
//! continued with is in [`crate::history`], what clients ask about it in [`desk`].

mod config;
mod conversations;
mod desk;
mod items;
mod listing;
mod pending;
mod stored;
mod telling;
mod tending;

pub use self::config::{Keeper, StateConfig};

pub(crate) use self::desk::answer;
pub(crate) use self::items::stored;
pub(crate) use self::listing::{Listing, Query};
pub(crate) use self::pending::{Keep, Kept, LOST, failed, refused, unstored};
pub(crate) use self::telling::{RETRY_AFTER_S, UNAVAILABLE, told, unavailable};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use latimer_store::{Bounds, Id, Memory, NEVER, Pending, Postgres, Sqlite, Store, StoreError};

use latimer_wire::json::Object;

use crate::background::Runs;
use crate::clock::unix_seconds;
use crate::config::Settings;

/// The file of the database in the directory of what is kept.
const FILE: &str = "state.db";

/// The memory of a gateway.
pub(crate) struct State {
    pub store: Arc<dyn Store>,
    pub config: StateConfig,
    /// This process, for as long as it lives.
    pub owner: Id,
    /// The responses that are being made in the background.
    pub runs: Runs,
    /// Whether something was in the store, or it was asked.
    is_used: AtomicBool,
    /// Until when others know that this gateway lives, in seconds since 1970.
    leased_until: AtomicI64,
    /// How many answers could not be stored.
    lost: AtomicU64,
}

impl State {
    /// Opens what the settings name; none where nothing is to be kept, or the backend keeps it. It
    /// waits for the disk.
    ///
    /// # Errors
    /// When the store is damaged, or cannot be opened. A server that cannot be reached now is no
    /// error: it may be there later.
    pub fn open(settings: &Settings) -> Result<Option<State>, StoreError> {
        let config = &settings.state;
        if settings.upstream.as_ref().is_some_and(|target| target.remembers) {
            return Ok(None);
        }
        let mut is_used = true;
        let store: Arc<dyn Store> = match &config.store {
            Keeper::Off => return Ok(None),
            Keeper::Memory => Arc::new(Memory::new(config.memory())),
            Keeper::Sqlite => {
                let path = settings.directory.join(FILE);
                std::fs::create_dir_all(&settings.directory)
                    .map_err(|error| StoreError::Gone(error.to_string()))?;
                is_used = std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
                Arc::new(Sqlite::open(path, config.sqlite())?)
            }
            Keeper::Postgres(address) => Arc::new(Postgres::new(address, config.postgres())?),
        };
        let owner = Id::from(uuid::Uuid::now_v7().into_bytes());
        Ok(Some(State {
            store,
            config: config.clone(),
            owner,
            runs: Runs::default(),
            is_used: AtomicBool::new(is_used),
            leased_until: AtomicI64::new(0),
            lost: AtomicU64::new(0),
        }))
    }

    /// What comes of an operation, within the time that the configuration allows.
    pub async fn in_time<T>(&self, operation: Pending<'_, T>) -> Result<T, StoreError> {
        self.touch();
        let wait = Duration::from_millis(self.config.wait_ms);
        match tokio::time::timeout(wait, operation).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Busy(format!("nothing for {} ms", wait.as_millis()))),
        }
    }

    /// Says that the store is asked for something.
    fn touch(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// Whether anything may be in the store; until then there is nothing to tend.
    fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    /// How much of a history is read.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            links: self.config.history_links,
            items: self.config.history_items,
            bytes: self.config.history_bytes,
        }
    }

    /// When what is stored now may be forgotten.
    pub fn expiry(&self) -> i64 {
        match i64::try_from(self.config.ttl_s) {
            Ok(0) | Err(_) => NEVER,
            Ok(ttl) => now().saturating_add(ttl),
        }
    }

    /// What an operator is told of it, as JSON.
    pub fn health(&self) -> String {
        let mut out = String::new();
        Object::new(&mut out)
            .text("store", self.config.store.name())
            .number("unstored", self.lost.load(Ordering::Relaxed))
            .end();
        out
    }

    /// Counts an answer that could not be stored.
    fn count_lost(&self, why: &StoreError) {
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(unstored = lost, %why, "an answer could not be stored");
    }
}

/// Seconds since 1970, as the store counts them.
pub(crate) fn now() -> i64 {
    i64::try_from(unix_seconds()).unwrap_or(NEVER)
}
