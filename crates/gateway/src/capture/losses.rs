//! What could not be recorded: counted where it happens, and said in the recording as soon as that can
//! be written again.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use latimer_probe::record::account::Incident;

use crate::clock::unix_milliseconds;

/// How many exchanges were lost, and which of them were not said yet.
#[derive(Debug, Default)]
pub(super) struct Losses {
    total: AtomicU64,
    pending: Mutex<Option<Incident>>,
}

impl Losses {
    /// Counts exchanges, and says so.
    pub fn add(&self, exchanges: u64, reason: &dyn Display) {
        let total = self.total.fetch_add(exchanges, Ordering::Relaxed) + exchanges;
        tracing::error!(lost = total, %reason, "an exchange was not recorded");
        let mut pending = self.pending();
        let incident = pending.get_or_insert_with(|| Incident {
            since_unix_ms: Some(unix_milliseconds()),
            reason: Some(reason.to_string()),
            ..Incident::default()
        });
        incident.lost += exchanges;
    }

    /// How many exchanges were lost since the start.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whether something is to be said.
    pub fn are_pending(&self) -> bool {
        self.pending().is_some()
    }

    /// What is to be said; it counts as said.
    pub fn take(&self) -> Option<Incident> {
        self.pending().take()
    }

    /// It could not be said.
    pub fn put_back(&self, incident: Incident) {
        let mut pending = self.pending();
        let later = pending.as_ref().map_or(0, |pending| pending.lost);
        *pending = Some(Incident { lost: incident.lost + later, ..incident });
    }

    fn pending(&self) -> MutexGuard<'_, Option<Incident>> {
        self.pending.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}
