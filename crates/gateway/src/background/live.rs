//! The events of a background response while it is being made, for all who follow it. In: events, as
//! they are made. Out: the same to each follower, from any number on, whenever it comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use latimer_store::{Id, Tenant};
use tokio::sync::watch;

/// One response that is being made. The event at place `n` has the sequence number `n`.
pub(crate) struct Live {
    told: Mutex<Told>,
    /// Changes with every event, and with the end.
    changed: watch::Sender<()>,
    /// Somebody wants it to end.
    cancelled: watch::Sender<bool>,
}

#[derive(Default)]
struct Told {
    frames: Vec<Bytes>,
    over: bool,
}

/// What a follower is told next.
pub(crate) enum Next {
    /// These events; so many were told in all.
    Frames(Bytes, usize),
    /// Nothing yet, for as long as it was to wait.
    Silence,
    /// There will be no more.
    End,
}

impl Live {
    pub fn new() -> Self {
        let (changed, _) = watch::channel(());
        let (cancelled, _) = watch::channel(false);
        Live { told: Mutex::default(), changed, cancelled }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the next event.
    pub fn push(&self, frame: Bytes) {
        self.told().frames.push(frame);
        self.changed.send_replace(());
    }

    /// Says that there will be no more.
    pub fn end(&self) {
        self.told().over = true;
        self.changed.send_replace(());
    }

    /// How many events were told.
    pub fn count(&self) -> usize {
        self.told().frames.len()
    }

    /// Ends it; whoever makes it stops.
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Waits until it is to end.
    pub async fn cancelled(&self) {
        let mut cancelled = self.cancelled.subscribe();
        let _ = cancelled.wait_for(|cancelled| *cancelled).await;
    }

    /// The events from place `from` on, as soon as there are some; `patience` is how long to wait.
    pub async fn next(&self, from: usize, patience: Duration) -> Next {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let told = self.told();
                let frames = told.frames.get(from..).unwrap_or_default();
                if !frames.is_empty() {
                    let together: BytesMut = frames.iter().flatten().copied().collect();
                    return Next::Frames(together.freeze(), told.frames.len());
                }
                if told.over {
                    return Next::End;
                }
            }
            if tokio::time::timeout(patience, changed.changed()).await.is_err() {
                return Next::Silence;
            }
        }
    }
}

/// All responses that this gateway is making in the background.
#[derive(Default)]
pub(crate) struct Runs {
    live: Mutex<HashMap<(Tenant, Id), Arc<Live>>>,
    /// Changes when one is over.
    left: watch::Sender<()>,
}

impl Runs {
    fn live(&self) -> MutexGuard<'_, HashMap<(Tenant, Id), Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, unless there are `most` already.
    pub fn begin(&self, tenant: &Tenant, id: &Id, most: usize) -> Option<Arc<Live>> {
        let mut all = self.live();
        if all.len() >= most {
            return None;
        }
        let live = Arc::new(Live::new());
        all.insert((tenant.clone(), id.clone()), Arc::clone(&live));
        Some(live)
    }

    /// One that is being made here.
    pub fn get(&self, tenant: &Tenant, id: &Id) -> Option<Arc<Live>> {
        self.live().get(&(tenant.clone(), id.clone())).cloned()
    }

    /// All that are being made here.
    pub fn all(&self) -> Vec<(Tenant, Id)> {
        self.live().keys().cloned().collect()
    }

    /// One is over.
    pub fn end(&self, tenant: &Tenant, id: &Id) {
        if let Some(live) = self.live().remove(&(tenant.clone(), id.clone())) {
            live.end();
        }
        self.left.send_replace(());
    }

    /// Waits until none is left.
    pub async fn over(&self) {
        let mut left = self.left.subscribe();
        while !self.live().is_empty() {
            if left.changed().await.is_err() {
                return;
            }
        }
    }
}
