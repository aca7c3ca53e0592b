//! A store that ends with the process: for tests, and for a gateway that is told to keep nothing.
//! One lock around plain maps; what is looked for without its place is looked for everywhere.

mod conversations;
mod state;
mod turns;

use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::memory::state::State;
use crate::{
    Bounds, Conversation, EventPage, Id, ItemPage, Page, Pending, Store, StoreError, StoredEvent,
    StoredItem, Tenant, Thread, Turn, Update,
};

/// How much may be remembered. Sizes are bytes of JSON, and some for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// For one tenant.
    pub tenant_bytes: u64,
    /// For all of them.
    pub total_bytes: u64,
}

impl Default for MemoryLimits {
    /// 64 MiB for one tenant, 256 MiB for all.
    fn default() -> Self {
        MemoryLimits { tenant_bytes: 64 << 20, total_bytes: 256 << 20 }
    }
}

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    limits: MemoryLimits,
    state: Mutex<State>,
}

impl Memory {
    /// An empty store.
    pub fn new(limits: MemoryLimits) -> Self {
        Memory { limits, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is checked before it begins, so that a panic leaves no half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn done<'a, T: Send + 'a>(result: Result<T, StoreError>) -> Pending<'a, T> {
    Box::pin(ready(result))
}

impl Store for Memory {
    fn ready(&self) -> Pending<'_, ()> {
        done(Ok(()))
    }

    fn put<'a>(
        &'a self,
        tenant: &'a Tenant,
        turn: Turn,
        input: Vec<StoredItem>,
        output: Vec<StoredItem>,
    ) -> Pending<'a, ()> {
        done(self.state().put(&self.limits, tenant, turn, input, output))
    }

    fn update<'a>(&'a self, tenant: &'a Tenant, id: &'a Id, update: Update) -> Pending<'a, ()> {
        done(self.state().update(&self.limits, tenant, id, update))
    }

    fn turn<'a>(&'a self, tenant: &'a Tenant, id: &'a Id, now: i64) -> Pending<'a, Turn> {
        done(self.state().turn(tenant, id, now).map(|kept| kept.turn.clone()))
    }

    fn history<'a>(
        &'a self,
        tenant: &'a Tenant,
        thread: &'a Thread,
        bounds: Bounds,
        now: i64,
    ) -> Pending<'a, Vec<StoredItem>> {
        done(self.state().history(tenant, thread, bounds, now))
    }

    fn items<'a>(
        &'a self,
        tenant: &'a Tenant,
        thread: &'a Thread,
        page: Page,
        now: i64,
    ) -> Pending<'a, ItemPage> {
        done(self.state().items(tenant, thread, &page, now))
    }

    fn item<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: Option<&'a Id>,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, StoredItem> {
        done(self.state().item(tenant, conversation, id, now))
    }

    fn delete<'a>(&'a self, tenant: &'a Tenant, thread: &'a Thread, now: i64) -> Pending<'a, ()> {
        done(self.state().delete(tenant, thread, now))
    }

    fn open<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: Conversation,
        items: Vec<StoredItem>,
    ) -> Pending<'a, ()> {
        done(self.state().open(&self.limits, tenant, conversation, items))
    }

    fn conversation<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, Conversation> {
        done(self.state().conversation(tenant, id, now).map(|kept| kept.conversation.clone()))
    }

    fn set_metadata<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a Id,
        metadata: String,
        now: i64,
    ) -> Pending<'a, ()> {
        done(self.state().set_metadata(&self.limits, tenant, id, metadata, now))
    }

    fn append<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: &'a Id,
        items: Vec<StoredItem>,
        now: i64,
    ) -> Pending<'a, ()> {
        done(self.state().append(&self.limits, tenant, conversation, items, now))
    }

    fn remove_item<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: &'a Id,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, ()> {
        done(self.state().remove_item(tenant, conversation, id, now))
    }

    fn append_events<'a>(
        &'a self,
        tenant: &'a Tenant,
        response: &'a Id,
        events: Vec<StoredEvent>,
    ) -> Pending<'a, ()> {
        done(self.state().append_events(&self.limits, tenant, response, events))
    }

    fn events<'a>(
        &'a self,
        tenant: &'a Tenant,
        response: &'a Id,
        after: Option<i64>,
        limit: u32,
        now: i64,
    ) -> Pending<'a, EventPage> {
        done(self.state().events(tenant, response, after, limit, now))
    }

    fn renew<'a>(&'a self, owner: &'a Id, until: i64) -> Pending<'a, ()> {
        self.state().owners.insert(owner.clone(), until);
        done(Ok(()))
    }

    fn orphans(&self, now: i64, limit: u32) -> Pending<'_, Vec<(Tenant, Turn)>> {
        done(Ok(self.state().orphans(now, limit)))
    }

    fn expire(&self, now: i64, limit: u32) -> Pending<'_, u64> {
        done(Ok(self.state().expire(now, limit)))
    }
}
