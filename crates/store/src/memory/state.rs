//! What a store in memory holds, and its operations as plain functions. Each checks first and
//! changes after, so that one that fails has changed nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::memory::MemoryLimits;
use crate::{
    Bounds, Conversation, Id, ItemPage, Measure, Page, StoreError, StoredItem, Tenant, Thread,
    Turn, What,
};

/// What a row takes besides its texts, in bytes; an estimate.
const ROW_BYTES: usize = 128;

pub(super) type Result<T> = std::result::Result<T, StoreError>;
type Key = (Tenant, Id);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) turns: BTreeMap<Key, KeptTurn>,
    pub(super) conversations: BTreeMap<Key, KeptConversation>,
    /// Until when each gateway lives.
    pub(super) owners: BTreeMap<Id, i64>,
    bytes: BTreeMap<Tenant, u64>,
}

#[derive(Debug)]
pub(super) struct KeptTurn {
    pub(super) turn: Turn,
    pub(super) input: Vec<StoredItem>,
    pub(super) output: Vec<StoredItem>,
    pub(super) events: BTreeMap<i64, String>,
}

#[derive(Debug)]
pub(super) struct KeptConversation {
    pub(super) conversation: Conversation,
    pub(super) items: Vec<StoredItem>,
}

impl State {
    pub(super) fn history(
        &self,
        tenant: &Tenant,
        thread: &Thread,
        bounds: Bounds,
        now: i64,
    ) -> Result<Vec<StoredItem>> {
        match thread {
            Thread::Turn(id) => self.chain(tenant, id, bounds, now),
            Thread::Conversation(id) => {
                let items = &self.conversation(tenant, id, now)?.items;
                within(Measure::Items, items.len(), bounds.items.into())?;
                within(Measure::Bytes, json_bytes(items), bounds.bytes)?;
                Ok(items.clone())
            }
        }
    }

    pub(super) fn items(
        &self,
        tenant: &Tenant,
        thread: &Thread,
        page: &Page,
        now: i64,
    ) -> Result<ItemPage> {
        let list = match thread {
            Thread::Turn(id) => &self.turn(tenant, id, now)?.input,
            Thread::Conversation(id) => &self.conversation(tenant, id, now)?.items,
        };
        let place = page.after.as_ref().map(|after| {
            let place = list.iter().rposition(|item| item.id == *after);
            place.ok_or(StoreError::NotFound(What::Item))
        });
        let place = place.transpose()?;
        let limit = page.limit as usize;
        let wanted: Vec<_> = match page.descending {
            false => list.iter().skip(place.map_or(0, |place| place + 1)).take(limit + 1).collect(),
            true => list.iter().take(place.unwrap_or(list.len())).rev().take(limit + 1).collect(),
        };
        let has_more = wanted.len() > limit;
        Ok(ItemPage { items: wanted.into_iter().take(limit).cloned().collect(), has_more })
    }

    pub(super) fn item(
        &self,
        tenant: &Tenant,
        conversation: Option<&Id>,
        id: &Id,
        now: i64,
    ) -> Result<StoredItem> {
        let found = match conversation {
            Some(conversation) => {
                let items = &self.conversation(tenant, conversation, now)?.items;
                items.iter().rev().find(|item| item.id == *id)
            }
            None => self.item_anywhere(tenant, id, now),
        };
        found.cloned().ok_or(StoreError::NotFound(What::Item))
    }

    fn item_anywhere<'a>(
        &'a self,
        tenant: &'a Tenant,
        id: &Id,
        now: i64,
    ) -> Option<&'a StoredItem> {
        let turns = of(&self.turns, tenant).filter(|kept| kept.turn.expires_at > now);
        let in_turns = turns.flat_map(|kept| {
            let items = kept.input.iter().chain(&kept.output);
            items.map(|item| (kept.turn.created_at, item))
        });
        let conversations = of(&self.conversations, tenant);
        let conversations = conversations.filter(|kept| kept.conversation.expires_at > now);
        let in_conversations = conversations
            .flat_map(|kept| kept.items.iter().map(|item| (kept.conversation.created_at, item)));
        let all = in_turns.chain(in_conversations).filter(|(_, item)| item.id == *id);
        all.max_by_key(|(seen_at, _)| *seen_at).map(|(_, item)| item)
    }

    pub(super) fn delete(&mut self, tenant: &Tenant, thread: &Thread, now: i64) -> Result<()> {
        let bytes = match thread {
            Thread::Turn(id) => {
                let bytes = self.turn(tenant, id, now)?.bytes();
                self.turns.remove(&(tenant.clone(), id.clone()));
                bytes
            }
            Thread::Conversation(id) => {
                let bytes = self.conversation(tenant, id, now)?.bytes();
                self.conversations.remove(&(tenant.clone(), id.clone()));
                bytes
            }
        };
        self.release(tenant, bytes);
        Ok(())
    }

    pub(super) fn expire(&mut self, now: i64, limit: u32) -> u64 {
        self.owners.retain(|_, until| *until > now);
        let built_on: BTreeSet<Key> = self
            .turns
            .iter()
            .filter_map(|((tenant, _), kept)| Some((tenant.clone(), kept.turn.previous.clone()?)))
            .collect();
        let old = |(key, kept): (&Key, &KeptTurn)| {
            let expired = kept.turn.expires_at <= now && !built_on.contains(key);
            expired.then(|| (key.clone(), kept.bytes()))
        };
        let turns: Vec<_> = self.turns.iter().filter_map(old).take(limit as usize).collect();
        let old = |(key, kept): (&Key, &KeptConversation)| {
            (kept.conversation.expires_at <= now).then(|| (key.clone(), kept.bytes()))
        };
        let conversations: Vec<_> =
            self.conversations.iter().filter_map(old).take(limit as usize).collect();
        for (key, bytes) in &turns {
            self.turns.remove(key);
            self.release(&key.0, *bytes);
        }
        for (key, bytes) in &conversations {
            self.conversations.remove(key);
            self.release(&key.0, *bytes);
        }
        (turns.len() + conversations.len()) as u64
    }

    /// Makes room, or says that there is none.
    pub(super) fn reserve(
        &mut self,
        limits: &MemoryLimits,
        tenant: &Tenant,
        more: usize,
    ) -> Result<()> {
        let total: u64 = self.bytes.values().sum();
        let own = self.bytes.entry(tenant.clone()).or_default();
        if *own + more as u64 > limits.tenant_bytes {
            return Err(StoreError::Full("the tenant has used up its share"));
        }
        if total + more as u64 > limits.total_bytes {
            return Err(StoreError::Full("the memory for all tenants is used up"));
        }
        *own += more as u64;
        Ok(())
    }

    pub(super) fn release(&mut self, tenant: &Tenant, less: usize) {
        if let Some(own) = self.bytes.get_mut(tenant) {
            *own = own.saturating_sub(less as u64);
        }
    }
}

impl KeptTurn {
    pub(super) fn bytes(&self) -> usize {
        let events: usize = self.events.values().map(|json| row(json)).sum();
        row(&self.turn.response) + bytes_of(&self.input) + bytes_of(&self.output) + events
    }
}

impl KeptConversation {
    pub(super) fn bytes(&self) -> usize {
        row(&self.conversation.metadata) + bytes_of(&self.items)
    }
}

/// What a tenant has, of all that is kept by key.
fn of<'a, T>(kept: &'a BTreeMap<Key, T>, tenant: &'a Tenant) -> impl Iterator<Item = &'a T> {
    let values = kept.iter().filter(move |((owner, _), _)| owner == tenant);
    values.map(|(_, value)| value)
}

pub(super) fn row(json: &str) -> usize {
    json.len() + ROW_BYTES
}

pub(super) fn bytes_of(items: &[StoredItem]) -> usize {
    items.iter().map(|item| row(&item.json)).sum()
}

/// The bytes of the items' JSON.
pub(super) fn json_bytes(items: &[StoredItem]) -> usize {
    items.iter().map(|item| item.json.len()).sum()
}

pub(super) fn within(measure: Measure, value: usize, limit: u64) -> Result<()> {
    if value as u64 > limit { Err(StoreError::TooLong { measure, limit }) } else { Ok(()) }
}
