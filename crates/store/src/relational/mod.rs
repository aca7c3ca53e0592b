//! What SQLite and PostgreSQL have in common: every operation is a [`Batch`] of SQL that both
//! understand, made from plain values, and a reading of the rows that come back. A database is an
//! [`Engine`]: it runs batches. Nothing here waits or knows which database it is.
//!
//! Rules that keep two writers from waiting for each other in a circle: a batch that writes locks
//! the turn, then the conversation, then the charge of the tenant.

mod conversations;
mod engine;
#[cfg(test)]
mod plans;
mod schema;
mod turns;
mod upkeep;

pub(crate) use engine::{Batch, Engine, Rows, Statement, Value};
pub(crate) use schema::migrations_after;

use crate::{
    Bounds, Conversation, EventPage, Id, ItemPage, Page, Pending, Store, StoredEvent, StoredItem,
    Tenant, Thread, Turn, Update,
};

impl<E: Engine> Store for E {
    fn ready(&self) -> Pending<'_, ()> {
        Box::pin(async { self.read(upkeep::ready()).await.map(drop) })
    }

    fn put<'a>(
        &'a self,
        tenant: &'a Tenant,
        turn: Turn,
        input: Vec<StoredItem>,
        output: Vec<StoredItem>,
    ) -> Pending<'a, ()> {
        let batch = turns::put(tenant, turn, input, output, self.tenant_bytes());
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn update<'a>(&'a self, tenant: &'a Tenant, id: &'a Id, update: Update) -> Pending<'a, ()> {
        let batch = turns::update(tenant, id, update, self.tenant_bytes());
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn turn<'a>(&'a self, tenant: &'a Tenant, id: &'a Id, now: i64) -> Pending<'a, Turn> {
        Box::pin(async move { turns::read(self.read(turns::select(tenant, id, now)).await?) })
    }

    fn history<'a>(
        &'a self,
        tenant: &'a Tenant,
        thread: &'a Thread,
        bounds: Bounds,
        now: i64,
    ) -> Pending<'a, Vec<StoredItem>> {
        Box::pin(async move {
            match thread {
                Thread::Turn(id) => {
                    let rows = self.read(turns::chain(tenant, id, bounds, now)).await?;
                    turns::read_chain(rows, bounds)
                }
                Thread::Conversation(id) => {
                    let rows = self.read(conversations::all(tenant, id, bounds, now)).await?;
                    conversations::read_all(rows, bounds)
                }
            }
        })
    }

    fn items<'a>(
        &'a self,
        tenant: &'a Tenant,
        thread: &'a Thread,
        page: Page,
        now: i64,
    ) -> Pending<'a, ItemPage> {
        let batch = match thread {
            Thread::Turn(id) => turns::page(tenant, id, &page, now),
            Thread::Conversation(id) => conversations::page(tenant, id, &page, now),
        };
        Box::pin(async move { engine::read_page(self.read(batch).await?, page.limit) })
    }

    fn item<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: Option<&'a Id>,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, StoredItem> {
        let batch = match conversation {
            Some(conversation) => conversations::item(tenant, conversation, id, now),
            None => turns::item(tenant, id, now),
        };
        Box::pin(async { engine::read_item(self.read(batch).await?) })
    }

    fn delete<'a>(&'a self, tenant: &'a Tenant, thread: &'a Thread, now: i64) -> Pending<'a, ()> {
        let batch = upkeep::delete(tenant, thread, now);
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn open<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: Conversation,
        items: Vec<StoredItem>,
    ) -> Pending<'a, ()> {
        let batch = conversations::open(tenant, conversation, items, self.tenant_bytes());
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn conversation<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, Conversation> {
        let batch = conversations::select(tenant, id, now);
        Box::pin(async { conversations::read(self.read(batch).await?) })
    }

    fn set_metadata<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &'a Id,
        metadata: String,
        now: i64,
    ) -> Pending<'a, ()> {
        let batch = conversations::set_metadata(tenant, id, metadata, now, self.tenant_bytes());
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn append<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: &'a Id,
        items: Vec<StoredItem>,
        now: i64,
    ) -> Pending<'a, ()> {
        let batch = conversations::append(tenant, conversation, items, now, self.tenant_bytes());
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn remove_item<'a>(
        &'a self,
        tenant: &'a Tenant,
        conversation: &'a Id,
        id: &'a Id,
        now: i64,
    ) -> Pending<'a, ()> {
        let batch = conversations::remove_item(tenant, conversation, id, now);
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn append_events<'a>(
        &'a self,
        tenant: &'a Tenant,
        response: &'a Id,
        events: Vec<StoredEvent>,
    ) -> Pending<'a, ()> {
        let batch = turns::append_events(tenant, response, events, self.tenant_bytes());
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn events<'a>(
        &'a self,
        tenant: &'a Tenant,
        response: &'a Id,
        after: Option<i64>,
        limit: u32,
        now: i64,
    ) -> Pending<'a, EventPage> {
        let batch = turns::events(tenant, response, after, limit, now);
        Box::pin(async { turns::read_events(self.read(batch).await?) })
    }

    fn renew<'a>(&'a self, owner: &'a Id, until: i64) -> Pending<'a, ()> {
        let batch = upkeep::renew(owner, until);
        Box::pin(async { self.write(batch).await.map(drop) })
    }

    fn orphans(&self, now: i64, limit: u32) -> Pending<'_, Vec<(Tenant, Turn)>> {
        let batch = upkeep::orphans(now, limit);
        Box::pin(async { upkeep::read_orphans(self.read(batch).await?) })
    }

    fn expire(&self, now: i64, limit: u32) -> Pending<'_, u64> {
        Box::pin(async move {
            let old = upkeep::read_old(self.read(upkeep::old(now, limit)).await?)?;
            let count = old.len() as u64;
            self.write(upkeep::forget(old, now)).await?;
            Ok(count)
        })
    }
}
